"""Measurements set by hand, for tests of the verdict and of its sentences."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from otoscope.intervene import ChanceLevel, DoseCurve, DosePoint, InterrogationResult, SearchResult
from otoscope.intervene.interrogation.verdict import Evidence, decide
from otoscope.metrics import Interval


def about(value: float, spread: float = 0.03) -> Interval:
    return Interval(value, value - spread, value + spread, 0.95)


def point(dose: float, change: float, spread: float = 0.03, p: float | None = 1e-6) -> DosePoint:
    return DosePoint(
        intervention=f"tempo {dose:+g} %",
        dose=dose,
        score=about(0.7 + change),
        change=about(change, spread),
        gained=3,
        lost=7,
        moved=about(0.1),
        p=p,
        p_holm=p,
    )


def curve(*changes: float, name: str = "tempo", **settings: Any) -> DoseCurve:
    """Make a curve at doses -2, 2 (or -3, -1, 1, 3 and so on) with these changes of the score."""
    of_points = {"spread": settings.pop("spread", 0.03), "p": settings.pop("p", 1e-6)}
    doses = [i - len(changes) / 2 + (i >= len(changes) / 2) for i in range(len(changes))]
    points = tuple(point(2 * d, c, **of_points) for d, c in zip(doses, changes, strict=True))
    return replace(DoseCurve(name, "%", True, points, (), None), **settings)


def search(inflated: float, deflated: float, **settings: Any) -> SearchResult:
    made = SearchResult("tempo", 6, about(inflated), about(deflated), about(2))
    return replace(made, **settings)


def evidence(*curves: DoseCurve, **settings: Any) -> Evidence:
    made = Evidence(
        baseline=about(0.7),
        chance=ChanceLevel(0.1, 0.05, 0.15, 0.0005),
        confound=None,
        curves=curves,
        searches=(),
        n_groups=200,
        max_change=0.05,
    )
    return replace(made, **settings)


def result(measured: Evidence) -> InterrogationResult:
    """Make the result of an interrogation with these measurements and their verdict."""
    return InterrogationResult(
        metric="mean_recall",
        classes=("a", "b"),
        has_labels=measured.chance is not None,
        items=(),
        baseline=measured.baseline,
        chance=measured.chance,
        confound=measured.confound,
        curves=measured.curves,
        searches=measured.searches,
        flips=(),
        pairs=(),
        verdict=decide(measured),
        max_change=measured.max_change,
        duration=None,
        settings={},
    )


STILL = curve(0.01, -0.01, p=1.0)
HORSE = curve(-0.3, -0.2)
