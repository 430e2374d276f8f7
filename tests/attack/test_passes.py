"""Passes of an attack: their number, what they compute, and the memory format of the model."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from otoscope.attack import MagnitudeAdversary, WaveformPGD
from tests.attack.test_waveform import attack, linear, sounds


class Pictures(nn.Module):
    """Two smooth logits of sounds that are cut into pictures [batch, 1, 20, 10]."""

    def __init__(self) -> None:
        super().__init__()
        self.net: Any = nn.Sequential(nn.Conv2d(1, 6, 3), nn.Tanh(), nn.Conv2d(6, 2, 3), nn.Tanh())
        self.formats: list[bool] = []
        random = torch.Generator().manual_seed(3)
        for weight in self.net.double().parameters():
            weight.data = torch.randn(weight.shape, generator=random, dtype=torch.float64)

    def forward(self, sound: Tensor) -> Tensor:
        last = self.net[2].weight.is_contiguous(memory_format=torch.channels_last)
        self.formats.append(last)
        maps: Tensor = self.net(sound.unflatten(1, (1, 20, 10)))
        return 3 * maps.flatten(2).mean(2)


@pytest.mark.parametrize("kind", [WaveformPGD, MagnitudeAdversary])
@pytest.mark.parametrize("memory_format", ["channels_last", "auto"])
def test_another_memory_format_gives_the_same_adversaries(kind: Any, memory_format: Any) -> None:
    model, x = Pictures(), sounds(2, 200)
    strides = [weight.stride() for weight in model.parameters()]
    frames = {} if kind is WaveformPGD else {"n_fft": 32, "hop_length": 16}
    settings = {"outputs": "logits", "snr_db": 20.0, "steps": 100, "confidence": 1.0, **frames}
    usual = kind(model, **settings).run(x)
    assert not any(model.formats)
    model.formats.clear()
    result = kind(model, **settings, memory_format=memory_format).run(x)
    assert any(model.formats)
    torch.testing.assert_close(result.sound, usual.sound, rtol=1e-6, atol=1e-9)
    torch.testing.assert_close(result.confidence, usual.confidence, rtol=1e-6, atol=1e-9)
    assert [weight.stride() for weight in model.parameters()] == strides
    if memory_format == "channels_last":  # labels and their check are of the model itself
        assert model.formats.count(True) == 1 + 101  # a comparison, and every iterate


@pytest.mark.parametrize("n_sounds", [1, 3])
def test_a_random_model_is_noticed(n_sounds: int) -> None:
    net = linear(40)
    noise = torch.Generator().manual_seed(0)

    def noisy(sound: Tensor) -> Tensor:
        logits: Tensor = net(sound)
        return logits + torch.randn(1, generator=noise)

    with pytest.warns(UserWarning, match="the model is random"):
        attack(noisy, snr_db=20.0, steps=3, confidence=1.0).run(sounds(n_sounds, 40))


def test_the_first_step_uses_the_outputs_that_were_compared() -> None:
    """With other outputs of the same sound there, the first confidence would differ."""
    x = sounds(1, 40)
    result = attack(linear(40, 2), snr_db=20.0, steps=2, confidence=1.0).targeted(1).run(x)
    expected = linear(40, 2)(x).softmax(1)[:, 1]
    torch.testing.assert_close(result.confidence[:, 0], expected)
    torch.testing.assert_close(result.confidence_before, expected)


def test_the_last_candidate_is_not_differentiated(monkeypatch: pytest.MonkeyPatch) -> None:
    graded, grad = [], torch.autograd.grad

    def count(*arguments: Any, **options: Any) -> Any:
        graded.append(1)
        return grad(*arguments, **options)

    monkeypatch.setattr(torch.autograd, "grad", count)
    result = attack(linear(40), snr_db=20.0, steps=5, confidence=1.0).run(sounds(1, 40))
    assert len(graded) == 5
    assert int(result.iterations) == 5
    assert bool(result.confidence.isfinite().all())  # six candidates


@pytest.mark.parametrize("kind", [WaveformPGD, MagnitudeAdversary])
def test_an_unknown_memory_format_is_refused(kind: Any) -> None:
    with pytest.raises(ValueError, match="memory_format is 'nhwc', must be 'contiguous'"):
        kind(nn.Linear(4, 2), memory_format="nhwc")
