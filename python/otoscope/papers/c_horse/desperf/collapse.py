"""Interrogate DeSPerF on tempo, trained where tempo reveals the dance, and where it does not.

Five trainings on each version of a corpus are tested on other artists: score at each change of
tempo beside the placebo, best and worst answer among these changes, and tempo and timbre alone. A
regulated bootstrap estimates what knowing the artist is worth.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from otoscope.errors import ParameterError
from otoscope.intervene.statistics.regulated import Indices, Predict, RegulatedBootstrap
from otoscope.metrics import Interval
from otoscope.papers.c_horse.desperf.dances import (
    CORPORA,
    DanceParts,
    DanceSizes,
    answering,
    baselines,
    check_seeds,
    interrogated,
    seeds_text,
    settings_of,
    summary,
    trained,
)
from otoscope.papers.c_horse.stretched_dances import HeardDances
from otoscope.papers.c_horse.verdict_rates import verdict_counts
from otoscope.papers.runs import rows_of_songs, rows_with, write_run
from otoscope.progress import Progress, silent
from otoscope.report.figures import COLOURS, ResultTable, svg_figure
from otoscope.report.numbers import with_bounds

__all__ = ["HorseDesperfConfig", "horse_desperf"]

Row = Mapping[str, Any]
_SYSTEM_COLUMNS = {
    "unchanged": "unchanged",
    "at the worst dose": "worst",
    "at the worst placebo": "placebo, worst",
    "deflated": "deflated",
    "inflated": "inflated",
    "deflated by placebo": "by placebo, deflated",
    "inflated by placebo": "by placebo, inflated",
    "answers moved": "moved",
}


@dataclass(frozen=True)
class HorseDesperfConfig:
    """Corpora and number of trainings of the experiment.

    Parameters
    ----------
    sizes : DanceSizes
        Sizes of the corpora.
    seeds : int
        Number of trainings on each version of the corpus, >= 1; claims need 5.
    iterations : int
        Number of trainings of the regulated bootstrap, >= 1.
    dances : Path, optional
        Folder of the features of the dances, which experiments of the same sizes and seed share.
        Default: a folder in that of the results.
    seed : int
        Random seed.

    Examples
    --------
    >>> HorseDesperfConfig.quick().seeds
    1
    """

    sizes: DanceSizes = field(default_factory=DanceSizes)
    seeds: int = 5
    iterations: int = 12
    dances: Path | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        check_seeds(self.seeds)
        if self.iterations < 1:
            raise ParameterError(f"iterations is {self.iterations}, must be >= 1")

    @classmethod
    def quick(cls) -> HorseDesperfConfig:
        """Return a small version: three styles, one training on each version."""
        return cls(sizes=DanceSizes.quick(), seeds=1, iterations=3)


def horse_desperf(
    config: HorseDesperfConfig, out: Path, *, progress: Progress = silent
) -> list[ResultTable]:
    """Run the experiment: write its record and its figure.

    ``out`` gets ``horse_desperf.json`` (configuration, tables, the numbers of each training) and
    ``horse_desperf.svg``. Returns tables of the corpora, the systems and the artists' effect.

    References
    ----------
    Sturm (2016) :cite:`sturm2016horse`; Rodríguez-Algarra et al. (2019) :cite:`rodriguez2019`.
    """
    parts = DanceParts(config, out, progress)
    tasks = [(kind, name, 0) for kind in ("corpus", "artists") for name in CORPORA]
    tasks += [("training", name, seed) for name in CORPORA for seed in range(config.seeds)]
    rows = rows_of_songs(
        out,
        "horse_desperf",
        settings_of(config),
        [" ".join(map(str, task)) for task in tasks],
        lambda index: _row(parts, config, *tasks[index]),
        progress=progress,
        shown="trainings",
    )
    trainings = {name: rows_with(rows, kind="training", corpus=name) for name in CORPORA}
    tables = _tables(rows, trainings)
    _draw(trainings, out / "horse_desperf.svg")
    write_run(out, "horse_desperf", config, tables, rows, {})
    return tables


def _row(
    parts: DanceParts, config: HorseDesperfConfig, kind: str, name: str, seed: int
) -> dict[str, Any]:
    """Compute one row: the baselines of a corpus, the artists' effect, or a training."""
    about = {"kind": kind, "corpus": name}
    if kind == "artists":
        return about | _regulated(parts.known(name), config, parts.progress)
    tested = parts.tested(name)
    if kind == "corpus":
        n_artists = len(np.unique(tested.artist))
        counts = {"clips": len(tested.style), "artists": n_artists}
        return about | counts | baselines(tested, seed=config.seed)
    system = trained(parts.known(name), config.sizes, seed=config.seed + seed)
    result = interrogated(answering(system), tested, config.sizes, seed=config.seed)
    return about | {"training": seed} | summary(result)


def _regulated(
    known: HeardDances, config: HorseDesperfConfig, progress: Progress
) -> dict[str, Any]:
    """Train on draws of the clips; test on artists that are known, and that are new."""
    features = known.features["periodicity"][:, 0]

    def train(items: Indices) -> Predict:
        answers = answering(trained(known, config.sizes, seed=config.seed, clips=items))
        return lambda tested, condition: answers(features[tested])

    n_new = max(1, config.sizes.artists // 5) * config.sizes.clips
    bootstrap = RegulatedBootstrap(known.style.tolist(), known.artist.tolist(), n_new)
    result = bootstrap.run(train, iterations=config.iterations, seed=config.seed, progress=progress)
    scores = dict(zip(("known", "new"), result.scores(), strict=True))
    return {**scores, "effect": result.effect()}


def _tables(rows: Sequence[Row], trainings: Mapping[str, Sequence[Row]]) -> list[ResultTable]:
    corpora, artists, systems = [], [], []
    for name in CORPORA:
        (about,) = rows_with(rows, kind="corpus", corpus=name)
        (effect,) = rows_with(rows, kind="artists", corpus=name)
        counts = str(about["clips"]), str(about["artists"])
        corpora.append((name, *counts, _text(about["tempo"]), _text(about["timbre"])))
        artists.append((name, *(_text(effect[part]) for part in ("known", "new", "effect"))))
        cells = [
            seeds_text([row[key]["value"] for row in trainings[name]])
            for key in _SYSTEM_COLUMNS.values()
        ]
        systems.append((name, *cells, verdict_counts(trainings[name])))
    n_seeds = len(trainings["confounded"])
    return [
        ResultTable(
            "Corpora that are tested: what tempo and timbre alone score",
            ("corpus", "clips", "artists", "tempo alone", "timbre alone"),
            tuple(corpora),
        ),
        ResultTable(
            f"DeSPerF under changes of tempo, means of {n_seeds} trainings",
            ("corpus", *_SYSTEM_COLUMNS, "verdicts"),
            tuple(systems),
        ),
        ResultTable(
            "Regulated bootstrap: what knowing the artist is worth",
            ("corpus", "artists known", "artists new", "difference"),
            tuple(artists),
        ),
    ]


def _text(interval: Row) -> str:
    return with_bounds(Interval(**interval))


def _draw(trainings: Mapping[str, Sequence[Row]], path: Path) -> None:
    """Draw the dose curve of each training, and the range from worst to best answers."""
    with svg_figure(path, width=8.4, height=2.8) as figure:
        curves, ranges = figure.subplots(1, 2, width_ratios=(3, 2))
        for place, (name, rows) in enumerate(trainings.items()):
            colour = COLOURS[place]
            for number, row in enumerate(rows):
                points = [(point["dose"], point["score"]["value"]) for point in row["curve"]]
                points = sorted([*points, (0.0, row["unchanged"]["value"])])
                label = name if number == 0 else None
                curves.plot(*zip(*points, strict=True), "-", color=colour, lw=1, label=label)
                back = [(point["dose"], point["score"]["value"]) for point in row["placebo"]]
                curves.plot(*zip(*back, strict=True), "o", mfc="none", mec=colour, ms=4)
                for shift, prefix, width in ((0, "", 4), (0.35, "by placebo, ", 1.5)):
                    low, high = (row[f"{prefix}{end}"]["value"] for end in ("deflated", "inflated"))
                    at = place + shift + 0.05 * number
                    ranges.plot([at, at], [low, high], color=colour, lw=width)
        curves.set(xlabel="tempo, %; open: placebo", ylabel="mean recall", ylim=(-0.03, 1.03))
        curves.legend(frameon=False, fontsize=8)
        ranges.set(ylim=(-0.03, 1.03), title="worst to best answer; thin: placebo")
        ranges.set_xticks(range(len(trainings)), list(trainings))
        for panel in (curves, ranges):
            panel.spines[["top", "right"]].set_visible(False)
