"""Tasks on waveforms in windows of 100 ms: planted events, and a horse that hears infrasound."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import scipy  # imports its modules lazily
import torch
from torch import Tensor, nn

from otoscope.explain.content import resolve
from otoscope.explain.content.base import SoundSource
from otoscope.papers.explainers.detector import trained_detector
from otoscope.papers.explainers.problem import Item, Stems, is_off_grid
from otoscope.papers.explainers.sounds import SR, Plant, Scene, drums_alone
from otoscope.progress import Progress
from otoscope.seeds import item_seed, numpy_generator

__all__ = ["Horse", "Planted", "horse_scene", "planted", "window_ids"]

CONTENTS = ("silence", "noise", "noise:0,-60", "mean_band")
_WINDOW = SR // 10
_TRIES = 200


@dataclass(frozen=True, eq=False)
class Planted:
    """Events in sounds, and a network that gives the log-odds that there is one."""

    network: nn.Module
    plant: Plant
    seed: int
    note: str = ""

    def items(self, song: int, n: int) -> Iterator[Item]:
        """Yield items of a song: scenes in which the network hears the event, off the grid."""
        found, seed = 0, item_seed(self.seed, "song", song)
        for clip in range(_TRIES):
            scene = self.plant(seed, clip, n_events=1 + clip % 2)
            item = _item(self.network, scene)
            if is_off_grid(item.truth, item.ids) and self._hears(item):
                found += 1
                yield item
            if found == n:
                return

    def _hears(self, item: Item) -> bool:
        """Whether the output is above 0 with the event, and below without it."""
        assert item.stems is not None  # noqa: S101 - for mypy
        batch = torch.stack([item.x, item.stems.parts[0]])[:, None]
        with torch.no_grad():
            with_event, without = self.network(batch)[:, 0].tolist()
        return bool(with_event > 0 > without)


def planted(plant: Plant, path: Path, *, n_clips: int, seed: int, progress: Progress) -> Planted:
    """Make a task of planted events, with a detector that is trained once."""
    network, accuracy = trained_detector(plant, path, n_clips=n_clips, seed=seed, progress=progress)
    note = f"the detector is right on {100 * accuracy:.0f} % of 40 held-out scenes"
    return Planted(network, plant, seed, note)


def _item(network: nn.Module, scene: Scene) -> Item:
    parts = torch.from_numpy(np.stack([scene.background, scene.event])).float()[..., None]
    x = parts.sum(0)
    source = SoundSource(x[:, 0].double(), float(SR))
    contents = {
        name: resolve(name).of_sound(source).float()[:, None].contiguous() for name in CONTENTS
    }
    ids = window_ids(len(x), _WINDOW)
    with torch.no_grad():
        output = float(network(x[None, None]))
    return Item(
        network, x, ids, contents, torch.from_numpy(scene.truth), Stems(parts), {"output": output}
    )


def window_ids(n_samples: int, window: int) -> Tensor:
    """Cut a sound [sample, 1] into windows; the last takes the rest."""
    last = max(n_samples // window - 1, 0)
    ids: Tensor = (torch.arange(n_samples) // window).clamp(max=last).int()
    return ids[:, None]


class Horse(nn.Module):
    """Log-odds [batch, 1] from the energy near 14 Hz and from nothing else, by construction."""

    def __init__(self, threshold: float = 1e-6) -> None:
        super().__init__()
        self.lowest = nn.Conv1d(1, 1, 480, stride=SR // 100, padding=240, bias=False)
        self.quadrature = nn.Conv1d(1, 2, 40, padding=20, bias=False)  # 0.4 s at 100 Hz
        smooth, window = _blackman(480), _blackman(40)
        wave = 2 * torch.pi * 14.0 / 100 * torch.arange(len(window), dtype=torch.float64)
        bands = torch.stack([wave.cos(), wave.sin()]) * window
        for layer, kernel in ((self.lowest, smooth[None]), (self.quadrature, bands)):
            layer.weight = nn.Parameter(kernel.float()[:, None], requires_grad=False)
        self.threshold = threshold

    def forward(self, batch: Tensor) -> Tensor:
        """Compare the mean energy of the band with a threshold."""
        low = self.lowest(batch[:, 0].mT)  # 58 dB less of all above 50 Hz: nothing is aliased
        energy: Tensor = self.quadrature(low).square().sum(1).mean(-1)
        return (energy / self.threshold + 1e-3).log()[:, None]


def _blackman(n: int) -> Tensor:
    window = torch.blackman_window(n, periodic=False, dtype=torch.float64)
    return window / window.sum()


def horse_scene(song: int, clip: int, *, n_events: int) -> Scene:
    """Plant a tone of 14 Hz for a part of a clip of drums, which has nothing below 35 Hz."""
    rng = numpy_generator(song, 1 + clip, 2)
    sos = scipy.signal.butter(6, 35, "highpass", fs=SR, output="sos")
    background = np.asarray(scipy.signal.sosfilt(sos, drums_alone(song, clip)))
    n = len(background)
    length = int(rng.uniform(0.5, 1.0) * SR)
    at = int(rng.integers(n - length))
    fade = np.minimum(1, np.minimum(np.arange(length), np.arange(length)[::-1]) / (0.05 * SR))
    tone = 0.02 * np.sin(2 * np.pi * 14 * np.arange(length) / SR + rng.uniform(0, 6.28)) * fade
    event, truth = np.zeros(n), np.zeros(n, bool)
    event[at : at + length], truth[at : at + length] = tone, True
    return Scene(background, event, truth)
