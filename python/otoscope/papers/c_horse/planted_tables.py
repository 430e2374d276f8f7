"""Tables and figure of the experiment horse-planted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from otoscope.intervene import InterrogationResult
from otoscope.intervene.interrogation.verdict import has_moved
from otoscope.metrics import Interval
from otoscope.papers.c_horse.verdict_rates import verdict_counts
from otoscope.report.figures import COLOURS, ResultTable, svg_figure
from otoscope.report.interrogation.dose_charts import draw_dose_curve
from otoscope.report.numbers import with_bounds

__all__ = ["draw_horses", "horse_tables", "is_score_moved"]

_PANELS = (
    ("a horse, and none", ("tempo horse", "pattern model")),
    ("one net, trained twice", ("deep net, confounded", "deep net, separated")),
)
Row = Mapping[str, Any]


def horse_tables(
    results: Mapping[str, InterrogationResult],
    power: Sequence[Row],
    alarms: Mapping[str, Sequence[Row]],
) -> list[ResultTable]:
    """Systems and their verdicts, how weak a confound is found, and false alarms."""
    systems = ResultTable(
        "Systems under changes of tempo",
        (
            "system",
            "unchanged",
            "tempo alone",
            "worst dose",
            "score there",
            "placebo, worst",
            "deflated–inflated",
            "by placebo",
            "score moves",
            "verdict",
        ),
        tuple(_system(name, one) for name, one in results.items()),
    )
    levels = list(dict.fromkeys(row["confounding"] for row in power))
    of_level = [[row for row in power if row["confounding"] == level] for level in levels]
    powers = ResultTable(
        "How weak a confound is found",
        (
            "confounding",
            "score moves",
            "called a horse",
            "unchanged",
            "tempo alone",
            "worst dose",
            "deflated–inflated",
        ),
        tuple(
            (
                f"{level:g}",
                f"{_n_moved(rows)} of {len(rows)}",
                _count(rows),
                _mean(rows, "unchanged"),
                _mean(rows, "confound"),
                _mean(rows, "worst"),
                f"{_mean(rows, 'deflated')}–{_mean(rows, 'inflated')}",
            )
            for level, rows in zip(levels, of_level, strict=True)
        ),
    )
    false = ResultTable(
        "False alarms",
        ("honest systems", "called a horse", "at most (95 %)", "all verdicts", "unchanged"),
        tuple(
            (
                name,
                _count(rows),
                f"{_most(rows):.1%}",
                verdict_counts(rows),
                _mean(rows, "unchanged"),
            )
            for name, rows in alarms.items()
        ),
    )
    return [systems, powers, false]


def is_score_moved(results: InterrogationResult) -> bool:
    """Whether at some dose the score itself moves, as the verdict has it; not only the answers."""
    return any(has_moved(point, results.max_change) for _, point in results.label_preserving_points)


def draw_horses(
    results: Mapping[str, InterrogationResult], power: Sequence[Row], path: Path
) -> None:
    """Dose curves with their placebos, open, and the power curve."""
    with svg_figure(path, width=9.6, height=2.8) as figure:
        *panels, power_panel = figure.subplots(1, 1 + len(_PANELS))
        for panel, (title, names) in zip(panels, _PANELS, strict=True):
            for name, colour in zip(names, COLOURS, strict=False):
                (curve,) = results[name].curves
                draw_dose_curve(panel, curve, results[name].baseline, colour=colour, label=name)
            panel.set(title=title, xlabel="tempo, %", ylim=(-0.03, 1.03))
        panels[0].set_ylabel("mean recall")
        _draw_power(power_panel, power)
        for panel in (*panels, power_panel):
            panel.spines[["top", "right"]].set_visible(False)
            panel.legend(frameon=False, fontsize=8)


def _draw_power(panel: Any, power: Sequence[Row]) -> None:
    levels = sorted({row["confounding"] for row in power})
    of_level = [[row for row in power if row["confounding"] == level] for level in levels]
    fractions = [_n_moved(rows) / len(rows) for rows in of_level]
    panel.plot(levels, fractions, "o-", color=COLOURS[0], ms=4, label="found: the score moves")
    for place, (name, label) in enumerate(
        (("unchanged", "unchanged"), ("confound", "tempo alone"), ("worst", "at the worst dose")), 1
    ):
        means = [np.mean([row[name] for row in rows]) for rows in of_level]
        panel.plot(levels, means, ".--", color=COLOURS[place], lw=1, label=f"score, {label}")
    panel.set(title="how weak a confound is found", xlabel="confounding", ylim=(-0.03, 1.03))


def _system(name: str, one: InterrogationResult) -> tuple[str, ...]:
    (curve,), (search,) = one.curves, one.searches
    back = max(curve.placebo, key=lambda point: abs(point.change.value))
    return (
        name,
        with_bounds(one.baseline),
        with_bounds(one.confound),
        curve.worst.intervention,
        with_bounds(curve.worst.score),
        f"{back.score.value:.2f}",
        _range(search.deflated, search.inflated),
        _range(search.control_deflated, search.control_inflated),
        "yes" if is_score_moved(one) else "no",
        one.verdict.kind,
    )


def _range(low: Interval | None, high: Interval | None) -> str:
    return "–" if low is None or high is None else f"{low.value:.2f}–{high.value:.2f}"


def _mean(rows: Sequence[Row], name: str) -> str:
    return f"{np.mean([row[name] for row in rows]):.2f}"


def _count(rows: Sequence[Row]) -> str:
    return f"{_n_horses(rows)} of {len(rows)}"


def _most(rows: Sequence[Row]) -> float:
    """Return the upper end of the exact interval of the fraction called a horse."""
    from scipy.stats import binomtest

    return float(binomtest(_n_horses(rows), len(rows)).proportion_ci(0.95).high)


def _n_horses(rows: Sequence[Row]) -> int:
    return sum(row["verdict"] == "horse" for row in rows)


def _n_moved(rows: Sequence[Row]) -> int:
    return sum(row["is_score_moved"] for row in rows)
