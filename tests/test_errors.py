"""Errors: long values in their messages, copies, and arguments of types that do not fit."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from otoscope import attack, intervene, metrics, models, seeds, signal
from otoscope.errors import (
    Advice,
    Argument,
    Ignored,
    ParameterError,
    refuse_ignored,
    shortened,
)
from otoscope.explain import SoundLIME
from otoscope.folk.abc import NotationError, parse_tune
from otoscope.folk.abc.errors import ConversionError

PATH = "/home/" + "/".join(["folder"] * 100) + "/a.wav"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("n is " + "1" * 5_000, "n is " + "1" * 40 + "... (5,000 characters)"),
        (f"n is {'a ' * 300!r}, x", "n is '" + "a " * 19 + "a... (602 characters), x"),
        ("1" * 399, "1" * 399),
        (f"{PATH}: cannot be read", f"{PATH}: cannot be read"),
        (f"'a' came, needs one of {'names, ' * 90}'b'", None),
        ("the model's " + "words " * 100 + "user's", None),
    ],
)
def test_long_values_are_shortened(text: str, shown: str | None) -> None:
    assert shortened(text) == (text if shown is None else shown)
    error = ParameterError(text, advice=Advice("set ", Argument("n", 1)))
    assert str(error) == f"{error.message}; set n=1"
    assert error.message == shortened(text)


@pytest.mark.parametrize("field", ["L:", "M:", "K:", "K:C transpose="])
def test_fields_of_notation_are_shortened(field: str) -> None:
    with pytest.raises(NotationError) as caught:
        parse_tune(f"X:1\n{field}{'1' * 5_000}\nK:C\nC|")
    assert max(len(str(caught.value)), len(caught.value.message)) < 300


ERRORS = [
    ParameterError("n is 0", advice=Advice("set ", Argument("n", 1))),
    NotationError("'H' came", reason="character", line=7, column=12),
    ConversionError("no meter", reason="meter"),
]


@pytest.mark.parametrize(
    "copied", [copy.copy, copy.deepcopy, lambda x: pickle.loads(pickle.dumps(x))]
)
@pytest.mark.parametrize("error", ERRORS, ids=lambda x: type(x).__name__)
def test_errors_go_to_other_processes(error: ParameterError, copied: Callable[[Any], Any]) -> None:
    """As do tunes, which hold the notices of what was left out."""
    again = copied(error)
    assert (type(again), str(again), again.message) == (type(error), str(error), error.message)
    assert str(again.advice) == str(error.advice)
    (notice,) = copied(parse_tune("K:C\nC&D|")).notices
    assert (notice.line, notice.reason) == (2, "several voices")


# Callables of any type, since the arguments are wrong on purpose.
LIME: Any = SoundLIME
ATTACK: Any = attack
CHANGE: Any = intervene
METRICS: Any = metrics
MODELS: Any = models
SEEDS: Any = seeds
SIGNAL: Any = signal


def explained(patch: Any = None, **settings: Any) -> object:
    model = nn.Sequential(nn.Flatten(), nn.Linear(24, 1))
    defaults = {"segments": "temporal:2", "content": 0.0} | settings
    return LIME(model, **defaults).explain(torch.zeros(6, 4) if patch is None else patch)


S, Y = torch.ones(3, 9), torch.zeros(400)
SPARSE = Y.to_sparse()
WRONG: list[tuple[Callable[[], object], str]] = [
    (lambda: explained(max_batch="a"), "max_batch is 'a', must be an integer"),
    (lambda: explained(max_batch=2.5), "max_batch is 2.5, must be an integer"),
    (lambda: explained(shared="no"), "shared is 'no', must be True, False or None"),
    (lambda: explained(design=3), "design is 3, must be one of"),
    (lambda: explained(design="bernoulli", n_samples="5"), "n_samples is 5, must be"),
    (lambda: explained(design="bernoulli", n_samples=5, seed="x"), "seed is 'x'; it must be an"),
    (lambda: explained(content=torch.zeros(3)), r"content has shape \(3,\), the patch \(6, 4\)"),
    (lambda: explained(torch.zeros(6, 4).to_sparse()), "is a sparse_coo tensor, must be dense"),
    (lambda: explained(np.ma.masked_less(np.ones((6, 4)), 2)), "has masked values"),
    (lambda: SIGNAL.griffin_lim(S.numpy()), "S is ndarray, must be a torch.Tensor"),
    (lambda: SIGNAL.griffin_lim(S, n_iter="x"), "n_iter is 'x', must be an integer >= 0"),
    (lambda: SIGNAL.griffin_lim(S, n_fft="x"), "n_fft is 'x', must be an integer"),
    (lambda: SIGNAL.griffin_lim(S, win_length=2.5), "win_length is 2.5, must be an integer"),
    (lambda: SIGNAL.griffin_lim(S, hop_length="x"), "hop_length is 'x', must be an integer"),
    (lambda: SIGNAL.griffin_lim(S, length="x"), "length is 'x'; with 3 frames"),
    (lambda: SIGNAL.griffin_lim(S, momentum="x"), "momentum is 'x', must be in"),
    (lambda: SIGNAL.griffin_lim(S, init=np.ones(3)), "init is array"),
    (lambda: SIGNAL.mono(None, 8000), "y is NoneType, must be a Tensor or array"),
    (lambda: SIGNAL.mono(SPARSE, 8000), "y is a sparse_coo tensor, must be dense"),
    (lambda: SIGNAL.mono(Y, None), "file_sr is None, must be a number"),
    (lambda: SIGNAL.mono(Y, 8000, sr="x"), "sr is 'x', must be a number"),
    (lambda: SIGNAL.encode_audio(Y.numpy(), sr=8000), "y is ndarray, must be a torch.Tensor"),
    (lambda: SIGNAL.encode_audio(Y, sr="x"), "sr is 'x', must be a number"),
    *((lambda sr=sr: SIGNAL.encode_audio(Y, sr=sr), "whole rates of at least 1 Hz")
      for sr in (0, -1, 10**12, float("nan"))),
    (lambda: ATTACK.snr_db(Y.numpy(), Y), "y is ndarray, must be a torch.Tensor"),
    (lambda: ATTACK.RandomGain("x"), "gain_db is 'x', must be a number"),
    (lambda: ATTACK.RandomNoise(None), "snr_db is None, must be a number"),
    (lambda: CHANGE.Gain("x"), "db is 'x', must be a number"),
    (lambda: CHANGE.LowPass(None), "hz is None, must be a number"),
    (lambda: CHANGE.Tempo([3]), r"percent is \[3\], must be a number"),
    (lambda: CHANGE.InterrogationSettings(workers=1.5), "workers is 1.5, must be an integer"),
    (lambda: METRICS.kernel_distance(S.numpy(), S), "features is ndarray, must be a torch.Tensor"),
    (lambda: METRICS.frechet_of(S, [[1.0]]), "features is list, must be a torch.Tensor"),
    (lambda: METRICS.FrechetDistance(nn.Identity()).update(S.to_sparse(), real=True), "sparse_coo"),
    (lambda: MODELS.timeline(MODELS.load("synth-singing"), Y, hop=0.5), "hop is 0.5, must be"),
    (lambda: SEEDS.torch_generator(1.5), "seed is 1.5, must be an integer >= 0"),
]  # fmt: skip


@pytest.mark.parametrize(("call", "message"), WRONG, ids=[message for _, message in WRONG])
def test_arguments_of_other_types_are_refused(call: Callable[[], object], message: str) -> None:
    with pytest.raises(ParameterError, match=message):
        call()


@pytest.mark.parametrize(
    ("where", "given", "is_refused"),
    [("", (), False), ("there", (), True), ("", ("where",), True), ("", ("name",), False)],
)
def test_an_ignored_setting_is_refused_if_it_was_given(
    where: str, given: tuple[str, ...], is_refused: bool
) -> None:
    """Another value than the default counts as given."""
    ignored = [Ignored("where", "and n is 1", (Argument("n", 2), Argument("m")))]
    settings = [Argument("n", where=where), ParameterSettings()]
    if not is_refused:
        refuse_ignored(settings, ignored, given)
        return
    with pytest.raises(ParameterError) as caught:
        refuse_ignored(settings, ignored, given)
    assert str(caught.value) == (
        f"where is {where!r}, and n is 1; leave out where=, or choose n=2 or m="
    )


@dataclass(frozen=True)
class ParameterSettings:
    """Settings beside the others."""

    m: int = 3
