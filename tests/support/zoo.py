"""What the tests of zoo models share: the packages' own code as oracle, and short sounds."""

from __future__ import annotations

import json
import sys
import warnings
from importlib import import_module
from importlib.machinery import ModuleSpec
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from typer.testing import CliRunner

from otoscope.cli.app import app
from otoscope.models import load
from otoscope.models.zoo import CATALOGUE
from otoscope.signal import write_audio

SR = 16000


def zoo_model(name: str) -> Any:
    """Load a model, or skip the test where its package is not installed."""
    entry = CATALOGUE[name.partition(":")[0]]
    if not entry.is_installed:
        pytest.skip(f"{entry.package} is not installed: {entry.install}")
    return load(name)


def imported(monkeypatch: pytest.MonkeyPatch, module: str, *absent: str) -> Any:
    """Import a package's own code, with empty modules for what it imports and does not need."""
    for name in absent:
        if find_spec(name) is None:
            stub = ModuleType(name)
            stub.__getattr__ = lambda _: None  # type: ignore[method-assign]
            monkeypatch.setitem(sys.modules, name, stub)
    n_threads = torch.get_num_threads()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        own = import_module(module)
    torch.set_num_threads(n_threads)  # silero_vad sets it
    return own


def voice(n_samples: int, *, pitch: float = 120.0, seed: int = 0) -> Tensor:
    """Make a sound with the formants and syllables of speech, and a little noise."""
    t = np.arange(n_samples) / SR
    hz = pitch * (1 + 0.15 * np.sin(2 * np.pi * 0.7 * t))
    phase = 2 * np.pi * np.cumsum(hz) / SR
    formants = ((600, 120, 1.0), (1200, 200, 0.6), (2600, 300, 0.3))
    y = np.zeros(n_samples)
    for k in range(1, 40):
        level = sum(gain / (1 + ((k * pitch - at) / width) ** 2) for at, width, gain in formants)
        y += level * np.sin(k * phase)
    syllables = np.clip(np.sin(2 * np.pi * 3.5 * t), 0, 1) ** 0.5
    noise = np.random.default_rng(seed).standard_normal(n_samples)
    return torch.from_numpy(0.3 * syllables * y / np.abs(y).max() + 1e-3 * noise).float()


def sounds(n_samples: int) -> dict[str, Tensor]:
    """Make a voice, noise and a tone."""
    noise = np.random.default_rng(1).standard_normal(n_samples)
    t = torch.arange(n_samples) / SR
    return {
        "voice": voice(n_samples),
        "noise": 0.1 * torch.from_numpy(noise).float(),
        "tone": 0.3 * torch.sin(2 * torch.pi * 220 * t),
    }


def noise_then_voice(folder: Path, n_samples: int) -> Path:
    """Write a sound whose first half is quiet noise and whose second half is a voice."""
    half, kinds = n_samples // 2, sounds(n_samples)
    path = folder / "voice.wav"
    write_audio(path, torch.cat([0.01 * kinds["noise"][:half], kinds["voice"][half:]]), sr=SR)
    return path


def gradient_in_silence(model: Any) -> Tensor:
    """Differentiate the first output by the samples of digital silence."""
    y = torch.zeros(model.excerpt_samples, requires_grad=True)
    values = model.prepare(y)[: model.patch_frames]
    (gradient,) = torch.autograd.grad(model(values[None, None])[0, 0], y)
    return gradient


def n_weights(network: nn.Module) -> int:
    """Count the parameters of a network."""
    return sum(parameter.numel() for parameter in network.parameters())


def run(*arguments: object, code: int = 0) -> Any:
    """Run a command whose JSON is printed; return it."""
    result = CliRunner().invoke(app, [*map(str, arguments), "--json"])
    assert result.exit_code == code, result.output
    return json.loads(result.stdout)


def refused(*arguments: object) -> str:
    """Run a command that is refused; return its message."""
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    assert result.exit_code == 2, result.output
    return result.output


def without(monkeypatch: pytest.MonkeyPatch, package: str) -> None:
    """Hide an installed package."""
    monkeypatch.setitem(sys.modules, package, None)


def moved(monkeypatch: pytest.MonkeyPatch, package: str, folder: Path) -> None:
    """Let a package's files be looked for in another folder."""
    module = ModuleType(package)
    module.__spec__ = ModuleSpec(package, None, is_package=True)
    module.__spec__.submodule_search_locations = [str(folder)]
    monkeypatch.setitem(sys.modules, package, module)
