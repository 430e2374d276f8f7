"""Signal-to-noise ratios equal their formula; noise has the level it is said to have."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from otoscope.errors import ParameterError
from otoscope.signal.snr import add_noise, radius, segmental_snr_db, snr_db


def sounds(seed: int, *shape: int) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def ratio_db(y: torch.Tensor, noisy: torch.Tensor) -> float:
    signal = math.fsum(float(a) ** 2 for a in y)
    noise = math.fsum((float(b) - float(a)) ** 2 for a, b in zip(y, noisy, strict=True))
    return math.inf if noise == 0 else 10 * math.log10(signal / noise) if signal else -math.inf


@given(n=st.integers(1, 40), length=st.integers(1, 50), seed=st.integers(0, 99))
def test_equals_the_formula_over_all_and_in_the_worst_segment(
    n: int, length: int, seed: int
) -> None:
    y, noisy = sounds(seed, n), sounds(seed, n) + 0.1 * sounds(seed + 1, n)
    assert float(snr_db(y, noisy)) == pytest.approx(ratio_db(y, noisy), abs=1e-9)
    worst = min(
        ratio_db(y[first : first + length], noisy[first : first + length])
        for first in range(0, n, length)
    )
    assert float(segmental_snr_db(y, noisy, segment_length=length)) == pytest.approx(
        worst, abs=1e-9
    )


def test_an_unchanged_sound_has_an_infinite_ratio_and_silence_hides_nothing() -> None:
    y = torch.tensor([1.0, 1.0, 0.0, 0.0])
    assert float(snr_db(y, y)) == math.inf
    assert float(segmental_snr_db(y, y, segment_length=2)) == math.inf
    assert float(segmental_snr_db(y, y + 0.01, segment_length=2)) == -math.inf


@given(level=st.floats(1, 120), seed=st.integers(0, 9))
def test_a_difference_as_long_as_the_radius_has_the_ratio(level: float, seed: int) -> None:
    y, direction = sounds(seed, 3, 30), sounds(seed + 1, 3, 30)
    difference = direction / direction.norm(dim=1, keepdim=True) * radius(y, level)[:, None]
    # y + difference rounds at eps |y|; at 120 dB that is 1e-10 of the difference
    torch.testing.assert_close(
        snr_db(y, y + difference), torch.full((3,), level, dtype=torch.float64), rtol=0, atol=1e-6
    )


def test_noise_has_the_ratio_asked_for_and_depends_on_the_generator_only() -> None:
    y = sounds(0, 2, 1000)
    noisy = [
        add_noise(y, snr_db=25.0, generator=torch.Generator().manual_seed(seed))
        for seed in (1, 1, 2)
    ]
    torch.testing.assert_close(
        snr_db(y, noisy[0]), torch.full((2,), 25.0, dtype=torch.float64), rtol=0, atol=1e-9
    )
    assert torch.equal(noisy[0], noisy[1])
    assert not torch.equal(noisy[0], noisy[2])


def test_what_has_no_ratio_is_refused() -> None:
    y = torch.ones(2, 4)
    with pytest.raises(ParameterError, match=r"shapes \(2, 4\) and \(2, 5\)"):
        snr_db(y, torch.ones(2, 5))
    with pytest.raises(ParameterError, match="1 of 2 sounds are silent"):
        snr_db(torch.tensor([[1.0], [0.0]]), torch.ones(2, 1))
    with pytest.raises(ParameterError, match="segment_length is 0"):
        segmental_snr_db(y, y, segment_length=0)
    for value in (0.0, -3.0, math.inf, math.nan):
        with pytest.raises(ParameterError, match=r"snr_db is .*must be finite and > 0"):
            radius(y, value)
