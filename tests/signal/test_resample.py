"""Another rate keeps what it has room for, in time."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from otoscope.errors import ParameterError
from otoscope.signal.resample import resample, resample_round_trip
from otoscope.signal.snr import snr_db
from tests.support.examples import examples


def sine(hz: float, sr: float, n: int) -> torch.Tensor:
    return torch.sin(2 * torch.pi * hz * torch.arange(n, dtype=torch.float64) / sr)


@pytest.mark.parametrize(("orig_sr", "target_sr"), [(22050, 16000), (16000, 44100), (8000, 8123.4)])
def test_a_sine_is_the_same_sine_at_the_other_rate(orig_sr: float, target_sr: float) -> None:
    resampled = resample(sine(1000.0, orig_sr, 20000), orig_sr=orig_sr, target_sr=target_sr)
    expected = sine(1000.0, target_sr, len(resampled))
    middle = slice(1000, -1000)
    torch.testing.assert_close(resampled[middle], expected[middle], rtol=0, atol=1e-4)


@pytest.mark.parametrize(("hz", "is_kept"), [(100.0, True), (3600.0, True), (4100.0, False)])
def test_a_round_trip_keeps_what_lies_below_half_the_rate(hz: float, is_kept: bool) -> None:
    y = sine(hz, 22050, 22050)
    back = resample_round_trip(y, sr=22050, through_sr=8000)
    middle = slice(1000, -1000)
    if is_kept:
        assert float(snr_db(y[middle], back[middle])) > 50
    else:
        assert float(back[middle].abs().max()) < 1e-5


@examples(30)
@given(n=st.integers(1, 3000), through_sr=st.floats(1000, 50000))
def test_a_round_trip_has_as_many_samples(n: int, through_sr: float) -> None:
    y = torch.ones(2, n)
    assert resample(y, orig_sr=22050, target_sr=through_sr).shape == (
        2,
        math.ceil(n * through_sr / 22050),
    )
    assert resample_round_trip(y, sr=22050, through_sr=through_sr).shape == (2, n)


def test_what_has_no_rate_is_refused() -> None:
    with pytest.raises(ParameterError, match="target_sr is 0"):
        resample(torch.zeros(10), orig_sr=8000, target_sr=0)
    with pytest.raises(ParameterError, match=r"shape \(2, 0\)"):
        resample(torch.zeros(2, 0), orig_sr=8000, target_sr=16000)
