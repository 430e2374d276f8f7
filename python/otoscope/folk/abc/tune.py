"""A tune: its header, its music as a sequence of elements, and what is derived from them."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from fractions import Fraction
from functools import cached_property
from itertools import pairwise
from typing import NamedTuple

from otoscope.folk.abc.durations import TimedElement, time_elements
from otoscope.folk.abc.elements import Chord, Element, Note
from otoscope.folk.abc.errors import NotationError
from otoscope.folk.abc.key import Key
from otoscope.folk.abc.meter import Meter
from otoscope.folk.abc.structure import Measure, Part, find_measures, find_parts, unfold

__all__ = ["MidiNote", "SoundingNote", "Tune"]

_TEMPO = re.compile(r"(?:(\d{1,3})/([1-9]\d{0,2})\s*=\s*)?(\d{1,5}(?:\.\d{1,5})?)")


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


class SoundingNote(NamedTuple):
    """A note that sounds, its times in ticks."""

    start: int
    pitch: int
    ticks: int
    line: int
    column: int


@dataclass(frozen=True)
class Tune:
    """A tune in one voice, at the pitch at which it sounds.

    `parse_tune` and `read_book` read tunes, `to_abc` and `to_midi` write them.

    Parameters
    ----------
    elements : tuple of Element
        Music from left to right, repeats as written.
    key, meter : Key, Meter
        Key and meter of the header.
    unit : Fraction, default 1/8
        Length of a note written without number (L:), in whole notes.
    headers : tuple of (letter, text), default ()
        Other header fields in order, without X.
    reference : int, optional
        Number of the X: field.
    line : int, default 1
        Line where the tune begins. Reference, line, notices and the elements' places are not
        compared.
    notices : tuple of NotationError, default ()
        Other voices and overlays that were left out, with line and column.

    Examples
    --------
    >>> from otoscope.folk.abc import parse_tune
    >>> tune = parse_tune("X:1\\nT:Scale\\nM:3/4\\nL:1/4\\nK:G\\n|:GAB|c2d:|")
    >>> tune.title, [measure.duration for measure in tune.measures]
    ('Scale', [Fraction(3, 4), Fraction(3, 4)])
    >>> tune.intervals
    (2, 2, 1, 2)
    """

    elements: tuple[Element, ...]
    key: Key
    meter: Meter
    unit: Fraction = Fraction(1, 8)
    headers: tuple[tuple[str, str], ...] = ()
    reference: int | None = field(default=None, compare=False)
    line: int = field(default=1, compare=False)
    notices: tuple[NotationError, ...] = field(default=(), compare=False)

    @property
    def title(self) -> str:
        """The first T: field, or ""."""
        return self._header("T")

    @property
    def rhythm(self) -> str:
        """The R: field, or ""."""
        return self._header("R")

    @property
    def tempo_bpm(self) -> float | None:
        """Tempo from Q: in quarter notes per minute (also of a bare number); None without Q:."""
        match = _TEMPO.search(re.sub(r'"[^"]*"', "", self._header("Q")))
        if match is None:
            return None
        beat = Fraction(int(match[1]), int(match[2])) if match[1] else Fraction(1, 4)
        return float(match[3]) * float(4 * beat)

    @cached_property
    def timed_elements(self) -> tuple[TimedElement, ...]:
        """The elements with onset and duration, repeats not played."""
        return time_elements(self.elements, self.meter)

    @cached_property
    def measures(self) -> tuple[Measure, ...]:
        """The spans between bar lines whose duration is not zero, as written."""
        return find_measures(self.timed_elements, self.meter)

    @cached_property
    def parts(self) -> tuple[Part, ...]:
        """The segments between repeat marks, each with its endings."""
        return find_parts(self.measures)

    @cached_property
    def unfolded(self) -> Tune:
        """The tune with repeats and endings played out."""
        return replace(self, elements=unfold(self.elements, self.key, self.meter))

    @cached_property
    def notes(self) -> tuple[MidiNote, ...]:
        """The sounding notes, ties joined, without grace notes or repeats (see `unfolded`)."""
        unit = self.timed_elements[0].unit if self.timed_elements else 1
        return tuple(
            MidiNote(note.pitch, Fraction(note.start, unit), Fraction(note.ticks, unit), *note[3:])
            for note in self.sounding
        )

    @cached_property
    def sounding(self) -> tuple[SoundingNote, ...]:
        """The same notes with times in ticks, see `TimedElement`."""
        return _sounding_notes(self.timed_elements)

    @cached_property
    def sounding_melody(self) -> tuple[SoundingNote, ...]:
        """The highest note at each onset, with times in ticks."""
        return tuple({note.start: note for note in self.sounding}.values())

    @cached_property
    def melody(self) -> tuple[MidiNote, ...]:
        """The highest note at each onset."""
        return _highest_notes(self.notes)

    @property
    def intervals(self) -> tuple[int, ...]:
        """The intervals between successive notes of the melody, in semitones."""
        melody = self.sounding_melody
        return tuple(after.pitch - before.pitch for before, after in pairwise(melody))

    def _header(self, letter: str) -> str:
        return next((text for name, text in self.headers if name == letter), "")


def _sounding_notes(timed_elements: Iterable[TimedElement]) -> tuple[SoundingNote, ...]:
    """Return the sounding notes by onset, then pitch; grace notes take no time and are left out.

    A tie joins one note to one adjoining note of its pitch, as abc2midi does: of equal notes in a
    chord the first is joined, the others are struck anew. ``C-[CC]`` with L:1/8 is one note from 0
    to 2/8 and another from 1/8 to 2/8.
    """
    notes: list[SoundingNote] = []
    ties: dict[tuple[int, int], list[int]] = {}  # indices of tied notes by pitch and end
    for element, start, ticks, _ in timed_elements:
        if isinstance(element, Note):
            members: Iterable[tuple[Note, int]] = ((element, ticks),)
        elif isinstance(element, Chord):
            members = [(note, int(ticks * note.length)) for note in element.notes]
        else:
            continue
        next_ties: dict[tuple[int, int], list[int]] = {}
        for note, length in members:
            pitch = note.pitch
            if ties and (tied := ties.get((pitch, start))):
                index = tied.pop(0)
                notes[index] = notes[index]._replace(ticks=notes[index].ticks + length)
            else:
                index = len(notes)
                notes.append(SoundingNote(start, pitch, length, note.line, note.column))
            if note.tie:
                next_ties.setdefault((pitch, start + length), []).append(index)
        ties = next_ties
    return tuple(sorted(notes, key=lambda note: note[:2]))


def _highest_notes(notes: Iterable[MidiNote]) -> tuple[MidiNote, ...]:
    """Return the highest note at each onset of notes sorted by onset, then pitch."""
    return tuple({note.onset: note for note in notes}.values())
