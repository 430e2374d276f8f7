"""When each element sounds, and for how long: lengths, tuplets and broken rhythm put together."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction

from otoscope.folk.abc.elements import (
    Broken,
    Chord,
    Element,
    Field,
    MeasureRest,
    Note,
    Rest,
    Tuplet,
)
from otoscope.folk.abc.meter import Meter

__all__ = ["Timed", "timeline"]

_ONE, _NOTHING = Fraction(1), Fraction(0)


@dataclass(frozen=True)
class Timed:
    """An element with its ``onset`` and ``duration`` in whole notes; bars and signs take none."""

    element: Element
    onset: Fraction
    duration: Fraction


def timeline(elements: Iterable[Element], meter: Meter) -> tuple[Timed, ...]:
    """Give each element its onset and duration, repeats not played.

    Parameters
    ----------
    elements : iterable of Element
        A tune's body.
    meter : Meter
        The header's; a rest of whole bars needs it.

    Returns
    -------
    tuple of Timed
        All of them, in order.

    Examples
    --------
    >>> from otoscope.folk.abc import Tune
    >>> tune = Tune.from_abc("L:1/4\\nK:C\\nC>D|")
    >>> [timed.duration for timed in timeline(tune.elements, tune.meter) if timed.duration]
    [Fraction(3, 8), Fraction(1, 8)]
    """
    elements = list(elements)
    durations = [_NOTHING] * len(elements)
    factor, left = _ONE, 0  # of the tuplet, and its notes still to come
    last, next_share = 0, _ONE  # the sounding element before a broken rhythm; what it leaves
    for index, element in enumerate(elements):
        if isinstance(element, Note | Chord | Rest | MeasureRest):
            if isinstance(element, MeasureRest):
                duration = element.count * (meter.length or _NOTHING)
            else:
                duration = element.length
            if left:
                duration, left = duration * factor, left - 1
            if next_share is not _ONE:
                duration, next_share = duration * next_share, _ONE
            durations[index], last = duration, index
        elif isinstance(element, Tuplet):
            factor, left = Fraction(element.time, element.notes), element.count
        elif isinstance(element, Broken):
            short = Fraction(1, 2 ** len(element.sign))
            first, next_share = (2 - short, short) if ">" in element.sign else (short, 2 - short)
            durations[last] *= first
        elif isinstance(element, Field) and isinstance(element.value, Meter):
            meter = element.value
    timed, onset = [], _NOTHING
    for element, duration in zip(elements, durations, strict=True):
        timed.append(Timed(element, onset, duration))
        if duration:
            onset += duration
    return tuple(timed)
