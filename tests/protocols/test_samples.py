"""Samples of a sound: integers are refused wherever a sound is given, with their scale."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from otoscope.attack import WaveformPGD
from otoscope.errors import ParameterError
from otoscope.explain import SoundLIME, components, content
from otoscope.intervene import Gain, Interrogation
from otoscope.models import WaveformListener
from otoscope.protocols import Patch

SR, N = 800, 400
PCM = np.arange(N).astype(np.int16)
MODEL = WaveformListener(nn.Linear(N, 1), sample_rate=SR, seconds=0.5, output_names=["a"])
SOUND = torch.linspace(-1, 1, N)

GIVEN: dict[str, Callable[[Any], Any]] = {
    "excerpt": lambda y: MODEL.patch((y, SR)),
    "explanation": lambda y: SoundLIME(MODEL, components="time:2").explain((y, SR)),
    "bare sound": lambda y: SoundLIME(MODEL, components="time:2").explain(y),
    "layout": lambda y: SoundLIME(MODEL.network, layout="b sample").explain(y),
    "attack": lambda y: WaveformPGD(MODEL, outputs="logits").run((y, SR)),
    "interrogation": lambda y: Interrogation(
        MODEL, [(SOUND, SR), (y, SR)] * 8, ["a", "not a"] * 8
    ).run([Gain(3)]),
    "stem": lambda y: SoundLIME(MODEL, components=components.stems({"a": y, "b": y})).explain(
        (SOUND, SR)
    ),
    "donor": lambda y: content.donor([(y, SR)]),
    "patch": lambda y: Patch(torch.rand(40, 8), y=y, sr=SR, hop_length=10),
}


@pytest.mark.parametrize("given", GIVEN)
@pytest.mark.parametrize("as_given", [np.asarray, torch.from_numpy])
def test_integers_are_refused_with_their_scale(given: str, as_given: Callable[[Any], Any]) -> None:
    with pytest.raises(ParameterError, match=r"is int16, .* of 16-bit PCM give samples / 32768"):
        GIVEN[given](as_given(PCM))


@pytest.mark.parametrize(
    ("kind", "remedy"),
    [
        (np.uint8, r"\(samples - 128\.0\) / 128"),
        (np.int32, r"samples / 2\*\*31"),
        (np.int64, r"convert them, with \.float"),
        (bool, r"convert them, with \.float"),
    ],
)
def test_other_integers_have_their_own_remedy(kind: Any, remedy: str) -> None:
    with pytest.raises(ParameterError, match=remedy):
        MODEL.patch((PCM.astype(kind), SR))
