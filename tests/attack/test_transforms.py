"""Transforms do what their numbers say, are drawn from their generator, and let gradients pass."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Tensor

from otoscope.attack import Mp3Coding, RandomGain, RandomNoise, RandomShift
from otoscope.errors import ParameterError
from otoscope.signal.snr import snr_db


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def sound() -> Tensor:
    return torch.randn(4000, generator=generator(9), dtype=torch.float64)


def test_gains_fill_their_range_in_db() -> None:
    draws, y = generator(), sound()
    db = [20 * math.log10(float(RandomGain(6.0)(y, draws)[0] / y[0])) for _ in range(300)]
    assert -6 <= min(db) < -5.7
    assert 5.7 < max(db) <= 6
    assert abs(sum(db) / 300) < 0.8  # evenly: deviation of the mean 0.2


def test_shifts_cut_one_end_and_fill_the_other_with_silence() -> None:
    draws, y = generator(), sound()
    seen = set()
    for _ in range(60):
        shifted = RandomShift(2)(y, draws)
        padded = torch.cat([torch.zeros(2).double(), y, torch.zeros(2).double()])
        by = [k for k in range(-2, 3) if torch.equal(shifted, padded[2 - k :][:4000])]
        assert len(by) == 1
        seen.add(by[0])
    assert seen == {-2, -1, 0, 1, 2}


def test_noise_has_its_ratio() -> None:
    y = sound()
    assert float(snr_db(y, RandomNoise(17.0)(y, generator()))) == pytest.approx(17, abs=1e-9)


@pytest.mark.parametrize(
    "transform", [RandomGain(6.0), RandomShift(100), RandomNoise(10.0), Mp3Coding(16000)]
)
def test_the_generator_decides_and_the_gradient_passes(
    transform: RandomGain | RandomShift | RandomNoise | Mp3Coding,
) -> None:
    y = sound().requires_grad_()
    assert torch.equal(transform(y, generator(1)), transform(y, generator(1)))
    (gradient,) = torch.autograd.grad((transform(y, generator(1)) * sound()).sum(), y)
    assert bool(gradient.isfinite().all())
    assert float((gradient * sound()).sum()) > 0 or isinstance(transform, RandomShift)
    if not isinstance(transform, Mp3Coding):
        assert not torch.equal(transform(y, generator(1)), transform(y, generator(2)))


@pytest.mark.parametrize(
    ("kind", "value", "message"),
    [
        (RandomGain, math.nan, "gain_db is nan, must be finite and >= 0 dB"),
        (RandomGain, math.inf, "gain_db is inf"),
        (RandomGain, -1.0, "gain_db is -1.0"),
        (RandomShift, -1, "samples is -1, must be an integer >= 0"),
        (RandomShift, 1.5, "samples is 1.5, must be an integer >= 0"),
        (RandomNoise, 0.0, "snr_db is 0.0, must be finite and > 0 dB"),
        (RandomNoise, math.nan, "snr_db is nan"),
    ],
)
def test_transforms_without_a_meaning_are_refused(kind: Any, value: Any, message: str) -> None:
    with pytest.raises(ParameterError, match=message):
        kind(value)


def test_a_shift_as_long_as_the_sound_leaves_nothing() -> None:
    assert RandomShift(3999)(sound(), generator()).shape == (4000,)
    with pytest.raises(ParameterError, match="samples is 4000, the sound has 4000: the shift must"):
        RandomShift(4000)(sound(), generator())
