"""A melody in exact times, as other formats have it, as the elements of a tune."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import groupby, pairwise
from math import lcm
from typing import NamedTuple

from otoscope.folk.abc import BarLine, Chord, Element, InlineField, Note, Rest, Tuplet
from otoscope.folk.interchange.values import tuplet_of

__all__ = ["MelodyNote", "elements_of"]


class MelodyNote(NamedTuple):
    """A note of a melody; onset and end in whole notes, ``step`` as in `Note`."""

    onset: Fraction
    end: Fraction
    step: int
    alter: int
    tie: bool = False


@dataclass(frozen=True)
class _Span:
    """A note, chord or rest (without notes); one that ``goes_on`` was cut and is tied."""

    start: Fraction
    end: Fraction
    notes: tuple[MelodyNote, ...]
    goes_on: bool = False


def elements_of(
    notes: Iterable[MelodyNote],
    bar_lines: Mapping[Fraction, BarLine],
    signs: Mapping[Fraction, Sequence[Element]],
    end: Fraction,
) -> tuple[Element, ...]:
    """Write a melody as the elements of a tune, exactly.

    Parameters
    ----------
    notes : iterable of MelodyNote
        Notes; those with one onset are a chord. A note ends at the latest where the next begins.
    bar_lines : mapping from onset to BarLine
        Bar lines. Notes across a bar line are divided and tied.
    signs : mapping from onset to elements
        What stands before the note there: grace notes, changes of key and meter.
    end : Fraction
        End of the melody; up to it, where no note sounds, are rests.

    Returns
    -------
    tuple of Element
        Elements with tuplets where durations need them.
    """
    fields = {
        time for time, texts in signs.items() if any(isinstance(x, InlineField) for x in texts)
    }
    cuts = fields | bar_lines.keys()
    elements: list[Element] = []
    group: list[_Span] = []  # what one tuplet joins
    for span in _cut(_spans(notes, end), sorted(cuts)):
        if span.start in cuts:
            elements += _written(group, signs)
            elements += [bar_lines[span.start]] if span.start in bar_lines else []
            group = []
        group.append(span)
        if tuplet_of(span.end - group[0].start) == (1, 1):
            elements += _written(group, signs)
            group = []
    elements += _written(group, signs)
    return (*elements, bar_lines[end]) if end in bar_lines else tuple(elements)


def _spans(notes: Iterable[MelodyNote], end: Fraction) -> Iterator[_Span]:
    """Yield notes, chords and the rests between, without overlaps."""
    now = Fraction(0)
    by_onset = [tuple(same) for _, same in groupby(sorted(notes), key=lambda note: note.onset)]
    onsets = [chord[0].onset for chord in by_onset]
    for chord, following in zip(by_onset, [*onsets[1:], None], strict=True):
        onset, last = chord[0].onset, max(note.end for note in chord)
        if onset > now:
            yield _Span(now, onset, ())
        now = last if following is None else min(last, following)
        yield _Span(onset, now, chord)
    if end > now:
        yield _Span(now, end, ())


def _cut(spans: Iterable[_Span], times: Sequence[Fraction]) -> Iterator[_Span]:
    """Divide spans at the times, which ascend."""
    for span in spans:
        first, last = bisect_right(times, span.start), bisect_left(times, span.end)
        within = [span.start, *times[first:last], span.end]
        for start, end in pairwise(within):
            yield replace(span, start=start, end=end, goes_on=end < span.end)


def _written(group: Sequence[_Span], signs: Mapping[Fraction, Sequence[Element]]) -> list[Element]:
    """Write what one tuplet joins: a single note without tuplet, or notes in one of them."""
    ratios = [tuplet_of(span.end - span.start)[0] for span in group]
    actual, normal = tuplet_of(Fraction(1, lcm(*ratios)))
    elements: list[Element] = []
    for index, span in enumerate(group):
        elements += signs.get(span.start, ())
        if index == 0 and actual > 1:
            elements.append(Tuplet(actual, normal, len(group)))
        elements.append(_element(span, (span.end - span.start) * actual / normal))
    return elements


def _element(span: _Span, length: Fraction) -> Note | Chord | Rest:
    notes = [
        Note(note.step, note.alter, length, tie=note.tie or span.goes_on) for note in span.notes
    ]
    if len(notes) > 1:
        return Chord(tuple(replace(note, length=Fraction(1)) for note in notes), length)
    return notes[0] if notes else Rest(length)
