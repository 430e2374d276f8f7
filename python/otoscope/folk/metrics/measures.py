"""Kinds of measures: whether the bars of a tune add up, in the order in which they are played."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import accumulate
from typing import Final, Literal, get_args

from otoscope.folk.abc import BarLine, Measure, Tune

__all__ = ["MEASURE_KINDS", "ClassifiedMeasure", "MeasureKind", "classify_measures"]

MeasureKind = Literal["full", "free", "pickup", "end", "split", "cut", "short", "long"]
MEASURE_KINDS: Final[tuple[MeasureKind, ...]] = get_args(MeasureKind)
"""Kinds from right to wrong."""


@dataclass(frozen=True)
class ClassifiedMeasure:
    """A measure as written, and its kind.

    Parameters
    ----------
    number : int
        Number of the measure, from 1.
    kind : {"full", "free", "pickup", "end", "split", "cut", "short", "long"}
        full: as long as the meter; free: in free meter; pickup: a short first measure; end: a
        short last measure; split: a piece of a bar that a part boundary splits; cut: a piece of a
        bar that a plain bar line cuts in two; short, long: wrong.
    duration, full : Fraction
        Duration of the measure and of a full bar, in whole notes; ``full`` is 0 in free meter.
    meter : str
        Meter in force, as written.
    line, column : int
        Place where the measure begins.
    is_at_part_end : bool
        Whether a part begins or ends with the measure.

    Examples
    --------
    >>> from otoscope.folk.abc import parse_tune
    >>> tune = parse_tune("M:2/4\\nL:1/4\\nK:C\\nC|DE|F|]")
    >>> [measure.kind for measure in classify_measures(tune)]
    ['pickup', 'full', 'end']
    """

    number: int
    kind: MeasureKind
    duration: Fraction
    full: Fraction
    meter: str
    line: int
    column: int
    is_at_part_end: bool

    @property
    def is_wrong(self) -> bool:
        """Whether the measure is too short or too long."""
        return self.kind in ("short", "long")

    @property
    def is_wrong_inside(self) -> bool:
        """Whether the measure is wrong, and not merely short at the end of a part."""
        return self.is_wrong and not (self.kind == "short" and self.is_at_part_end)


def classify_measures(tune: Tune) -> tuple[ClassifiedMeasure, ...]:
    """Classify each measure by its duration.

    Parameters
    ----------
    tune : Tune
        Tune as written.

    Returns
    -------
    tuple of ClassifiedMeasure
        Measures in the order of writing; one that is played several times has its worst kind.

    Notes
    -----
    Repeats and endings are played out. Then every measure must be as long as its meter, except the
    first (pickup) and the last; and at a part boundary (repeat mark, ending, double bar) the last
    measure before and the first after may together make up one bar ("split"). Tokens have no
    double bars, so two short measures that make up one bar are accepted at a plain bar line, too
    ("cut").

    Examples
    --------
    >>> from otoscope.folk.abc import parse_tune
    >>> tune = parse_tune("M:2/4\\nL:1/4\\nK:C\\nC|:DE|F:|G|AB|C|]")
    >>> [measure.kind for measure in classify_measures(tune)]
    ['pickup', 'full', 'short', 'split', 'full', 'end']
    """
    placed = _with_places(tune)
    played = placed.unfolded.measures
    boundaries = _boundaries(placed)
    number_of = {
        id(element): measure.number for measure in placed.measures for element in measure.elements
    }
    kinds: dict[int, MeasureKind] = {}
    for measure, kind in zip(played, _kinds(played, boundaries), strict=True):
        # A played measure is of several written ones if a bar line is not played.
        written = (number_of.get(id(element)) for element in measure.elements)
        for number in {number for number in written if number is not None}:
            kinds[number] = max(kinds.get(number, kind), kind, key=MEASURE_KINDS.index)
    return tuple(
        ClassifiedMeasure(
            measure.number,
            kinds.get(measure.number, "full"),
            measure.duration,
            measure.meter.length or Fraction(0),
            measure.meter.text,
            measure.line,
            measure.column,
            any(bar is None or bar.place in boundaries for bar in (own.left, own.right)),
        )
        for measure, own in zip(tune.measures, placed.measures, strict=True)
    )


def _with_places(tune: Tune) -> Tune:
    """Return the tune if the place of each element is its own, otherwise a copy with such places.

    By the place a bar line of a played measure is found in what is written.
    """
    n = len(tune.elements)
    places = {element.place for element in tune.elements}
    if len(places) == len({id(element) for element in tune.elements}) == n:
        return tune
    elements = tuple(element.at(i, element.column) for i, element in enumerate(tune.elements))
    return replace(tune, elements=elements)


def _kinds(played: Sequence[Measure], boundaries: set[tuple[int, int]]) -> list[MeasureKind]:
    """Classify measures in the order of playing."""
    onsets = [Fraction(0), *accumulate(measure.duration for measure in played)]
    run_end = list(range(1, len(played) + 1))  # index after the measures that boundaries join
    for index in range(len(played) - 2, -1, -1):
        if _is_boundary(played[index], boundaries):
            run_end[index] = run_end[index + 1]
    kinds: list[MeasureKind] = []
    while len(kinds) < len(played):
        first = len(kinds)
        measure = played[first]
        full = measure.meter.length
        if full is None or measure.duration >= full:
            kinds.append("free" if full is None else "full" if measure.duration == full else "long")
            continue
        end = bisect_left(onsets, onsets[first] + full)  # index after the pieces of one bar
        if end <= run_end[first] and onsets[end] == onsets[first] + full:
            kinds += ["split"] * (end - first)
        elif first + 1 < len(played) and measure.duration + played[first + 1].duration == full:
            kinds += ["cut", "cut"]
        elif first == 0:
            kinds.append("pickup")
        else:
            kinds.append("end" if first == len(played) - 1 else "short")
    return kinds


def _is_boundary(measure: Measure, boundaries: set[tuple[int, int]]) -> bool:
    return measure.right is not None and measure.right.place in boundaries


def _boundaries(tune: Tune) -> set[tuple[int, int]]:
    """Return the places of the bar lines between parts; the first stands for several in a row."""
    boundaries: set[tuple[int, int]] = set()
    first = (0, 0)
    for i, element in enumerate(tune.elements):
        if not isinstance(element, BarLine):
            continue
        if i == 0 or not isinstance(tune.elements[i - 1], BarLine):
            first = element.place
        if element.text not in ("|", "") or element.ending:
            boundaries.add(first)
    return boundaries
