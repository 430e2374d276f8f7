"""Measures and parts: the spans between bar lines, and the segments between repeat marks."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction

from otoscope.notation.elements import Bar, Element, Field
from otoscope.notation.meter import Meter
from otoscope.notation.timing import Timed

__all__ = ["HEAVY", "Measure", "Part", "find_measures", "find_parts", "joined"]

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
    >>> from otoscope.notation import Tune
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


def find_measures(timeline: Iterable[Timed], meter: Meter) -> tuple[Measure, ...]:
    """Return the spans between bar lines that last; ``meter`` is the header's."""
    spans: list[tuple[list[Bar], list[Timed]]] = [([], [])]  # bar lines, and what follows them
    sounds = False
    for timed in timeline:
        element = timed.element
        if isinstance(element, Bar) and (element.text or not sounds):
            if sounds:
                spans.append(([], []))
            spans[-1][0].append(element)
            sounds = False
        else:
            spans[-1][1].append(timed)
            sounds = sounds or timed.duration > 0
    bars = [joined(bars) if bars else None for bars, _ in spans] + [None]
    measures: list[Measure] = []
    for index, (_, span) in enumerate(spans):
        elements = tuple(timed.element for timed in span)
        for element in elements:
            if isinstance(element, Field) and isinstance(element.value, Meter):
                meter = element.value
        duration = sum((timed.duration for timed in span if timed.duration), Fraction(0))
        if duration:
            first = elements[0]
            rest = (elements, meter, bars[index], bars[index + 1], first.line, first.column)
            measures.append(Measure(len(measures) + 1, span[0].onset, duration, *rest))
    return tuple(measures)


def find_parts(measures: Sequence[Measure]) -> tuple[Part, ...]:
    """Return the segments: a part ends at a repeat mark, with all its endings."""
    parts: list[Part] = []
    current: list[Measure] = []
    later = False  # in an ending that the first pass does not play
    for measure in measures:
        left = measure.left or Bar("")
        is_next_ending = bool(left.endings) and 1 not in left.endings
        if current and not is_next_ending:
            ends_later = later and left.text in HEAVY
            if left.opens or left.closes or ends_later:
                parts.append(Part(tuple(current)))
                current, later = [], False
        later = later or is_next_ending
        current.append(measure)
    return (*parts, Part(tuple(current))) if current else tuple(parts)


def joined(bars: Sequence[Bar]) -> Bar:
    """Return what several bar lines at one place mean together."""
    closes, opens = any(bar.closes for bar in bars), any(bar.opens for bar in bars)
    heavy = [bar.text for bar in bars if bar.text in HEAVY]
    plain = heavy[0] if heavy else max((bar.text for bar in bars), key=len)
    repeats = {(True, True): "::", (True, False): ":|", (False, True): "|:"}
    ending = ",".join(bar.ending for bar in bars if bar.ending)
    text = repeats.get((closes, opens), plain)
    return Bar(text, ending, line=bars[0].line, column=bars[0].column)
