"""Filters have the specified gains, by a sweep and by scipy; a room decays as specified."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy import signal

from otoscope.errors import ParameterError
from otoscope.signal.filters import (
    KNOTS_HZ,
    convolve,
    decaying_noise,
    equalise,
    recursive_filter,
    sections,
    smooth_gain_db,
)
from tests.support.examples import examples

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
    knots = torch.zeros(11)
    knots[2] = math.nan
    with pytest.raises(ParameterError, match="knots_db is nan dB at 80 Hz, must be finite"):
        equalise(torch.zeros(10), sr=8000, knots_db=knots)


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


@pytest.mark.parametrize(
    ("stop_hz", "pass_hz", "stop_db", "pass_db", "message"),
    [
        (0, 20, 30, 1, r"stop_hz is 0 Hz, must be in \(0, 4000\) at a sampling rate of 8000 Hz"),
        (-1, 20, 30, 1, "stop_hz is -1 Hz, must be in"),
        (5000, 100, 30, 1, "stop_hz is 5000 Hz, must be in"),
        (20, 4000, 30, 1, r"pass_hz is 4000 Hz, must be in \(0, 4000\)"),
        (20, math.nan, 30, 1, "pass_hz is nan Hz, must be in"),
        (20, 20, 30, 1, "stop_hz and pass_hz are both 20 Hz; stop_hz must be below for a high-pa"),
        (20, 40, 30, 0, "pass_db is 0 dB, must be above 0"),
        (20, 40, 1, 1, "stop_db is 1 dB, must be finite and above pass_db, 1 dB"),
        (20, 40, math.inf, 1, "stop_db is inf dB, must be finite"),
    ],
)
def test_impossible_filters_are_refused(
    stop_hz: float, pass_hz: float, stop_db: float, pass_db: float, message: str
) -> None:
    with pytest.raises(ParameterError, match=message):
        sections(8000, stop_hz, pass_hz, stop_db, pass_db)


def room(rt60: float, *, seed: int = 0, direct_db: float = 6.0) -> torch.Tensor:
    return decaying_noise(
        sr=16000,
        rt60=rt60,
        direct_db=direct_db,
        generator=torch.Generator().manual_seed(seed),
    )


@pytest.mark.parametrize("rt60", [0.2, 0.8])
def test_energy_falls_by_60_db_in_the_time_said(rt60: float) -> None:
    energy = room(rt60)[1:].square()
    blocks = energy[: len(energy) // 20 * 20].reshape(20, -1).mean(1)
    slope, _ = np.polyfit(np.arange(20) / 20 * rt60, 10 * blocks.log10().numpy(), 1)
    assert slope * rt60 == pytest.approx(-60, abs=2)  # 160 and more squared normals a block
    assert len(energy) + 1 == round(16000 * rt60)


@pytest.mark.parametrize("direct_db", [-3.0, 0.0, 12.0])
def test_the_direct_sound_is_as_much_over_the_rest_as_said(direct_db: float) -> None:
    tail = room(0.5, direct_db=direct_db)
    assert float(tail[0]) == 1
    ratio = -10 * float(tail[1:].square().sum().log10())
    assert ratio == pytest.approx(direct_db, abs=1e-9)


def test_the_generator_draws_the_room_and_a_longer_one_begins_alike() -> None:
    assert torch.equal(room(0.5, seed=1), room(0.5, seed=1))
    assert not torch.equal(room(0.5, seed=1), room(0.5, seed=2))
    short, long = room(0.2, seed=3)[1:], room(0.4, seed=3)[1:]
    assert bool((short.sign() == long[: len(short)].sign()).all())


def test_convolution_is_the_sum_that_defines_it() -> None:
    random = torch.Generator().manual_seed(0)
    y = torch.randn(2, 301, generator=random, dtype=torch.float64)
    impulse = torch.randn(77, generator=random, dtype=torch.float64)
    expected = np.stack([np.convolve(row, impulse.numpy())[:301] for row in y.numpy()])
    np.testing.assert_allclose(convolve(y, impulse).numpy(), expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"rt60": 0.0}, "rt60 is 0 s, must be finite and two samples or more: 0.000125 s at 16000"),
        ({"rt60": 1e-5}, "rt60 is 1e-05 s"),
        ({"rt60": math.nan}, "rt60 is nan s"),
        ({"rt60": math.inf}, "rt60 is inf s"),
        ({"sr": 0.0}, "sr is 0 Hz, must be finite and above 0"),
        ({"direct_db": math.nan}, "direct_db is nan dB, must be finite"),
    ],
)
def test_rooms_without_size_are_refused(change: dict[str, float], message: str) -> None:
    settings = {"sr": 16000.0, "rt60": 0.3, "direct_db": 6.0} | change
    with pytest.raises(ParameterError, match=message):
        decaying_noise(**settings, generator=torch.Generator())
