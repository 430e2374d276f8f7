"""Task on excerpts of songs: which frames are sung; and items of spectrograms."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from otoscope.explain.content import resolve
from otoscope.explain.segments import temporal
from otoscope.papers.a_soundlime._excerpts import SECONDS, SongStems
from otoscope.papers.explainers.problem import Item, Stems, is_off_grid
from otoscope.papers.explainers.sounds import strange_song
from otoscope.protocols import Patch, choose_targets
from otoscope.seeds import item_seed, numpy_generator

__all__ = ["Sung", "excerpt_item", "output_of", "unheard"]

CONTENTS = ("mean_inp", "zero", "min_inp", "mean_band", "noise")
_TRIES = 40
_QUIET = 1e-4  # of the loudest frame's power: 40 dB
_GAP_SECONDS = 0.1  # shorter pauses are part of the singing


class _Output(nn.Module):
    """One output [batch, 1] of a model."""

    def __init__(self, model: nn.Module, column: int) -> None:
        super().__init__()
        self.model, self.column = model, column

    def forward(self, batch: Tensor) -> Tensor:
        outputs: Tensor = self.model(batch)
        return outputs[:, self.column, None]


def output_of(model: Any, target: str | None = None) -> nn.Module:
    """Return one output of a model as a network [batch, 1, frame, mel] -> [batch, 1]."""
    (column,) = choose_targets(target, len(model.output_names), model.output_names).values()
    network = _Output(model, column).eval().requires_grad_(False)
    # SVDNet is 1.5 times as fast so.
    network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return network


@dataclass(frozen=True, eq=False)
class Sung:
    """Excerpts of songs that are sung in part, and a detector's probability of singing."""

    model: Any
    stems: Callable[[int], Iterable[SongStems]]
    n_segments: int
    seed: int
    note: str = ""

    def items(self, song: int, n: int) -> Iterator[Item]:
        """Yield excerpts of a song that the model calls sung, whose edges are off the grid."""
        found = (item for stems in self.stems(song) for item in self._found(stems, song))
        return islice(found, n)

    def _found(self, stems: SongStems, song: int) -> Iterator[Item]:
        model, both = self.model, (stems.voice, stems.backing)
        network, rate = output_of(model), model.sample_rate
        seconds = (len(stems.voice) - model.excerpt_samples) / rate
        sung = _sung_samples(stems, model.hop_length, rate)
        rng = numpy_generator(item_seed(self.seed, "excerpts", song))
        last = max(0, int(seconds * rate) // model.hop_length) * model.hop_length / rate
        for drawn in map(float, rng.uniform(0, max(seconds, 0), _TRIES)):
            start = min(drawn, last)  # a whole frame
            patch = model.patch((stems.voice + stems.backing, rate), start=start)
            truth = _owned(sung, patch)
            if not 0.1 <= float(truth.float().mean()) <= 0.7:
                continue
            item = excerpt_item(network, patch, truth, self.n_segments)
            if is_off_grid(truth, item.ids) and item.about["output"] >= 0.5:
                parts = [model.patch((y, rate), start=start).values for y in both]
                domain = model.domain
                energies = torch.stack([domain.mel(values) for values in parts])
                yield replace(item, stems=Stems(energies, domain.mel, domain.from_mel))


def excerpt_item(
    network: nn.Module, patch: Patch, truth: Tensor, n_segments: int, **about: float
) -> Item:
    """Make an item of an excerpt, with segments in time and the contents of spectrograms."""
    ids = temporal(n_segments)(patch).map.ids
    shape = patch.values.shape
    made = {name: resolve(name)(patch, ids) for name in CONTENTS}
    contents = {
        name: content.expand(shape).contiguous()
        for name, content in made.items()
        if isinstance(content, Tensor)
    }
    with torch.no_grad():
        output = float(network(patch.values[None, None]))
    about = {"start": patch.start, "output": output, **about}
    return Item(network, patch.values, ids, contents, truth, about=about)


def unheard(song: int, *, sr: int, seed: int) -> SongStems:
    """Make a song of a synthesiser that no detector heard in its training."""
    voice, backing = strange_song(item_seed(seed, "strange", song), seconds=SECONDS, sr=sr)
    parts = [torch.from_numpy(np.asarray(y, np.float32)) for y in (voice, backing)]
    return SongStems(f"strange-{song:04d}", *parts)


def _sung_samples(stems: SongStems, hop: int, rate: int) -> Tensor:
    """Find where the voice sounds: frames within 40 dB of the loudest, without short pauses."""
    n = len(stems.voice) // hop
    power = stems.voice[: n * hop].double().reshape(n, hop).square().mean(1)
    voiced = (power > _QUIET * power.max()).double()[None, None]
    gap = 2 * round(_GAP_SECONDS * rate / hop / 2) + 1
    grown = F.max_pool1d(voiced, gap, 1, gap // 2)
    closed = -F.max_pool1d(-grown, gap, 1, gap // 2)
    return closed[0, 0].bool().repeat_interleave(hop)


def _owned(sung: Tensor, patch: Patch) -> Tensor:
    """Label the frames of an excerpt by the samples that they own."""
    assert patch.hop_length is not None  # noqa: S101 - for mypy
    assert patch.sr is not None  # noqa: S101
    n, hop = len(patch.values), patch.hop_length
    middle = round(patch.start * patch.sr) + torch.arange(n) * hop + hop // 2
    return sung[middle.clamp(0, len(sung) - 1)]
