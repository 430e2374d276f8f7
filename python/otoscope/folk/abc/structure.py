"""Structure of a tune: measures between bar lines, parts between repeat marks, repeats unfolded."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from otoscope.folk.abc.durations import TimedElement
from otoscope.folk.abc.elements import (
    BarLine,
    Chord,
    Element,
    InlineField,
    MeasureRest,
    Note,
    Rest,
    Tuplet,
    join_bar_lines,
)
from otoscope.folk.abc.errors import NotationError
from otoscope.folk.abc.key import Key
from otoscope.folk.abc.meter import Meter

__all__ = [
    "MOST_ELEMENTS",
    "Measure",
    "Part",
    "check_size",
    "find_measures",
    "find_parts",
    "unfold",
]

MOST_ELEMENTS = 200_000
"""Largest number of elements of an unfolded tune: a hundred times that of a long one."""

_LARGEST_DIVISOR = 10**12  # of the unit in which all onsets are whole numbers


@dataclass(frozen=True)
class Measure:
    """A span between bar lines whose duration is not zero.

    Parameters
    ----------
    number : int
        Position among the measures as written, from 1.
    onset, duration : Fraction
        Exact time in whole notes.
    elements : tuple of Element
        Elements between the bar lines.
    meter : Meter
        Meter in force.
    left, right : BarLine, optional
        Bar lines around the measure, several at one place joined to one; None at the tune's ends.
    line, column : int
        Place of the first element in the text.

    Examples
    --------
    >>> from otoscope.folk.abc import parse_tune
    >>> first, second = parse_tune("M:2/4\\nL:1/4\\nK:C\\n|:C|EF:|").measures
    >>> first.duration, first.left.opens, second.duration, second.right.closes
    (Fraction(1, 4), True, Fraction(1, 2), True)
    """

    number: int
    onset: Fraction
    duration: Fraction
    elements: tuple[Element, ...]
    meter: Meter
    left: BarLine | None
    right: BarLine | None
    line: int
    column: int


@dataclass(frozen=True)
class Part:
    """A segment between repeat marks, with all its endings.

    Parameters
    ----------
    measures : tuple of Measure
        Measures of the part as written.

    Examples
    --------
    >>> from otoscope.folk.abc import parse_tune
    >>> tune = parse_tune("M:2/4\\nL:1/4\\nK:C\\nCD|EF:|GA|1 B2:|2 c2|]")
    >>> [(len(part.measures), part.is_repeated, part.duration) for part in tune.parts]
    [(2, True, Fraction(1, 1)), (3, True, Fraction(1, 1))]
    """

    measures: tuple[Measure, ...]

    @property
    def is_repeated(self) -> bool:
        """Whether a repeat ends in the part."""
        return any(measure.right is not None and measure.right.closes for measure in self.measures)

    @property
    def first_pass(self) -> tuple[Measure, ...]:
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
        """Duration of the first pass, in whole notes."""
        return sum((measure.duration for measure in self.first_pass), Fraction(0))

    @property
    def line(self) -> int:
        """Line where the part begins."""
        return self.measures[0].line

    @property
    def column(self) -> int:
        """Column where the part begins."""
        return self.measures[0].column


def find_measures(timed_elements: Iterable[TimedElement], meter: Meter) -> tuple[Measure, ...]:
    """Find the spans between bar lines whose duration is not zero; ``meter`` is the header's."""
    spans: list[tuple[list[BarLine], list[TimedElement]]] = [([], [])]  # bar lines, then music
    has_duration = False
    for timed in timed_elements:
        element = timed[0]
        if type(element) is BarLine and (element.text or not has_duration):
            if has_duration:
                spans.append(([], []))
            spans[-1][0].append(element)
            has_duration = False
        else:
            spans[-1][1].append(timed)
            has_duration = has_duration or timed[2] > 0
    bar_lines = [join_bar_lines(group) if group else None for group, _ in spans] + [None]
    measures: list[Measure] = []
    for index, (_, span) in enumerate(spans):
        elements = tuple([timed[0] for timed in span])
        for element in elements:
            if type(element) is InlineField and isinstance(element.value, Meter):
                meter = element.value
        ticks = sum([timed[2] for timed in span])
        if ticks:
            duration = Fraction(ticks, span[0].unit)
            place = (elements[0].line, elements[0].column)
            around = (bar_lines[index], bar_lines[index + 1])
            measures.append(
                Measure(
                    len(measures) + 1, span[0].onset, duration, elements, meter, *around, *place
                )
            )
    return tuple(measures)


def find_parts(measures: Sequence[Measure]) -> tuple[Part, ...]:
    """Find the segments between repeat marks: a part ends at one, after all its endings."""
    parts: list[Part] = []
    current: list[Measure] = []
    in_later_ending = False  # in an ending that the first pass does not play
    for measure in measures:
        left = measure.left or BarLine("")
        is_next_ending = bool(left.endings) and 1 not in left.endings
        ends = left.opens or left.closes or (in_later_ending and left.is_heavy)
        if current and ends and not is_next_ending:
            parts.append(Part(tuple(current)))
            current, in_later_ending = [], False
        in_later_ending = in_later_ending or is_next_ending
        current.append(measure)
    return (*parts, Part(tuple(current))) if current else tuple(parts)


def unfold(elements: Sequence[Element], key: Key, meter: Meter) -> tuple[Element, ...]:
    """Play out repeats and endings; only plain bar lines remain.

    A closing mark leads to the last opening mark; without one to the last closing mark, or to the
    beginning. Second and later endings end at the next repeat mark or heavy bar line. The header's
    ``key`` and ``meter`` are restored where a repeat leads to before a change of them. Parts (P:),
    "D.C." and the like are not played.

    The time is proportional to the result, which has at most `MOST_ELEMENTS`.
    """
    elements = _with_joined_bar_lines(elements)
    passes, fields = _passes(elements), _fields_in_force(elements, key, meter)
    played: list[Element] = []
    start, turn, in_later_ending = 0, 1, False  # of the section: its index, the pass from 1
    at = 0
    while at < len(elements):
        element = elements[at]
        at += 1
        if len(played) > MOST_ELEMENTS:
            message = f"the tune, played out, has more than {MOST_ELEMENTS:,} notes and signs"
            raise NotationError(message, reason="size", line=element.line, column=element.column)
        if not isinstance(element, BarLine):
            played.append(element)
            continue
        if element.text and not (played and isinstance(played[-1], BarLine)):
            played.append(BarLine("|", line=element.line, column=element.column))
        if element.closes and turn < passes[start]:
            at, turn, in_later_ending = start, turn + 1, False
            played += fields[start]
        elif (
            element.opens
            or (element.closes and turn not in element.endings)
            or (in_later_ending and not element.ending and element.is_heavy)
        ):
            start, turn, in_later_ending = at, 1, False
        elif element.ending:
            in_later_ending = turn > 1
            if turn not in element.endings:
                at = _end_of_ending(elements, at, turn)
    return tuple(played)


def check_size(elements: Sequence[Element], key: Key, meter: Meter) -> None:
    """Refuse a tune that few characters make too large: by repeats, rests or odd note lengths."""
    of_kind: defaultdict[type[Element], list[Any]] = defaultdict(list)
    lengths: dict[int, Fraction] = {}  # by identity: notes share theirs with those written alike
    for element in elements:
        kind = type(element)
        if kind is Note:
            length = element.length  # type: ignore[attr-defined]
            lengths[id(length)] = length
        else:
            of_kind[kind].append(element)
    bar_lines = {(x.text, x.ending): x for x in of_kind[BarLine]}.values()
    counts = [max(*x.repeats, *x.endings, 1) for x in bar_lines]
    rests = sum(x.count for x in of_kind[MeasureRest])
    if (len(elements) + rests) * (1 + max(counts, default=0)) > MOST_ELEMENTS:
        n_played = len(unfold(elements, key, meter))
        if n_played + rests > MOST_ELEMENTS:
            message = (
                f"rests of {rests:,} measures came, needs at most {MOST_ELEMENTS - n_played:,}"
            )
            raise NotationError(message, reason="size", line=elements[0].line)
    meters = [meter, *(x.value for x in of_kind[InlineField] if isinstance(x.value, Meter))]
    chords = of_kind[Chord]
    lasting = [*of_kind[Rest], *chords, *(x for y in chords for x in y.notes)]
    divisors = {x.length.denominator for x in lasting}
    divisors |= {length.denominator for length in lengths.values()}
    divisors |= {x.length.denominator for x in meters if x.length}
    divisors |= {x.notes for x in of_kind[Tuplet]}
    if math.lcm(*divisors) > _LARGEST_DIVISOR:
        message = f"note lengths have no common unit of at least 1/{_LARGEST_DIVISOR:.0e} note"
        raise NotationError(message, reason="size", line=elements[0].line)


def _with_joined_bar_lines(elements: Sequence[Element]) -> list[Element]:
    """Join consecutive bar lines: ":| |2" acts as ":|2"."""
    result: list[Element] = []
    for element in elements:
        if isinstance(element, BarLine) and result and isinstance(result[-1], BarLine):
            result[-1] = join_bar_lines([result[-1], element])
        else:
            result.append(element)
    return result


def _passes(elements: Sequence[Element]) -> list[int]:
    """Return how often a section that begins at each index is played, at least twice."""
    passes = [2] * (len(elements) + 1)
    for index in range(len(elements) - 1, -1, -1):
        element = elements[index]
        passes[index] = passes[index + 1]
        if isinstance(element, BarLine):
            closing, opening = element.repeats
            passes[index + 1] = max(passes[index + 1], opening + 1)
            is_end = element.opens or (element.closes and not element.ending)
            passes[index] = max(2 if is_end else passes[index + 1], closing + 1, *element.endings)
    return passes


def _end_of_ending(elements: Sequence[Element], at: int, turn: int) -> int:
    """Return the index after an ending that this pass does not play."""
    for index in range(at, len(elements)):
        element = elements[index]
        if isinstance(element, BarLine):
            if turn in element.endings:
                return index + 1
            if element.opens or (element.closes and not element.ending):
                return index
    return len(elements)


def _fields_in_force(
    elements: Sequence[Element], key: Key, meter: Meter
) -> list[tuple[InlineField, ...]]:
    """Return the fields that restore key and meter at each index; none if the tune changes none."""
    changed = {x.letter for x in elements if isinstance(x, InlineField) and x.letter in "KM"}
    fields = {"K": InlineField("K", key), "M": InlineField("M", meter)}
    fields = {letter: fields[letter] for letter in sorted(changed)}
    in_force, restored = [], tuple(fields.values())
    for element in elements:
        in_force.append(restored)
        if isinstance(element, InlineField) and element.letter in fields:
            fields[element.letter] = element
            restored = tuple(fields.values())
    return [*in_force, restored]
