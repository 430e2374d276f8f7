"""Say beforehand what spectral periodicity can and cannot carry, then test each prediction.

`PREDICTIONS` was written before the first run, from the feature's definition: mean distances of
timbre at each lag. It knows how far apart similar sounds are, not which sounds, and not in which
order. A measure is the accuracy of a simple reader of the feature on sounds of other kits; how far
a change moves the feature, relative to the mean distance of dances of one tempo; or the fraction of
answers that two trained systems keep.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from otoscope.errors import ParameterError
from otoscope.intervene.statistics.bootstrap import GroupBootstrap
from otoscope.metrics import Interval
from otoscope.models import load
from otoscope.papers.c_horse.desperf.predict_sounds import (
    CHANGES,
    PAIRS,
    READINGS,
    Labelled,
    dances,
)
from otoscope.papers.runs import rows_of_songs, write_run
from otoscope.progress import Progress, silent
from otoscope.report.figures import COLOURS, ResultTable, svg_figure
from otoscope.report.numbers import with_bounds
from otoscope.signal.rhythm.spectral_periodicity import SpectralPeriodicity

__all__ = ["PREDICTIONS", "HorsePredictConfig", "Prediction", "horse_predict"]


@dataclass(frozen=True)
class Prediction:
    """A prediction: at least, or at most, this much.

    Parameters
    ----------
    knowledge : str
        Kind of knowledge.
    claim : str
        What is predicted, in words.
    measure : {"read", "moved", "kept"}
        Accuracy of a reader; relative distance of features; fraction of answers that stay.
    of : str
        Name of the sounds or of the change.
    sign : {">=", "<="}
        Side of the bound.
    bound : float
        Bound of the measure.

    Examples
    --------
    >>> PREDICTIONS[0].knowledge
    'tempo'
    """

    knowledge: str
    claim: str
    measure: Literal["read", "moved", "kept"]
    of: str
    sign: Literal[">=", "<="]
    bound: float

    @property
    def name(self) -> str:
        """Name of the prediction's row."""
        return f"{self.measure} {self.of}"

    def holds(self, value: float) -> bool:
        """Whether a value is on the predicted side."""
        return value >= self.bound if self.sign == ">=" else value <= self.bound


PREDICTIONS = (
    Prediction("tempo", "clicks tell their tempo to 4 %", "read", "tempo", ">=", 0.9),
    Prediction("meter", "accents tell 3 beats from 4", "read", "meter", ">=", 0.9),
    Prediction("rhythm", "patterns of one tempo differ", "read", "pattern", ">=", 0.9),
    Prediction("rhythm", "patterns of equal intervals are one", "moved", "homometric", "<=", 0.1),
    Prediction("timbre", "an equaliser moves little", "moved", "equaliser", "<=", 0.2),
    Prediction("timbre", "how sounds decay is heard: it tells kits", "read", "kit", ">=", 0.75),
    Prediction("timbre", "another kit moves it less than another dance", "moved", "kit", "<=", 0.9),
    Prediction("harmony", "major and minor are one", "read", "mode", "<=", 0.65),
    Prediction("harmony", "how often chords change is heard", "read", "changes", ">=", 0.9),
    Prediction("order", "backwards is the same", "moved", "reversal", "<=", 0.1),
    Prediction("order", "exchanged halves are nearly the same", "moved", "halves", "<=", 0.2),
    Prediction("order", "shuffled pieces of 0.28 s are not", "moved", "shuffle", ">=", 0.5),
    Prediction(
        "metamers",
        "backwards, halves exchanged, equalised: the same",
        "moved",
        "metamer",
        "<=",
        0.3,
    ),
    Prediction("answers", "they survive the equaliser", "kept", "equaliser", ">=", 0.9),
    Prediction("answers", "they survive playing backwards", "kept", "reversal", ">=", 0.9),
    Prediction("answers", "they survive all three at once", "kept", "metamer", ">=", 0.9),
    Prediction("answers", "they do not survive shuffling", "kept", "shuffle", "<=", 0.5),
)
"""All predictions."""


@dataclass(frozen=True)
class HorsePredictConfig:
    """Number of sounds of the experiment.

    Parameters
    ----------
    n : int
        Number of sounds per prediction, >= 8; readers learn from three times as many.
    models : tuple of str
        Bundles of DeSPerF whose answers are tested.
    seed : int
        Random seed.

    Examples
    --------
    >>> HorsePredictConfig.quick().n
    8
    """

    n: int = 64
    models: tuple[str, ...] = ("desperf-confounded", "desperf-separated")
    seed: int = 0

    def __post_init__(self) -> None:
        if self.n < 8:
            raise ParameterError(f"n is {self.n}, must be >= 8")

    @classmethod
    def quick(cls) -> HorsePredictConfig:
        """Return a small version."""
        return cls(n=8)


def horse_predict(
    config: HorsePredictConfig, out: Path, *, progress: Progress = silent
) -> list[ResultTable]:
    """Run the experiment: write its record and its figure.

    ``out`` gets ``horse_predict.json`` (configuration, predictions, every measure) and
    ``horse_predict.svg``. Returns a table of the predictions.

    References
    ----------
    Sturm (2016) :cite:`sturm2016horse`.
    """
    run = _Run(config)
    tasks = [(one, "") for one in PREDICTIONS if one.measure != "kept"]
    tasks += [(one, name) for one in PREDICTIONS if one.measure == "kept" for name in config.models]
    rows = rows_of_songs(
        out,
        "horse_predict",
        config,
        [f"{one.name} {model}".strip() for one, model in tasks],
        lambda index: run.row(*tasks[index]),
        progress=progress,
        shown="predictions",
    )
    table = ResultTable(
        f"Predictions, {config.n} sounds each",
        ("knowledge", "predicted", "measure", "bound", "measured", "held"),
        tuple(_cells(row) for row in rows),
    )
    _draw(rows, out / "horse_predict.svg")
    write_run(out, "horse_predict", config, [table], rows, {"predictions": PREDICTIONS})
    return [table]


@dataclass(frozen=True)
class _Run:
    """Feature, and dances with their features, which the first row computes."""

    config: HorsePredictConfig
    feature = SpectralPeriodicity()

    @cached_property
    def dances(self) -> Labelled:
        """Dances of one tempo, labelled by style, grouped by artist."""
        return dances(self.config.n, self.config.seed, self.feature.sample_rate)

    @cached_property
    def rows(self) -> Tensor:
        """Features of the dances."""
        return self.feature(self.dances.sounds)

    @cached_property
    def unit(self) -> float:
        """Mean distance of the features of two dances of different styles."""
        label = np.array(self.dances.labels)
        differ = torch.from_numpy(label[:, None] != label)
        return float(torch.cdist(self.rows, self.rows)[differ].mean())

    def row(self, prediction: Prediction, model: str) -> dict[str, Any]:
        """Measure what a prediction is about."""
        measure = {"read": self._read, "moved": self._moved, "kept": self._kept}
        interval = measure[prediction.measure](prediction.of, model)
        return {
            "knowledge": prediction.knowledge,
            "claim": prediction.claim,
            "measure": prediction.measure,
            "of": prediction.of,
            "model": model,
            "sign": prediction.sign,
            "bound": prediction.bound,
            "value": interval,
            "held": prediction.holds(interval.value),
            "interval held": prediction.holds(interval.low) and prediction.holds(interval.high),
        }

    def _read(self, name: str, model: str) -> Interval:
        """Teach a reader the sounds of some kits, and score it on those of others."""
        config, sr = self.config, self.feature.sample_rate
        known = READINGS[name].sounds(3 * config.n, 2 * config.seed, sr)
        tested = READINGS[name].sounds(config.n, 2 * config.seed + 1, sr)
        reader = READINGS[name].reader(self.feature(known.sounds).numpy(), known.labels)
        right = READINGS[name].right(reader(self.feature(tested.sounds).numpy()), tested.labels)
        return _accuracy(tested.groups).estimate(right)

    def _moved(self, name: str, model: str) -> Interval:
        """Measure how far a change moves the feature, in units of another dance's distance."""
        if name in PAIRS:
            before, after = PAIRS[name](self.config.n, self.config.seed, self.feature)
        else:
            before, after = self.rows, self.feature(self._changed(name))
        moved = (after - before).norm(dim=-1) / self.unit
        return _accuracy(self.dances.groups).mean(moved.numpy())

    def _kept(self, name: str, model: str) -> Interval:
        """Count the answers of a system that a change leaves as they are."""
        network: Any = load(model).network
        with torch.no_grad():
            before, after = (
                network.decide(network.decisions(rows[:, None].float())).argmax(-1)
                for rows in (self.rows, self.feature(self._changed(name)))
            )
        return _accuracy(self.dances.groups).estimate((before == after).numpy())

    def _changed(self, name: str) -> Tensor:
        return CHANGES[name](self.dances, self.feature.sample_rate, self.config.seed)


def _accuracy(groups: Sequence[str]) -> GroupBootstrap:
    return GroupBootstrap(["any"] * len(groups), groups, metric="accuracy")


_WORDS = {
    "read": "accuracy of a reader",
    "moved": "distance / that of another dance",
    "kept": "answers kept",
}


def _cells(row: Mapping[str, Any]) -> tuple[str, ...]:
    measure = _WORDS[row["measure"]] + (f", {row['model']}" if row["model"] else "")
    held = "yes" if row["held"] else "no"
    if row["held"] and not row["interval held"]:
        held = "yes, the interval reaches beyond"
    return (
        row["knowledge"],
        row["claim"],
        measure,
        f"{row['sign']} {row['bound']:g}",
        with_bounds(Interval(**row["value"])),
        held,
    )


def _draw(rows: list[dict[str, Any]], path: Path) -> None:
    """Draw each measure with its interval, and its bound as a line with the predicted side."""
    with svg_figure(path, width=7.6, height=0.24 * len(rows) + 0.7) as figure:
        axes = figure.subplots()
        for place, row in enumerate(rows):
            value, colour = row["value"], COLOURS[0] if row["held"] else COLOURS[1]
            axes.plot([value["low"], value["high"]], [place, place], color=colour)
            axes.plot(value["value"], place, "o", color=colour, ms=4)
            side = ">" if row["sign"] == ">=" else "<"
            axes.plot(row["bound"], place, side, color=COLOURS[-1], ms=6)
        names = [f"{row['claim']} {row['model'].removeprefix('desperf-')}" for row in rows]
        axes.set_yticks(range(len(rows)), names, fontsize=7)
        axes.invert_yaxis()
        axes.set(
            xlabel="measured; grey: predicted side; orange: not as predicted", xlim=(-0.03, 1.6)
        )
        axes.spines[["top", "right"]].set_visible(False)
