"""Tunes so that all programs read their ABC alike."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from fractions import Fraction

from otoscope.folk.abc import (
    BarLine,
    BrokenRhythm,
    Chord,
    Element,
    GraceNotes,
    InlineField,
    Key,
    MeasureRest,
    Meter,
    Note,
    Rest,
    Tune,
    Tuplet,
)
from otoscope.folk.abc.durations import broken_factors
from otoscope.folk.abc.elements import join_bar_lines, repeat_mark

__all__ = ["measure_by_measure", "unambiguous"]


def unambiguous(tune: Tune) -> Tune:
    """Write out what programs read in different ways; the same notes sound.

    An accidental is written at each note that it alters, since not all programs carry it through
    the measure; a tie stays only where the same pitch follows (others are slurs, which some
    programs join to one note); consecutive bar lines become one; each repeat has its opening mark,
    and ``::`` after a last ending becomes ``|:``;
    rests are visible and at most a measure long; broken rhythms in tuplets and between notes of
    different lengths become numbers.

    Examples
    --------
    >>> from otoscope.folk.abc import parse_tune, to_abc
    >>> to_abc(unambiguous(parse_tune("L:1/8\\nK:C\\n^F-F F-G| |1 FG:|"))).splitlines()[-1]
    '|: ^F-^F ^FG |1 FG :|'
    """
    elements = _with_opening_marks(list(_with_one_bar_line(measure_by_measure(tune))))
    elements = list(_without_vain_marks(elements))
    elements = list(_with_plain_lengths(elements))
    return replace(tune, elements=tuple(_with_signs(_with_real_ties(elements), tune.key)))


def measure_by_measure(tune: Tune) -> Iterator[Element]:
    """Yield the elements with rests of one measure each, and a bar line before each ending."""
    meter = tune.meter
    for element in tune.elements:
        if isinstance(element, InlineField) and isinstance(element.value, Meter):
            meter = element.value
        if isinstance(element, MeasureRest) and meter.length:
            yield Rest(meter.length)
            for _ in range(element.count - 1):
                yield from (BarLine("|"), Rest(meter.length))
        elif isinstance(element, BarLine) and not element.text:
            yield BarLine("|", element.ending)
        else:
            yield element


def _with_one_bar_line(elements: Iterable[Element]) -> Iterator[Element]:
    group: list[BarLine] = []
    for element in elements:
        if isinstance(element, BarLine):
            group.append(element)
            continue
        if group:
            yield join_bar_lines(group)
            group = []
        yield Rest(element.length) if isinstance(element, Rest) else element
    if group:
        yield join_bar_lines(group)


def _with_opening_marks(elements: list[Element]) -> list[Element]:
    """Mark where each repeat begins: after the last one, a later ending, or at the beginning."""
    begun = BarLine("")  # where a repeat would lead
    marked: list[Element] = [begun, *elements]
    begins, in_later_ending = 0, False
    for index, bar in enumerate(marked):
        if not isinstance(bar, BarLine):
            continue
        if bar.closes and not begun.opens:
            mark = repeat_mark(begun.repeats[0], bar.repeats[0])
            begun = marked[begins] = replace(begun, text=mark)
        is_end = in_later_ending and bar.is_heavy and not bar.ending
        if bar.ending:
            in_later_ending = 1 not in bar.endings
        elif bar.opens or bar.closes or is_end:
            begins, begun, in_later_ending = index, bar, False
    return marked if marked[0] != BarLine("") else marked[1:]


def _without_vain_marks(elements: Iterable[Element]) -> Iterator[Element]:
    """Leave out closing marks after a last ending, before an opening mark: nothing is repeated."""
    begun, turn = BarLine(""), 1  # turn: last pass that plays the ending
    for element in elements:
        if isinstance(element, BarLine):
            passes = 1 + max(element.repeats[0], begun.repeats[1], 1)
            if element.opens and not element.ending and turn >= passes:
                element = replace(element, text=repeat_mark(0, element.repeats[1]))
            is_end = element.opens or (element.closes and not element.ending)
            begun = element if is_end else begun
            turn = max(element.endings, default=1 if is_end else turn)
        yield element


def _with_plain_lengths(elements: list[Element]) -> Iterator[Element]:
    """Write the lengths of notes that a broken rhythm changes, in tuplets or if they differ."""
    factors: dict[int, Fraction] = {}  # of notes, by index
    dropped: set[int] = set()
    in_tuplet, last = 0, 0  # number of notes still to come in the tuplet; index of the last note
    pending: tuple[int, Fraction, Fraction] | None = None
    for index, element in enumerate(elements):
        if isinstance(element, Tuplet):
            in_tuplet = element.count
        elif isinstance(element, BrokenRhythm):
            pending = (index, *broken_factors(element.sign))
        elif isinstance(element, Note | Chord | Rest):
            are_equal = _length(elements[last]) == element.length
            is_plain = are_equal and not in_tuplet and last not in factors
            if pending is not None and not is_plain:
                dropped.add(pending[0])
                factors[last] = factors.get(last, Fraction(1)) * pending[1]
                factors[index] = pending[2]
            elif in_tuplet:
                factors[index] = Fraction(1)
            pending, last, in_tuplet = None, index, max(in_tuplet - 1, 0)
    for index, element in enumerate(elements):
        if isinstance(element, Note | Chord | Rest) and index in factors:
            yield replace(element, length=element.length * factors[index])
        elif index not in dropped:
            yield element


def _length(element: Element) -> Fraction | None:
    return element.length if isinstance(element, Note | Chord | Rest) else None


def _with_real_ties(elements: list[Element]) -> Iterator[Element]:
    """Drop ties to other pitches; a rest ends a tie too."""
    following: set[int] = set()
    reverse: list[Element] = []
    for element in reversed(elements):
        if isinstance(element, Note | Chord | Rest):
            reverse.append(_tied_to(element, following))
            following = {note.pitch for note in _notes(element)}
        else:
            reverse.append(element)
    return reversed(reverse)


def _tied_to(element: Note | Chord | Rest, following: set[int]) -> Element:
    if isinstance(element, Rest):
        return element
    notes = [replace(x, tie=x.tie and x.pitch in following) for x in _notes(element)]
    return replace(element, notes=tuple(notes)) if isinstance(element, Chord) else notes[0]


def _notes(element: Note | Chord | Rest) -> tuple[Note, ...]:
    if isinstance(element, Rest):
        return ()
    return element.notes if isinstance(element, Chord) else (element,)


def _with_signs(elements: Iterable[Element], key: Key) -> Iterator[Element]:
    """Mark the accidental of each note that differs from the key, or follows one that does."""
    altered: set[str] = set()  # letters with an accidental in this measure

    def signed(note: Note) -> Note:
        differs = note.alter != key.signature.get(note.letter, 0)
        if differs:
            altered.add(note.letter)
        return replace(note, written=note.written or differs or note.letter in altered)

    def signed_together(note: Note | Chord) -> Note | Chord:
        if isinstance(note, Note):
            return signed(note)
        return replace(note, notes=tuple(map(signed, note.notes)))

    for element in elements:
        if isinstance(element, BarLine) and element.text:
            altered.clear()
        elif isinstance(element, InlineField) and isinstance(element.value, Key):
            key = element.value
        if isinstance(element, Note | Chord):
            yield signed_together(element)
        elif isinstance(element, GraceNotes):
            yield replace(element, notes=tuple(map(signed_together, element.notes)))
        else:
            yield element
