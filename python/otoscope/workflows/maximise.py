"""Maximise a unit of a listening model, and compare what was made with real excerpts.

Inputs are optimised in the model's own domain, never below digital silence; the real side is every
excerpt of some sound files, gone over once.
"""

from __future__ import annotations

import json
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from inspect import signature
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor
from torch.nn import functional as F

from otoscope import records
from otoscope.data import sample, sample_names
from otoscope.errors import Advice, Argument, ParameterError
from otoscope.explain.maximise import (
    ActivationMaximiser,
    Extremes,
    GridResult,
    RankedResult,
    Ranking,
    Unit,
)
from otoscope.explain.maximise.unit import Pool
from otoscope.metrics import FewRows
from otoscope.progress import Progress
from otoscope.protocols import Patch, evaluating
from otoscope.report.maximisation import Objective, Specimen, save_maximisation, sentence
from otoscope.report.numbers import significant
from otoscope.signal import write_audio
from otoscope.workflows._maximise_settings import MaximiseUnit
from otoscope.workflows._real_excerpts import RealExcerpts
from otoscope.workflows._recording import Heard, listening_model
from otoscope.workflows.explain import sound_files

__all__ = ["MaximiseUnit", "MaximisedUnit", "maximise_unit", "save_folder", "save_maximised"]

PAPER_GRID: Mapping[str, Any] = {
    name: signature(ActivationMaximiser.grid).parameters[name].default
    for name in ("rates", "penalties", "iterations")
}
"""Values of the settings in the paper."""

_SHOWN = 3  # spectrograms per side
_LOUDEST = 1e8  # energies above it are turned down: the sound's level is set afterwards
_N_ITER = 100  # of Griffin and Lim, as in the paper


@dataclass(frozen=True, eq=False)
class MaximisedUnit:
    """What drives the unit, made up and real.

    Parameters
    ----------
    settings : MaximiseUnit
        What was asked for.
    ranking : Ranking
        All settings, the nearest to the real excerpts first.
    made, real : tuple of Specimen
        Made-up inputs (of a grid: best, median, worst setting) and real excerpts, with sounds.
    n_real : int
        Real excerpts gone over.
    notes : tuple of str
        What must be known.

    Examples
    --------
    >>> maximise_unit(MaximiseUnit("synth-singing", "fc9")).sentence  # doctest: +SKIP
    'A made-up input drives unit 0 of fc9 up to 60.9; the furthest of 34 real excerpts, to 9.35.'
    """

    settings: MaximiseUnit
    ranking: Ranking
    made: tuple[Specimen, ...]
    real: tuple[Specimen, ...]
    n_real: int
    notes: tuple[str, ...]

    @property
    def objective(self) -> Objective:
        """What was maximised, for the report."""
        settings = self.settings
        return Objective(
            unit=f"unit {settings.unit} of {settings.layer}",
            model=settings.model,
            prior=settings.regularisers,
            n_real=self.n_real,
            maximise=not settings.minimise,
            compared=f"features in {layer}" if (layer := settings.rank_layer) else "activations",
        )

    @property
    def sentence(self) -> str:
        """How far the unit is driven, and which setting was chosen."""
        made, real = self.made[0].activation, self.real[0].activation
        return sentence(self.ranking, self.objective, made, real)

    def to_dict(self) -> dict[str, Any]:
        """Give settings and measures, not pictures and sounds, in JSON's types."""
        plain: dict[str, Any] = json.loads(
            records.to_json(
                {
                    "settings": self.settings,
                    "ranking": [
                        {
                            "setting": row.setting,
                            "distance": row.distance,
                            "seen": row.n_finite,
                            "activation": row.result.activation,
                            "failed": row.result.n_failed,
                        }
                        for row in self.ranking.rows
                    ],
                    **{
                        side: [
                            {
                                "label": one.label,
                                "activation": one.activation,
                                "origin": one.origin,
                                "of_sound": one.of_sound,
                            }
                            for one in specimens
                        ]
                        for side, specimens in (("made", self.made), ("real", self.real))
                    },
                    "n_real": self.n_real,
                    "notes": self.notes,
                    "versions": records.versions(),
                }
            )
        )
        return plain


def maximise_unit(settings: MaximiseUnit, *, progress: Progress | None = None) -> MaximisedUnit:
    """Find what drives a unit, made up and real.

    Parameters
    ----------
    settings : MaximiseUnit
        What to maximise, and how.
    progress : callable, optional
        Goes over "files", then over "rows" and, in each, over "iterations".

    Returns
    -------
    MaximisedUnit
        Ranking, pictures and sounds.

    Raises
    ------
    ParameterError
        If there is no such model, layer or unit, a setting is out of range, fewer than two real
        excerpts can be read, or no input has a finite activation.

    Examples
    --------
    >>> settings = MaximiseUnit("synth-singing", "fc9")
    >>> maximise_unit(settings).made[0].label  # doctest: +SKIP
    'Furthest'
    """
    progress = progress or (lambda items, _: items)
    model = listening_model(settings.model, device=settings.device)
    maximiser = _maximiser(model, settings)
    layer = Unit(model, settings.rank_layer, 0) if settings.rank_layer else None
    shipped = tuple(sample(name).path for name in sample_names())
    paths = sound_files(shipped if settings.real is None else (settings.real,))
    excerpts = RealExcerpts(model, paths, every=settings.every, progress=progress)
    extremes = maximiser.extremes(excerpts, max(settings.seeds, _SHOWN))
    if len(extremes.excerpts) < 2:
        raise ParameterError(f"there is {extremes.n_seen} real excerpt: a distance needs two")
    grid = maximiser.grid(
        rates=settings.rates,
        penalties=settings.penalties,
        iterations=settings.iterations,
        seeds=settings.seeds,
        seed=settings.seed,
        progress=progress,
    )
    ranking, told = _ranked(grid, extremes, layer)
    made = tuple(_made(ranking, model, maximiser.unit))
    if not made:
        raise ParameterError(
            "no input has a finite activation", advice=Advice("try a smaller ", Argument("rate"))
        )
    real = tuple(_real(extremes, excerpts, model))
    notes = (*_notes(maximiser.unit, ranking, made[0], excerpts.skipped), *told)
    return MaximisedUnit(settings, ranking, made, real, extremes.n_seen, notes)


def save_maximised(found: MaximisedUnit, page: Path) -> None:
    """Write the report.

    Parameters
    ----------
    found : MaximisedUnit
        Of `maximise_unit`.
    page : Path
        Written whole or not at all.

    Examples
    --------
    >>> save_maximised(maximise_unit(settings), Path("unit.html"))  # doctest: +SKIP
    """
    save_maximisation(
        found.ranking,
        page,
        objective=found.objective,
        made=found.made,
        real=found.real,
        notes=found.notes,
    )


def save_folder(found: MaximisedUnit, folder: Path) -> None:
    """Write the report, and each made-up sound as a file of 16 bits.

    Parameters
    ----------
    found : MaximisedUnit
        Of `maximise_unit`.
    folder : Path
        Made if it is not there.

    Examples
    --------
    >>> save_folder(maximise_unit(settings), Path("unit"))  # doctest: +SKIP
    """
    folder.mkdir(parents=True, exist_ok=True)
    save_maximised(found, folder / "report.html")
    for one in found.made:
        if one.patch.y is not None and one.patch.sr is not None:
            name = one.label.lower().replace(" ", "-")
            write_audio(folder / f"{name}.wav", one.patch.y, sr=round(one.patch.sr))


def _maximiser(model: Any, settings: MaximiseUnit) -> ActivationMaximiser:
    floor = model.domain.floor
    return ActivationMaximiser(
        model,
        settings.prior_of((1, model.patch_frames, model.n_mels)),
        layer=settings.layer,
        unit=settings.index,
        prepare=lambda x: torch.maximum(x, floor.to(x)),
        maximise=not settings.minimise,
        pool=cast(Pool, settings.pool),  # which checks it
        jitter=settings.jitter,
    )


def _ranked(grid: GridResult, extremes: Extremes, layer: Unit | None) -> tuple[Ranking, list[str]]:
    """Rank by activations, or in a layer; with what is to be known of its distance."""
    if layer is None:
        return grid.rank(extremes.activations), []

    def feature(batch: Tensor) -> Tensor:
        with evaluating(layer.model):
            output = layer.tap(batch)
        return output.flatten(2).mean(2) if output.ndim > 2 else output

    real = [cast(Tensor, one.patch) for one in extremes.excerpts]
    with torch.no_grad(), warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", FewRows)
        ranking = grid.rank(torch.cat([feature(x[None]) for x in real]), feature=feature)
    return ranking, list(dict.fromkeys(str(one.message) for one in caught))


def _made(ranking: Ranking, model: Any, unit: Unit) -> Iterator[Specimen]:
    """The best, the median and the worst setting; of one setting its best seeds."""
    best = ranking.best
    shown: list[tuple[str, RankedResult, int]] = [
        (f"{name} setting", row, row.result.best) for name, row in ranking.landmarks
    ]
    if len(ranking.rows) == 1:
        sign = 1 if best.result.maximise else -1
        score = (sign * best.result.activation).nan_to_num(-torch.inf)
        order = score.argsort(descending=True, stable=True).tolist()
        labels = ("Furthest", "Second", "Third")
        shown = [(label, best, i) for label, i in zip(labels, order, strict=False)]
    for label, row, i in shown:
        activation, values = row.result.activation[i], row.result.input[i, 0]
        if not bool(activation.isfinite()):
            continue
        seed = row.result.seeds[i]
        patch, of_sound = _sounding(values, model, unit, seed)
        yield Specimen(label, patch, float(activation), f"{row.setting}, seed {seed}", of_sound)


def _sounding(values: Tensor, model: Any, unit: Unit, seed: int) -> tuple[Patch, float | None]:
    """A picture with its sound, peak 0.99, and the activation by that at the picture's level."""
    patch = Patch(
        values.cpu(),
        sr=model.sample_rate,
        hop_length=model.hop_length,
        mel_hz=model.mel_hz,
        domain=model.domain,
    )
    front_end = getattr(model, "front_end", None)
    if front_end is None:
        return patch, None
    domain = model.domain
    log_mel = domain.log_mel(values.cpu().double())
    loudest = domain.compression.compress(torch.tensor(_LOUDEST, dtype=torch.float64))
    log_mel = log_mel - (log_mel.max() - loudest).clamp(min=0)
    y = front_end.invert(domain.compression.expand(log_mel), n_iter=_N_ITER, seed=seed)
    around = F.pad(y, (front_end.first_sample, front_end.n_fft)).to(values)
    with torch.no_grad():
        again = model.prepare(around)[: len(values)]
        of_sound = float(unit(again[None, None]))
    peak = float(y.abs().max())
    return replace(patch, y=0.99 * y / peak if peak else y), of_sound


def _real(extremes: Extremes, excerpts: RealExcerpts, model: Any) -> Iterator[Specimen]:
    labels = ("Furthest", "Second", "Third")
    for label, found in zip(labels, extremes.excerpts, strict=False):
        path, start = excerpts.place(found.index)
        patch = Heard(path, model, padded=False).patch(start)
        peak = float(patch.y.abs().max()) if patch.y is not None else 0.0
        if patch.y is not None and peak > 1:
            patch = replace(patch, y=patch.y / peak)
        yield Specimen(label, patch, found.activation, f"{path.name}, {start:.2f} s")


def _notes(
    unit: Unit, ranking: Ranking, made: Specimen, skipped: dict[Path, ParameterError]
) -> Iterator[str]:
    if unit.is_squashed:
        yield (
            f"{unit.layer} gives probabilities: where the model is sure they have no gradient. "
            "The layer before it is the better choice."
        )
    if made.of_sound is not None and abs(made.of_sound - made.activation) > 0.2 * abs(
        made.activation
    ):
        yield (
            f"The sound made of the picture shown first gives {significant(made.of_sound)}, not "
            f"{significant(made.activation)}: no sound looks quite like it."
        )
    if len(ranking.best.result.seeds) == 1:
        yield "There is no distance from one search: ask for more seeds."
    n_lacking = sum(not row.is_complete for row in ranking.rows)
    if n_lacking:
        yield f"{n_lacking} settings have seeds without a finite activation: they come last."
    n_failed = sum(row.result.n_failed for row in ranking.rows)
    if n_failed:
        n_rows = sum(len(row.result.seeds) for row in ranking.rows)
        yield f"{n_failed} of {n_rows} searches met a NaN or an infinity and stopped."
    if skipped:
        path, why = next(iter(skipped.items()))
        yield f"{len(skipped)} sound files could not be used; the first: {path.name}: {why}"
