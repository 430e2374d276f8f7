"""Stretching moves onsets, shifting moves frequencies, and resampling moves neither."""

from __future__ import annotations

import math
import sys
from importlib.util import find_spec

import librosa
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from otoscope import native
from otoscope.data import DanceRecipe, plan_dance, render_dance
from otoscope.errors import MissingExtra, ParameterError, StaleBuild
from otoscope.signal.snr import snr_db
from otoscope.signal.stretch import (
    STRETCHERS,
    pitch_shift,
    resample,
    resample_round_trip,
    stretch,
)
from tests.support.examples import examples
from tests.support.sounds import SR, centres, clicks, frequency, sine

SIGNALSMITH = pytest.param(
    "python-stretch",
    marks=pytest.mark.skipif(
        find_spec("python_stretch") is None, reason="python-stretch (extra horse) is not installed"
    ),
)
ALL = pytest.mark.parametrize("stretcher", ["otoscope", SIGNALSMITH, "librosa"])


@ALL
@pytest.mark.parametrize("rate", [1.06, 1 / 1.06, 1.02, 0.9, 1.15])
def test_onsets_move_by_the_rate(stretcher: str, rate: float) -> None:
    y, begins = clicks()
    late = centres(stretch(y, sr=SR, rate=rate, stretcher=stretcher), begins / rate)
    lag = (centres(y, begins) - begins).mean()
    # A vocoder may put a beep anywhere in its frame of 2048 samples.
    reach = {"otoscope": 6, "python-stretch": 12, "librosa": 1024}[stretcher]
    assert np.abs(late - lag - begins / rate).max() < reach


@ALL
@pytest.mark.parametrize("sr", [4000, 8000, 44100])
@pytest.mark.parametrize("rate", [1.06, 0.9])
def test_the_tempo_changes_at_any_rate_of_samples(stretcher: str, sr: int, rate: float) -> None:
    """A vocoder with frames as long as a beat would leave the tempo as it is."""
    y, begins = clicks(sr=sr)
    out = stretch(y, sr=sr, rate=rate, stretcher=stretcher)
    late = centres(out, begins / rate, reach=round(0.2 * sr))
    # A vocoder may put a beep anywhere in its frame of 93 ms.
    assert np.abs(late / sr - begins / sr / rate).max() < 0.05
    period, _ = np.polyfit(np.arange(len(late)), late / sr, 1)
    assert period == pytest.approx(0.5 / rate, rel=0.015)


@ALL
@pytest.mark.parametrize("rate", [1.06, 0.9])
@pytest.mark.parametrize("hz", [110.0, 440.0, 3000.0])
def test_a_sine_keeps_its_frequency_and_level(stretcher: str, rate: float, hz: float) -> None:
    out = stretch(0.5 * sine(hz), sr=SR, rate=rate, stretcher=stretcher)
    assert abs(1200 * np.log2(frequency(out) / hz)) < 0.1
    assert float(out[SR // 2 : -SR // 2].std()) == pytest.approx(0.5 / 2**0.5, rel=0.12)


@ALL
@pytest.mark.parametrize("rate", [1.06, 0.94])
def test_the_end_does_not_fade(stretcher: str, rate: float) -> None:
    out = stretch(sine(440.0), sr=SR, rate=rate, stretcher=stretcher)
    assert float(out[-200:].abs().max()) > 0.8


@ALL
@examples(25)
@given(n=st.integers(1, 9000), rate=st.floats(0.5, 2.0))
def test_the_length_is_that_of_the_rate(stretcher: str, n: int, rate: float) -> None:
    y = torch.linspace(-1, 1, n).expand(2, -1)
    out = stretch(y, sr=SR, rate=rate, stretcher=stretcher)
    assert out.shape == (2, round(n / rate))
    assert bool(out.isfinite().all())


@ALL
def test_it_repeats_keeps_channels_together_and_the_type(stretcher: str) -> None:
    y, _ = clicks(2.0)
    both = torch.stack([y, 0.5 * y]).double()
    out = stretch(both, sr=SR, rate=1.06, stretcher=stretcher)
    assert out.dtype == torch.float64
    torch.testing.assert_close(out[1], 0.5 * out[0], rtol=0, atol=2e-3)
    assert torch.equal(out, stretch(both, sr=SR, rate=1.06, stretcher=stretcher))


@ALL
@pytest.mark.parametrize("cents", [-300.0, -50.0, 25.0, 100.0, 1200.0])
def test_pitch_moves_by_the_ratio_and_onsets_stay(stretcher: str, cents: float) -> None:
    out = pitch_shift(sine(440.0), sr=SR, cents=cents, stretcher=stretcher)
    assert len(out) == 3 * SR
    assert abs(1200 * np.log2(frequency(out) / 440) - cents) < 0.1
    y, begins = clicks(3.0)
    moved = centres(pitch_shift(y, sr=SR, cents=cents, stretcher=stretcher), begins)
    reach = 1024 if stretcher == "librosa" else 20
    assert np.abs(moved - centres(y, begins)).max() < reach


def rotations(X: np.ndarray, P: np.ndarray, Y: np.ndarray, rate: float, reach: int) -> np.ndarray:
    """Rotate one frame [channel, bin] bin by bin, as csrc/phases/phases.h defines."""
    bins = X.shape[1]
    centred = X * (-1.0) ** np.arange(bins)
    energy, before = np.abs(X) ** 2, np.abs(P) ** 2
    H = Y * P.conj() * energy / np.maximum(np.maximum(energy, before), 1e-30)

    def at(b: float) -> np.ndarray:
        low = math.floor(b)
        left, right = (centred[:, i] if i >= 0 else 0 * centred[:, 0] for i in (low, low + 1))
        between: np.ndarray = left + (right - left) * (b - low)
        return between

    r = np.ones(bins, complex)
    for b in range(bins):
        predicted = 0j
        for d in (1, reach):
            if b >= d:
                turn = centred[:, b - d] * at(b - d / rate).conj()
                predicted += r[b - d] * (energy[:, b] * turn).sum()
            if b + d < bins:
                turn = centred[:, b] * at(b + d - d / rate).conj()
                predicted += (H[:, b + d] * turn.conj()).sum()
        r[b] = predicted / abs(predicted) if abs(predicted) > 1e-15 else 1
    return r


@pytest.mark.parametrize("isa", ["baseline", "best"])
@pytest.mark.parametrize(("bins", "reach", "rate"), [(1, 2, 1.06), (9, 3, 0.3), (70, 6, 2.5)])
def test_phases_follow_their_definition(isa: str, bins: int, reach: int, rate: float) -> None:
    rng = np.random.default_rng(bins)
    X, P = (rng.standard_normal((2, 5, bins, 2)).astype(np.float32) for _ in range(2))
    X[:, 2] = 0
    Y = torch.full((2, 7, bins, 2), 3.0)
    usual, kernel = native.isa(), native.host_kernel("propagate_phases")
    try:
        native.use_isa(isa)
        kernel(*(torch.from_numpy(part[:, :2].copy()) for part in (X, P)), Y, 0, rate, reach)
        kernel(*(torch.from_numpy(part[:, 2:].copy()) for part in (X, P)), Y, 2, rate, reach)
    finally:
        native.use_isa(usual)
    x, p, found = (part[..., 0] + 1j * part[..., 1] for part in (X, P, Y.numpy()))
    np.testing.assert_allclose(found[:, 0], x[:, 0], rtol=1e-6)
    assert bool((Y[:, 5:] == 3).all()), "frames beyond those of X are left alone"
    for k in range(1, 5):
        expected = x[:, k] * rotations(x[:, k], p[:, k], found[:, k - 1], rate, reach)
        np.testing.assert_allclose(found[:, k], expected, rtol=0, atol=2e-4)


def test_phases_refuse_what_ends_beyond_their_result() -> None:
    X, kernel = torch.zeros(1, 3, 5, 2), native.host_kernel("propagate_phases")
    with pytest.raises(ParameterError, match="first: is 1, X ends after Y"):
        kernel(X, X, torch.zeros(1, 3, 5, 2), 1, 1.0, 6)
    with pytest.raises(ParameterError, match="P: wrong shape"):
        kernel(X, X[:, :2].contiguous(), X.clone(), 0, 1.0, 6)
    for rate, reach in ((0.0, 6), (math.nan, 6), (1.0, 1), (1.0, 10**6)):
        with pytest.raises(ParameterError, match="must be"):
            kernel(X, X, X.clone(), 0, rate, reach)


def test_a_stale_build_says_how_to_renew_it() -> None:
    with pytest.raises(StaleBuild, match="lacks no_kernel, it was compiled from older sources"):
        native.host_kernel("no_kernel")


@pytest.mark.parametrize("loudness", [1e-6, 1e4])
def test_loudness_changes_no_phase(loudness: float) -> None:
    y, _ = clicks(2.0)
    changed = stretch(loudness * y, sr=SR, rate=1.06, stretcher="otoscope") / loudness
    expected = stretch(y, sr=SR, rate=1.06, stretcher="otoscope")
    torch.testing.assert_close(changed, expected, rtol=0, atol=1e-4)


def test_channels_keep_their_delay() -> None:
    """By itself each channel is stretched by the rate, and so would be the delay between them."""
    y = 0.1 * torch.randn(2 * SR, generator=torch.Generator().manual_seed(0))
    left, right = stretch(torch.stack([y, y.roll(60)]), sr=SR, rate=0.5, stretcher="otoscope")
    late = torch.fft.irfft(torch.fft.rfft(left).conj() * torch.fft.rfft(right))
    assert int(late[: SR // 2].argmax()) == 60


def spectral_difference_db(out: torch.Tensor, y: torch.Tensor, rate: float, n: int) -> float:
    """Root mean square difference of decibels from the original's spectra at the same places."""
    centre = np.arange(3000, len(out) - 3000, 256)
    spectra = []
    for sound, places in ((out, centre), (y, np.round(centre * rate).astype(int))):
        frames = np.stack([sound.numpy()[place - n // 2 : place + n // 2] for place in places])
        spectra.append(np.abs(np.fft.rfft(frames * np.hanning(n))))
    floor = spectra[1].max() * 1e-3
    ratio = (spectra[0] + floor) / (spectra[1] + floor)
    return float(np.sqrt(np.mean((20 * np.log10(ratio)) ** 2)))


@pytest.mark.skipif(
    find_spec("python_stretch") is None, reason="python-stretch (extra horse) is not installed"
)
@pytest.mark.parametrize("rate", [1.06, 0.9])
@pytest.mark.parametrize("n", [512, 2048])
def test_spectra_of_a_dance_are_as_close_as_the_references(rate: float, n: int) -> None:
    recipe = DanceRecipe(seconds=4.0)
    dance = torch.from_numpy(render_dance(plan_dance(2, recipe=recipe)[1], recipe)).float()
    y = resample(dance, orig_sr=recipe.sr, target_sr=SR)
    ours, reference = (
        spectral_difference_db(stretch(y, sr=SR, rate=rate, stretcher=name), y, rate, n)
        for name in ("otoscope", "python-stretch")
    )
    assert ours < 1.05 * reference


def test_without_the_extra_it_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "python_stretch", None)
    with pytest.raises(
        MissingExtra, match=r'otoscope\[horse\]" \(or choose the stretcher otoscope'
    ):
        stretch(torch.zeros(8000), sr=8000, rate=1.06, stretcher="python-stretch")


def test_what_cannot_be_stretched_is_refused() -> None:
    with pytest.raises(
        ParameterError, match="'rubber', must be one of otoscope, python-stretch, librosa"
    ):
        stretch(torch.zeros(10), sr=8000, rate=1.1, stretcher="rubber")
    with pytest.raises(ParameterError, match=r"shape \(0,\)"):
        stretch(torch.zeros(0), sr=8000, rate=1.1, stretcher="librosa")
    for rate in (0.0, -1.0, float("nan"), 11.0):
        with pytest.raises(ParameterError, match=r"rate is .*must be in \[0.1, 10\]"):
            stretch(torch.zeros(10), sr=8000, rate=rate, stretcher="librosa")


@pytest.mark.parametrize(("sr", "rate"), [(4000, 0.5), (22050, 1.06), (44100, 10.0)])
@pytest.mark.parametrize("n", [300, 30011])
def test_phase_vocoder_equals_librosas_of_float64(sr: int, rate: float, n: int) -> None:
    """Of float32 samples librosa adds phases in float32, and errs by 0.3 in a long sound."""
    y = 0.1 * np.random.default_rng(0).standard_normal((2, n)).astype(np.float32)
    n_fft = 4 * round(2048 / 22050 * sr / 4)
    whole = np.pad(y.astype(np.float64), ((0, 0), (0, max(0, n_fft - n))))
    expected = librosa.effects.time_stretch(whole, rate=rate, n_fft=n_fft)
    actual = STRETCHERS["librosa"](y, sr, rate)
    assert actual.dtype == np.float32
    np.testing.assert_allclose(actual, expected, rtol=0, atol=2e-6)


@pytest.mark.parametrize(("orig_sr", "target_sr"), [(44100, 22050), (8000, 8123.4), (9, 9)])
@pytest.mark.parametrize("shape", [(1,), (2, 1501), (2, 3, 700)])
def test_resampling_equals_librosas(
    orig_sr: float, target_sr: float, shape: tuple[int, ...]
) -> None:
    y = np.random.default_rng(0).standard_normal(shape)
    for samples in (y, y.astype(np.float32)):
        actual = resample(torch.from_numpy(samples), orig_sr=orig_sr, target_sr=target_sr)
        expected = librosa.resample(samples, orig_sr=orig_sr, target_sr=target_sr)
        np.testing.assert_array_equal(actual.numpy(), expected, strict=True)


def sine_at(hz: float, sr: float, n: int) -> torch.Tensor:
    return torch.sin(2 * torch.pi * hz * torch.arange(n, dtype=torch.float64) / sr)


@pytest.mark.parametrize(("orig_sr", "target_sr"), [(22050, 16000), (16000, 44100), (8000, 8123.4)])
def test_a_sine_is_the_same_sine_at_the_other_rate(orig_sr: float, target_sr: float) -> None:
    resampled = resample(sine_at(1000.0, orig_sr, 20000), orig_sr=orig_sr, target_sr=target_sr)
    expected = sine_at(1000.0, target_sr, len(resampled))
    middle = slice(1000, -1000)
    torch.testing.assert_close(resampled[middle], expected[middle], rtol=0, atol=1e-4)


@pytest.mark.parametrize(("hz", "is_kept"), [(100.0, True), (3600.0, True), (4100.0, False)])
def test_a_round_trip_keeps_what_lies_below_half_the_rate(hz: float, is_kept: bool) -> None:
    y = sine_at(hz, 22050, 22050)
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


@pytest.mark.parametrize("n", [20001, 20002, 19999])
@pytest.mark.parametrize("through_sr", [16000, 11025, 44100])
def test_round_trip_leaves_every_sample_in_its_place(n: int, through_sr: int) -> None:
    """Lengths are rounded twice; what that takes or gives is at the end."""
    y = sine(440.0)[:n]
    back = resample_round_trip(y, sr=SR, through_sr=through_sr)
    assert back.shape == y.shape
    torch.testing.assert_close(back[500:-500], y[500:-500], rtol=0, atol=1e-3)
