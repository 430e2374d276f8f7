"""Repair DeSPerF: train it again with other tempi, and interrogate it on artists never met before.

The fault was found on artists of `otoscope.papers.c_horse.desperf.collapse`; neither these nor
those of its training occur here. Trainings on confounded dances differ in one thing: the clips
alone, the clips with tempo changes, or the clips with as many placebos of these.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from otoscope.errors import ParameterError
from otoscope.intervene.statistics.bootstrap import GroupBootstrap
from otoscope.papers.c_horse.desperf.dances import (
    DanceParts,
    DanceSizes,
    answering,
    check_seeds,
    interrogated,
    over_seeds,
    seeds_text,
    settings_of,
    summary,
    trained,
)
from otoscope.papers.c_horse.verdict_rates import verdict_counts
from otoscope.papers.runs import rows_of_songs, rows_with, write_run
from otoscope.progress import Progress, silent
from otoscope.report.figures import COLOURS, ResultTable, svg_figure
from otoscope.report.numbers import signed

__all__ = ["HorseRepairConfig", "horse_repair"]

Row = Mapping[str, Any]
_ARMS = ("plain", "tempo", "placebo")
_NUMBERS = {
    "unchanged": "unchanged",
    "at the worst dose": "worst",
    "deflated": "deflated",
    "inflated": "inflated",
    "answers moved": "moved",
    "all tempi, unchanged": "separated",
}


@dataclass(frozen=True)
class HorseRepairConfig:
    """Corpora, augmentation and number of trainings of the experiment.

    Parameters
    ----------
    sizes : DanceSizes
        Sizes of the corpora.
    augmentation : tuple of float
        Tempo changes of the clips that are trained on, in percent.
    seeds : int
        Number of trainings of each kind, >= 1; claims need 5.
    dances : Path, optional
        Folder of the features of the dances, which experiments of the same sizes and seed share.
        Default: a folder in that of the results.
    seed : int
        Random seed.

    Examples
    --------
    >>> HorseRepairConfig().augmentation
    (-20.0, -10.0, 10.0, 20.0)
    """

    sizes: DanceSizes = field(default_factory=lambda: DanceSizes(artists=12, clips=4))
    augmentation: tuple[float, ...] = (-20.0, -10.0, 10.0, 20.0)
    seeds: int = 5
    dances: Path | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        check_seeds(self.seeds)
        if not self.augmentation or 0 in self.augmentation:
            raise ParameterError(
                f"augmentation is {self.augmentation}; need one change or more, none of them 0"
            )

    @classmethod
    def quick(cls) -> HorseRepairConfig:
        """Return a small version: three styles, two changes, two trainings of each kind."""
        sizes = replace(DanceSizes.quick(), clips=3)
        return cls(sizes=sizes, augmentation=(-16.0, 16.0), seeds=2)


def horse_repair(
    config: HorseRepairConfig, out: Path, *, progress: Progress = silent
) -> list[ResultTable]:
    """Run the experiment: write its record and its figure.

    ``out`` gets ``horse_repair.json`` (configuration, tables, the numbers of each training) and
    ``horse_repair.svg``. Returns tables of the trainings, and of their paired differences.

    References
    ----------
    Sturm (2016) :cite:`sturm2016horse`.
    """
    parts = DanceParts(
        config,
        out,
        progress,
        train_part="repair train",
        test_part="repair test",
        train_doses=config.augmentation,
        train_versions=("confounded",),
    )
    tasks = [(arm, seed) for seed in range(config.seeds) for arm in _ARMS]
    rows = rows_of_songs(
        out,
        "horse_repair",
        settings_of(config),
        [f"{arm} {seed}" for arm, seed in tasks],
        lambda index: _row(parts, config, *tasks[index]),
        progress=progress,
        shown="trainings",
    )
    arms = {arm: rows_with(rows, arm=arm) for arm in _ARMS}
    tables = [_table(arms), _differences(arms)]
    _draw(arms, out / "horse_repair.svg")
    write_run(out, "horse_repair", config, tables, rows, {})
    return tables


def _row(parts: DanceParts, config: HorseRepairConfig, arm: str, seed: int) -> dict[str, Any]:
    """Train a system in one of the ways, and interrogate it."""
    n_changes = len(config.augmentation)
    renderings = {
        "plain": range(1),
        "tempo": range(n_changes + 1),
        "placebo": range(n_changes + 1, 2 * n_changes + 2),
    }[arm]
    known = parts.known("confounded")
    answers = answering(
        trained(known, config.sizes, seed=config.seed + seed, renderings=renderings)
    )
    tested, others = parts.tested("confounded"), parts.tested("separated")
    result = interrogated(answers, tested, config.sizes, seed=config.seed)
    scores = GroupBootstrap(others.style.tolist(), others.artist.tolist(), seed=config.seed)
    right = np.array(answers(others.features["periodicity"][:, 0])) == others.style
    about = {"arm": arm, "training": seed, "tempo alone": result.confound}
    return about | summary(result) | {"separated": scores.estimate(right)}


def _values(rows: Sequence[Row], key: str) -> list[float]:
    return [row[key]["value"] for row in rows]


def _table(arms: Mapping[str, Sequence[Row]]) -> ResultTable:
    cells = []
    for arm, rows in arms.items():
        numbers = [seeds_text(_values(rows, key)) for key in _NUMBERS.values()]
        cells.append((arm, *numbers, verdict_counts(rows)))
    return ResultTable(
        f"DeSPerF trained in three ways, means of {len(arms['plain'])} trainings",
        ("training", *_NUMBERS, "verdicts"),
        tuple(cells),
    )


def _differences(arms: Mapping[str, Sequence[Row]]) -> ResultTable:
    """Differences of trainings of the same seed."""
    cells = []
    for arm, other in (("tempo", "plain"), ("tempo", "placebo"), ("placebo", "plain")):
        numbers = []
        for key in _NUMBERS.values():
            pairs = zip(_values(arms[arm], key), _values(arms[other], key), strict=True)
            change = over_seeds([after - before for after, before in pairs])
            bounds = ", ".join(signed(bound) for bound in (change.low, change.high))
            numbers.append(f"{signed(change.value)} [{bounds}]")
        cells.append((f"{arm} less {other}", *numbers))
    return ResultTable("Differences, paired by seed", ("trainings", *_NUMBERS), tuple(cells))


def _draw(arms: Mapping[str, Sequence[Row]], path: Path) -> None:
    """Draw the dose curves of each training, and scores where all styles have all tempi."""
    with svg_figure(path, width=8.4, height=2.8) as figure:
        curves, points = figure.subplots(1, 2, width_ratios=(3, 2))
        for place, (arm, rows) in enumerate(arms.items()):
            colour = COLOURS[place]
            for number, row in enumerate(rows):
                curve = [(point["dose"], point["score"]["value"]) for point in row["curve"]]
                curve = sorted([*curve, (0.0, row["unchanged"]["value"])])
                label = arm if number == 0 else None
                curves.plot(*zip(*curve, strict=True), "-", color=colour, lw=1, label=label)
            for shift, key in enumerate(("deflated", "inflated", "separated")):
                values = _values(rows, key)
                at = shift + 0.2 * place - 0.2
                points.plot([at] * len(values), values, "o", color=colour, ms=3, mfc="none")
        curves.set(xlabel="tempo, %", ylabel="mean recall", ylim=(-0.03, 1.03))
        curves.legend(frameon=False, fontsize=8)
        points.set(ylim=(-0.03, 1.03))
        points.set_xticks(range(3), ["deflated", "inflated", "all tempi"])
        for panel in (curves, points):
            panel.spines[["top", "right"]].set_visible(False)
