"""Repeats and endings played out."""

from __future__ import annotations

from collections.abc import Sequence

from otoscope.folk.abc._segments import joined
from otoscope.folk.abc.elements import Bar, Element, Field
from otoscope.folk.abc.key import Key
from otoscope.folk.abc.measures import HEAVY
from otoscope.folk.abc.meter import Meter

__all__ = ["unfold"]


def unfold(elements: Sequence[Element], key: Key, meter: Meter) -> tuple[Element, ...]:
    """Play out repeats and endings; only plain bar lines are left.

    Parameters
    ----------
    elements : sequence of Element
        A tune's body.
    key, meter : Key, Meter
        The header's: in force again when a repeat leads to before a change of them.

    Returns
    -------
    tuple of Element
        The same elements, with the places where they were read.

    Notes
    -----
    A closing mark leads to the last opening mark; without one to the last closing mark, or to the
    beginning. Second and later endings end at the next repeat mark or heavy bar line. Parts (P:),
    "D.C." and the like are not played.
    """
    elements = _with_joined_bars(elements)
    played: list[Element] = []
    start, turn, ending = 0, 1, False  # of the section; the pass; whether in a later ending
    at = 0
    while at < len(elements):
        element = elements[at]
        at += 1
        if not isinstance(element, Bar):
            played.append(element)
            continue
        if element.text and not (played and isinstance(played[-1], Bar)):
            played.append(Bar("|", line=element.line, column=element.column))
        if element.closes and turn < _turns(elements, start):
            at, turn, ending = start, turn + 1, False
            played += _in_force(elements, start, key, meter)
        elif (
            element.opens
            or (element.closes and turn not in element.endings)
            or (ending and not element.ending and element.text in HEAVY)
        ):
            start, turn, ending = at, 1, False
        elif element.ending:
            ending = turn > 1
            if turn not in element.endings:
                at = _skip(elements, at, turn)
    return tuple(played)


def _with_joined_bars(elements: Sequence[Element]) -> list[Element]:
    """Join bar lines at one place: ":| |2" acts as ":|2"."""
    result: list[Element] = []
    for element in elements:
        if isinstance(element, Bar) and result and isinstance(result[-1], Bar):
            result[-1] = joined([result[-1], element])
        else:
            result.append(element)
    return result


def _turns(elements: Sequence[Element], start: int) -> int:
    """Return how often the section that begins at ``start`` is played."""
    turns = 2
    for element in elements[start:]:
        if isinstance(element, Bar):
            turns = max(turns, *element.endings, 0)
            if element.opens or (element.closes and not element.ending):
                break
    return turns


def _skip(elements: Sequence[Element], at: int, turn: int) -> int:
    """Return where to go on when the ending at ``at`` is not for this pass."""
    for index in range(at, len(elements)):
        element = elements[index]
        if isinstance(element, Bar):
            if turn in element.endings:
                return index + 1
            if element.opens or (element.closes and not element.ending):
                return index
    return len(elements)


def _in_force(elements: Sequence[Element], at: int, key: Key, meter: Meter) -> list[Element]:
    """Return the fields that restore key and meter at ``at``; none if the tune has no changes."""
    changed = {x.letter for x in elements if isinstance(x, Field) and x.letter in "KM"}
    fields = {"K": Field("K", key), "M": Field("M", meter)}
    fields |= {x.letter: x for x in elements[:at] if isinstance(x, Field)}
    return [fields[letter] for letter in sorted(changed)]
