"""The masking threshold equals the published formulae, spelled out bin by bin."""

from __future__ import annotations

import math

import pytest
import torch

from otoscope.errors import ParameterError
from otoscope.signal.masking import bark, masking_threshold, threshold_in_quiet

SR, N = 16000, 512


def tone(hz: float, level: float = 0.5, seconds: float = 0.25) -> torch.Tensor:
    t = torch.arange(round(SR * seconds), dtype=torch.float64) / SR
    return level * torch.sin(2 * math.pi * hz * t)


def music() -> torch.Tensor:
    noise = torch.randn(4000, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    return tone(440) + tone(1900, 0.1) + tone(1950, 0.02) + 0.001 * noise


def formula_bark(hz: float) -> float:
    return 13.0 * math.atan(0.00076 * hz) + 3.5 * math.atan((hz / 7500) ** 2)


def formula_quiet(hz: float) -> float:
    khz: float = max(hz, 20.0) / 1000
    return 3.64 * math.pow(khz, -0.8) - 6.5 * math.exp(-0.6 * (khz - 3.3) ** 2) + 1e-3 * khz**4


def formula_threshold(p: list[float]) -> list[float]:
    hz = [k * SR / N for k in range(len(p))]
    maskers = []
    for k in range(1, len(p) - 1):
        if p[k - 1] < p[k] > p[k + 1]:
            level = 10 * math.log10(sum(10 ** (p[j] / 10) for j in (k - 1, k, k + 1)))
            if level > formula_quiet(hz[k]):
                maskers.append((formula_bark(hz[k]), level))
    maskers = [
        (z, level)
        for z, level in maskers
        if all(level >= other for at, other in maskers if abs(at - z) < 0.5)
    ]
    thresholds = []
    for f in hz:
        total = 10 ** (formula_quiet(f) / 10)
        for z, level in maskers:
            dz = formula_bark(f) - z
            slope = -27 + 0.37 * max(level - 40, 0) if dz > 0 else 27
            total += 10 ** ((level - 6.025 - 0.275 * z + slope * dz) / 10)
        thresholds.append(10 * math.log10(total))
    return thresholds


def spectrum_db(y: torch.Tensor) -> torch.Tensor:
    """Power of a frame [sample] by its definition, 20 log10 |S / N|."""
    window = torch.hann_window(N, dtype=torch.float64)
    return 20 * torch.log10(torch.fft.rfft(y * window).abs() / N)


def test_equals_the_published_formulae() -> None:
    y = music()
    threshold = masking_threshold(y[None], sr=SR, n_fft=N, hop_length=128)
    lead = N - 128
    frames = [
        spectrum_db(torch.cat([torch.zeros(lead).double(), y])[128 * m :][:N]) for m in (9, 10)
    ]
    loudest = max(
        float(spectrum_db(frame).max())
        for frame in torch.nn.functional.pad(y, (lead, lead + -len(y) % 128)).unfold(0, N, 128)
    )
    assert float(threshold.gain_db[0]) == pytest.approx(96 - loudest, abs=1e-6)
    for m, frame in zip((9, 10), frames, strict=True):
        expected = formula_threshold((frame + 96 - loudest).tolist())
        torch.testing.assert_close(
            threshold.level_db[0, m], torch.tensor(expected).double(), rtol=0, atol=1e-5
        )  # 1e-5: the test's list goes through float32


def test_excess_is_the_mean_of_what_rises_above() -> None:
    y, difference = music(), tone(3000, 1e-3)
    threshold = masking_threshold(y[None], sr=SR, n_fft=N, hop_length=128)
    padded = torch.nn.functional.pad(difference, (N - 128, N - 128 + -len(y) % 128))
    level = torch.stack([spectrum_db(frame) for frame in padded.unfold(0, N, 128)])
    expected = (level + threshold.gain_db - threshold.level_db[0]).clamp(min=0).mean()
    torch.testing.assert_close(threshold.excess(difference[None])[0], expected, rtol=1e-6, atol=0)


def test_a_tone_hides_its_neighbourhood_and_more_above_than_below() -> None:
    level = masking_threshold(tone(1000)[None], sr=SR).level_db[0, 4]
    hz = torch.arange(len(level)) * SR / 2048
    quiet = threshold_in_quiet(hz.double())

    def raised(f: float) -> float:
        return float((level - quiet)[(hz - f).abs().argmin()])

    assert raised(1100) > 40
    assert raised(1500) > raised(700) > -1e-6
    assert raised(6000) < raised(1500)


def test_what_is_under_the_threshold_costs_nothing_and_pulls_nowhere() -> None:
    y = tone(1000)[None]
    threshold = masking_threshold(y, sr=SR)
    for difference in (torch.zeros_like(y), 1e-5 * y):
        at = difference.clone().requires_grad_()
        excess = threshold.excess(at)
        (gradient,) = torch.autograd.grad(excess.sum(), at)
        assert float(excess.detach()) == 0
        assert not gradient.any()
    assert float(threshold.excess(1e-2 * tone(5000)[None])) > 0


def test_scales_are_zwickers_and_terhardts() -> None:
    hz = torch.tensor([50.0, 1000.0, 3300.0, 12000.0], dtype=torch.float64)
    torch.testing.assert_close(
        bark(hz), torch.tensor([formula_bark(f) for f in hz.tolist()]).double()
    )
    torch.testing.assert_close(
        threshold_in_quiet(hz), torch.tensor([formula_quiet(f) for f in hz.tolist()]).double()
    )
    assert float(threshold_in_quiet(torch.tensor(0.0))) == float(
        threshold_in_quiet(torch.tensor(20.0))
    )


def test_sounds_that_mask_nothing_are_refused() -> None:
    with pytest.raises(ParameterError, match="silent and masks nothing"):
        masking_threshold(torch.zeros(1, 4000), sr=SR)
    with pytest.raises(ParameterError, match=r"shape \(4000,\) and sr is 16000"):
        masking_threshold(torch.ones(4000), sr=SR)
    with pytest.raises(ParameterError, match="sr is 0"):
        masking_threshold(torch.ones(1, 4000), sr=0)


def test_the_noise_to_mask_ratio_equals_its_definition_band_by_band() -> None:
    y, noise = music(), 1e-3 * torch.rand(4000, dtype=torch.float64)
    threshold = masking_threshold(y[None], sr=SR, n_fft=N, hop_length=N // 4)
    filled = torch.nn.functional.pad(noise, (N - N // 4, N - N // 4 + -len(noise) % (N // 4)))
    ratios = []
    for frame, level in enumerate(threshold.level_db[0].tolist()):
        power = spectrum_db(filled[frame * N // 4 :][:N]) + threshold.gain_db[0]
        bands: dict[int, list[int]] = {}
        for k in range(N // 2 + 1):
            bands.setdefault(math.floor(formula_bark(k * SR / N)), []).append(k)
        for bins in bands.values():
            total = sum(10 ** (float(power[k]) / 10) for k in bins)
            ratios.append(total / 10 ** (min(level[k] for k in bins) / 10))
    expected = 10 * math.log10(sum(ratios) / len(ratios))
    assert float(threshold.noise_to_mask_db(noise[None])) == pytest.approx(expected, abs=1e-6)
    assert float(threshold.noise_to_mask_db(0 * noise[None])) == -math.inf


def test_noise_beside_a_tone_is_masked_more_than_noise_far_away() -> None:
    threshold = masking_threshold(tone(1000)[None], sr=SR)
    near, far = (float(threshold.noise_to_mask_db(tone(hz, 1e-3)[None])) for hz in (1050.0, 5000.0))
    assert near < far - 10
    louder = float(threshold.noise_to_mask_db(tone(5000, 1e-2)[None]))
    assert louder == pytest.approx(far + 20, abs=0.1)
