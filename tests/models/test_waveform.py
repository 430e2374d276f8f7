"""A network of waveforms as a listening model: lossless frames, gradients, explanations."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import nn

from otoscope import models
from otoscope.errors import ParameterError
from otoscope.explain import ActivationMaximiser, RawPrior, SoundLIME
from otoscope.models import WaveformListener
from otoscope.protocols import ListeningModel, SoundClassifier

SR = 8000


def listener(seconds: float = 0.5) -> WaveformListener:
    net = nn.Sequential(nn.Linear(round(seconds * SR), 2), nn.Sigmoid())
    return WaveformListener(net, sample_rate=SR, seconds=seconds, output_names=["a", "b"]).eval()


@pytest.mark.parametrize("seconds", [0.5, 4001 / SR, 1 / SR, 0.0131])
def test_frames_are_the_samples(seconds: float) -> None:
    model = listener(seconds)
    assert isinstance(model, ListeningModel)
    n = round(seconds * SR)
    assert model.n_samples == n
    y = torch.randn(3, n)
    frames = model.prepare(y)
    assert torch.equal(frames.flatten(1), y)
    torch.testing.assert_close(model(frames[:, None]), model(y))
    assert float(model.domain.floor.abs().max()) == 0  # silence
    patch = model.patch((torch.cat([torch.zeros(n), y[0]]).numpy(), SR), start=n / SR)
    assert patch.y is not None
    assert torch.equal(patch.y, y[0])
    assert torch.equal(model.invert(patch.values), y[0])


def test_gradients_reach_the_samples() -> None:
    y = torch.randn(2, SR, requires_grad=True)
    SoundClassifier(listener())(y).sum().backward()
    assert y.grad is not None
    assert bool((y.grad != 0).all())


def test_sounds_are_explained_at_the_model_s_rate_and_length() -> None:
    model = listener()
    y = torch.randn(SR, dtype=torch.float64)
    lime = SoundLIME(model, components="time:4", target="a")
    explanation = lime.explain(model.patch((y, SR), start=0.25))
    assert explanation.patch.start == 0.25
    assert explanation.extents[0].seconds == (0.25, 0.375)
    with pytest.raises(
        ParameterError, match=r"lasts 1\.00 s, the model hears 0\.50 s at once; cut"
    ):
        lime.explain((y, SR))
    twice = lime.explain((torch.randn(SR), 2 * SR))
    assert twice.patch.sr == SR
    assert twice.listen(range(4)).shape == (SR // 2,)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"seconds": 0}, "seconds is 0, must be > 0"),
        ({"seconds": float("nan")}, "seconds is nan"),
        ({"sample_rate": 0}, "sample_rate is 0"),
        ({"sample_rate": 8000.5}, r"sample_rate is 8000\.5"),
        ({"output_names": []}, "output_names is empty"),
    ],
)
def test_wrong_settings_are_refused(changed: dict[str, object], message: str) -> None:
    settings: dict[str, object] = {"sample_rate": SR, "seconds": 1.0, "output_names": ["a"]}
    with pytest.raises(ParameterError, match=message):
        WaveformListener(nn.Flatten(), **(settings | changed))  # type: ignore[arg-type]
    with pytest.raises(ParameterError, match="network is function, must be an nn"):
        WaveformListener(lambda y: y, sample_rate=SR, seconds=1.0, output_names=["a"])  # type: ignore[arg-type]


def test_maximisation_and_bundles_are_refused_with_the_reason(tmp_path: Path) -> None:
    model = listener()
    with pytest.raises(
        ParameterError, match="hears waveforms, and maximisation draws spectrograms"
    ):
        ActivationMaximiser(model, RawPrior((1, 50, 80)), layer="0", unit=0)
    with pytest.raises(ParameterError, match=r"network is Sequential; a bundle holds"):
        models.save_bundle(tmp_path / "ear", model, card={})


def test_repr_says_how_long_excerpts_are() -> None:
    net = nn.Linear(333, 2)
    model = WaveformListener(net, sample_rate=1000, seconds=0.33333, output_names=["a", "b"])
    assert "excerpts of 0.333 s: 333 samples at 1000 Hz" in repr(model)
