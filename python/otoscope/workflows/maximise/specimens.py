"""Specimens of a maximised unit, made up and real, and the ranking of its settings."""

from __future__ import annotations

import math
import warnings
from bisect import bisect_right
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor
from torch.nn import functional as F

from otoscope.data import sample, sample_names
from otoscope.errors import Advice, Argument, Ignored, ParameterError
from otoscope.explain.maximise import (
    Extremes,
    GridResult,
    RankedResult,
    Ranking,
    Unit,
    setting_intervals,
)
from otoscope.explain.maximise.inversion import Inversion
from otoscope.metrics import FewRows
from otoscope.models.pieces import excerpt_batches
from otoscope.progress import Progress, tracked
from otoscope.protocols import Patch, device_of, dtype_of, evaluating
from otoscope.report.maximisation import Specimen
from otoscope.signal.audio.files import samples
from otoscope.workflows.recording import FolderNotes, Recording, sound_files

__all__ = [
    "N_SPECIMENS",
    "RealExcerpts",
    "floor_of",
    "layer_features",
    "made_specimens",
    "rank_settings",
    "real_specimens",
    "require_positions",
]

_BLOCK = 1 << 20  # samples of a file that are transformed at once

N_SPECIMENS = 3
"""Number of spectrograms that a report shows per side."""


class RealExcerpts:
    """Excerpts [1, frame, mel] of sound files at regular distances, with the place of each.

    By default they are of the songs that come with the package; ``files`` says which are skipped.
    """

    def __init__(
        self,
        model: Any,
        sounds: Path | None,
        *,
        every: float,
        progress: Progress,
    ) -> None:
        if not 0 < every < math.inf:
            raise ParameterError(f"every is {every}, must be seconds above 0")
        shipped = tuple(sample(name).path for name in sample_names())
        self._paths = sound_files(shipped if sounds is None else (sounds,))
        self.files = FolderNotes(sounds or shipped[0].parent)
        self._model, self._progress = model, progress
        self._hop = max(1, round(every * model.sample_rate / model.hop_length))
        self._firsts: list[int] = []  # index of each file's first excerpt

    def __iter__(self) -> Iterator[Tensor]:
        model, n_seen = self._model, 0
        for path in tracked(self._progress, self._paths, "files"):
            self._firsts.append(n_seen)
            with self.files.reading(path):
                y = samples(path, sr=model.sample_rate)  # the whole file is read, or refused
                blocks = (y[i : i + _BLOCK] for i in range(0, len(y), _BLOCK))
                for batch in excerpt_batches(model, blocks, hop=self._hop):
                    for excerpt in batch:  # a copy: what is kept must not keep its piece
                        n_seen += 1
                        yield excerpt.clone()
        if n_seen == 0:
            raise self.files.none_usable(f"none of {len(self._paths)} sound files can be used")

    def place(self, index: int) -> tuple[Path, float]:
        """Return the file and the second of an excerpt."""
        file = bisect_right(self._firsts, index) - 1
        frames = (index - self._firsts[file]) * self._hop
        return self._paths[file], frames * self._model.hop_length / self._model.sample_rate


def made_specimens(ranking: Ranking, model: Any, unit: Unit) -> Iterator[Specimen]:
    """Choose inputs to show: of the best, median and worst setting, or the best of one setting."""
    best = ranking.best
    chosen: list[tuple[str, RankedResult, int]] = [
        (f"{name} setting", row, row.result.best) for name, row in ranking.landmarks
    ]
    if len(ranking.rows) == 1:
        labels = ("Furthest", "Second", "Third")
        chosen = [(label, best, i) for label, i in zip(labels, best.result.order, strict=False)]
    for label, row, i in chosen:
        activation, values = row.result.activation[i], row.result.input[i, 0]
        if not bool(activation.isfinite()):
            continue
        seed = row.result.seeds[i]
        patch, of_sound = _with_sound(values, model, unit, seed)
        yield Specimen(label, patch, float(activation), f"{row.setting}, seed {seed}", of_sound)


def _with_sound(values: Tensor, model: Any, unit: Unit, seed: int) -> tuple[Patch, float | None]:
    """Invert a spectrogram to sound (peak 0.99); return also the activation by that sound."""
    inversion = Inversion.of(model)
    if inversion is None:
        return Patch(values.cpu()), None
    y = inversion.sound(values, seed=seed)
    if y is None:
        return inversion.patch(values, None), None
    front_end = inversion.front_end
    padded = F.pad(y, (front_end.first_sample, front_end.n_fft)).to(values)
    with torch.no_grad():
        prepared = model.prepare(padded)[: len(values)]
        of_sound = float(unit(prepared[None, None]))
    return inversion.patch(values, y), of_sound


def real_specimens(extremes: Extremes, excerpts: RealExcerpts, model: Any) -> Iterator[Specimen]:
    """Cut the sounds of the real excerpts that drive the unit furthest."""
    labels = ("Furthest", "Second", "Third")
    for label, extreme in zip(labels, extremes.excerpts, strict=False):
        path, start = excerpts.place(extreme.index)
        patch = Recording(path, model, padded=None).patch(start)
        peak = float(patch.y.abs().max()) if patch.y is not None else 0.0
        if patch.y is not None and peak > 1:
            patch = replace(patch, y=patch.y / peak)
        name = excerpts.files.name(path)
        yield Specimen(label, patch, extreme.activation, f"{name}, {start:.2f} s")


def rank_settings(
    grid: GridResult, extremes: Extremes, feature: Callable[[Tensor], Tensor] | None
) -> tuple[Ranking, list[str]]:
    """Rank by activations, or by features in a layer; return what a reader must know too."""
    if feature is None:
        return grid.rank(extremes.activations), [*_ties(grid, extremes.activations)]
    real = [cast(Tensor, excerpt.patch) for excerpt in extremes.excerpts]
    with torch.no_grad(), warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", FewRows)
        ranking = grid.rank(torch.cat([feature(x[None]) for x in real]), feature=feature)
    return ranking, list(dict.fromkeys(str(warning.message) for warning in caught))


def _ties(grid: GridResult, real: Tensor) -> Iterator[str]:
    """Say how many settings cannot be told apart from the best one, by their seeds."""
    made = torch.stack([result.activation for result in grid.results])
    n_others, n_seeds = len(made) - 1, made.shape[1]
    if n_others == 0 or n_seeds < 2 or not bool(made.isfinite().all(1).any()):
        return
    n_tied = int(setting_intervals(real, made).is_tied.sum()) - 1
    yield (
        f"{n_tied} of {n_others} other settings cannot be told apart from the best (95 %, over "
        f"{n_seeds} seeds)."
    )


def layer_features(model: Any, layer: str) -> Callable[[Tensor], Tensor]:
    """Return the features [batch, unit] of a layer, the means over positions, as a function."""
    tap = Unit(model, layer, 0).tap
    empty = torch.zeros(2, 1, model.patch_frames, model.n_mels)
    axes = tap.axes(empty.to(device_of(model), dtype_of(model)))
    axes.require_units(Advice("take a layer whose type does with ", Argument("rank_layer")))

    def feature(batch: Tensor) -> Tensor:
        with evaluating(model):
            return axes.arrange(tap(batch)).mean(2)

    return feature


def require_positions(model: Any, unit: Unit) -> None:
    """Refuse to pool a unit that has one position: mean and maximum are the same."""
    empty = torch.zeros(2, 1, model.patch_frames, model.n_mels)
    with torch.no_grad(), evaluating(model):
        n = unit.positions(empty.to(device_of(model), dtype_of(model))).shape[1]
    if n == 1:
        reason = f"and unit {unit.name} of {unit.layer} has one position: there is nothing to pool"
        raise Ignored("pool", reason).error(unit.pool)


def floor_of(model: Any, real: Extremes) -> Tensor | None:
    """Return the values of digital silence [mel]; None if they are no least values.

    Where the compression is not known, silence is transformed. It is no floor for a front end that
    normalises each sound.
    """
    if model.domain is not None:
        floor: Tensor = model.domain.floor
        return floor
    n_samples = getattr(model, "excerpt_samples", model.patch_frames * model.hop_length)
    with torch.no_grad(), evaluating(model):
        silence: Tensor = model.prepare(torch.zeros(n_samples)).amin(0)
    return silence if bool((silence.double().cpu() <= real.mean).all()) else None
