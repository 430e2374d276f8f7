"""Counting on written audio: the file decides, and the bound on it is never violated."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from otoscope.attack import AttackResult, MagnitudeAdversary, SpectrumClassifier, WaveformPGD
from otoscope.attack.base import Attack
from otoscope.attack.evaluation import evaluate, inconsistency, round_to_16_bits
from otoscope.errors import ParameterError
from otoscope.signal import stft
from tests.support.examples import examples

SR = 8000


class Loud(nn.Module):
    """Hears "loud" with a confidence that grows with the weighted sum of the samples."""

    weights: Tensor
    label_names = ("soft", "loud")
    sample_rate = SR
    outputs = "logits"

    def __init__(self, weights: Tensor, threshold: float = 0.0) -> None:
        super().__init__()
        self.register_buffer("weights", weights)
        self.threshold = threshold

    def forward(self, sound: Tensor) -> Tensor:
        """Sound [batch, sample] to [batch, 1]."""
        return (sound @ self.weights.to(sound) - self.threshold)[:, None]


def loud(n_samples: int, *, threshold: float = 0.0) -> Loud:
    return Loud(torch.ones(n_samples) / n_samples**0.5, threshold)


def tone(n_samples: int, *, amplitude: float = 0.5, dtype: torch.dtype = torch.float32) -> Tensor:
    return amplitude * torch.sin(torch.arange(n_samples, dtype=dtype) * 0.3)


def result_of(attack: Attack, original: Tensor, sound: Tensor, label: int = 1) -> AttackResult:
    """Say that an attack made ``sound``, whatever it is."""
    ones = torch.ones(len(original))
    return AttackResult(
        original=original,
        sound=sound,
        labels=torch.full((len(original),), label),
        targeted=True,
        success=ones > 0,
        iterations=torch.ones(len(original), dtype=torch.int64),
        confidence=torch.ones(len(original), 3) * torch.tensor([0.1, 0.9, math.nan]),
        confidence_before=0.1 * ones,
        confidence_after=0.9 * ones,
        snr_db=ones.double(),
        segmental_snr_db=ones.double(),
        clipped=torch.zeros(len(original), dtype=torch.int64),
    )


@pytest.mark.parametrize("suffix", [".wav", ".flac"])
def test_rounded_samples_are_written_and_read_without_change(tmp_path: Path, suffix: str) -> None:
    every = torch.arange(-32768, 32768) / 32768
    path = tmp_path / f"all{suffix}"
    attack = WaveformPGD(loud(len(every)))
    evaluate(result_of(attack, every[None], every[None]), attack, [path], cutoffs_hz=[])
    written, sr = soundfile.read(path, dtype="int16")
    assert sr == SR
    assert soundfile.info(path).subtype == "PCM_16"
    np.testing.assert_array_equal(written, np.arange(-32768, 32768))


@given(st.lists(st.floats(-1, 1), min_size=1, max_size=50))
def test_rounding_adds_at_most_half_a_step(samples: list[float]) -> None:
    y = torch.tensor(samples, dtype=torch.float64)
    error = (round_to_16_bits(y) - y).abs()
    assert bool((error <= torch.where(y > 1 - 2**-16, 2**-15, 2**-16)).all())


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@examples(40)
@given(
    seed=st.integers(0, 10_000),
    n_samples=st.integers(2, 600),
    snr_db=st.floats(1, 90),
    level_db=st.floats(-80, 0),
    norm=st.sampled_from(["l2", "linf"]),
)
def test_bound_stated_for_the_file_is_never_violated(
    tmp_path_factory: pytest.TempPathFactory,
    dtype: torch.dtype,
    seed: int,
    n_samples: int,
    snr_db: float,
    level_db: float,
    norm: Any,
) -> None:
    random = torch.Generator().manual_seed(seed)
    x = torch.randn(1, n_samples, generator=random, dtype=dtype)
    x = x / x.abs().max() * 10 ** (level_db / 20)
    attack = WaveformPGD(loud(n_samples, threshold=1e4), snr_db=snr_db, norm=norm, steps=3)
    path = tmp_path_factory.mktemp("bound") / "adversary.flac"
    result = attack.targeted(1).run(x)
    (found,) = evaluate(result, attack, [path], cutoffs_hz=[])
    assert found.snr_guaranteed_db is not None
    assert found.snr_db >= found.snr_guaranteed_db - 1e-6
    assert float(result.snr_db) >= snr_db - 1e-6
    # What rounding may take: 2^-16 a sample, and as much again for a peak at the top
    noise = 10 ** (-snr_db / 20) + (2**-15 * n_samples**0.5) / float(x.double().norm()) + 1e-6
    assert found.snr_guaranteed_db >= -20 * math.log10(noise)
    on_disk = torch.from_numpy(soundfile.read(path, dtype="float64")[0])
    ratio = 20 * torch.log10(x[0].double().norm() / (on_disk - x[0]).norm())
    assert found.snr_db == pytest.approx(float(ratio), abs=1e-9)


def test_success_is_that_of_the_file_not_of_the_sound(tmp_path: Path) -> None:
    """An adversary of a third of a step is gone when it is rounded."""
    x = torch.zeros(1, 100)
    x[0, 0] = 0.5
    sound = x + 0.3 / 32768
    attack = WaveformPGD(loud(100, threshold=(0.5 + 10 / 32768) / 10)).targeted(1)
    (found,) = evaluate(result_of(attack, x, sound), attack, [tmp_path / "a.wav"], cutoffs_hz=[])
    assert (found.success_before_writing, found.success) == (True, False)
    assert found.label_after == "soft"


def test_ratio_on_the_support_leaves_digital_silence_out(tmp_path: Path) -> None:
    x = torch.zeros(1, 400)
    x[0, :200] = 0.5
    sound = x.clone()
    sound[0, ::2] += 1 / 64  # in the support and in silence alike
    attack = WaveformPGD(loud(400)).targeted(1)
    (found,) = evaluate(result_of(attack, x, sound), attack, [tmp_path / "a.wav"], cutoffs_hz=[])
    assert found.support_snr_db == pytest.approx(20 * math.log10(32 * 2**0.5))
    assert found.snr_db == pytest.approx(20 * math.log10(32))
    assert found.segmental_snr_db == -math.inf
    assert found.to_dict()["segmental_snr_db"] is None


def test_samples_beyond_full_scale_are_clipped_and_counted(tmp_path: Path) -> None:
    x = tone(300)[None]
    sound = x.clone()
    sound[0, :7] = 3.0
    sound[0, 50:54] = -3.0
    attack = WaveformPGD(loud(300), amplitude=None).targeted(1)
    (found,) = evaluate(result_of(attack, x, sound), attack, [tmp_path / "a.wav"], cutoffs_hz=[])
    assert found.clipped == 11
    assert soundfile.read(tmp_path / "a.wav")[0][:7] == pytest.approx([32767 / 32768] * 7)
    assert soundfile.read(tmp_path / "a.wav")[0][50:54] == pytest.approx([-1] * 4)


def test_low_pass_filter_has_zero_phase_and_cuts_where_it_says(tmp_path: Path) -> None:
    """Of two tones the model hears the higher; the filter takes it, and does not move the other."""
    time = torch.arange(4000) / SR
    low, high = (0.3 * torch.sin(2 * math.pi * hz * time) for hz in (500, 2500))
    heard: list[Tensor] = []

    class Ear(nn.Module):
        sample_rate, label_names, outputs = SR, ("low", "high"), "logits"

        def forward(self, sound: Tensor) -> Tensor:
            heard.append(sound.detach().clone())
            heights: Tensor = sound @ high / 10 - 5
            return heights[:, None]

    attack = WaveformPGD(Ear()).targeted(0)
    x = (low + high)[None]
    result = result_of(attack, x, x, label=0)
    (found,) = evaluate(result, attack, [tmp_path / "a.wav"], cutoffs_hz=[1500.0, 3000.0, 5000.0])
    assert [row.cutoff_hz for row in found.low_pass] == [1500.0, 3000.0]  # 5 kHz is beyond 4 kHz
    assert [row.original for row in found.low_pass] == ["low", "high"]
    middle = slice(500, -500)
    torch.testing.assert_close(heard[0][1][middle], low[middle], rtol=0, atol=2e-3)
    torch.testing.assert_close(heard[0][2][middle], (low + high)[middle], rtol=0, atol=2e-3)


def test_spectrum_of_a_sound_is_consistent_and_another_is_not() -> None:
    """The oracle is the least-squares inverse, frame by frame."""
    random = torch.Generator().manual_seed(0)
    window = torch.hann_window(256, dtype=torch.float64)
    y = torch.randn(2048, generator=random, dtype=torch.float64)
    D = stft(y, window=window, hop_length=64)
    assert float(inconsistency(D, window=window, hop_length=64)) < 1e-12
    S = D.abs().to(D.dtype)  # all phases 0
    back = sum_of_frames(S, window, 64)
    left = stft(back, window=window, hop_length=64) - S
    weight = torch.full((129,), 2.0, dtype=torch.float64)
    weight[[0, -1]] = 1
    norm = [float((weight * T.abs().square()).sum().sqrt()) for T in (left, S)]
    expected = norm[0] / norm[1]
    assert expected > 0.3
    assert float(inconsistency(S, window=window, hop_length=64)) == pytest.approx(expected)


def sum_of_frames(S: Tensor, window: Tensor, hop: int) -> Tensor:
    """The least-squares inverse, frame by frame; the first sample has no window."""
    n_fft = len(window)
    y = torch.zeros((len(S) - 1) * hop + n_fft, dtype=torch.float64)
    W = torch.zeros_like(y)
    for i, frame in enumerate(torch.fft.irfft(S, n=n_fft)):
        y[i * hop :][:n_fft] += window * frame
        W[i * hop :][:n_fft] += window.square()
    return torch.where(W > 0, y / W.where(W > 0, 1), 0)


def test_published_method_is_counted_on_spectra_and_on_the_file(tmp_path: Path) -> None:
    network = nn.Linear(513, 2, bias=False)
    with torch.no_grad():
        network.weight.copy_(torch.randn(2, 513, generator=torch.Generator().manual_seed(0)) / 10)
    hears = SpectrumClassifier(network, outputs="logits", sample_rate=SR)
    attack = MagnitudeAdversary(
        hears, snr_db=15.0, faithful=True, steps=3, step=100.0, confidence=1.0
    ).targeted(int(hears(tone(6000)[None]).mean(1).argmin()))
    (found,) = evaluate(attack.run(tone(6000)), attack, [tmp_path / "a.wav"], cutoffs_hz=[])
    assert found.snr_guaranteed_db is None
    assert found.success_on_spectra is not None
    assert found.magnitude_snr_db is not None
    assert found.inconsistency_after is not None
    assert found.inconsistency_before < 1e-6
    assert found.inconsistency_after > 0.01


@pytest.mark.parametrize(("asked", "needed"), [(None, 0.5), (0.3, 0.5), (0.9, 0.9)])
def test_of_two_labels_half_the_confidence_is_needed(
    tmp_path: Path, asked: float | None, needed: float
) -> None:
    attack = WaveformPGD(loud(300), confidence=asked, steps=1)
    (found,) = evaluate(attack.run(tone(300)), attack, [tmp_path / "a.wav"], cutoffs_hz=[])
    assert found.threshold == needed


def test_untargeted_classes_have_no_threshold_and_names_are_numbers(tmp_path: Path) -> None:
    random = torch.Generator().manual_seed(1)
    network = nn.Linear(500, 5)
    with torch.no_grad():
        network.weight.copy_(torch.randn(5, 500, generator=random))
    attack = WaveformPGD(network, snr_db=20.0, sr=SR)
    result = attack.run(tone(500))
    (found,) = evaluate(result, attack, [tmp_path / "a.flac"], cutoffs_hz=[1000.0])
    label = int(result.labels)
    assert found.aim == found.label_before == f"label {label}"
    assert found.success == (found.label_after != f"label {label}")
    assert found.threshold is None
    assert len(found.confidence) == found.iterations + 1


def test_labels_of_frames_are_judged_frame_by_frame(tmp_path: Path) -> None:
    def model(sound: Tensor) -> Tensor:
        levels: Tensor = sound.view(len(sound), 4, 100).mean(2, keepdim=True)
        return levels * 100

    attack = WaveformPGD(model, snr_db=3.0, sr=SR, outputs="logits").targeted(
        torch.tensor([[1, 1, 1, 1]])
    )
    (found,) = evaluate(attack.run(tone(400)), attack, [tmp_path / "a.wav"], cutoffs_hz=[2000.0])
    assert found.aim == "a label for each frame"
    assert found.success


def test_each_sound_of_a_batch_has_its_file(tmp_path: Path) -> None:
    attack = WaveformPGD(loud(300), snr_db=10.0)
    x = torch.stack([tone(300), 0.1 + tone(300)])
    paths = [tmp_path / "a.wav", tmp_path / "b.wav"]
    found = evaluate(attack.run(x), attack, paths, cutoffs_hz=[1000.0])
    assert [one.path for one in found] == [str(path) for path in paths]
    assert sorted(tmp_path.iterdir()) == paths  # no draft is left


@pytest.mark.parametrize(
    ("paths", "sr", "gain", "message"),
    [
        (["a.wav", "b.wav"], SR, 1.0, "2 paths for 1 sounds"),
        (["a.ogg"], SR, 1.0, r"must end in .wav or .flac: other formats are lossy"),
        (["a.wav"], None, 1.0, "does not know the sample rate"),
        (["a.wav"], SR, 4.0, "peaks at 2.000; a file holds -1 to 1"),
    ],
)
def test_what_cannot_be_written_is_refused(
    tmp_path: Path, paths: list[str], sr: float | None, gain: float, message: str
) -> None:
    attack = WaveformPGD(nn.Linear(300, 2), sr=sr, amplitude=None, steps=1)
    result = attack.run(gain * tone(300))
    with pytest.raises(ParameterError, match=message):
        evaluate(result, attack, [tmp_path / path for path in paths], cutoffs_hz=[])
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("sign", [1, -1])
def test_samples_at_the_top_of_full_scale_lose_a_whole_step(tmp_path: Path, sign: int) -> None:
    """1.0 is written as 32767 / 32768, twice the error of other samples; -1.0 is exact."""
    x = torch.full((1, 300), float(sign), dtype=torch.float64)
    sound = x - sign * 10 ** (-110 / 20)
    attack = WaveformPGD(loud(300), snr_db=110.0).targeted(1)
    result = result_of(attack, x, sound)
    (evaluation,) = evaluate(result, attack, [tmp_path / "a.flac"], cutoffs_hz=[])
    error = 2**-15 if sign > 0 else 0
    if error:
        assert evaluation.snr_db == pytest.approx(-20 * math.log10(error))
    assert evaluation.snr_guaranteed_db is not None
    assert evaluation.snr_db >= evaluation.snr_guaranteed_db
