"""Scores drawn: curves over doses, and ranges on one line, all on the axis from 0 to 1.

Places are percent: of the width from the left, of the height from the top.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from otoscope.intervene.interrogation.result import Curve, Interrogated, Point, Search
from otoscope.metrics import Interval
from otoscope.report.geometry import Tick, polyline, ticks
from otoscope.report.interrogation_words import in_words, spoken, typeset
from otoscope.report.numbers import decimals

__all__ = ["Chart", "Dot", "Range", "charts", "ranges", "searches"]

_EDGE = 5.0  # percent of the width, so that the outermost dots are whole
_ASIDE = 2.0  # a placebo stands beside its dose
_NOT_FROM_NONE = ("Hz", "kbit/s", "dB SNR", "bits")  # units in which a small dose is much, or 0 far


@dataclass(frozen=True)
class Dot:
    """A score: where it stands, where its interval ends, and what it is.

    Parameters
    ----------
    x, y : float
        Of the score.
    low, high : float
        Its interval, as ``y``.
    state : {"held", "broken", "unchanged", "placebo"}
        "broken": it falls by more than the bound.
    """

    x: float
    y: float
    low: float
    high: float
    state: str


@dataclass(frozen=True)
class Chart:
    """The curve of one intervention.

    Parameters
    ----------
    title : str
        Its name.
    unit : str
        Of the dose.
    is_control : bool
        A positive control: answers should move.
    dots : list of Dot
        Placebos first, so that doses are drawn over them.
    line, placebo : str
        Paths through doses and unchanged items, and through placebos.
    zero : float
        Where the dose is 0.
    dose_ticks : list of Tick
        Of the axis.
    spoken : str
        All of it in words.
    """

    title: str
    unit: str
    is_control: bool
    dots: list[Dot]
    line: str
    placebo: str
    zero: float
    dose_ticks: list[Tick]
    spoken: str


@dataclass(frozen=True)
class Range:
    """One line: a score and its interval, or what lies between two scores.

    Parameters
    ----------
    name : str
        What it is of.
    note : str
        What follows it, small.
    state : str
        As a `Dot`'s, or "coin", "system".
    span : (float, float), optional
        Percent from the left; None where there is nothing to draw.
    dot : float, optional
        A score within the span.
    errors : tuple of (float, float)
        Intervals of the ends.
    value : str
        In words.
    """

    name: str
    note: str
    state: str
    span: tuple[float, float] | None
    dot: float | None
    errors: tuple[tuple[float, float], ...]
    value: str


def charts(found: Interrogated) -> list[Chart]:
    """Draw every curve of two doses or more that begins at no change."""
    return [_chart(curve, found) for curve in found.curves if _is_drawn(curve)]


def ranges(found: Interrogated) -> list[Range]:
    """Put every other dose on a line of its own."""
    return [
        Range(
            name=typeset(point.intervention),
            note=" ".join(["placebo"] * is_placebo + ["should move it"] * (not curve.irrelevant)),
            state="placebo" if is_placebo else _state(point, curve, found),
            span=(100 * point.score.low, 100 * point.score.high),
            dot=100 * point.score.value,
            errors=((100 * point.score.low, 100 * point.score.high),),
            value=in_words(point.score),
        )
        for curve in found.curves
        if not _is_drawn(curve)
        for is_placebo, points in ((False, curve.points), (True, curve.placebo))
        for point in points
    ]


def searches(found: Interrogated) -> list[tuple[str, str, list[Range]]]:
    """Put the worst and the best of several tries on a line: system, as many placebos, a coin.

    Returns
    -------
    list of (str, str, list of Range)
        Name of the search, its tries in words, and its lines.
    """
    return [
        (search.name, f"{search.tries:,} tries an item", lines)
        for search in found.searches
        if search.tries > 1 and (lines := _lines_of(search))
    ]


def _is_drawn(curve: Curve) -> bool:
    return len(curve.points) > 1 and curve.unit not in _NOT_FROM_NONE


def _chart(curve: Curve, found: Interrogated) -> Chart:
    doses = [0.0, *(point.dose for point in curve.points)]
    low, high = min(doses), max(doses)

    def at(dose: float) -> float:
        return _EDGE + (100 - 2 * _EDGE) * (dose - low) / (high - low)

    dots = [_dot(at(p.dose) + _ASIDE, p.score, "placebo") for p in curve.placebo]
    answers = [_dot(at(p.dose), p.score, _state(p, curve, found)) for p in curve.points]
    answers.append(_dot(at(0), found.baseline, "unchanged"))
    answers.sort(key=lambda dot: dot.x)
    marks = ticks(low, high, most=6)
    return Chart(
        title=curve.name,
        unit=curve.unit,
        is_control=not curve.irrelevant,
        dots=dots + answers,
        line=_path(answers),
        placebo=_path(dots),
        zero=at(0),
        dose_ticks=[
            Tick(_EDGE + (1 - _EDGE / 50) * tick.at, _with_sign(tick.label, low)) for tick in marks
        ],
        spoken=spoken(curve, found),
    )


def _dot(x: float, score: Interval, state: str) -> Dot:
    return Dot(x, 100 - 100 * score.value, 100 - 100 * score.low, 100 - 100 * score.high, state)


def _path(dots: Sequence[Dot]) -> str:
    return polyline([d.x for d in dots], [100 - d.y for d in dots]) if len(dots) > 1 else ""


def _state(point: Point, curve: Curve, found: Interrogated) -> str:
    is_broken = curve.irrelevant and -point.change.value > found.max_change
    return "broken" if is_broken else "held"


def _with_sign(label: str, low: float) -> str:
    is_positive = low < 0 and label[0] not in "0\N{MINUS SIGN}"
    return f"+{label}" if is_positive else label


def _lines_of(search: Search) -> list[Range]:
    coin = (search.coin_deflated, search.coin_inflated)
    control = (search.control_deflated, search.control_inflated)
    lines = [
        _between("Changed", "system", search.reachable, (search.deflated, search.inflated)),
        _between("Placebo", "placebo", search.control_reachable, control),
        _between("Coin", "coin", None, coin),
    ]
    return [line for line in lines if line is not None]


def _between(
    name: str, state: str, reachable: Interval | None, ends: Sequence[Interval | float | None]
) -> Range | None:
    """From deflated to inflated; None where nothing was searched for."""
    note = f"{decimals(reachable.value, 1)} answers an item" if reachable else ""
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
