"""Errors on the command line speak of its options."""

from __future__ import annotations

import json
import pickle

import pytest

from otoscope.cli.output import with_options
from otoscope.errors import Advice, Argument, ParameterError

NAMES = {"design", "n_samples", "padded", "target", "segments"}


@pytest.mark.parametrize(
    ("advice", "python", "typed"),
    [
        (
            Advice(Argument("design", "kernelshap"), " and ", Argument("n_samples", 500)),
            "design='kernelshap' and n_samples=500",
            "--design kernelshap and --n-samples 500",
        ),
        (
            Advice(Argument("padded", True), " fills up"),
            "padded=True fills up",
            "--padded fills up",
        ),
        (Advice("choose with ", Argument("target")), "choose with target=", "choose with --target"),
        (Advice("give ", Argument("sr", 8000)), "give sr=8000", "give sr=8000"),
    ],
)
def test_arguments_of_the_command_are_written_as_options(
    advice: Advice, python: str, typed: str
) -> None:
    error = ParameterError("design is 3", advice=advice)
    assert str(error) == f"design is 3; {python}"
    assert with_options(str(error), error.advice, NAMES) == f"design is 3; {typed}"


def test_a_text_without_advice_is_not_changed() -> None:
    assert with_options("set model.target= [...]", None, NAMES) == "set model.target= [...]"


def test_an_error_keeps_its_advice_in_another_context_process_and_file() -> None:
    error = ParameterError("too short", advice=Advice(Argument("padded", True), " fills up"))
    named = error.within("song.wav")
    assert str(named) == "song.wav: too short; padded=True fills up"
    copied = pickle.loads(pickle.dumps(named))
    assert str(copied) == str(named)
    assert copied.advice is not None
    read = Advice.from_list(json.loads(json.dumps(copied.advice.to_list())))
    assert with_options(str(copied), read, NAMES) == "song.wav: too short; --padded fills up"
    assert Advice.from_list(Advice("use ", Argument("target")).to_list()).parts == (
        "use ",
        Argument("target"),
    )
