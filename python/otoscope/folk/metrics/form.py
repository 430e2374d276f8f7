"""The parts of a tune, and its form: AABB is two repeated parts of eight bars."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from string import ascii_uppercase

from otoscope.folk.abc import Part, Tune

__all__ = ["PartShape", "form", "is_aabb", "part_shapes"]

_BARS = 8


@dataclass(frozen=True)
class PartShape:
    """A part.

    Parameters
    ----------
    bars : float
        Its length, endings after the first left away, in bars; a pickup counts as what it lasts.
        NaN in free meter.
    is_repeated : bool
        Whether it ends with a repeat mark.
    line, column : int
        Where it begins.

    Examples
    --------
    >>> part_shapes(parse_tune("M:2/4\\nL:1/4\\nK:C\\nC|:DE|F:|"))[0].bars
    1.5
    """

    bars: float
    is_repeated: bool
    line: int
    column: int


def part_shapes(tune: Tune) -> tuple[PartShape, ...]:
    """Return the segments at repeat marks.

    Parameters
    ----------
    tune : Tune
        As written.

    Returns
    -------
    tuple of PartShape
        In the order of writing. A pickup before the first repeat mark is no part.

    Examples
    --------
    >>> len(part_shapes(parse_tune("M:2/4\\nL:1/4\\nK:C\\nC|:DE|F:|GA|B|]")))
    2
    """
    return tuple(
        PartShape(float(part.duration / length) if length else float("nan"), *_where(part))
        for part, length in ((part, part.measures[0].meter.length) for part in tune.parts)
        if part.is_repeated or length is None or part.duration >= length
    )


def form(parts: tuple[PartShape, ...]) -> str:
    """Name parts by letters, repeated ones twice: "AABB"; of more than six, the number.

    Parameters
    ----------
    parts : tuple of PartShape
        Of a tune.

    Returns
    -------
    str
        Parts that sound the same have different letters all the same.

    Examples
    --------
    >>> form((PartShape(8, True, 1, 1), PartShape(16, False, 2, 1)))
    'AAB'
    """
    if len(parts) > 6:
        return f"{len(parts)} parts"
    letters = zip(ascii_uppercase, parts, strict=False)
    return "".join(letter * (1 + part.is_repeated) for letter, part in letters)


def is_aabb(parts: tuple[PartShape, ...]) -> bool:
    """Whether there are two parts, both repeated, each of eight bars give or take half a bar.

    Parameters
    ----------
    parts : tuple of PartShape
        Of a tune.

    Returns
    -------
    bool
        Half a bar is for pickups.

    Examples
    --------
    >>> is_aabb((PartShape(7.875, True, 1, 1), PartShape(8.0, True, 2, 1)))
    True
    """
    half = Fraction(1, 2)
    return len(parts) == 2 and all(p.is_repeated and abs(p.bars - _BARS) <= half for p in parts)


def _where(part: Part) -> tuple[bool, int, int]:
    return part.is_repeated, part.line, part.column
