"""Transposition: pitches moved by an interval, keys and accidentals spelt anew."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from itertools import product

from otoscope.notation.elements import Chord, Element, Field, Grace, Note, natural_pitch
from otoscope.notation.key import LETTERS, NATURAL, Key
from otoscope.notation.tune import Tune

__all__ = ["Interval", "change_notes", "move", "transpose"]

Interval = tuple[int, int]  # steps on the staff, semitones


def transpose(tune: Tune, semitones: int) -> Tune:
    """Move a tune up (or, below 0, down); of two spellings the key with fewer signs is taken.

    Parameters
    ----------
    tune : Tune
        In any key, with key changes or without key.
    semitones : int
        How far.

    Returns
    -------
    Tune
        Accidentals are written only where the new key needs them.

    Examples
    --------
    >>> tune = transpose(Tune.from_abc("K:D\\nD^DEF|"), 3)
    >>> tune.key.abc, [note.pitch for note in tune.notes]
    ('Fmaj', [65, 66, 67, 69])
    """
    old = tune.key.tonic or "C"
    pitch_class = (_semitones(old) + semitones) % 12
    tonics = [letter + sign for sign, letter in product(("", "#", "b"), LETTERS)]
    tonics = [tonic for tonic in tonics if _semitones(tonic) % 12 == pitch_class]
    mode = "maj" if tune.key.tonic is None else tune.key.mode
    new = min(tonics, key=lambda tonic: len(Key(tonic, mode).signature))
    return move(tune, interval_between(old, new, semitones))


def move(tune: Tune, interval: Interval) -> Tune:
    """Move a tune by steps and semitones; see `transpose`."""
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
    """Return the elements with every note, also in chords and graces, changed."""

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
    octaves = (semitones - _semitones(new) + _semitones(old)) // 12
    return LETTERS.index(new[0]) - LETTERS.index(old[0]) + 7 * octaves, semitones


def _semitones(tonic: str) -> int:
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
    letter, shift = moved(key.tonic[0], _semitones(key.tonic) - NATURAL[key.tonic[0]])
    tonic = letter + ("#" * shift if shift > 0 else "b" * -shift)
    return replace(key, tonic=tonic, changes=tuple(moved(*change) for change in key.changes))
