"""Charts of scores: dose curves, and ranges on one line, all on an axis from 0 to 1.

The page draws the geometry computed here as SVG; figures of experiments draw the same curves with
matplotlib. Positions on the page are percent of the width from the left, of the height from the
top.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from otoscope.intervene.interrogation.result import InterrogationResult
from otoscope.intervene.interrogation.verdict import DoseCurve, DosePoint, SearchResult
from otoscope.metrics import Interval
from otoscope.report.geometry import polyline
from otoscope.report.interrogation.text import curve_text, typeset
from otoscope.report.numbers import Tick, decimals, format_score, ticks

__all__ = [
    "DoseChart",
    "Dot",
    "Range",
    "SearchChart",
    "dose_charts",
    "draw_dose_curve",
    "ranges",
    "search_charts",
]

_EDGE = 5.0  # percent of the width: the outermost dots are drawn whole
_ASIDE = 2.0  # percent of the width from a dose to its placebo
_NO_ORIGIN = ("Hz", "kbit/s", "dB SNR", "bits")  # units in which dose 0 is far from the doses


@dataclass(frozen=True)
class Dot:
    """A score at ``x``, ``y`` with its interval from ``low`` to ``high``.

    ``state`` is "held", "broken" (the score falls by more than the bound), "unchanged" or
    "placebo".
    """

    x: float
    y: float
    low: float
    high: float
    state: str


@dataclass(frozen=True)
class DoseChart:
    """The curve of one intervention, as SVG paths and dots; placebos first, under the doses.

    ``zero`` is the position of dose 0; ``description`` is the chart in words.
    """

    title: str
    unit: str
    is_control: bool
    dots: list[Dot]
    line: str
    placebo: str
    zero: float
    dose_ticks: list[Tick]
    description: str


@dataclass(frozen=True)
class Range:
    """One line: a score (``dot``) and its interval, or the ``span`` between two scores.

    ``span`` is in percent from the left, or None if there is nothing to draw; ``errors`` are the
    intervals of its ends; ``state`` is that of a `Dot`, or "coin" or "system".
    """

    name: str
    note: str
    state: str
    span: tuple[float, float] | None
    dot: float | None
    errors: tuple[tuple[float, float], ...]
    value: str


@dataclass(frozen=True)
class SearchChart:
    """Worst and best of several tries: one line each for system, placebos and a coin."""

    name: str
    tries: str
    rows: list[Range]


def draw_dose_curve(
    axes: Any,
    curve: DoseCurve,
    baseline: Interval,
    *,
    colour: str,
    label: str | None = None,
    marker: str = "o",
    has_placebo: bool = True,
) -> None:
    """Draw a dose curve with its interval band on matplotlib axes; placebos are open circles."""
    scored = _scores_by_dose(curve, baseline)
    doses, scores = [dose for dose, _, _ in scored], [score for _, score, _ in scored]
    low, high = [score.low for score in scores], [score.high for score in scores]
    axes.fill_between(doses, low, high, color=colour, alpha=0.2, lw=0)
    values = [score.value for score in scores]
    axes.plot(doses, values, linestyle="-", marker=marker, color=colour, ms=4, label=label)
    if has_placebo and curve.placebo:
        placebo = [(point.dose, point.score.value) for point in curve.placebo]
        axes.plot(*zip(*placebo, strict=True), "o", mfc="none", mec=colour, ms=5)


def dose_charts(result: InterrogationResult) -> list[DoseChart]:
    """Lay out every curve of two doses or more whose dose 0 is near them."""
    return [_chart(curve, result) for curve in result.curves if _is_drawn(curve)]


def ranges(result: InterrogationResult) -> list[Range]:
    """Lay out every dose of the other curves on a line of its own."""
    return [
        Range(
            name=typeset(point.intervention),
            note=" ".join(
                ["placebo"] * is_placebo + ["positive control"] * (not curve.label_preserving)
            ),
            state="placebo" if is_placebo else _state(point, curve, result),
            span=(100 * point.score.low, 100 * point.score.high),
            dot=100 * point.score.value,
            errors=((100 * point.score.low, 100 * point.score.high),),
            value=format_score(point.score),
        )
        for curve in result.curves
        if not _is_drawn(curve)
        for is_placebo, points in ((False, curve.points), (True, curve.placebo))
        for point in points
    ]


def search_charts(result: InterrogationResult) -> list[SearchChart]:
    """Lay out the worst and the best of several tries, for searches of two tries or more."""
    return [
        SearchChart(search.name, f"{search.tries:,} tries per item", rows)
        for search in result.searches
        if search.tries > 1 and (rows := _search_rows(search))
    ]


def _scores_by_dose(
    curve: DoseCurve, baseline: Interval
) -> list[tuple[float, Interval, DosePoint | None]]:
    """Return doses in rising order with their scores and points; dose 0 is the baseline."""
    scored: list[tuple[float, Interval, DosePoint | None]] = [(0.0, baseline, None)]
    scored += [(point.dose, point.score, point) for point in curve.points]
    return sorted(scored, key=lambda entry: entry[0])


def _is_drawn(curve: DoseCurve) -> bool:
    return len(curve.points) > 1 and curve.unit not in _NO_ORIGIN


def _chart(curve: DoseCurve, result: InterrogationResult) -> DoseChart:
    scored = _scores_by_dose(curve, result.baseline)
    low, high = scored[0][0], scored[-1][0]

    def at(dose: float) -> float:
        return _EDGE + (100 - 2 * _EDGE) * (dose - low) / (high - low)

    placebo = [_dot(at(p.dose) + _ASIDE, p.score, "placebo") for p in curve.placebo]
    doses = [
        _dot(at(dose), score, _state(point, curve, result) if point else "unchanged")
        for dose, score, point in scored
    ]
    marks = ticks(low, high, most=6)
    return DoseChart(
        title=curve.name,
        unit=curve.unit,
        is_control=not curve.label_preserving,
        dots=placebo + doses,
        line=_path(doses),
        placebo=_path(placebo),
        zero=at(0),
        dose_ticks=[
            Tick(_EDGE + (1 - _EDGE / 50) * tick.at, _with_sign(tick.label, low)) for tick in marks
        ],
        description=curve_text(curve, result),
    )


def _dot(x: float, score: Interval, state: str) -> Dot:
    return Dot(x, 100 - 100 * score.value, 100 - 100 * score.low, 100 - 100 * score.high, state)


def _path(dots: Sequence[Dot]) -> str:
    return polyline([d.x for d in dots], [100 - d.y for d in dots]) if len(dots) > 1 else ""


def _state(point: DosePoint, curve: DoseCurve, result: InterrogationResult) -> str:
    is_broken = curve.label_preserving and -point.change.value > result.max_change
    return "broken" if is_broken else "held"


def _with_sign(label: str, low: float) -> str:
    is_positive = low < 0 and label[0] not in "0\N{MINUS SIGN}"
    return f"+{label}" if is_positive else label


def _search_rows(search: SearchResult) -> list[Range]:
    coin = (search.coin_deflated, search.coin_inflated)
    control = (search.control_deflated, search.control_inflated)
    rows = [
        _between("Changed", "system", search.reachable, (search.deflated, search.inflated)),
        _between("Placebo", "placebo", search.control_reachable, control),
        _between("Coin", "coin", None, coin),
    ]
    return [row for row in rows if row is not None]


def _between(
    name: str, state: str, reachable: Interval | None, ends: Sequence[Interval | float | None]
) -> Range | None:
    """Lay out a line from deflated to inflated; None if there was no search."""
    note = f"{decimals(reachable.value, 1)} answers per item" if reachable else ""
    known = [end for end in ends if end is not None]
    values = [end if isinstance(end, float) else end.value for end in known]
    if not values:
        return Range(name, "", state, None, None, (), note) if note else None
    return Range(
        name=name,
        note=note,
        state=state,
        span=(100 * values[0], 100 * values[-1]),
        dot=100 * values[0] if len(values) == 1 else None,
        errors=tuple((100 * e.low, 100 * e.high) for e in known if not isinstance(e, float)),
        value=" – ".join(map(decimals, values)),
    )
