"""Whether the repeat marks and endings of a tune match."""

from __future__ import annotations

from collections.abc import Iterator

from otoscope.folk.abc import BarLine, Tune
from otoscope.folk.metrics.findings import Finding

__all__ = ["check_repeats"]


def check_repeats(tune: Tune) -> tuple[Finding, ...]:
    """Read the bar lines by the grammar of repeats.

    Parameters
    ----------
    tune : Tune
        As written.

    Returns
    -------
    tuple of Finding
        In the order of writing; empty if all match.

    Notes
    -----
    A repeat that ``|:`` opens is closed by ``:|`` before another is opened and before the tune
    ends. A ``:|`` alone repeats from the last boundary, as is custom. A first ending is closed by
    ``:|`` and followed there by a second one; each later ending follows the one before it.

    Examples
    --------
    >>> for finding in check_repeats(parse_tune("K:C\\n|:CDEF|1 G4:|c4|:d4|")):
    ...     print(finding)
    line 2, column 12: ending 1 is not followed by ending 2
    line 2, column 16: the repeat is never closed
    """
    return tuple(_findings(list(_bars(tune))))


def _findings(bars: list[BarLine]) -> Iterator[Finding]:
    opened: BarLine | None = None
    ending: tuple[int, ...] = ()  # in which the bar line lies
    done = frozenset[int]()  # the endings of the section up to here
    for bar in bars:
        breaks = bar.opens or bar.is_heavy or bool(bar.endings)
        if breaks and not bar.closes and ending and (bar.endings or _due(done)):
            yield _finding(bar, f"ending {max(ending)} is not closed by :|")
        elif bar.closes and not bar.endings and _due(done):
            yield _finding(bar, f"ending {max(ending)} is not followed by ending {_due(done)}")
        if bar.endings:
            first = min(bar.endings)
            if done & set(bar.endings):
                yield _finding(bar, f"ending {first} comes again")
            elif first > 1 and first - 1 not in done:
                yield _finding(bar, f"ending {first} does not follow ending {first - 1}")
                done = frozenset(range(1, first))  # told once
        if bar.opens and opened and not bar.closes:
            place = f"line {opened.line}, column {opened.column}"
            yield _finding(bar, f"a repeat is opened while that of {place} is not closed")
        if bar.closes or bar.opens:
            opened = bar if bar.opens else None
        if breaks or bar.closes:
            ending = bar.endings
            done = done | set(ending) if ending else frozenset()
    if _due(done):
        yield _finding(bars[-1], f"ending {max(ending)} is not closed by :|")
    if opened:
        yield _finding(opened, "the repeat is never closed")


def _due(done: frozenset[int]) -> int:
    """Return the ending that must come after those that came; 0 if they may be all."""
    first = next(number for number in range(1, len(done) + 2) if number not in done)
    return first if done and (len(done) == 1 or first < max(done)) else 0


def _bars(tune: Tune) -> Iterator[BarLine]:
    """Yield the bar lines, several at one place as one."""
    for measure in tune.measures:
        if measure.left and measure.number == 1:
            yield measure.left
        yield from (element for element in measure.elements if isinstance(element, BarLine))
        if measure.right:
            yield measure.right


def _finding(bar: BarLine, message: str) -> Finding:
    return Finding("repeats", bar.line, bar.column, message)
