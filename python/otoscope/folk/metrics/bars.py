"""Whether the bars of a tune add up, in the order in which they are played."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Final, Literal

from otoscope.folk.abc import BarLine, Measure, Tune

__all__ = ["MEASURE_KINDS", "JudgedMeasure", "MeasureKind", "judge_measures"]

MeasureKind = Literal["full", "free", "pickup", "end", "split", "cut", "short", "long"]
MEASURE_KINDS: Final[tuple[MeasureKind, ...]] = (
    "full",
    "free",
    "pickup",
    "end",
    "split",
    "cut",
    "short",
    "long",
)


@dataclass(frozen=True)
class JudgedMeasure:
    """A measure as written, and what kind it is.

    Parameters
    ----------
    number : int
        From 1, as written.
    kind : {"full", "free", "pickup", "end", "split", "cut", "short", "long"}
        As long as the meter says; in free meter; a short first one; a short last one; a piece of a
        bar that a part's boundary splits, or that a plain bar line cuts in two; wrong: too short,
        or too long.
    duration, due : Fraction
        How long it is and how long a bar is, in whole notes; ``due`` is 0 in free meter.
    meter : str
        The meter in force, as written.
    line, column : int
        Where it begins.

    Examples
    --------
    >>> tune = parse_tune("M:2/4\\nL:1/4\\nK:C\\nC|DE|F|]")
    >>> [measure.kind for measure in judge_measures(tune)]
    ['pickup', 'full', 'end']
    """

    number: int
    kind: MeasureKind
    duration: Fraction
    due: Fraction
    meter: str
    line: int
    column: int

    @property
    def is_wrong(self) -> bool:
        """Whether it is too short or too long."""
        return self.kind in ("short", "long")


def judge_measures(tune: Tune) -> tuple[JudgedMeasure, ...]:
    """Tell of each measure whether it is as long as it must be.

    Parameters
    ----------
    tune : Tune
        As written.

    Returns
    -------
    tuple of JudgedMeasure
        In the order of writing; of a measure that is played several times, the worst.

    Notes
    -----
    Repeats and endings are played out. Then every measure must be as long as its meter, except the
    first (a pickup) and the last; and at the boundary of a part (repeat mark, ending, double bar)
    the last measure before and the first after may together make up one bar. Tokens have no double
    bars, so two short measures that make up one bar are accepted at a plain bar line, too, and
    counted by themselves.

    Examples
    --------
    >>> tune = parse_tune("M:2/4\\nL:1/4\\nK:C\\nC|:DE|F:|G|AB|C|]")
    >>> [measure.kind for measure in judge_measures(tune)]
    ['pickup', 'full', 'short', 'split', 'full', 'end']
    """
    # Played measures know which written one they are by the number of their first element.
    numbered = tuple(replace(element, line=i) for i, element in enumerate(tune.elements))
    played = replace(tune, elements=numbered).unfolded.measures
    boundaries = _boundaries(tune)
    number_of = {
        id(element): measure.number for measure in tune.measures for element in measure.elements
    }
    kinds: dict[int, MeasureKind] = {}
    for measure, kind in zip(played, _kinds(played, boundaries), strict=True):
        for element in measure.elements:  # one of several written, where a bar line is not played
            number = number_of.get(id(tune.elements[element.line]))
            if number is not None:
                kinds[number] = max(kinds.get(number, kind), kind, key=MEASURE_KINDS.index)
    return tuple(
        JudgedMeasure(
            measure.number,
            kinds.get(measure.number, "full"),
            measure.duration,
            measure.meter.length or Fraction(0),
            measure.meter.text,
            measure.line,
            measure.column,
        )
        for measure in tune.measures
    )


def _kinds(played: Sequence[Measure], boundaries: set[int]) -> list[MeasureKind]:
    """Judge measures in the order of playing."""
    kinds: list[MeasureKind] = []
    while len(kinds) < len(played):
        first = len(kinds)
        measure = played[first]
        due = measure.meter.length
        if due is None or measure.duration >= due:
            kinds.append("free" if due is None else "full" if measure.duration == due else "long")
            continue
        end, total = first + 1, measure.duration  # pieces that boundaries lie between
        while end < len(played) and total < due and _is_boundary(played[end - 1], boundaries):
            total += played[end].duration
            end += 1
        if total == due:
            kinds += ["split"] * (end - first)
        elif first + 1 < len(played) and measure.duration + played[first + 1].duration == due:
            kinds += ["cut", "cut"]
        elif first == 0:
            kinds.append("pickup")
        else:
            kinds.append("end" if first == len(played) - 1 else "short")
    return kinds


def _is_boundary(measure: Measure, boundaries: set[int]) -> bool:
    return measure.right is not None and measure.right.line in boundaries


def _boundaries(tune: Tune) -> set[int]:
    """Numbers of the bar lines at which parts meet; the first stands for several at one place."""
    found: set[int] = set()
    first = 0
    for i, element in enumerate(tune.elements):
        if not isinstance(element, BarLine):
            continue
        if i == 0 or not isinstance(tune.elements[i - 1], BarLine):
            first = i
        if element.text not in ("|", "") or element.ending:
            found.add(first)
    return found
