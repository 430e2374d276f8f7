"""Transposition: pitches moved by an interval, keys and accidentals respelled."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from itertools import product
from typing import NamedTuple

from otoscope.folk.abc.elements import (
    Chord,
    Element,
    GraceNotes,
    InlineField,
    Note,
    natural_pitch,
)
from otoscope.folk.abc.errors import NotationError
from otoscope.folk.abc.key import LETTERS, NATURAL, Key
from otoscope.folk.abc.tune import Tune

__all__ = [
    "Shift",
    "change_notes",
    "nearest_shift",
    "shift_between",
    "shift_key",
    "shift_note",
    "shift_tune",
    "transpose",
]


class Shift(NamedTuple):
    """A musical interval up or, below 0, down: a major third is 2 staff steps and 4 semitones."""

    steps: int
    semitones: int


def transpose(tune: Tune, semitones: int) -> Tune:
    """Transpose a tune; of two enharmonic keys the one with fewer signs is taken.

    Parameters
    ----------
    tune : Tune
        Tune in any key, with key changes or without key.
    semitones : int
        Interval in semitones, up or, below 0, down.

    Returns
    -------
    Tune
        The tune with accidentals only where the new key needs them.

    Examples
    --------
    >>> from otoscope.folk.abc import parse_tune
    >>> tune = transpose(parse_tune("K:D\\nD^DEF|"), 3)
    >>> tune.key.abc, [note.pitch for note in tune.notes]
    ('Fmaj', [65, 66, 67, 69])
    """
    return shift_tune(tune, nearest_shift(tune.key, semitones))


def shift_tune(tune: Tune, shift: Shift) -> Tune:
    """Shift a tune; accidentals are written only where the new key needs them."""
    if shift == (0, 0):
        return tune
    elements = [
        replace(element, value=shift_key(element.value, shift))
        if isinstance(element, InlineField) and isinstance(element.value, Key)
        else element
        for element in tune.elements
    ]
    moved = change_notes(elements, lambda note: shift_note(note, shift))
    return replace(tune, elements=moved, key=shift_key(tune.key, shift))


def change_notes(
    elements: Iterable[Element], change: Callable[[Note], Note]
) -> tuple[Element, ...]:
    """Return the elements with every note changed, also in chords and grace notes."""

    def sounding(element: Note | Chord) -> Note | Chord:
        if isinstance(element, Note):
            return change(element)
        return replace(element, notes=tuple(map(change, element.notes)))

    def changed(element: Element) -> Element:
        if isinstance(element, GraceNotes):
            return replace(element, notes=tuple(map(sounding, element.notes)))
        return sounding(element) if isinstance(element, Note | Chord) else element

    return tuple(map(changed, elements))


def nearest_shift(key: Key, semitones: int) -> Shift:
    """Return the shift of a key by semitones; of two enharmonic keys, that with fewer signs."""
    old = key.tonic or "C"
    pitch_class = (_semitones_above_c(old) + semitones) % 12
    tonics = [letter + sign for sign, letter in product(("", "#", "b"), LETTERS)]
    tonics = [tonic for tonic in tonics if _semitones_above_c(tonic) % 12 == pitch_class]
    mode = "maj" if key.tonic is None else key.mode
    new = min(tonics, key=lambda tonic: len(Key(tonic, mode).signature))
    return shift_between(old, new, semitones)


def shift_between(old: str, new: str, semitones: int) -> Shift:
    """Return the shift by a number of semitones that leads from one tonic to another."""
    octaves = (semitones - _semitones_above_c(new) + _semitones_above_c(old)) // 12
    return Shift(LETTERS.index(new[0]) - LETTERS.index(old[0]) + 7 * octaves, semitones)


def _semitones_above_c(tonic: str) -> int:
    """Return the pitch of a tonic above C: 2 for D, -1 for Cb."""
    return NATURAL[tonic[0]] + tonic.count("#") - tonic.count("b")


def shift_note(note: Note, shift: Shift) -> Note:
    """Shift a note; its accidental stays a written one only if the shift is by octaves."""
    steps, semitones = shift
    if 7 * semitones == 12 * steps:
        return replace(note, step=note.step + steps)
    pitch = note.pitch + semitones
    step = note.step + steps
    if abs(pitch - natural_pitch(step)) > 2:  # no sign: respell as a natural or a sharp
        step = max(s for s in range(step - 3, step + 4) if natural_pitch(s) <= pitch)
    alter = pitch - natural_pitch(step)
    return replace(note, step=step, alter=alter, written=False)


def shift_key(key: Key, shift: Shift) -> Key:
    """Shift tonic and signs of a key; refuse signs beyond double sharps and flats."""
    if 7 * shift.semitones == 12 * shift.steps:
        return key

    def moved(letter: str, alter: int) -> tuple[str, int]:
        steps, semitones = shift
        index = LETTERS.index(letter) + steps
        new = LETTERS[index % 7]
        change = NATURAL[letter] + alter + semitones - NATURAL[new] - 12 * (index // 7)
        if abs(change) > 2:
            message = f"key {key.abc} cannot be written {semitones} semitones away"
            raise NotationError(message, reason="key field")
        return new, change

    if key.tonic is None:
        scale = [moved(letter, key.signature.get(letter, 0)) for letter in LETTERS]
        return Key(None, "none", tuple(x for x in scale if x[1]), is_explicit=True)
    letter, alter = moved(key.tonic[0], _semitones_above_c(key.tonic) - NATURAL[key.tonic[0]])
    if abs(alter) > 1:  # no such key: the enharmonic one
        return shift_key(key, nearest_shift(key, shift.semitones))
    tonic = letter + ("#" * alter if alter > 0 else "b" * -alter)
    return replace(key, tonic=tonic, changes=tuple(moved(*change) for change in key.changes))
