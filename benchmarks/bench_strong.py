"""Strong attacks: sounds fooled, and time, beside torchattacks on the same classifier.

torchattacks has images in [0, 1] and clips them; it gets u = (x + 1) / 2, so that a difference is
half as large, and the radius is half of ours; its model is ours after x = 2 u - 1. All sounds have
one norm, since it takes one radius for a batch. Both sides have the same steps, or queries. The
classifier, of log-mel frames, is trained here on six classes of noisy tones. "success" is the
number of sounds fooled, counted by the classifier itself within the radius; times are CPU seconds.

    pip install --no-deps torchattacks      # it asks for torchvision, and does not need it
    python benchmarks/bench_strong.py [--device cpu|cuda] [--quick]
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from command import run
from otoscope.attack import SpectrumClassifier
from otoscope.attack.strong import APGD, FABT, Square
from otoscope.errors import require_extra
from otoscope.signal.snr import radius
from timing import Bar, Case, Timing

__all__ = ["from_unit", "image_radius", "to_unit"]

_SR, _CLASSES = 8000, 6


@dataclass(frozen=True)
class Sizes:
    """Sounds, samples of each (a square number), steps, queries, and epochs of training."""

    sounds: int
    samples: int
    steps: int
    queries: int
    epochs: int


SIZES = {
    "cpu": Sizes(24, 90**2, 30, 300, 60),
    "cuda": Sizes(256, 90**2, 100, 2000, 60),
    "quick": Sizes(4, 32**2, 2, 4, 2),
}


def to_unit(x: Tensor) -> Tensor:
    """Map sounds [batch, sample] in [-1, 1] to square images [batch, 1, row, column] in [0, 1]."""
    return ((x + 1) / 2).view(len(x), 1, math.isqrt(x.shape[1]), -1)


def from_unit(u: Tensor) -> Tensor:
    """Map images back to sounds."""
    return 2 * u.flatten(1) - 1


def image_radius(x: Tensor, snr_db: float) -> float:
    """Return the radius for images: half of that of the sounds, which have one norm."""
    return float(radius(x, snr_db).mean()) / 2


class _Net(nn.Module):
    """A classifier of frames of magnitudes; its logits are means over frames."""

    def __init__(self) -> None:
        super().__init__()
        self.bands = nn.Parameter(torch.rand(257, 24) / 257)
        self.layers = nn.Sequential(nn.Linear(24, 32), nn.ReLU(), nn.Linear(32, _CLASSES))

    def forward(self, S: Tensor) -> Tensor:
        frames: Tensor = self.layers(torch.log(1e-3 + S @ self.bands.abs()))
        return frames.mean(1)


def cases(device: str, sizes: Sizes) -> Iterator[Case]:
    """Attack with each method, ours and theirs in turn."""
    rivals = require_extra("torchattacks", "bench", command="pip install --no-deps torchattacks")
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model, x, y = _trained(device, sizes)
        images = nn.Sequential(_FromUnit(), model).eval()
        for snr_db in (6.0, 9.0):
            eps = image_radius(x, snr_db)
            ours: dict[str, Any] = {"snr_db": snr_db, "outputs": "logits", "steps": sizes.steps}
            theirs: dict[str, Any] = {"norm": "L2", "eps": eps, "steps": sizes.steps}
            queries = {**ours, "steps": sizes.queries}
            pairs: dict[str, tuple[Any, Any]] = {
                "APGD-CE": (
                    APGD(model, loss="ce", **ours),
                    rivals.APGD(images, loss="ce", **theirs),
                ),
                "APGD-DLR": (
                    APGD(model, loss="dlr", **ours),
                    rivals.APGD(images, loss="dlr", **theirs),
                ),
                "APGD-T": (
                    APGD(model, n_targets=_CLASSES - 1, **ours),
                    rivals.APGDT(images, n_classes=_CLASSES, **theirs),
                ),
                "FAB-T": (
                    FABT(model, n_targets=_CLASSES - 1, **ours),
                    rivals.FAB(images, multi_targeted=True, n_classes=_CLASSES, **theirs),
                ),
                "Square": (
                    Square(model, **queries),
                    rivals.Square(images, norm="L2", eps=eps, n_queries=sizes.queries),
                ),
            }
            for name, (attack, rival) in pairs.items():
                yield _case(f"{name}, {snr_db:g} dB", model, x, y, snr_db, attack, rival)


def _case(
    name: str, model: nn.Module, x: Tensor, y: Tensor, snr_db: float, attack: Any, rival: Any
) -> Case:
    sides: dict[str, Callable[[], Tensor]] = {
        "ours": lambda: attack(x, y),
        "torchattacks": lambda: from_unit(rival(to_unit(x), y)),
    }
    timings, fooled = {}, {}
    for side, make in sides.items():
        start = time.process_time()
        adversary = make().detach()
        timings[side] = Timing((time.process_time() - start,))
        is_within = (adversary - x).double().norm(dim=1) <= radius(x, snr_db) * (1 + 1e-4)
        with torch.no_grad():
            is_fooled = (model(adversary).argmax(1) != y) & is_within
        fooled[side] = int(is_fooled.sum())
    bar = Bar("success, ours - torchattacks", float(fooled["ours"] - fooled["torchattacks"]), 0.0)
    parameters = {"sounds": len(x), **{f"fooled_{k}": v for k, v in fooled.items()}}
    return Case(name, parameters, timings, bar)


class _FromUnit(nn.Module):
    def forward(self, u: Tensor) -> Tensor:
        return from_unit(u)


def _trained(device: str, sizes: Sizes) -> tuple[nn.Module, Tensor, Tensor]:
    """Train the classifier; return it with the sounds that it classifies rightly."""
    model = SpectrumClassifier(
        _Net(), n_fft=512, hop_length=256, outputs="logits", sample_rate=_SR
    ).to(device)
    x, y = _tones(240, sizes.samples, seed=1)
    x, y = x.to(device), y.to(device)
    optimiser = torch.optim.Adam(model.parameters(), 3e-3)
    for _ in range(sizes.epochs):
        loss = F.cross_entropy(model(x), y)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    x, _ = _tones(sizes.sounds, sizes.samples, seed=2)
    x = x.to(device)
    with torch.no_grad():
        return model.eval(), x, model(x).argmax(1)


def _tones(n: int, samples: int, *, seed: int) -> tuple[Tensor, Tensor]:
    """Draw noisy tones of six frequencies, all of one norm."""
    generator = torch.Generator().manual_seed(seed)
    y = torch.arange(n) % _CLASSES
    noise = torch.randn(n, samples, generator=generator)
    detune = 1 + 0.03 * torch.randn(n, 1, generator=generator)
    frequency = 300 * 2 ** (0.7 * y[:, None]) * detune
    x = 0.05 * noise + 0.2 * torch.sin(2 * torch.pi * frequency * torch.arange(samples) / _SR)
    return 0.1 * samples**0.5 * x / x.norm(dim=1, keepdim=True), y


if __name__ == "__main__":
    run("strong", __doc__, cases, SIZES)
