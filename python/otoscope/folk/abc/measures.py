"""Measures and parts: the spans between bar lines, and the segments between repeat marks."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

from otoscope.folk.abc.elements import Bar, Element
from otoscope.folk.abc.meter import Meter

__all__ = ["HEAVY", "Measure", "Part"]

HEAVY = ("||", "|]", "[|")  # bar lines that end a later ending


@dataclass(frozen=True)
class Measure:
    """A span between bar lines that lasts.

    Parameters
    ----------
    number : int
        From 1, as written.
    onset, duration : Fraction
        In whole notes, exact.
    elements : tuple of Element
        What is between the bar lines.
    meter : Meter
        The meter in force.
    left, right : Bar, optional
        The bar lines around it, several at one place joined to one; None at the tune's ends.
    line, column : int
        Where its first element was read.

    Examples
    --------
    >>> from otoscope.folk.abc import Tune
    >>> first, second = Tune.from_abc("M:2/4\\nL:1/4\\nK:C\\n|:C|EF:|").measures
    >>> first.duration, first.left.opens, second.duration, second.right.closes
    (Fraction(1, 4), True, Fraction(1, 2), True)
    """

    number: int
    onset: Fraction
    duration: Fraction
    elements: tuple[Element, ...]
    meter: Meter
    left: Bar | None
    right: Bar | None
    line: int
    column: int


@dataclass(frozen=True)
class Part:
    """A segment between repeat marks.

    Examples
    --------
    >>> from otoscope.folk.abc import Tune
    >>> tune = Tune.from_abc("M:2/4\\nL:1/4\\nK:C\\nCD|EF:|GA|1 B2:|2 c2|]")
    >>> [(len(part.measures), part.is_repeated, part.duration) for part in tune.parts]
    [(2, True, Fraction(1, 1)), (3, True, Fraction(1, 1))]
    """

    measures: tuple[Measure, ...]

    @property
    def is_repeated(self) -> bool:
        """Whether a repeat ends in it."""
        return any(measure.right is not None and measure.right.closes for measure in self.measures)

    @property
    def once(self) -> tuple[Measure, ...]:
        """The measures of the first pass: without second endings."""
        passes: tuple[int, ...] = ()
        measures = []
        for measure in self.measures:
            if measure.left is not None and measure.left.endings:
                passes = measure.left.endings
            if not passes or 1 in passes:
                measures.append(measure)
        return tuple(measures)

    @property
    def duration(self) -> Fraction:
        """Duration of the first pass in whole notes."""
        return sum((measure.duration for measure in self.once), Fraction(0))

    @property
    def line(self) -> int:
        """Line where it begins."""
        return self.measures[0].line

    @property
    def column(self) -> int:
        """Column where it begins."""
        return self.measures[0].column
