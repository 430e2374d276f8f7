"""No error of a command names as its remedy what only Python has."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

from otoscope.cli import groups, output

# Arguments as Python spells them, and classes of the package; not those of a model's own file.
_ARGUMENT = r"(?<![\w.-])[a-z]\w*=(?:True|False|None|['\"\[]|[;, ]|$)"
_CLASSES = (
    *("WaveformPGD", "MagnitudeAdversary", "APGD", "FABT", "CarliniWagner", "LeastNorm"),
    *("SoundLIME", "SoundClassifier", "ActivationMaximiser", "Interrogation", "FrechetDistance"),
    *("Config", "HighPass", "Tempo"),
)
_PYTHON = re.compile(f"{_ARGUMENT}|\\b(?:{'|'.join(_CLASSES)})\\b")
_IN_FILE = r"\w+='[^']*' (?:of Listener|as an attribute of the model), in \w+(?: model's)? file"
_OF_PYTHON = re.compile(rf"\(in Python [^)]*\)|\bin Python [^;]*|{_IN_FILE}")


@pytest.fixture(autouse=True)
def errors_name_options(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Read the errors of all commands that a test runs."""
    lines: list[str] = []
    shown = output.echo

    def echo(text: str, *, err: bool = False) -> None:
        if err and text.startswith("otoscope: "):
            lines.append(_OF_PYTHON.sub("", text))
        shown(text, err=err)

    monkeypatch.setattr(groups, "echo", echo)
    yield
    assert not [line for line in lines if _PYTHON.search(line)]
