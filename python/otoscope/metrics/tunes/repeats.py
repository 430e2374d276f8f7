"""Whether the repeat marks and endings of a tune match."""

from __future__ import annotations

from collections.abc import Iterator

from otoscope.metrics.tunes.findings import Finding
from otoscope.notation import Bar, Tune
from otoscope.notation.measures import HEAVY

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
    >>> for finding in check_repeats(Tune.from_abc("K:C\\n|:CDEF|1 G4:|c4|:d4|")):
    ...     print(finding)
    line 2, column 13: ending 1 is not followed by ending 2
    line 2, column 17: the repeat is never closed
    """
    return tuple(_findings(list(_bars(tune))))


def _findings(bars: list[Bar]) -> Iterator[Finding]:
    opened: Bar | None = None
    ending: tuple[int, ...] = ()  # in which the bar line lies
    for bar in bars:
        if 1 in ending and not bar.closes and (bar.endings or bar.opens or bar.text in HEAVY):
            yield _finding(bar, f"ending {_last(ending)} is not closed by :|")
        elif 1 in ending and bar.closes and not bar.endings:
            yield _finding(bar, f"ending {_last(ending)} is not followed by ending {_next(ending)}")
        if bar.endings and 1 not in bar.endings and min(bar.endings) != _next(ending):
            first = min(bar.endings)
            yield _finding(bar, f"ending {first} does not follow ending {first - 1}")
        if 1 in bar.endings and ending:
            yield _finding(bar, "ending 1 comes within an ending")
        if bar.opens and opened and not bar.closes:
            place = f"line {opened.line}, column {opened.column}"
            yield _finding(bar, f"a repeat is opened while that of {place} is not closed")
        if bar.closes or bar.opens:
            opened = bar if bar.opens else None
        if bar.endings or bar.closes or bar.opens or bar.text in HEAVY:
            ending = bar.endings
    if 1 in ending:
        yield _finding(bars[-1], f"ending {_last(ending)} is not closed by :|")
    if opened:
        yield _finding(opened, "the repeat is never closed")


def _bars(tune: Tune) -> Iterator[Bar]:
    """Yield the bar lines, several at one place as one."""
    for measure in tune.measures:
        if measure.left and measure.number == 1:
            yield measure.left
        yield from (element for element in measure.elements if isinstance(element, Bar))
        if measure.right:
            yield measure.right


def _last(ending: tuple[int, ...]) -> int:
    return max(ending)


def _next(ending: tuple[int, ...]) -> int:
    return max(ending, default=0) + 1


def _finding(bar: Bar, message: str) -> Finding:
    return Finding("repeats", bar.line, bar.column, message)
