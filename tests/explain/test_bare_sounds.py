"""Sounds as they come: of any length and type, with a sampling rate or without."""

from __future__ import annotations

import re

import pytest
import torch
from torch import nn

from otoscope.errors import ParameterError
from otoscope.explain import SoundLIME
from tests.explain.test_waveform import SR, N, noise


@pytest.mark.parametrize("n", [777, 8001, 9999, 12345])
@pytest.mark.parametrize("sr", [None, SR])
def test_places_of_sounds_of_any_length_are_told(n: int, sr: int | None) -> None:
    """The last part is loud: its place is told in seconds; without a rate in samples."""
    y, start = 1e-3 * noise(n), round(4 * n / 5)
    y[start:] *= 1e4
    lime = SoundLIME(lambda x: x.square().mean(1), components="time:5")
    text = str(lime.explain(y if sr is None else (y, sr)))
    if sr is not None:
        first, end = re.findall(r"([\d.]+)–([\d.]+)\s+s", text)[0]
        assert (float(first), float(end)) == pytest.approx((start / SR, n / SR), abs=0.051)
        assert "rate" not in text
    else:
        first, end = re.findall(r"samples ([\d,]+)–([\d,]+)", text)[0]
        assert float(first.replace(",", "")) == pytest.approx(start, abs=80)
        assert end == f"{n - 1:,}"
        assert "No sampling rate came with the sound: with (y, sr) places are in seconds." in text


@pytest.mark.parametrize(("n_parts", "place"), [(4, "0.25–0.50"), (2, "0.5–1.0"), (3, "0.33–0.67")])
def test_places_are_rounded_to_what_they_are(n_parts: int, place: str) -> None:
    y, width = 1e-3 * noise(SR), SR // n_parts
    first = SR // 2 if n_parts == 2 else width
    y[first : first + width] *= 1e4
    lime = SoundLIME(lambda x: x.square().mean(1), components=f"time:{n_parts}")
    assert place in str(lime.explain((y, SR)))


@pytest.mark.parametrize("given", [torch.float32, torch.float64])
def test_a_sound_of_another_type_than_the_function_takes_has_its_remedy(given: torch.dtype) -> None:
    taken = torch.float64 if given == torch.float32 else torch.float32
    weights = torch.ones(N, 2, dtype=taken)
    lime = SoundLIME(lambda x: x @ weights, components="time:2", target=0)
    with pytest.raises(ParameterError, match=f"it takes {taken}, and the input is {given}: conv"):
        lime.explain(noise().to(given))
    net = nn.Linear(N, 2, dtype=taken)
    (explanation,) = SoundLIME(lambda x: net(x), components="time:2", target=0).explain(
        [noise().to(given)]
    )
    assert explanation.mixture is not None
    assert explanation.mixture.kept.dtype == taken
