"""Take DeSPerF apart: what maximises its outputs, which periodicities carry its answers, and where.

Trained on dances whose tempo reveals the style, and on dances whose tempo does not, as
`otoscope.papers.c_horse.desperf.collapse` does it. Other classifiers take the net's place on its
feature.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import reduce
from operator import getitem
from pathlib import Path
from typing import Any, cast

import numpy as np

from otoscope.papers.c_horse.desperf.dances import (
    CORPORA,
    FEATURE,
    DanceParts,
    DanceSizes,
    answering,
    check_seeds,
    interrogated,
    seeds_text,
    settings_of,
    summary,
    trained,
)
from otoscope.papers.c_horse.desperf.dissect_parts import (
    BANDS,
    CLASSIFIERS,
    bands,
    classifier,
    explained,
    layers,
    maximised,
)
from otoscope.papers.runs import rows_of_songs, rows_with, write_run
from otoscope.progress import Progress, silent
from otoscope.report.figures import COLOURS, ResultTable, svg_figure
from otoscope.report.numbers import percent

__all__ = ["HorseDissectConfig", "horse_dissect"]

Row = Mapping[str, Any]


@dataclass(frozen=True)
class HorseDissectConfig:
    """Corpora and number of trainings of the experiment.

    Parameters
    ----------
    sizes : DanceSizes
        Sizes of the corpora.
    seeds : int
        Number of trainings on each version of the corpus, >= 1; claims need 5.
    dances : Path, optional
        Folder of the features of the dances, which experiments of the same sizes and seed share.
        Default: a folder in that of the results.
    seed : int
        Random seed.

    Examples
    --------
    >>> HorseDissectConfig().seeds
    5
    """

    sizes: DanceSizes = field(default_factory=DanceSizes)
    seeds: int = 5
    dances: Path | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        check_seeds(self.seeds)

    @classmethod
    def quick(cls) -> HorseDissectConfig:
        """Return a small version: three styles, one training on each version."""
        return cls(sizes=DanceSizes.quick(), seeds=1)


def horse_dissect(
    config: HorseDissectConfig, out: Path, *, progress: Progress = silent
) -> list[ResultTable]:
    """Run the experiment: write its record and its figure.

    ``out`` gets ``horse_dissect.json`` (configuration, tables, the numbers of each training) and
    ``horse_dissect.svg``. Returns tables of the maximised features, bands, layers, classifiers, and
    of the answers that tempo explains.

    References
    ----------
    Sturm (2016) :cite:`sturm2016horse`.
    """
    parts = DanceParts(config, out, progress)
    tasks = [("net", name, str(seed)) for name in CORPORA for seed in range(config.seeds)]
    tasks += [("classifier", name, other) for name in CORPORA for other in CLASSIFIERS]
    rows = rows_of_songs(
        out,
        "horse_dissect",
        settings_of(config),
        [" ".join(task) for task in tasks],
        lambda index: _row(parts, config, *tasks[index]),
        progress=progress,
        shown="systems",
    )
    nets = {name: rows_with(rows, kind="net", corpus=name) for name in CORPORA}
    tables = [*_tables(nets), _swapped(rows, nets)]
    _draw(nets, out / "horse_dissect.svg")
    write_run(out, "horse_dissect", config, tables, rows, {})
    return tables


def _row(
    parts: DanceParts, config: HorseDissectConfig, kind: str, name: str, which: str
) -> dict[str, Any]:
    """Dissect a net, or interrogate another classifier of its feature."""
    sizes, known, tested = config.sizes, parts.known(name), parts.tested(name)
    row: dict[str, Any] = {"kind": kind, "corpus": name, "system": which}
    if kind == "classifier":
        features = known.features["periodicity"][:, 0]
        answers = classifier(which, features, known.style, seed=config.seed)
    else:
        system = trained(known, sizes, seed=config.seed + int(which))
        answers = answering(system)
        row |= {
            "maximised": maximised(system, parts.tested("separated")),
            "bands": bands(answers, tested),
            "layers": layers(system, known, tested),
            "explained": explained(answers, known, tested, sizes),
        }
    return row | summary(interrogated(answers, tested, sizes, seed=config.seed))


def _over(rows: Sequence[Row], *path: str | int, is_fraction: bool = True) -> str:
    """Write the mean over trainings of the number that keys and places lead to."""
    values = [reduce(getitem, path, cast(Any, row)) for row in rows]
    return seeds_text(values, bounds=(0.0, 1.0) if is_fraction else (-math.inf, math.inf))


def _tables(nets: Mapping[str, Sequence[Row]]) -> list[ResultTable]:
    found, by_band, by_layer, by_tempo = [], [], [], []
    for name, rows in nets.items():
        one = rows[0]
        shares = [
            seeds_text([np.mean([own[key] for own in row["maximised"]]) for row in rows])
            for key in ("of its tempo", "by chance, tempo", "of its style", "by chance, style")
        ]
        found.append((name, *shares))
        for place, (low, high) in enumerate(BANDS):
            parts = [_over(rows, "bands", place, part, "value") for part in ("alone", "without")]
            by_band.append((name, f"{low:g}–{high:g} Hz", *parts))
        for place, layer in enumerate(one["layers"]):
            numbers = [
                _over(rows, "layers", place, part, is_fraction=False)
                for part in ("moved", "placebo", "tempo_r2", "style")
            ]
            by_layer.append((name, layer["layer"], *numbers))
        agreed = _over(rows, "explained", "agreement", "value")
        chance = _over(rows, "explained", "by chance")
        changed = sum(row["explained"]["changed"] for row in rows)
        predicted = sum(row["explained"]["changed, predicted"] for row in rows)
        share = percent(predicted / changed) if changed else "–"
        by_tempo.append((name, agreed, chance, str(changed), share))
    n_seeds = len(next(iter(nets.values())))
    return [
        ResultTable(
            "Features that maximise an output: the most similar clips of any tempo",
            ("corpus", "of the output's tempo", "by chance", "of its style", "by chance"),
            tuple(found),
        ),
        ResultTable(
            f"Mean recall by bands of the feature, means of {n_seeds} trainings",
            ("corpus", "repetitions per second", "this band alone", "all but this band"),
            tuple(by_band),
        ),
        ResultTable(
            "Layers: how far the greatest tempo change moves them, and what a linear model reads",
            ("corpus", "layer", "moved", "placebo", "tempo, R2", "style, accuracy"),
            tuple(by_layer),
        ),
        ResultTable(
            "Answers that tempo alone predicts",
            ("corpus", "agreement", "by chance", "answers changed", "of these, predicted"),
            tuple(by_tempo),
        ),
    ]


def _swapped(rows: Sequence[Row], nets: Mapping[str, Sequence[Row]]) -> ResultTable:
    """Systems on one feature, the net first."""
    keys = ("unchanged", "worst", "placebo, worst", "deflated", "inflated")
    cells = []
    for name in CORPORA:
        systems = {"net": nets[name]}
        systems |= {row["system"]: [row] for row in rows_with(rows, kind="classifier", corpus=name)}
        for system, own in systems.items():
            numbers = [_over(own, key, "value") for key in keys]
            cells.append((name, system, *numbers))
    columns = ("unchanged", "at the worst dose", "at the worst placebo", "deflated", "inflated")
    return ResultTable(
        "Classifiers of one feature", ("corpus", "classifier", *columns), tuple(cells)
    )


def _draw(nets: Mapping[str, Sequence[Row]], path: Path) -> None:
    """Draw maximised features over the lag, and the score by bands."""
    with svg_figure(path, width=9.6, height=4.2) as figure:
        panels = figure.subplots(2, 2, width_ratios=(3, 2))
        for place, (name, rows) in enumerate(nets.items()):
            maxima, by_band = panels[place]
            for shift, own in enumerate(rows[0]["maximised"]):
                feature = np.array(own["feature"])
                lags = np.arange(len(feature)) * FEATURE.hop_length / FEATURE.sample_rate
                maxima.plot(lags, 6 * shift + feature, color=COLOURS[place], lw=0.7)
                maxima.text(4.05, 6 * shift, own["style"], fontsize=7, va="center")
            maxima.set(title=f"features of the largest outputs, {name}", xlabel="lag, s", yticks=[])
            for number, part in enumerate(("alone", "without")):
                means = [
                    np.mean([row["bands"][band][part]["value"] for row in rows])
                    for band in range(len(BANDS))
                ]
                at = np.arange(len(BANDS)) + 0.4 * number - 0.2
                colour = COLOURS[place] if part == "alone" else COLOURS[-1]
                by_band.bar(at, means, 0.4, color=colour, label=part)
            by_band.set(ylim=(0, 1.03), ylabel="mean recall", xlabel="repetitions per second, Hz")
            labels = [f"{low:g}–{high:g}" for low, high in BANDS]
            by_band.set_xticks(range(len(BANDS)), labels, fontsize=7)
            by_band.legend(frameon=False, fontsize=8)
            for panel in (maxima, by_band):
                panel.spines[["top", "right"]].set_visible(False)
