"""Loudness: the recommendation's own checks, a slow definition, and sounds at one level."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from scipy.signal import lfilter

from otoscope.errors import ParameterError
from otoscope.signal.loudness import loudness, match_loudness

SR = 48_000


def tone(hz: float, seconds: float, *, db: float = 0.0, sr: int = SR) -> torch.Tensor:
    time = torch.arange(round(seconds * sr), dtype=torch.float64) / sr
    return (10 ** (db / 20) * torch.sin(2 * math.pi * hz * time)).float()


def defined(y: torch.Tensor) -> float:
    """Annex 1, block by block, at 48 kHz."""
    x = y.double().numpy()
    x = lfilter(
        [1.53512485958697, -2.69169618940638, 1.19839281085285],
        [1, -1.69065929318241, 0.73248077421585],
        x,
    )
    x = lfilter([1, -2, 1], [1, -1.99004745483398, 0.99007225036621], x)
    powers = []
    for first in range(0, len(x) - 19200 + 1, 4800):
        powers.append(sum(v * v for v in x[first : first + 19200].tolist()) / 19200)
    above = [p for p in powers if -0.691 + 10 * math.log10(p) > -70]
    gate = -0.691 + 10 * math.log10(sum(above) / len(above)) - 10
    kept = [p for p in above if -0.691 + 10 * math.log10(p) > gate]
    return -0.691 + 10 * math.log10(sum(kept) / len(kept))


def test_a_sine_of_997_hz_at_full_scale_has_minus_3_01() -> None:
    assert loudness(tone(997, 2), SR) == pytest.approx(-3.01, abs=0.01)
    assert loudness(tone(997, 2, db=-20), SR) == pytest.approx(-23.01, abs=0.01)


def test_it_is_the_definition_with_both_gates() -> None:
    noise = torch.randn(SR, generator=torch.Generator().manual_seed(0))
    y = torch.cat([0.2 * noise, 0.004 * noise, torch.zeros(SR), 0.1 * noise])
    assert loudness(y, SR) == pytest.approx(defined(y), abs=1e-6)


def test_the_rate_does_not_count() -> None:
    for sr in (16000, 22050, 44100):
        assert loudness(tone(1000, 2, sr=sr), sr) == pytest.approx(
            loudness(tone(1000, 2), SR), abs=0.02
        )


def test_silence_has_none_and_a_short_sound_is_one_block() -> None:
    assert loudness(torch.zeros(1000), SR) == -math.inf
    assert loudness(tone(997, 2, db=-80), SR) == -math.inf
    assert loudness(tone(997, 0.1), SR) == pytest.approx(-3.0, abs=0.3)
    with pytest.raises(ParameterError, match=r"y has shape \(0,\)"):
        loudness(torch.zeros(0), SR)


def test_matched_sounds_have_one_loudness_and_do_not_clip() -> None:
    sharp = torch.zeros(SR)
    sharp[::4000] = 1.0
    sounds = [tone(300, 1, db=-70), tone(3000, 1), sharp]
    matched, level = match_loudness(sounds, SR)
    assert level < -23
    for y in matched:
        assert defined(y) == pytest.approx(level, abs=0.02)
        assert float(y.abs().max()) <= 10 ** (-1 / 20) + 1e-6
    loud, level = match_loudness(sounds[:2], SR)
    assert level == -23
    assert [round(defined(y), 1) for y in loud] == [-23.0, -23.0]


def test_a_silent_sound_is_told_by_its_number() -> None:
    with pytest.raises(ParameterError, match="sound 1 is silent"):
        match_loudness([tone(300, 1), torch.zeros(SR)], SR)


def test_a_block_that_ends_with_the_sound_counts() -> None:
    y = tone(997, 0.5)
    x = y.double().numpy()
    assert np.isfinite(x).all()
    assert loudness(y, SR) == pytest.approx(defined(y), abs=1e-6)
