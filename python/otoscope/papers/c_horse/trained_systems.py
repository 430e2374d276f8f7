"""Test the verdicts on trained systems, each with artists and a seed of its own.

An honest system, the pattern model on dances of separated tempi, should be cleared; a horse, linear
discriminant analysis of periodicities on dances with tempi of their own, should be found. Clips are
rendered and really stretched, and no setting of the interrogation was chosen on them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from otoscope.data import DanceRecipe
from otoscope.data.synthesis.styles import STYLES
from otoscope.errors import ParameterError
from otoscope.intervene.statistics.power import measure_noise
from otoscope.papers.c_horse.planted_systems import (
    FEATURES,
    HONEST,
    HORSE,
    SR,
    PlantedSystem,
    interrogate_dances,
    trained,
)
from otoscope.papers.c_horse.stretched_dances import HeardDances, hear_dances
from otoscope.papers.c_horse.verdict_rates import rate_row
from otoscope.papers.runs import rows_of_songs, write_run
from otoscope.progress import Progress, silent
from otoscope.report.figures import ResultTable

__all__ = ["HorseTrainedConfig", "horse_trained"]

_KINDS = {"honest": HONEST, "horse": HORSE}


@dataclass(frozen=True)
class HorseTrainedConfig:
    """Number of systems, and the dances that each is trained and interrogated on.

    Parameters
    ----------
    n_systems : int
        Number of honest systems and of horses, >= 1.
    styles : tuple of str
        Styles of the dances.
    train_artists, train_clips : int
        Number of artists per style that a system is trained on, >= 2, and of clips per artist.
    test_artists, test_clips : int
        Number of other artists per style whose clips are interrogated, >= 2, and of their clips.
    seconds : float
        Analysed duration in seconds, >= 4.5.
    doses : tuple of float
        Tempo changes in percent, each with its placebo.
    seed : int
        Random seed of the first system; each has its own. 500 and 1000 chose the size.

    Examples
    --------
    >>> HorseTrainedConfig.quick().n_systems
    1
    """

    n_systems: int = 20
    styles: tuple[str, ...] = tuple(STYLES)
    train_artists: int = 40
    train_clips: int = 4
    test_artists: int = 20
    test_clips: int = 3
    seconds: float = 10.0
    doses: tuple[float, ...] = (-6.0, 6.0)
    seed: int = 1004

    def __post_init__(self) -> None:
        if not self.doses or 0 in self.doses:
            raise ParameterError(f"doses are {self.doses}; need one or more, none of them 0")
        if not self.seconds >= 4.5:
            raise ParameterError(f"seconds is {self.seconds}, must be >= 4.5, for lags of 4 s")
        least = {"n_systems": 1, "train_artists": 2, "test_artists": 2}
        for name, low in {**least, "train_clips": 1, "test_clips": 1}.items():
            if getattr(self, name) < low:
                raise ParameterError(f"{name} is {getattr(self, name)}, must be >= {low}")

    @classmethod
    def quick(cls) -> HorseTrainedConfig:
        """Return a small version: one system of each kind, on three styles."""
        return cls(
            n_systems=1,
            styles=("Samba", "ChaChaCha", "Tango"),
            train_artists=6,
            train_clips=2,
            test_artists=4,
            test_clips=2,
            seconds=5.0,
        )


def horse_trained(
    config: HorseTrainedConfig, out: Path, *, progress: Progress = silent
) -> list[ResultTable]:
    """Train and interrogate systems: write ``horse_trained.json``, resumable system by system.

    References
    ----------
    Sturm (2016) :cite:`sturm2016horse`.
    """
    names = [f"{kind} {i}" for i in range(config.n_systems) for kind in _KINDS]
    rows = rows_of_songs(
        out,
        "horse_trained",
        {**vars(config), "n_systems": None},
        names,
        lambda index: _row(names[index], config),
        progress=progress,
        shown="systems",
    )
    tables = trained_tables(rows)
    write_run(out, "horse_trained", config, tables, rows, {})
    return tables


def trained_tables(rows: Sequence[dict[str, Any]]) -> list[ResultTable]:
    """Count the verdicts, and average what simulations need."""
    rates = ResultTable(
        "Verdicts on trained systems",
        ("systems", "cleared", "undecided", "horse"),
        tuple(
            rate_row(kind, [row["verdict"] for row in rows if row["kind"] == kind])
            for kind in _KINDS
        ),
    )
    honest = [row for row in rows if row["kind"] == "honest"]
    columns = ("unchanged", "placebo", "dose", "flips", "correlation", "group_correlation")
    means = (f"{np.mean([row[name] for row in honest]):.3f}" for name in columns)
    return [rates, ResultTable("Answers of honest systems, means", columns, (tuple(means),))]


def _row(name: str, config: HorseTrainedConfig) -> dict[str, Any]:
    """Render, train and interrogate one system."""
    kind, number = name.split()
    system = _KINDS[kind]
    seed = config.seed + 4 * int(number) + 2 * (kind == "horse")
    train = _dances(system, config, seed, config.train_artists, config.train_clips, ())
    test = _dances(system, config, seed + 1, config.test_artists, config.test_clips, config.doses)
    predict = trained(system, train, seed=seed)
    features = test.features[system.hears]
    result = interrogate_dances(predict, features, test, config.doses, seed=seed)
    answers = np.array([predict(rows) for rows in features.transpose(0, 1)]).T
    right = answers == test.style[:, None]
    n = len(config.doses)
    dose, placebo = right[:, 1 : n + 1], right[:, n + 2 :]
    differences = dose.astype(int) - placebo
    noise = measure_noise(differences, test.artist) if differences.any() else None
    (curve,) = result.curves
    return {
        "kind": kind,
        "verdict": result.verdict.kind,
        "rule": result.verdict.rule,
        "unchanged": float(right[:, 0].mean()),
        "placebo": float(placebo.mean()),
        "dose": float(dose.mean()),
        "flips": noise.flips if noise else 0.0,
        "correlation": noise.correlation if noise else 0.0,
        "group_correlation": _group_correlation(right, test.artist),
        "n_items_needed": result.verdict.n_items_needed,
        "changes": [point.change.value for point in curve.points],
        "against_placebo": [point.effect.value for point in curve.points],
        "right": ["".join("01"[int(one)] for one in column) for column in right.T],
    }


def _dances(
    system: PlantedSystem,
    config: HorseTrainedConfig,
    seed: int,
    n_artists: int,
    n_clips: int,
    doses: tuple[float, ...],
) -> HeardDances:
    recipe = DanceRecipe(styles=config.styles, n_groups=n_artists, seconds=config.seconds, sr=SR)
    return hear_dances(
        len(config.styles) * n_artists * n_clips,
        seed,
        replace(recipe, band="drums"),
        {system.hears: FEATURES[system.hears]},
        doses=doses,
        confoundings=(system.confounding,),
        progress=silent,
    ).version(0)


def _group_correlation(right: Any, groups: Any) -> float:
    """Return the correlation of wrong answers in a group, each beside the mean of its condition."""
    centred = right - right.mean(0)
    if not centred.any():
        return 0.0
    codes = np.unique(groups, return_inverse=True)[1]
    totals = np.stack([np.bincount(codes, column) for column in centred.T], 1)
    possible = ((np.bincount(codes)[codes] - 1)[:, None] * centred**2).sum()
    if not possible:
        return 0.0
    return float(np.clip(((totals**2).sum() - (centred**2).sum()) / possible, 0, 1))
