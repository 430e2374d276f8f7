"""Durations in ABC: note lengths, broken rhythm and tuplets; the only table of each.

The reader, the writer, the tokeniser and the measure grammar of `otoscope.folk.model` all use these
rules. Times are exact: fractions of a whole note, in `time_elements` whole ticks of one.

For example, with L:1/8, ``(3C>DE`` lasts 2/8: the length 1 of each note is multiplied by 2/3 (three
notes in the time of two), and the broken rhythm moves half of D's length to C: 1/8, 1/24 and 1/12.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from fractions import Fraction
from functools import cache, lru_cache
from typing import NamedTuple

from otoscope.folk.abc.elements import (
    BarLine,
    BrokenRhythm,
    Chord,
    Element,
    InlineField,
    MeasureRest,
    Note,
    Rest,
    Tuplet,
)
from otoscope.folk.abc.errors import NotationError
from otoscope.folk.abc.meter import Meter

__all__ = [
    "LENGTH",
    "TimedElement",
    "broken_factors",
    "default_normal_notes",
    "default_unit",
    "length_text",
    "parse_length",
    "parse_unit",
    "time_elements",
    "tuplet_factor",
]

LENGTH = r"\d+(?:/+\d*)?|/+\d*"
"""Regular expression of a note length: "2", "3/2", "/2", "//"."""

# q of (p when q is not written; for other p it is 3 in compound meters and 2 in simple ones
# (ABC standard 2.1, section 4.13).
_NORMAL_NOTES = {2: 3, 3: 2, 4: 3, 6: 2, 8: 3}

_ONE, _ZERO = Fraction(1), Fraction(0)
_LASTING = {Note, Chord, Rest, MeasureRest}


def default_normal_notes(notes: int, *, is_compound: bool) -> int:
    """Return q of a tuplet ``(p`` without q: p = ``notes`` notes last as long as q normal notes."""
    return _NORMAL_NOTES.get(notes, 3 if is_compound else 2)


@cache
def tuplet_factor(notes: int, normal_notes: int) -> Fraction:
    """Return the factor by which a tuplet ``(p:q`` multiplies written lengths: q / p."""
    return Fraction(normal_notes, notes)


@cache
def broken_factors(sign: str) -> tuple[Fraction, Fraction]:
    """Return the factors of the lengths before and after a broken rhythm sign such as ">>".

    >>> broken_factors(">")
    (Fraction(3, 2), Fraction(1, 2))
    """
    short = Fraction(1, 2 ** len(sign))
    return (2 - short, short) if ">" in sign else (short, 2 - short)


@cache
def parse_length(text: str) -> Fraction | None:
    """Read a note length; "" is 1; None if it is 0, divides by 0 or has more than 6 digits.

    >>> [parse_length(text) for text in ("", "2", "3/2", "/", "//", "/0")]
    [Fraction(1, 1), Fraction(2, 1), Fraction(3, 2), Fraction(1, 2), Fraction(1, 4), None]
    """
    match = re.fullmatch(r"(\d{0,6})(?:(/{1,6})(\d{0,6}))?", text)
    if match is None:
        return None
    number, slashes, divisor = match.groups(default="")
    below = int(divisor) if divisor else 2 ** len(slashes)
    above = int(number or 1)
    return Fraction(above, below) if above and below else None


@lru_cache(maxsize=4096)
def length_text(length: Fraction) -> str:
    """Write a note length, the inverse of `parse_length`: "" for 1, "3", "/2", "3/2"."""
    above = "" if length.numerator == 1 else str(length.numerator)
    return above if length.denominator == 1 else f"{above}/{length.denominator}"


def parse_unit(text: str, *, line: int, column: int) -> Fraction:
    """Read the value of an L: field, in whole notes."""
    match = re.fullmatch(r"\s*(\d{1,3})(?:/(\d{1,3}))?\s*", text)
    if match is None or not int(match[1]) or not int(match[2] or 1):
        raise NotationError(
            f"L: is {text.strip()!r}, needs a fraction such as 1/8",
            reason="unit length",
            line=line,
            column=column,
        )
    return Fraction(int(match[1]), int(match[2] or 1))


def default_unit(meter: Meter) -> Fraction:
    """Return the length of a note without number where no L: field gives it."""
    is_short = meter.length is not None and meter.length < Fraction(3, 4)
    return Fraction(1, 16) if is_short else Fraction(1, 8)


class TimedElement(NamedTuple):
    """An element with its place in time; only notes and rests have a duration.

    ``start`` and ``ticks`` are whole numbers of ticks, of which a whole note has ``unit``: the
    least number that makes all times of the tune whole.

    Examples
    --------
    >>> from otoscope.folk.abc import parse_tune
    >>> timed = parse_tune("L:1/4\\nK:C\\nC>D|").timed_elements[2]
    >>> timed.onset, timed.start, timed.unit
    (Fraction(3, 8), 3, 8)
    """

    element: Element
    start: int
    ticks: int
    unit: int

    @property
    def onset(self) -> Fraction:
        """Onset in whole notes."""
        return Fraction(self.start, self.unit)

    @property
    def duration(self) -> Fraction:
        """Duration in whole notes."""
        return Fraction(self.ticks, self.unit)


def time_elements(elements: Iterable[Element], meter: Meter) -> tuple[TimedElement, ...]:
    """Compute the onset and duration of each element, repeats not played; ``meter`` is M:."""
    elements = list(elements)
    durations = [_ZERO] * len(elements)
    factor, remaining = _ONE, 0  # of the open tuplet: its factor, the number of notes to come
    last, next_factor = 0, _ONE  # of broken rhythm: the index before it, the factor after it
    ratios = {1}  # denominators of the lengths inside chords
    for index, element in enumerate(elements):
        kind = type(element)
        if kind in _LASTING:
            if kind is MeasureRest:
                duration = element.count * (meter.length or _ZERO)  # type: ignore[attr-defined]
            else:
                duration = element.length  # type: ignore[attr-defined]
            if remaining:
                duration, remaining = duration * factor, remaining - 1
            if next_factor is not _ONE:
                duration, next_factor = duration * next_factor, _ONE
            durations[index], last = duration, index
            if isinstance(element, Chord):
                ratios.update(note.length.denominator for note in element.notes)
        elif kind is BarLine:
            continue
        elif isinstance(element, Tuplet):
            factor, remaining = tuplet_factor(element.notes, element.normal_notes), element.count
        elif isinstance(element, BrokenRhythm):
            last_factor, next_factor = broken_factors(element.sign)
            durations[last] *= last_factor
        elif isinstance(element, InlineField) and isinstance(element.value, Meter):
            meter = element.value
    pairs = [duration.as_integer_ratio() for duration in durations]
    divisors = {divisor for _, divisor in pairs}
    unit = math.lcm(*divisors) * math.lcm(*ratios)
    per_tick = {divisor: unit // divisor for divisor in divisors}
    timed, start = [], 0
    for element, (number, divisor) in zip(elements, pairs, strict=True):
        ticks = number * per_tick[divisor]
        timed.append(TimedElement(element, start, ticks, unit))
        start += ticks
    return tuple(timed)
