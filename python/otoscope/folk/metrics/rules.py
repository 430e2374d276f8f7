"""Rules that a tune may break, violations with their place, and the rule of repeats and endings."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from otoscope.folk.abc import BarLine, Tune

__all__ = ["RULES", "Violation", "check_repeats"]

RULES: Final = {
    "parse": "can be read",
    "bars": "bars add up",
    "repeats": "repeats and endings match",
    "parts": "AABB, eight bars each",
    "range": "within the range",
    "tonic": "ends on the tonic",
    "cadence": "cadence from 2, 3, 5, 7",
    "accidentals": "few accidentals",
    "finished": "not broken off",
}


@dataclass(frozen=True)
class Violation:
    """A rule that a tune breaks, and where.

    Parameters
    ----------
    rule : str
        A key of `RULES`.
    line, column : int, optional
        Place in the file, from 1; None if the whole file is meant.
    message : str
        Value that was read and value that the rule requires.

    Examples
    --------
    >>> str(Violation("bars", 7, 12, "bar 3 lasts 7/8, the meter is 4/4"))
    'line 7, column 12: bar 3 lasts 7/8, the meter is 4/4'
    """

    rule: str
    line: int | None
    column: int | None
    message: str

    def __str__(self) -> str:
        """Place and message."""
        numbers = (("line", self.line), ("column", self.column))
        places = [f"{name} {number}" for name, number in numbers if number]
        return f"{', '.join(places)}: {self.message}" if places else self.message


def check_repeats(tune: Tune) -> tuple[Violation, ...]:
    """Check that repeat marks and endings match.

    Parameters
    ----------
    tune : Tune
        Tune as written.

    Returns
    -------
    tuple of Violation
        Violations in the order of the bar lines; empty if all repeat marks match.

    Notes
    -----
    A repeat that ``|:`` opens must be closed by ``:|`` before another one is opened and before the
    tune ends, and ``|::`` by ``::|``. A ``:|`` alone repeats from the last part boundary, as is
    usual. Ending 1 must be closed by ``:|`` and followed by ending 2; ending n + 1 must follow
    ending n.

    Examples
    --------
    >>> from otoscope.folk.abc import parse_tune
    >>> for violation in check_repeats(parse_tune("K:C\\n|:CDEF|1 G4:|c4|:d4|")):
    ...     print(violation)
    line 2, column 12: ending 1 is not followed by ending 2
    line 2, column 16: the repeat is never closed
    """
    return tuple(_violations(list(_bar_lines(tune))))


def _violations(bars: list[BarLine]) -> Iterator[Violation]:
    opened: BarLine | None = None
    ending: tuple[int, ...] = ()  # the ending that the bar line is in
    done = frozenset[int]()  # the endings of the section up to here
    for bar in bars:
        breaks = bar.opens or bar.is_heavy or bool(bar.endings)
        if breaks and not bar.closes and ending and (bar.endings or _required_ending(done)):
            yield _violation(bar, f"ending {max(ending)} is not closed by :|")
        elif bar.closes and not bar.endings and _required_ending(done):
            yield _violation(
                bar, f"ending {max(ending)} is not followed by ending {_required_ending(done)}"
            )
        if bar.endings:
            first = min(bar.endings)
            if done & set(bar.endings):
                yield _violation(bar, f"ending {first} comes again")
            elif first > 1 and first - 1 not in done:
                yield _violation(bar, f"ending {first} does not follow ending {first - 1}")
                done = frozenset(range(1, first))  # one violation is enough
        if bar.closes and opened and bar.repeats[0] != opened.repeats[1]:
            yield _violation(bar, _unlike(opened, bar))
        if bar.opens and opened and not bar.closes:
            place = f"line {opened.line}, column {opened.column}"
            yield _violation(bar, f"a repeat is opened while that of {place} is not closed")
        if bar.closes or bar.opens:
            opened = bar if bar.opens else None
        if breaks or bar.closes:
            ending = bar.endings
            done = done | set(ending) if ending else frozenset()
    if _required_ending(done):
        yield _violation(bars[-1], f"ending {max(ending)} is not closed by :|")
    if opened:
        yield _violation(opened, "the repeat is never closed")


def _unlike(opened: BarLine, closed: BarLine) -> str:
    """Say that two repeat marks stand for different numbers of passes."""
    first, last = opened.repeats[1] + 1, closed.repeats[0] + 1
    place = f"line {opened.line}, column {opened.column}"
    return f"a repeat of {last} passes closes the one of {first} passes of {place}"


def _required_ending(done: frozenset[int]) -> int:
    """Return the ending that must follow the endings that came; 0 if none must."""
    first = next(number for number in range(1, len(done) + 2) if number not in done)
    return first if done and (len(done) == 1 or first < max(done)) else 0


def _bar_lines(tune: Tune) -> Iterator[BarLine]:
    """Yield the bar lines; several at one place are joined to one."""
    for measure in tune.measures:
        if measure.left and measure.number == 1:
            yield measure.left
        yield from (element for element in measure.elements if isinstance(element, BarLine))
        if measure.right:
            yield measure.right


def _violation(bar: BarLine, message: str) -> Violation:
    return Violation("repeats", bar.line, bar.column, message)
