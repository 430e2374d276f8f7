"""The equaliser has the gains at its knots, never more between them, and no delay."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from otoscope.errors import ParameterError
from otoscope.signal.effects.equaliser import KNOTS_HZ, equalise, smooth_gain_db

GAINS = st.lists(st.floats(-30, 30), min_size=11, max_size=11)


@given(gains=GAINS)
def test_the_curve_passes_the_knots_and_is_monotone_between(gains: list[float]) -> None:
    knots = torch.tensor(gains, dtype=torch.float64)
    torch.testing.assert_close(smooth_gain_db(torch.tensor(KNOTS_HZ), knots), knots)
    for left in range(10):
        hz = KNOTS_HZ[left] * 2 ** torch.linspace(0, 1, 50, dtype=torch.float64)
        steps = smooth_gain_db(hz, knots).diff() * math.copysign(1, gains[left + 1] - gains[left])
        assert float(steps.min()) > -1e-9


@pytest.mark.parametrize("hz", [40.0, 320.0, 1500.0, 9000.0])
def test_a_sine_has_the_gain_of_its_frequency_and_the_same_phase(hz: float) -> None:
    sr, n = 22050, 22050
    knots = torch.tensor([3.0, -6, 1, 0, 6, -3, 2, 5, -5, 0, 4])
    y = torch.sin(2 * torch.pi * hz * torch.arange(n, dtype=torch.float64) / sr)
    gain = 10 ** (smooth_gain_db(torch.tensor([hz]), knots) / 20)
    middle = slice(8000, -8000)  # the sine begins and ends
    torch.testing.assert_close(
        equalise(y, sr=sr, knots_db=knots)[middle], (gain * y)[middle], rtol=0, atol=2e-3
    )


def test_flat_gains_change_the_level_alone_and_batches_are_their_rows() -> None:
    y = torch.randn(3, 5000, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    flat = torch.full((11,), -20.0)
    torch.testing.assert_close(equalise(y, sr=16000, knots_db=flat), 0.1 * y, rtol=0, atol=1e-12)
    knots = torch.linspace(-6, 6, 11)
    whole = equalise(y, sr=16000, knots_db=knots)
    torch.testing.assert_close(whole[1], equalise(y[1], sr=16000, knots_db=knots))


def test_what_rings_over_one_end_does_not_come_in_at_the_other() -> None:
    y = torch.zeros(16000, dtype=torch.float64)
    y[-1] = 1
    knots = torch.tensor([6.0, -6] * 5 + [6.0])
    assert float(equalise(y, sr=16000, knots_db=knots)[:4000].abs().max()) < 1e-5


def test_other_numbers_of_gains_are_refused() -> None:
    with pytest.raises(ParameterError, match=r"knots_db is \(3,\), must be \[11\]"):
        equalise(torch.zeros(10), sr=8000, knots_db=torch.zeros(3))
    with pytest.raises(ParameterError, match="finite"):
        equalise(torch.zeros(10), sr=8000, knots_db=torch.full((11,), math.nan))
