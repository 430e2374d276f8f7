"""Test whether the regulated bootstrap finds the effect of artists planted in synthetic data.

Items of a class carry the mark of the class in some columns, and the mark of their artist in
others. A nearest neighbour knows the artists of its training. The true effect is measured on many
worlds of new artists, without a bootstrap over artists; intervals of the method must contain it.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from otoscope import records
from otoscope.errors import ParameterError
from otoscope.intervene.statistics.regulated import RegulatedBootstrap
from otoscope.metrics import Interval
from otoscope.papers.output import write_record
from otoscope.progress import Progress, silent, tracked
from otoscope.report.figures import ResultTable, svg_figure
from otoscope.report.numbers import percent

__all__ = ["RegulatedBootstrapConfig", "regulated_bootstrap"]

_CONDITIONS = ("as it is", "artist silenced")
_COLUMNS = 4  # of an artist's mark


@dataclass(frozen=True)
class RegulatedBootstrapConfig:
    """Corpora of the experiment.

    Parameters
    ----------
    strengths : tuple of float
        Strengths of an artist's mark; the noise on each column has strength 1, a class's mark 2.
    runs : int
        Number of corpora per strength, >= 1.
    iterations : int
        Number of systems trained on each corpus, >= 1.
    n_classes : int
        Number of classes, >= 2.
    n_artists : int
        Number of artists per class, >= 3.
    n_items : int
        Number of items per artist, >= 2.
    worlds : int
        Number of worlds that the true effect is the mean of, >= 1.
    seed : int
        Random seed.

    Examples
    --------
    >>> RegulatedBootstrapConfig.quick().runs
    4
    """

    strengths: tuple[float, ...] = (0.0, 0.5, 1.0, 2.0)
    runs: int = 100
    iterations: int = 40
    n_classes: int = 4
    n_artists: int = 10
    n_items: int = 10
    worlds: int = 1000
    seed: int = 0

    def __post_init__(self) -> None:
        least = {"runs": 1, "iterations": 1, "worlds": 1}
        least |= {"n_classes": 2, "n_artists": 3, "n_items": 2}
        for name, low in least.items():
            if getattr(self, name) < low:
                raise ParameterError(f"{name} is {getattr(self, name)}, must be >= {low}")
        if not self.strengths or min(self.strengths) < 0:
            raise ParameterError(f"strengths are {self.strengths}; need one or more, all >= 0")

    @classmethod
    def quick(cls) -> RegulatedBootstrapConfig:
        """Return a small version: few runs at two strengths."""
        return cls(strengths=(0.0, 2.0), runs=4, iterations=30, worlds=100)


@dataclass(frozen=True, eq=False)
class _Corpus:
    features: NDArray[np.float64]
    label: NDArray[np.str_]
    artist: NDArray[np.str_]


def regulated_bootstrap(
    config: RegulatedBootstrapConfig, out: Path, *, progress: Progress = silent
) -> list[ResultTable]:
    """Run the experiment: write its record and its figure.

    ``out`` gets ``regulated_bootstrap.json`` (configuration, tables, every interval) and
    ``regulated_bootstrap.svg``. Returns tables of how often intervals contain the true effect.

    References
    ----------
    Rodríguez-Algarra et al. (2019) :cite:`rodriguez2019`.
    """
    began = time.monotonic()
    out.mkdir(parents=True, exist_ok=True)
    rows = list[dict[str, Any]]()
    for i, strength in enumerate(config.strengths):
        world = np.random.default_rng((config.seed, i, 0))
        truth = _truth(config, strength, world)
        found = []
        runs = range(config.runs)
        for run in tracked(progress, runs, f"artists of strength {strength:g}"):
            rng = np.random.default_rng((config.seed, i, 1 + run))
            found.append(_intervals(config, strength, rng))
        rows.append({"strength": strength, "truth": truth, "found": found})
    tables = [_coverage(rows, quantity) for quantity in ("effect", "interaction")]
    record = {
        "settings": config,
        "seconds": round(time.monotonic() - began),
        "versions": records.versions(),
        "tables": tables,
        "coverage": {q: [_shares(row, q)["holds"] for row in rows] for q in rows[0]["truth"]},
        "rows": rows,
    }
    write_record(out / "regulated_bootstrap.json", record)
    _draw(rows, out / "regulated_bootstrap.svg")
    return tables


def _corpus(
    config: RegulatedBootstrapConfig, strength: float, n_artists: int, rng: np.random.Generator
) -> _Corpus:
    """Draw artists, who are never the same, and their items."""
    classes = np.repeat(np.arange(config.n_classes), n_artists * config.n_items)
    artists = np.repeat(np.arange(config.n_classes * n_artists), config.n_items)
    marks = strength * rng.normal(size=(config.n_classes * n_artists, _COLUMNS))
    means = np.hstack([2 * np.eye(config.n_classes)[classes], marks[artists]])
    features = means + rng.normal(size=means.shape)
    return _Corpus(features, classes.astype(str), artists.astype(str))


def _trained(
    features: NDArray[np.float64], label: NDArray[np.str_]
) -> Callable[[NDArray[np.float64], str], NDArray[np.str_]]:
    """Fit a nearest neighbour, which is asked under a condition."""
    from sklearn.neighbors import KNeighborsClassifier

    model = KNeighborsClassifier(1).fit(features, label)

    def answers(tested: NDArray[np.float64], condition: str) -> NDArray[np.str_]:
        silent = (np.arange(tested.shape[1]) >= tested.shape[1] - _COLUMNS) & (
            condition == "artist silenced"
        )
        return cast(NDArray[np.str_], model.predict(np.where(silent, 0, tested)))

    return answers


def _truth(
    config: RegulatedBootstrapConfig, strength: float, rng: np.random.Generator
) -> dict[str, float]:
    """Return effect and interaction, from worlds whose artists come once: one per class is new."""
    effects = np.zeros((config.worlds, len(_CONDITIONS)))
    for world in range(config.worlds):
        known = _corpus(config, strength, config.n_artists - 1, rng)
        new = _corpus(config, strength, config.n_artists, rng)
        size = (config.n_artists - 1) * config.n_items
        drawn = np.concatenate(
            [rng.integers(size, size=size) + size * one for one in range(config.n_classes)]
        )
        left = np.setdiff1d(np.arange(len(known.label)), drawn)
        answers = _trained(known.features[drawn], known.label[drawn])
        for i, condition in enumerate(_CONDITIONS):
            of_known = answers(known.features[left], condition) == known.label[left]
            of_new = answers(new.features, condition) == new.label
            recalls = [of_known[known.label[left] == one].mean() for one in set(known.label)]
            effects[world, i] = np.mean(recalls) - of_new.mean()
    as_it_is, silenced = effects.mean(0).tolist()
    return {"effect": as_it_is, "interaction": silenced - as_it_is}


def _intervals(
    config: RegulatedBootstrapConfig, strength: float, rng: np.random.Generator
) -> dict[str, Interval]:
    """Return the intervals of the method on one corpus."""
    corpus = _corpus(config, strength, config.n_artists, rng)

    def train(items: NDArray[np.intp]) -> Callable[[NDArray[np.intp], str], list[str]]:
        answers = _trained(corpus.features[items], corpus.label[items])
        return lambda tested, condition: answers(corpus.features[tested], condition).tolist()

    found = RegulatedBootstrap(
        corpus.label.tolist(), corpus.artist.tolist(), n_regulated=config.n_items
    ).run(
        train,
        iterations=config.iterations,
        conditions=_CONDITIONS,
        seed=int(rng.integers(2**32)),
    )
    return {"effect": found.effect(), "interaction": found.interaction(_CONDITIONS[1])}


def _shares(row: dict[str, Any], quantity: str) -> dict[str, float]:
    """Return the fractions of intervals that contain the truth and exclude 0, and their means."""
    truth = row["truth"][quantity]
    found = [one[quantity] for one in row["found"]]
    return {
        "holds": float(np.mean([one.low <= truth <= one.high for one in found])),
        "finds": float(np.mean([not one.low <= 0 <= one.high for one in found])),
        "value": float(np.mean([one.value for one in found])),
        "width": float(np.mean([one.high - one.low for one in found])),
    }


def _coverage(rows: list[dict[str, Any]], quantity: str) -> ResultTable:
    cells = []
    for row in rows:
        shares = _shares(row, quantity)
        cells.append(
            (
                f"{row['strength']:g}",
                f"{row['truth'][quantity]:.3f}",
                f"{shares['value']:.3f}",
                f"{shares['width']:.3f}",
                percent(shares["holds"]),
                percent(shares["finds"]),
            )
        )
    titles = {
        "effect": "Effect of knowing the artist",
        "interaction": "Change of that effect when the artist's mark is silenced",
    }
    columns = ("strength", "truth", "estimate", "width", "interval holds the truth", "leaves out 0")
    return ResultTable(titles[quantity], columns, tuple(cells))


def _draw(rows: list[dict[str, Any]], path: Path) -> None:
    """Draw every interval, by its value, and the truth: one panel per strength."""
    with svg_figure(path, width=2.4 * len(rows), height=2.7) as figure:
        axes = figure.subplots(1, len(rows), sharey=True, squeeze=False)[0]
        for axis, row in zip(axes, rows, strict=True):
            estimates = sorted((run["effect"] for run in row["found"]), key=lambda i: i.value)
            runs, truth = range(len(estimates)), row["truth"]["effect"]
            lows, highs = [i.low for i in estimates], [i.high for i in estimates]
            axis.vlines(runs, lows, highs, "#1f6fb5")
            axis.axhline(truth, color="#d98a1f", linestyle="--", label=f"truth {truth:.3f}")
            axis.set(title=f"strength {row['strength']:g}", xlabel="corpus", xticks=[])
            axis.spines[["top", "right"]].set_visible(False)
            axis.legend(frameon=False, fontsize=8)
        axes[0].set_ylabel("effect of knowing the artist")
