"""The notes that are heard: chords taken apart, ties joined."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from fractions import Fraction

from otoscope.folk.abc.elements import Chord, Note
from otoscope.folk.abc.timing import Timed

__all__ = ["MidiNote", "highest", "sounding_notes"]


@dataclass(frozen=True)
class MidiNote:
    """A note that is heard.

    Parameters
    ----------
    pitch : int
        MIDI number, 60 for middle C.
    onset, duration : Fraction
        In whole notes, exact.
    line, column : int
        Where the (first tied) note was read; not compared.

    Examples
    --------
    >>> from otoscope.folk.abc import Tune
    >>> Tune.from_abc("L:1/4\\nK:C\\nE-E|").notes
    (MidiNote(pitch=64, onset=Fraction(0, 1), duration=Fraction(1, 2), line=3, column=1),)
    """

    pitch: int
    onset: Fraction
    duration: Fraction
    line: int = field(default=0, compare=False)
    column: int = field(default=0, compare=False)


def sounding_notes(timeline: Iterable[Timed]) -> tuple[MidiNote, ...]:
    """Return the notes that are heard; grace notes, which take no time here, are not.

    Parameters
    ----------
    timeline : iterable of Timed
        A tune's elements with their times.

    Returns
    -------
    tuple of MidiNote
        By onset, then pitch. A tie joins one note to one adjoining note of its pitch: of equal
        notes in a chord the first is joined, the others are struck anew.

    Examples
    --------
    >>> from otoscope.folk.abc import Tune
    >>> [note.pitch for note in sounding_notes(Tune.from_abc("K:C\\n[EC]{a}D|").timeline)]
    [60, 64, 62]
    """
    notes: list[MidiNote] = []
    ties: dict[tuple[int, Fraction], list[int]] = {}  # indices of tied notes by pitch and end
    for timed in timeline:
        element, onset = timed.element, timed.onset
        if not isinstance(element, Note | Chord):
            continue
        leading: dict[tuple[int, Fraction], list[int]] = {}
        for note in (element,) if isinstance(element, Note) else element.notes:
            duration = timed.duration if isinstance(element, Note) else timed.duration * note.length
            if tied := ties.get((note.pitch, onset)):
                index = tied.pop(0)
                notes[index] = replace(notes[index], duration=notes[index].duration + duration)
            else:
                index = len(notes)
                notes.append(MidiNote(note.pitch, onset, duration, note.line, note.column))
            if note.tie:
                leading.setdefault((note.pitch, onset + duration), []).append(index)
        ties = leading
    return tuple(sorted(notes, key=lambda note: (note.onset, note.pitch)))


def highest(notes: Iterable[MidiNote]) -> tuple[MidiNote, ...]:
    """Return the highest note at each onset.

    Parameters
    ----------
    notes : iterable of MidiNote
        By onset, then pitch.

    Returns
    -------
    tuple of MidiNote
        By onset.

    Examples
    --------
    >>> from otoscope.folk.abc import Tune
    >>> [note.pitch for note in highest(Tune.from_abc("K:C\\n[EC]D|").notes)]
    [64, 62]
    """
    return tuple({note.onset: note for note in notes}.values())
