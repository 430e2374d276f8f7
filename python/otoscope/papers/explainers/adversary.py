"""Task of a planted adversary: a small change of one region makes a detector hear singing.

Praher et al. (2021): what was changed is what the new answer rests on.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any

import torch
from torch import Tensor, nn

from otoscope.attack import WaveformPGD
from otoscope.papers.a_soundlime._excerpts import SongStems
from otoscope.papers.explainers.problem import Item, is_off_grid
from otoscope.papers.explainers.sung import excerpt_item, output_of
from otoscope.seeds import item_seed, numpy_generator

__all__ = ["Adversary"]

_TRIES = 20
_STEPS = 40
_SNRS_DB = (30.0, 20.0, 10.0)


class _Region(nn.Module):
    """Probability [batch, 1] of a sound, one region of which is the input."""

    def __init__(self, model: Any, network: nn.Module, before: Tensor, after: Tensor) -> None:
        super().__init__()
        self.model, self.network, self.before, self.after = model, network, before, after
        self.outputs, self.sample_rate = "probabilities", model.sample_rate

    def forward(self, region: Tensor) -> Tensor:
        rows = len(region)
        whole = torch.cat([self.before.expand(rows, -1), region, self.after.expand(rows, -1)], 1)
        values = self.model.prepare(whole)[:, None, : self.model.patch_frames]
        p: Tensor = self.network(values)
        return p


@dataclass(frozen=True, eq=False)
class Adversary:
    """Excerpts without voice, changed in one region until a detector calls them sung."""

    model: Any
    stems: Callable[[int], Iterable[SongStems]]
    n_segments: int
    seed: int
    note: str = ""

    def items(self, song: int, n: int) -> Iterator[Item]:
        """Yield adversaries made from a song's backing."""
        found = (item for stems in self.stems(song) for item in self._found(stems.backing, song))
        return islice(found, n)

    def _found(self, backing: Tensor, song: int) -> Iterator[Item]:
        model = self.model
        network, rate, length = output_of(model), model.sample_rate, model.excerpt_samples
        rng = numpy_generator(item_seed(self.seed, "regions", song))
        for _ in range(_TRIES):
            start = int(rng.integers(max(1, len(backing) - length)))
            y = backing[start : start + length]
            first, end = _region(rng, length, rate)
            truth, second = _frames(model, first, end), start / rate
            before = excerpt_item(network, model.patch((y, rate)), truth, self.n_segments)
            if before.about["output"] >= 0.5 or not is_off_grid(truth, before.ids):
                continue
            if (made := self._attacked(network, y, first, end)) is None:
                continue
            changed, snr_db = made
            about = {"second": second, "before": before.about["output"], "snr_db": snr_db}
            patch = model.patch((changed, rate))
            item = excerpt_item(network, patch, truth, self.n_segments, **about)
            if item.about["output"] >= 0.5:
                yield item

    def _attacked(
        self, network: nn.Module, y: Tensor, first: int, end: int
    ) -> tuple[Tensor, float] | None:
        """Attack a region with the least change of three that succeeds."""
        for snr_db in _SNRS_DB:
            region = _Region(self.model, network, y[:first], y[end:])
            attack = WaveformPGD(region, snr_db=snr_db, steps=_STEPS, confidence=0.6)
            result = attack.targeted(1).run(y[None, first:end])
            if bool(result.success[0]):
                return torch.cat([y[:first], result.sound[0], y[end:]]), snr_db
        return None


def _region(rng: Any, n_samples: int, rate: int) -> tuple[int, int]:
    length = int(rng.uniform(0.25, 0.4) * n_samples)
    first = int(rng.integers(n_samples - length))
    return first, first + length


def _frames(model: Any, first: int, end: int) -> Tensor:
    """Label the frames whose own samples lie in a region."""
    hop = model.hop_length
    middle = torch.arange(model.patch_frames) * hop + model.front_end.first_sample + hop // 2
    inside: Tensor = (middle >= first) & (middle < end)
    return inside
