"""DeSPerF: segments, votes, layers spelled out, gradients, and its bundle."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from otoscope.errors import ParameterError
from otoscope.models import load
from otoscope.models.checksummed import save_with_checksum
from otoscope.models.desperf import DESPERF_FORMAT, DeSPerF, load_desperf, save_desperf
from otoscope.signal.rhythm.spectral_periodicity import SpectralPeriodicity

SR = 2000
FEATURE = SpectralPeriodicity(SR, n_fft=256, hop_length=50, n_mels=10, n_mfcc=5, max_lag=1.0)
N_LAGS = FEATURE.n_lags - 1
UNITS = {"relu": lambda x: x.clip(0), "sigmoid": lambda x: 1 / (1 + np.exp(-x))}


def system(**settings: Any) -> DeSPerF:
    given = {"feature": FEATURE, "segment": 2.0, "hidden": (7, 7), "seed": 3, **settings}
    return DeSPerF(["slow", "fast"], **given).eval()


def noise(seconds: float, batch: int = 2) -> Tensor:
    generator = torch.Generator().manual_seed(0)
    return torch.randn(batch, round(seconds * SR), generator=generator)


@pytest.mark.parametrize("unit", UNITS)
@pytest.mark.parametrize("vote", ["sum", "majority"])
def test_a_sound_is_answered_by_its_segments(unit: Any, vote: Any) -> None:
    mean, std = torch.rand(N_LAGS), 1 + torch.rand(N_LAGS)
    net, y = system(unit=unit, vote=vote, hop=1.0, mean=mean, std=std), noise(5.6)
    layers = [layer for layer in net.modules() if isinstance(layer, torch.nn.Linear)]
    answers = []
    for start in (0, 1, 2, 3):  # the last would reach beyond 5.6 s
        x = FEATURE(y[:, start * SR : (start + 2) * SR]).numpy()
        x = (x - mean.numpy()) / std.numpy()
        for layer in layers:
            x = x @ layer.weight.detach().double().numpy().T + layer.bias.detach().numpy()
            x = UNITS[unit](x) if layer is not layers[-1] else x
        posterior = np.exp(x) / np.exp(x).sum(-1, keepdims=True)
        answers.append(posterior if vote == "sum" else posterior > 0.5)
    expected = torch.from_numpy(np.mean(answers, 0))
    torch.testing.assert_close(net(y).double(), expected, rtol=1e-4, atol=1e-5)


def test_a_short_sound_is_one_segment() -> None:
    net, y = system(), noise(1.4)
    assert net.segments(y).shape == (2, 1, round(1.4 * SR))
    with pytest.raises(ParameterError, match=r"lasts 0.50 s; a lag of 1 s needs 1.00 s"):
        net(noise(0.5))


def test_its_gradient_is_that_of_finite_differences() -> None:
    net = system().double()
    y = noise(2.5, batch=1).double().requires_grad_()
    (slope,) = torch.autograd.grad(net.decisions(net.feature(net.segments(y)))[0, 0, 0], y)
    step = 1e-5 * slope / slope.norm()

    def logit(sound: Tensor) -> Tensor:
        return net.decisions(net.feature(net.segments(sound)))[0, 0, 0]

    with torch.no_grad():
        gain = (logit(y + step) - logit(y - step)) / 2e-5
    torch.testing.assert_close(gain, slope.norm(), rtol=1e-4, atol=0)


def test_the_gradient_of_silence_is_zero() -> None:
    y = torch.zeros(1, 2 * SR, requires_grad=True)
    system()(y)[0, 0].backward()
    assert y.grad is not None
    assert not y.grad.any()


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"segment": 0.5}, "segment is 0.5 s"),
        ({"segment": float("nan")}, "segment is nan s"),
        ({"hop": 3.0}, "hop is 3.0 s"),
        ({"hop": -1.0}, "hop is -1.0 s"),
        ({"hop": 0.0}, "hop is 0.0 s"),
        ({"hop": 1e-5}, "hop is 1e-05 s, less than a sample"),
        ({"std": torch.zeros(N_LAGS)}, "std has values that are not > 0"),
        ({"std": torch.full((N_LAGS,), float("nan"))}, "std has values that are not > 0"),
        ({"hidden": ()}, "hidden is ()"),
        ({"hidden": (3, 0)}, "hidden is (3, 0)"),
        ({"unit": "tanh"}, "unit is 'tanh'"),
        ({"vote": "mean"}, "vote 'mean'"),
        ({"dropout": 1.0}, "dropout is 1.0"),
        ({"mean": torch.zeros(3)}, r"mean has shape (3,)"),
    ],
)
def test_senseless_settings_are_refused(settings: dict[str, Any], said: str) -> None:
    with pytest.raises(ParameterError) as error:
        system(**settings)
    assert said in str(error.value)
    with pytest.raises(ParameterError, match="output_names are"):
        DeSPerF(["one"], feature=FEATURE)


def test_a_bundle_gives_the_same_system(tmp_path: Path) -> None:
    net, y = system(unit="sigmoid", vote="majority", hop=0.5, mean=torch.rand(N_LAGS)), noise(4.0)
    save_desperf(tmp_path / "dances", net, card={"what": "a test"})
    again = load_desperf(tmp_path / "dances")
    assert again.settings == net.settings
    assert torch.equal(again(y), net(y))
    model = load(tmp_path / "dances.json")
    assert model.name == "dances"
    assert model.sample_rate == SR
    assert model.output_names == ("slow", "fast")
    excerpt = model.patch((y[0], SR), start=1.0)
    expected = net(y[:1, SR : 3 * SR])
    torch.testing.assert_close(model(excerpt.values[None, None]), expected)


@pytest.mark.parametrize(
    ("part", "value"),
    [
        ("hidden", [1 << 30]),
        ("hidden", ["a"]),
        ("output_names", [1, 2]),
        ("segment", "long"),
        ("segment", 1e300),
        ("feature", {**asdict(FEATURE), "n_fft": 1 << 20, "n_mels": 1 << 20}),
        ("feature", {"sample_rate": 8000}),
    ],
)
def test_a_description_that_is_not_one_is_refused(tmp_path: Path, part: str, value: Any) -> None:
    net = system()
    save_desperf(tmp_path / "m", net, card={})
    settings = json.loads((tmp_path / "m.json").read_text())["system"] | {part: value}
    description = {"format": DESPERF_FORMAT, "system": settings, "card": {}}
    save_with_checksum(tmp_path / "m", net.state_dict(), description)
    with pytest.raises(ParameterError, match=r"m: |m does"):
        load_desperf(tmp_path / "m")


def test_an_altered_bundle_is_refused(tmp_path: Path) -> None:
    save_desperf(tmp_path / "m", system(), card={})
    text = (tmp_path / "m.json").read_text().replace('"relu"', '"sigmoid"')
    (tmp_path / "m.json").write_text(text)
    with pytest.raises(ParameterError, match="was altered"):
        load(tmp_path / "m.json")
