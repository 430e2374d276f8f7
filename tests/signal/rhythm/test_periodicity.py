"""Rhythm features: against librosa and the equations, and what they must not depend on."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import librosa
import numpy as np
import pytest
import scipy.fft
import torch
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from otoscope.errors import ParameterError
from otoscope.signal.mel.presets import librosa_mel
from otoscope.signal.rhythm.periodicity import (
    RhythmFeatures,
    autocorrelation,
    autoregression,
    onset_strength,
)
from otoscope.signal.rhythm.scale_transform import ScaleTransform
from otoscope.signal.rhythm.spectral_periodicity import SpectralPeriodicity, lag_distances

SR = 22050


def rhythm(seed: int = 0, *, seconds: float = 6.0, beat: float = 0.5) -> torch.Tensor:
    """Bursts of noise on the beats, louder on every third, over a soft noise."""
    rng = np.random.default_rng(seed)
    y = 1e-3 * rng.standard_normal(int(seconds * SR))
    for index, start in enumerate(np.arange(0.1, seconds - 0.1, beat)):
        first = int(start * SR)
        y[first : first + 2000] += rng.standard_normal(2000) * (0.3 if index % 3 else 0.9)
    return torch.from_numpy(y.astype(np.float32))


def rhythm_by_definition(y: NDArray[np.float64]) -> NDArray[np.float64]:
    """Follow the published definition step by step: sums and normal equations, by loops."""
    onset = librosa.onset.onset_strength(y=y, sr=SR, hop_length=1024, aggregate=np.median)
    lags = [float(np.dot(onset[lag:], onset[: len(onset) - lag])) for lag in range(90)]
    x = np.array(lags[5:90]) / lags[0]
    x -= x.mean()
    rows = np.array([[1.0, *(x[t - k] for k in range(1, 13))] for t in range(12, len(x))])
    gram, moment = rows.T @ rows, rows.T @ x[12:]
    return np.asarray(np.linalg.solve(gram, moment), np.float64)


@pytest.mark.parametrize("beat", [0.29, 0.5, 0.68])
def test_rhythm_features_equal_their_definition(beat: float) -> None:
    y = rhythm(beat=beat)
    actual = RhythmFeatures()(y)
    expected = rhythm_by_definition(y.double().numpy())
    # librosa's filters are float32 and the fit is ill-conditioned: 1e-7 in, 1e-6 out.
    np.testing.assert_allclose(actual.numpy(), expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("aggregate", ["median", "mean"])
@pytest.mark.parametrize(("n_samples", "n_mels"), [(2048, 7), (30001, 128), (70000, 2)])
def test_onset_strength_equals_librosas(
    n_samples: int, n_mels: int, aggregate: Literal["median", "mean"]
) -> None:
    y = rhythm()[:n_samples]
    expected = librosa.onset.onset_strength(
        y=y.double().numpy(),
        sr=SR,
        hop_length=1024,
        n_mels=n_mels,
        aggregate=np.median if aggregate == "median" else None,
    )
    actual = onset_strength(y, librosa_mel(hop_length=1024, n_mels=n_mels), aggregate=aggregate)
    np.testing.assert_allclose(
        actual.numpy(), expected, atol=1e-5
    )  # dB; librosa's filters are float32


def test_a_batch_has_the_features_of_its_sounds() -> None:
    y = torch.stack([rhythm(seed, beat=0.4 + 0.1 * seed) for seed in range(4)])
    for features in (RhythmFeatures(), ScaleTransform(), SpectralPeriodicity()):
        actual = features(y.reshape(2, 2, -1))
        one_by_one = torch.stack([features(sound) for sound in y]).reshape(actual.shape)
        torch.testing.assert_close(actual, one_by_one, rtol=1e-9, atol=1e-9)


def test_loudness_does_not_matter() -> None:
    y = rhythm()
    for features in (RhythmFeatures(), ScaleTransform(), SpectralPeriodicity()):
        torch.testing.assert_close(features(0.5 * y), features(y), rtol=1e-6, atol=1e-6)


def test_lead_is_the_intercept_or_the_mean_square_of_what_is_left() -> None:
    y = rhythm()
    intercept, noise = (RhythmFeatures(lead=lead)(y) for lead in ("intercept", "noise"))
    torch.testing.assert_close(intercept[1:], noise[1:], rtol=0, atol=0)
    lags = autocorrelation(onset_strength(y, RhythmFeatures().front_end), 90)[5:]
    x = (lags - lags.mean()).numpy()
    residual = [
        x[t] - intercept[0].item() - sum(intercept[k].item() * x[t - k] for k in range(1, 13))
        for t in range(12, 85)
    ]
    assert noise[0].item() == pytest.approx(np.mean(np.square(residual)), rel=1e-9)


def test_autocorrelation_equals_the_sum() -> None:
    x = torch.rand(2, 37, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    expected = [(x[:, : 37 - lag] * x[:, lag:]).sum(1) / x.square().sum(1) for lag in range(37)]
    torch.testing.assert_close(autocorrelation(x, 37), torch.stack(expected, 1))


@given(st.lists(st.floats(-0.45, 0.45), min_size=1, max_size=2), st.floats(-1, 1))
def test_autoregression_finds_the_recursion_that_made_the_series(
    coefficients: list[float], constant: float
) -> None:
    series = [1.0, -0.5][: len(coefficients)]
    for _ in range(10):
        past = zip(coefficients, reversed(series), strict=False)
        series.append(constant + sum(phi * value for phi, value in past))
    fit = autoregression(torch.tensor(series, dtype=torch.float64), len(coefficients))
    assert fit.noise.item() == pytest.approx(0, abs=1e-12)


def test_autoregression_recovers_known_coefficients() -> None:
    noise = np.random.default_rng(0).standard_normal(20000)
    x = np.zeros(20000)
    for t in range(2, len(x)):
        x[t] = 2.0 + 1.2 * x[t - 1] - 0.5 * x[t - 2] + noise[t]
    fit = autoregression(torch.from_numpy(x), 2)
    np.testing.assert_allclose(fit.coefficients.numpy(), [1.2, -0.5], atol=0.03)
    assert fit.intercept.item() == pytest.approx(2.0, abs=0.2)
    assert fit.noise.item() == pytest.approx(1.0, abs=0.03)


def test_silence_has_features_of_zero() -> None:
    silence = torch.zeros(6 * SR)
    for features in (
        RhythmFeatures(),
        RhythmFeatures(lead="noise"),
        ScaleTransform(),
        SpectralPeriodicity(),
        SpectralPeriodicity(norm="max", distance="cosine"),
    ):
        assert not features(silence).any()


def distances_by_definition(
    frames: NDArray[np.float64], max_lag: int, metric: str
) -> NDArray[np.float64]:
    means = []
    for lag in range(max_lag + 1):
        distances = []
        for early, late in zip(frames, frames[lag:], strict=False):
            if metric == "euclidean":
                distances.append(np.linalg.norm(early - late))
            else:
                norms = np.linalg.norm(early) * np.linalg.norm(late)
                distances.append(1 - np.dot(early, late) / norms)
        means.append(np.mean(distances))
    return np.array(means)


@pytest.mark.parametrize("metric", ["euclidean", "cosine"])
@pytest.mark.parametrize(("n_frames", "max_lag"), [(1, 0), (5, 4), (256, 100), (601, 300)])
def test_lag_distances_equal_their_definition(
    n_frames: int, max_lag: int, metric: Literal["euclidean", "cosine"]
) -> None:
    frames = np.random.default_rng(2).standard_normal((n_frames, 3))
    actual = lag_distances(torch.from_numpy(frames), max_lag, metric=metric)
    expected = distances_by_definition(frames, max_lag, metric)
    np.testing.assert_allclose(actual.numpy(), expected, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("n_samples", [2048, 110 * 256, 110 * 600 + 7])
def test_mfcc_equal_librosas(n_samples: int) -> None:
    """librosa's are of decibels without our floor: natural logarithms times 10 / ln 10."""
    y = rhythm()[:n_samples]
    settings = SpectralPeriodicity()
    mel = librosa.feature.melspectrogram(
        y=y.double().numpy(), sr=SR, n_fft=2048, hop_length=110, n_mels=40
    )
    log_mel = np.log(np.maximum(mel, 1e-10))
    expected = scipy.fft.dct(log_mel, axis=0, norm="ortho")[:13].T
    np.testing.assert_allclose(settings.mfcc(y).numpy(), expected, atol=1e-4)


def test_spectral_periodicity_dips_at_the_period() -> None:
    """Frames are most alike one period apart, so that the difference turns from below to above."""
    period = int(0.6 * SR)
    y = torch.tile(rhythm(seconds=0.6, beat=0.3), (10,))
    settings = SpectralPeriodicity()
    distances = lag_distances(settings.mfcc(y), settings.n_lags)
    nearest = 20 + int(distances[20:200].argmin())
    assert abs(nearest - period / 110) <= 1
    feature = settings(y)
    assert feature[nearest - 3] < 0 < feature[nearest + 2]


@pytest.mark.parametrize("norm", ["standard", "max"])
def test_spectral_periodicity_is_the_normalised_difference(
    norm: Literal["standard", "max"],
) -> None:
    settings = SpectralPeriodicity(max_lag=1.0, norm=norm)
    y = rhythm(seconds=3.0)
    steps = np.diff(lag_distances(settings.mfcc(y), settings.n_lags).numpy()[1:])
    centred = steps - steps.mean()
    expected = steps / np.abs(steps).max() if norm == "max" else centred / steps.std()
    np.testing.assert_allclose(settings(y).numpy(), expected, rtol=1e-9)


def test_the_shortest_sound_reaches_the_last_lag_and_a_shorter_one_is_refused() -> None:
    y = rhythm(seconds=5.0)
    for features, what in (
        (RhythmFeatures(), "lag 89"),
        (ScaleTransform(), "a lag of 4.0 s"),
        (SpectralPeriodicity(), "a lag of 4.0 s"),
    ):
        assert features(y[: features.min_samples]).isfinite().all()
        with pytest.raises(ParameterError, match=f"y has .* samples; {what} needs"):
            features(y[: features.min_samples - 1])


def test_impossible_settings_are_refused() -> None:
    bad: list[tuple[Callable[[], object], str]] = [
        (lambda: RhythmFeatures(order=0), "order 0"),
        (lambda: RhythmFeatures(last_lag=20), "lags 5 to 20 are too few"),
        (lambda: RhythmFeatures(lead="x"), "lead is 'x'"),  # type: ignore[arg-type]
        (lambda: SpectralPeriodicity(norm="x"), "norm is 'x'"),  # type: ignore[arg-type]
        (lambda: SpectralPeriodicity(distance="x"), "distance is"),  # type: ignore[arg-type]
        (lambda: SpectralPeriodicity(n_mfcc=41), "n_mfcc is 41"),
        (lambda: SpectralPeriodicity(max_lag=0.01), "max_lag is 0.01"),
        (lambda: ScaleTransform(max_lag=0.05), "min_lag is 0.06 s, max_lag 0.05"),
        (lambda: ScaleTransform(n_bands=3), "n_bands is 3, must divide 40"),
        (lambda: ScaleTransform(n_scales=151), r"n_scales is 151, must be in \[1, 150\]"),
        (lambda: autocorrelation(torch.ones(3), 4), r"n_lags is 4, must be in \[1, 3\]"),
        (lambda: autoregression(torch.ones(4), 2), "order is 2"),
        (lambda: lag_distances(torch.ones(3, 1), 3), r"max_lag is 3, must be in \[0, 2\]"),
    ]
    for call, match in bad:
        with pytest.raises(ParameterError, match=match):
            call()


def test_scale_transform_equals_its_definition() -> None:
    """One onset strength by librosa; then sums, a straight line between lags, and cosines."""
    y = rhythm().double()
    settings = ScaleTransform(n_bands=1, n_lags=50, n_scales=20)
    mel = librosa.feature.melspectrogram(
        y=y.numpy(), sr=SR, n_fft=1024, hop_length=256, n_mels=40, power=2.0
    )
    onset = np.maximum(np.diff(librosa.power_to_db(mel)), 0).mean(0)
    onset -= onset.mean()
    lags = np.geomspace(0.06, 4.0, 50) * SR / 256
    r = [np.dot(onset[lag:], onset[: len(onset) - lag]) for lag in range(int(lags[-1]) + 2)]
    along = np.interp(lags, np.arange(len(r)), np.array(r) / r[0])
    along -= along.mean()
    waves = np.exp(-2j * np.pi * np.outer(np.arange(1, 21), np.arange(50)) / 50)
    np.testing.assert_allclose(settings(y).numpy(), np.abs(waves @ along), atol=1e-5)


def test_scale_transform_hardly_changes_with_tempo() -> None:
    """Features of length 1 change by less than half of the change of the others."""

    def change(features: Callable[[torch.Tensor], torch.Tensor]) -> float:
        slow, quick = (features(rhythm(seconds=8.0, beat=beat)) for beat in (0.5, 0.5 / 1.06))
        return float((slow - quick).norm() / slow.norm())

    assert change(ScaleTransform()) < 0.5 * min(change(RhythmFeatures()), 1.0)
    assert change(ScaleTransform()) < 0.5 * change(SpectralPeriodicity())


def test_memory_does_not_grow_with_the_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    """No block of frames is larger for two long sounds than for a short one."""
    sizes: list[int] = []
    cdist = torch.cdist

    def counted(x: torch.Tensor, y: torch.Tensor, **mode: str) -> torch.Tensor:
        sizes.append(len(x) * len(y))
        return cdist(x, y, compute_mode=mode["compute_mode"])

    monkeypatch.setattr(torch, "cdist", counted)
    settings = SpectralPeriodicity(max_lag=0.5)
    for y in (rhythm(seconds=2.0), torch.stack([rhythm(seconds=6.0)] * 2)):
        settings(y)
    assert max(sizes) <= 256 * (256 + settings.n_lags)
