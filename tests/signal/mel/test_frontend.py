"""Front ends: the facts of paper A's page, librosa's numbers, gradients, and the way back."""

from __future__ import annotations

import math
import warnings
from dataclasses import replace
from typing import Any

import librosa
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from otoscope.errors import ParameterError
from otoscope.signal.mel.domain import Compression, Domain
from otoscope.signal.mel.filterbank import EmptyFilters, svd2015_filters
from otoscope.signal.mel.presets import librosa_mel, svd2015
from tests.support.examples import examples


def noise(*shape: int, dtype: torch.dtype = torch.float32) -> torch.Tensor:
    return 0.1 * torch.randn(*shape, generator=torch.Generator().manual_seed(0), dtype=dtype)


def filters() -> np.ndarray:
    return svd2015_filters(22050, 1024, n_mels=80, fmin=27.5, fmax=8000).numpy()


def test_svd2015_filters_have_the_counts_of_the_page() -> None:
    used = filters() != 0
    assert used.sum(0)[:8].tolist() == [2, 2, 2, 2, 3, 3, 2, 3]
    assert np.flatnonzero(used.any(1)).max() == 371
    np.testing.assert_allclose(filters().sum(0), 1, rtol=1e-14)


def test_svd2015_filters_begin_at_the_bins_of_the_page() -> None:
    first = (filters() != 0).argmax(0)
    assert first[:10].tolist() == [2, 3, 4, 5, 6, 7, 9, 10, 11, 13]


def test_svd2015_filters_equal_the_rule_spelled_out() -> None:
    points = np.linspace(1127 * math.log(1 + 27.5 / 700), 1127 * math.log(1 + 8000 / 700), 82)
    hz = [700 * (math.exp(point / 1127) - 1) for point in points]
    step = 11025 / 512
    bins = [math.ceil(f / step) for f in hz]  # the first bin at or above the point
    for mel in (0, 1, 40, 79):
        weights = np.zeros(513)
        for k in range(bins[mel], bins[mel + 1]):
            weights[k] = (k * step - hz[mel]) / (bins[mel + 1] - bins[mel])
        for k in range(bins[mel + 1], bins[mel + 2]):
            weights[k] = (hz[mel + 2] - k * step) / (bins[mel + 2] - bins[mel + 1])
        np.testing.assert_allclose(filters()[:, mel], weights / weights.sum(), atol=1e-12)


def test_svd2015_filters_are_not_ordinary_triangles() -> None:
    ordinary = librosa.filters.mel(
        sr=22050, n_fft=1024, n_mels=80, fmin=27.5, fmax=8000, htk=True, norm=None
    ).T
    difference = np.abs(filters() - ordinary / ordinary.sum(0)).max()
    assert difference == pytest.approx(0.18, abs=0.005)


def test_svd2015_picture_of_two_seconds() -> None:
    front_end = svd2015()
    y = noise(44100)
    assert front_end.spectrum(y).shape == (137, 513)
    assert front_end.log_mel(y).shape == (137, 80)
    assert front_end.log_mel(torch.zeros(1024))[0, 0].item() == pytest.approx(-16.118095, abs=1e-6)


def test_svd2015_equals_its_table_in_numpy() -> None:
    y = noise(5000).numpy().astype(np.float64)
    window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(1024) / 1023)
    count = (5000 - 1024) // 315 + 1
    frames = np.stack([y[i * 315 : i * 315 + 1024] * window for i in range(count)])
    expected = np.log(np.maximum(np.abs(np.fft.rfft(frames)) @ filters(), 1e-7))
    log_mel = svd2015().log_mel(torch.from_numpy(y))
    np.testing.assert_allclose(log_mel.numpy(), expected, atol=1e-10)


def test_svd2015_asks_for_a_hop_at_other_rates() -> None:
    with pytest.raises(ParameterError, match=r"sample_rate is 44100.*630\.00 samples"):
        svd2015(sample_rate=44100)
    assert svd2015(sample_rate=16000, hop_length=229).hop_length == 229


@pytest.mark.parametrize(("sr", "fmax"), [(16000, None), (22050, None), (22050, 7000.0)])
def test_librosa_preset_equals_librosa(sr: int, fmax: float | None) -> None:
    y = noise(9000, dtype=torch.float64)
    expected = librosa.feature.melspectrogram(
        y=y.numpy(), sr=sr, n_fft=1024, hop_length=256, n_mels=64, fmin=50, fmax=fmax
    )
    front_end = librosa_mel(sr=sr, n_fft=1024, hop_length=256, n_mels=64, fmin=50, fmax=fmax)
    np.testing.assert_allclose(front_end.mel(y).numpy(), expected.T, rtol=1e-5, atol=1e-9)
    centres = librosa.mel_frequencies(66, fmin=50, fmax=fmax or sr / 2)[1:-1]
    np.testing.assert_allclose(front_end.mel_hz.numpy(), centres, rtol=1e-6)


def test_htk_filters_equal_librosas() -> None:
    front_end = replace(svd2015(), filters="htk")
    expected = librosa.filters.mel(
        sr=22050, n_fft=1024, n_mels=80, fmin=27.5, fmax=8000, htk=True, dtype=np.float64
    )
    np.testing.assert_allclose(front_end.filterbank.numpy(), expected.T, atol=1e-15)


@pytest.mark.parametrize("front_end", [svd2015(), librosa_mel()])
def test_a_batch_equals_its_members(front_end: object) -> None:
    front_end = svd2015() if front_end == svd2015() else librosa_mel()
    y = noise(2, 3, 8000)
    whole = front_end.log_mel(y)
    torch.testing.assert_close(whole[1, 2], front_end.log_mel(y[1, 2]), rtol=1e-5, atol=1e-5)


def test_gradient_reaches_the_samples() -> None:
    front_end = svd2015()
    y = noise(1400, dtype=torch.float64).requires_grad_()
    direction = noise(1400, dtype=torch.float64)
    (gradient,) = torch.autograd.grad(front_end.log_mel(y).sum(), y)
    step = 1e-6
    plus, minus = (front_end.log_mel(y.detach() + s * step * direction).sum() for s in (1, -1))
    slope = (plus - minus) / (2 * step)
    torch.testing.assert_close(gradient @ direction, slope, rtol=1e-6, atol=1e-8)


def test_gradient_of_silence_is_finite() -> None:
    y = torch.zeros(2048, requires_grad=True)
    (gradient,) = torch.autograd.grad(librosa_mel(n_fft=1024).log_mel(y).sum(), y)
    assert gradient.isfinite().all()


@pytest.mark.parametrize("n_fft", [512, 501])
@pytest.mark.parametrize("filters", ["kaldi", "htk"])
def test_filters_peak_at_the_centres(filters: Any, n_fft: int) -> None:
    """Transforms of odd size too, whose last bin lies below half the rate."""
    front_end = replace(
        svd2015(sample_rate=16000, hop_length=229), filters=filters, n_mels=8, n_fft=n_fft
    )
    step = 16000 / n_fft
    weights = front_end.filterbank
    peaks = step * weights.argmax(0)
    assert ((peaks - front_end.mel_hz).abs() <= 1.1 * step).all()
    low, high = (1127 * math.log(1 + hz / 700) for hz in (27.5, 8000))
    points = np.linspace(low, high, 10)
    mel = 1127 * np.log1p(step * np.arange(n_fft // 2 + 1) / 700)
    if filters == "kaldi":  # triangles in mel, of height 1
        triangle = 1 - np.abs(mel[:, None] - points[1:-1]) / (points[1] - points[0])
        np.testing.assert_allclose(weights, triangle.clip(0), atol=1e-12)


def test_settings_that_cannot_be_are_refused() -> None:
    with pytest.raises(ParameterError, match="y has 1023 samples; one frame needs 1024"):
        svd2015().log_mel(torch.zeros(1023))
    with pytest.raises(ParameterError, match=r"holds no bin.*use fewer mels than 400"):
        _ = replace(svd2015(), n_mels=400).filterbank
    with pytest.raises(ParameterError, match=r"fmax 8000\.0; must be"):
        svd2015(sample_rate=8000, hop_length=114)
    with pytest.raises(ParameterError, match="n_mels is 0"):
        replace(svd2015(), n_mels=0)
    with pytest.raises(ParameterError, match=r"must be \[frame, 80\]"):
        svd2015().invert(torch.zeros(3, 79))


@pytest.mark.parametrize("fmin", [0.0, 20.0])
@pytest.mark.parametrize("filters", ["kaldi", "htk", "slaney"])
def test_bands_that_never_change_are_named(filters: Any, fmin: float) -> None:
    """In librosa, a first filter that begins at 0 Hz and holds no bin goes without a warning."""
    front_end = replace(
        librosa_mel(sr=16000, n_fft=256, n_mels=128, fmin=fmin), filters=filters, hop_length=64
    )
    with pytest.warns(EmptyFilters) as caught:
        log_mel = front_end.log_mel(noise(16000))
    dead = (log_mel.std(0) == 0).nonzero().flatten().tolist()
    assert dead
    (warning,) = caught
    assert f"each of the {len(dead)} filters {', '.join(map(str, dead[:8]))}" in str(
        warning.message
    )
    assert "use fewer mels than 128 or a longer transform than 256" in str(warning.message)


@pytest.mark.parametrize("filters", ["kaldi", "htk", "slaney", "svd2015"])
def test_filters_with_bins_give_no_warning(filters: Any) -> None:
    front_end = replace(svd2015(), filters=filters)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert front_end.filterbank.any(0).all()


@pytest.mark.parametrize("name", ["svd2015", "librosa"])
def test_inversion_with_the_original_phase_keeps_a_tone(name: str) -> None:
    front_end = svd2015() if name == "svd2015" else librosa_mel(n_fft=1024, hop_length=256)
    sr = front_end.sample_rate
    y = 0.5 * torch.sin(2 * torch.pi * 440 * torch.arange(sr) / sr)
    mel = front_end.mel(y)
    owned = y[front_end.first_sample :][: len(mel) * front_end.hop_length]
    back = front_end.invert(mel, phase_of=owned)
    assert len(back) == len(mel) * front_end.hop_length
    inside = slice(2048, -2048)
    likeness = torch.cosine_similarity(back[: len(owned)][inside], owned[inside], dim=0)
    assert likeness > 0.95


def test_inversion_without_phase_gives_nearly_the_same_picture() -> None:
    front_end = svd2015()
    t = torch.arange(22050) / 22050
    y = sum(0.2 * torch.sin(2 * torch.pi * f * t) for f in (300, 700, 1500)) * torch.ones(1)
    log_mel = front_end.log_mel(y)
    back = front_end.invert(front_end.mel(y), n_iter=60)
    again = front_end.log_mel(torch.nn.functional.pad(back, (front_end.lead, front_end.lead + 1)))
    loud = log_mel[5:-5] > log_mel.max() - 3
    difference = (again[: len(log_mel)] - log_mel)[5:-5][loud].abs()
    assert difference.mean() < 0.3


@pytest.mark.parametrize("compression", [Compression("ln", 1e-7), Compression("log10", 1e-4)])
def test_domain_goes_there_and_back(compression: Compression) -> None:
    domain = Domain(noise(4) - 3, noise(4).abs() + 0.5, compression)
    mel = torch.rand(5, 4, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    values = domain.from_mel(mel)
    torch.testing.assert_close(domain.mel(values), mel, rtol=1e-10, atol=1e-12)
    torch.testing.assert_close(domain.from_mel(torch.zeros(1, 4))[0], domain.floor)
    assert domain.values(domain.mean).abs().max() == 0


def test_log10_is_musicnns_formula() -> None:
    mel = torch.tensor([0.0, 0.3])
    expected = torch.log10(10000 * mel + 1)
    torch.testing.assert_close(Compression("log10", 1e-4).compress(mel), expected)


def test_domains_that_cannot_be_are_refused() -> None:
    with pytest.raises(ParameterError, match="std is 0 in band"):
        Domain(torch.zeros(2), torch.tensor([1.0, 0.0]))
    with pytest.raises(ParameterError, match=r"std \(3,\)"):
        Domain(torch.zeros(2), torch.ones(3))
    with pytest.raises(ParameterError, match="amin is 0"):
        Compression("ln", 0)
    with pytest.raises(ParameterError, match="kind is 'log2'"):
        Compression("log2")  # type: ignore[arg-type]


@examples(20)
@given(st.integers(1024, 6000))
def test_frames_own_samples_of_the_signal(samples: int) -> None:
    front_end = svd2015()
    frames = len(front_end.log_mel(torch.zeros(samples)))
    assert front_end.first_sample + frames * front_end.hop_length <= samples
