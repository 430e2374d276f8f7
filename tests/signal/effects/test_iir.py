"""The recursive filters stop and keep what they must: by a sweep, and by scipy's response."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy import signal

from otoscope.errors import ParameterError
from otoscope.signal.effects.iir import recursive_filter, sections
from tests.support.examples import examples

INFRASOUND = [(20.0, 40.0, 30.0), (19.0, 20.0, 60.0)]  # stop, pass, dB


def response_db(hz: np.ndarray, sr: float, n: int, **design: float) -> np.ndarray:
    """Level of a click's filtered spectrum: all frequencies at once."""
    click = torch.zeros(n, dtype=torch.float64)
    click[n // 2] = 1
    out = recursive_filter(click, sr=sr, **design).numpy()  # type: ignore[arg-type]
    spectrum = np.abs(np.fft.rfft(out))
    return np.asarray(20 * np.log10(np.interp(hz, np.fft.rfftfreq(n, 1 / sr), spectrum)))


@pytest.mark.parametrize("sr", [8000, 22050, 48000])
@pytest.mark.parametrize(("stop_hz", "pass_hz", "stop_db"), INFRASOUND)
@pytest.mark.parametrize("zero_phase", [False, True])
def test_infrasound_goes_and_the_rest_stays(
    sr: int, stop_hz: float, pass_hz: float, stop_db: float, zero_phase: bool
) -> None:
    design = {"stop_hz": stop_hz, "pass_hz": pass_hz, "stop_db": stop_db}
    n = 12 * sr
    stopped = response_db(np.linspace(1, stop_hz, 200), sr, n, zero_phase=zero_phase, **design)
    kept = response_db(
        np.geomspace(pass_hz, 0.49 * sr, 500), sr, n, zero_phase=zero_phase, **design
    )
    assert stopped.max() == pytest.approx(-stop_db, abs=0.1)  # the ripples reach it
    assert np.abs(kept).max() < 1.01
    assert np.abs(kept[len(kept) // 4 :]).max() < 0.01  # far from the edge nothing happens


@pytest.mark.parametrize(("stop_hz", "pass_hz"), [(20.0, 40.0), (4000.0, 2000.0), (19.0, 20.0)])
def test_a_sweep_is_filtered_as_scipy_says(stop_hz: float, pass_hz: float) -> None:
    sr = 16000
    t = np.arange(8 * sr) / sr
    sweep = signal.chirp(t, 5, t[-1], 7000, method="logarithmic")
    design = {"stop_hz": stop_hz, "pass_hz": pass_hz, "stop_db": 40.0}
    out = recursive_filter(torch.from_numpy(sweep), sr=sr, **design)  # type: ignore[arg-type]
    sos = signal.iirdesign(pass_hz, stop_hz, 1, 40, ftype="cheby2", output="sos", fs=sr)
    start = signal.sosfilt_zi(sos) * sweep[0]
    np.testing.assert_allclose(out.numpy(), signal.sosfilt(sos, sweep, zi=start)[0], atol=1e-12)
    # slow there: the sweep's level is the response's
    for hz in (300.0, 1000.0):
        at = round(sr * t[-1] * np.log(hz / 5) / np.log(7000 / 5))
        level = float(out[at - 400 : at + 400].abs().max())
        expected = abs(signal.sosfreqz(sos, [hz], fs=sr)[1][0])
        assert level == pytest.approx(expected, abs=0.03)


def test_an_offset_makes_no_click() -> None:
    y = 0.5 + 0.1 * torch.sin(2 * torch.pi * 440 * torch.arange(22050) / 22050)
    out = recursive_filter(y, sr=22050, stop_hz=20, pass_hz=40, stop_db=30)
    assert float(out.abs().max()) < 0.13  # the sine, and 30 dB below it the offset


def test_zero_phase_does_not_delay() -> None:
    y = torch.randn(2, 16000, generator=torch.Generator().manual_seed(0))
    out = recursive_filter(y, sr=16000, stop_hz=4000, pass_hz=2000, stop_db=30, zero_phase=True)
    lag = np.correlate(out[0].numpy(), y[0, 100:-100].numpy(), mode="valid").argmax()
    assert int(lag) == 100


@examples(30)
@given(n=st.integers(1, 400), zero_phase=st.booleans())
def test_short_sounds_come_back_as_long(n: int, zero_phase: bool) -> None:
    y = torch.ones(2, n)
    out = recursive_filter(y, sr=8000, stop_hz=19, pass_hz=20, stop_db=60, zero_phase=zero_phase)
    assert out.shape == y.shape
    assert bool(out.isfinite().all())


def test_impossible_filters_are_refused() -> None:
    for stop_hz, pass_hz in ((0, 20), (20, 20), (20, 4000), (-1, 20), (5000, 100)):
        with pytest.raises(ParameterError, match=r"stop_hz is .* \(0, 4000\) at 8000"):
            sections(8000, stop_hz, pass_hz, 30, 1)
    with pytest.raises(ParameterError, match="stop_db > pass_db > 0"):
        sections(8000, 20, 40, 1, 1)
