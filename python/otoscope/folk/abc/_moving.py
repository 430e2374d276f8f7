"""Notes and keys moved by an interval: so many steps on the staff, so many semitones."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace

from otoscope.folk.abc.elements import Chord, Element, Field, Grace, Note, natural_pitch
from otoscope.folk.abc.key import LETTERS, NATURAL, Key
from otoscope.folk.abc.tune import Tune

__all__ = ["Interval", "change_notes", "interval_between", "move", "semitones_of"]

Interval = tuple[int, int]  # steps on the staff, semitones


def move(tune: Tune, interval: Interval) -> Tune:
    """Move a tune by an interval; accidentals are written only where the new key needs them."""
    if interval == (0, 0):
        return tune
    elements = [
        replace(element, value=_move_key(element.value, interval))
        if isinstance(element, Field) and isinstance(element.value, Key)
        else element
        for element in tune.elements
    ]
    moved = change_notes(elements, lambda note: _move_note(note, interval))
    return replace(tune, elements=moved, key=_move_key(tune.key, interval))


def change_notes(
    elements: Iterable[Element], change: Callable[[Note], Note]
) -> tuple[Element, ...]:
    """Return the elements with every note changed, also in chords and graces."""

    def sounding(element: Note | Chord) -> Note | Chord:
        if isinstance(element, Note):
            return change(element)
        return replace(element, notes=tuple(map(change, element.notes)))

    def changed(element: Element) -> Element:
        if isinstance(element, Grace):
            return replace(element, notes=tuple(map(sounding, element.notes)))
        return sounding(element) if isinstance(element, Note | Chord) else element

    return tuple(map(changed, elements))


def interval_between(old: str, new: str, semitones: int) -> Interval:
    """Return the interval of so many semitones that leads from one tonic to the other."""
    octaves = (semitones - semitones_of(new) + semitones_of(old)) // 12
    return LETTERS.index(new[0]) - LETTERS.index(old[0]) + 7 * octaves, semitones


def semitones_of(tonic: str) -> int:
    """Return how far a tonic is above C."""
    return NATURAL[tonic[0]] + tonic.count("#") - tonic.count("b")


def _move_note(note: Note, interval: Interval) -> Note:
    steps, semitones = interval
    pitch = note.pitch + semitones
    step = note.step + steps
    if abs(pitch - natural_pitch(step)) > 2:  # no sign for it: the next natural below, or its sharp
        step = max(s for s in range(step - 3, step + 4) if natural_pitch(s) <= pitch)
    alter = pitch - natural_pitch(step)
    return replace(note, step=step, alter=alter, written=False)


def _move_key(key: Key, interval: Interval) -> Key:
    def moved(letter: str, alter: int) -> tuple[str, int]:
        steps, semitones = interval
        index = LETTERS.index(letter) + steps
        new = LETTERS[index % 7]
        shift = NATURAL[letter] + alter + semitones - NATURAL[new] - 12 * (index // 7)
        return new, shift

    if key.tonic is None:
        if not key.signature:
            return key
        changes = tuple(moved(letter, alter) for letter, alter in key.signature.items())
        return Key(None, "none", changes, is_explicit=True)
    letter, shift = moved(key.tonic[0], semitones_of(key.tonic) - NATURAL[key.tonic[0]])
    tonic = letter + ("#" * shift if shift > 0 else "b" * -shift)
    return replace(key, tonic=tonic, changes=tuple(moved(*change) for change in key.changes))
