"""Transposition: pitches moved by an interval, keys and accidentals spelt anew."""

from __future__ import annotations

from itertools import product

from otoscope.folk.abc._moving import interval_between, move, semitones_of
from otoscope.folk.abc.key import LETTERS, Key
from otoscope.folk.abc.tune import Tune

__all__ = ["transpose"]


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
    pitch_class = (semitones_of(old) + semitones) % 12
    tonics = [letter + sign for sign, letter in product(("", "#", "b"), LETTERS)]
    tonics = [tonic for tonic in tonics if semitones_of(tonic) % 12 == pitch_class]
    mode = "maj" if tune.key.tonic is None else tune.key.mode
    new = min(tonics, key=lambda tonic: len(Key(tonic, mode).signature))
    return move(tune, interval_between(old, new, semitones))
