"""Written note values: durations as types with dots, those of tuplets as ratios."""

from __future__ import annotations

from fractions import Fraction
from typing import NamedTuple

from otoscope.errors import ParameterError

__all__ = ["Value", "note_values", "tuplet_of"]

_MOST_DOTS = 3
_LONGEST, _SHORTEST = 2, -10  # log2 of whole notes
_TYPES = {2: "long", 1: "breve", 0: "whole", -1: "half", -2: "quarter", -3: "eighth"}
_TYPES |= {-k: f"{2**k}{'nd' if k == 5 else 'th'}" for k in range(4, 11)}


class Value(NamedTuple):
    """A note value: MusicXML's type, dots, and duration in whole notes outside of tuplets."""

    type: str
    dots: int
    duration: Fraction


def tuplet_of(duration: Fraction) -> tuple[int, int]:
    """Return actual and normal notes of the tuplet in which a duration is written; (1, 1) if none.

    The odd part of the denominator counts the notes, the power of 2 below it their normal number.

    >>> tuplet_of(Fraction(1, 12)), tuplet_of(Fraction(3, 20)), tuplet_of(Fraction(3, 8))
    ((3, 2), (5, 4), (1, 1))
    """
    actual = duration.denominator
    while actual % 2 == 0:
        actual //= 2
    return actual, 1 << (actual.bit_length() - 1)


def note_values(written: Fraction) -> list[Value]:
    """Divide a written duration, a fraction with a power of 2 below, into values to be tied.

    >>> [value[:2] for value in note_values(Fraction(5, 8))]
    [('half', 0), ('eighth', 0)]
    >>> [value[:2] for value in note_values(Fraction(7, 16))]
    [('quarter', 2)]

    Raises
    ------
    ParameterError
        If a value is below the 1/1024 note, the shortest of MusicXML.
    """
    values: list[Value] = []
    while written:
        top = written.numerator.bit_length() - written.denominator.bit_length()
        if top < _SHORTEST:
            raise ParameterError(
                f"a note value is {written} of a whole note; MusicXML has none below 1/1024"
            )
        top, dots = min(top, _LONGEST), 0
        duration = unit = Fraction(2) ** top
        while dots < _MOST_DOTS and duration + unit / 2 <= written:
            unit /= 2
            duration, dots = duration + unit, dots + 1
        values.append(Value(_TYPES[top], dots, duration))
        written -= duration
    return values
