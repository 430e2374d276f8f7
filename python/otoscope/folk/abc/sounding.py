"""The sounding notes of a tune: chords taken apart, ties joined."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from fractions import Fraction

from otoscope.folk.abc.durations import TimedElement
from otoscope.folk.abc.elements import Chord, Note

__all__ = ["MidiNote", "highest_notes", "sounding_notes"]


@dataclass(frozen=True)
class MidiNote:
    """A sounding note.

    Parameters
    ----------
    pitch : int
        MIDI number, 60 for middle C.
    onset, duration : Fraction
        Exact time in whole notes.
    line, column : int
        Place of the (first tied) note in the text; not compared.

    Examples
    --------
    >>> from otoscope.folk.abc import parse_tune
    >>> parse_tune("L:1/4\\nK:C\\nE-E|").notes
    (MidiNote(pitch=64, onset=Fraction(0, 1), duration=Fraction(1, 2), line=3, column=1),)
    """

    pitch: int
    onset: Fraction
    duration: Fraction
    line: int = field(default=0, compare=False)
    column: int = field(default=0, compare=False)


def sounding_notes(timed_elements: Iterable[TimedElement]) -> tuple[MidiNote, ...]:
    """Return the sounding notes by onset, then pitch; grace notes take no time and are left out.

    A tie joins one note to one adjoining note of its pitch, as abc2midi does: of equal notes in a
    chord the first is joined, the others are struck anew. ``C-[CC]`` with L:1/8 is one note from 0
    to 2/8 and another from 1/8 to 2/8.
    """
    notes: list[MidiNote] = []
    ties: dict[tuple[int, Fraction], list[int]] = {}  # indices of tied notes by pitch and end
    for timed in timed_elements:
        element, onset = timed.element, timed.onset
        if not isinstance(element, Note | Chord):
            continue
        next_ties: dict[tuple[int, Fraction], list[int]] = {}
        for note in (element,) if isinstance(element, Note) else element.notes:
            duration = timed.duration if isinstance(element, Note) else timed.duration * note.length
            if tied := ties.get((note.pitch, onset)):
                index = tied.pop(0)
                notes[index] = replace(notes[index], duration=notes[index].duration + duration)
            else:
                index = len(notes)
                notes.append(MidiNote(note.pitch, onset, duration, note.line, note.column))
            if note.tie:
                next_ties.setdefault((note.pitch, onset + duration), []).append(index)
        ties = next_ties
    return tuple(sorted(notes, key=lambda note: (note.onset, note.pitch)))


def highest_notes(notes: Iterable[MidiNote]) -> tuple[MidiNote, ...]:
    """Return the highest note at each onset of notes sorted by onset, then pitch."""
    return tuple({note.onset: note for note in notes}.values())
