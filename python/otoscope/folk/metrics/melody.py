"""What a tune's notes are: range, end, cadence, accidentals and degrees of the scale.

Degrees are chromatic, counted from the tonic of the header's key: 1 is the tonic, b3 the minor
third, 5 the fifth. Keys without tonic (the pipes', none) have no degrees.
"""

from __future__ import annotations

from collections import Counter
from fractions import Fraction
from itertools import groupby
from typing import Final

from otoscope.folk.abc import Chord, InlineField, Key, Note, Tune

__all__ = ["DEGREES", "accidentals", "degrees", "ending"]

DEGREES: Final = ("1", "b2", "2", "b3", "3", "4", "#4", "5", "b6", "6", "b7", "7")


def accidentals(tune: Tune) -> tuple[list[Note], int]:
    """Return the notes that are not in the key in force, and how many notes there are.

    Parameters
    ----------
    tune : Tune
        As written: repeats are counted once, grace notes not at all, chord notes each.

    Returns
    -------
    list of Note, int
        In the order of writing. A raised seventh degree in minor is one, too.

    Examples
    --------
    >>> notes, count = accidentals(parse_tune("K:Am\\nA2^GA|"))
    >>> [note.column for note in notes], count
    ([3], 3)
    """
    found: list[Note] = []
    count, key = 0, tune.key
    for element in tune.elements:
        if isinstance(element, InlineField) and isinstance(element.value, Key):
            key = element.value
        if isinstance(element, Note | Chord):
            notes = (element,) if isinstance(element, Note) else element.notes
            count += len(notes)
            found += [note for note in notes if note.alter != key.signature.get(note.letter, 0)]
    return found, count


def degrees(tune: Tune) -> tuple[dict[str, float], dict[str, float]]:
    """Return how often each degree is heard, and for how long.

    Parameters
    ----------
    tune : Tune
        Its repeats are played out.

    Returns
    -------
    dict of str to float, dict of str to float
        Shares by count and by duration, of `DEGREES`; empty without tonic or notes.

    Examples
    --------
    >>> by_count, by_duration = degrees(parse_tune("L:1/4\\nK:G\\nG3B|"))
    >>> by_count["1"], by_duration["1"]
    (0.5, 0.75)
    """
    tonic, notes = tune.key.tonic_pitch_class, tune.unfolded.notes
    if tonic is None or not notes:
        return {}, {}
    count: Counter[int] = Counter()
    time: Counter[int] = Counter()
    whole = sum((note.duration for note in notes), Fraction(0))
    for note in notes:
        count[(note.pitch - tonic) % 12] += 1
        time[(note.pitch - tonic) % 12] += note.duration  # type: ignore[assignment]
    by_count = {name: count[i] / len(notes) for i, name in enumerate(DEGREES)}
    return by_count, {name: float(time[i] / whole) for i, name in enumerate(DEGREES)}


def ending(tune: Tune) -> tuple[str, str]:
    """Return the degree of the last note heard, and that of the note before it.

    Parameters
    ----------
    tune : Tune
        Its repeats are played out.

    Returns
    -------
    str, str
        Of `DEGREES`, in the key in force at the end; of a chord, its highest note. Several last
        notes of one pitch class count as one; "" where there is no such note or no tonic.

    Examples
    --------
    >>> ending(parse_tune("K:D\\nFGAF|EDD2|"))
    ('1', '2')
    """
    tonic = _last_key(tune).tonic_pitch_class
    classes = [kind for kind, _ in groupby(note.pitch % 12 for note in tune.unfolded.melody)]
    if tonic is None:
        return "", ""
    last = [DEGREES[(kind - tonic) % 12] for kind in classes[-2:]]
    return (last[-1] if last else ""), (last[0] if len(last) > 1 else "")


def _last_key(tune: Tune) -> Key:
    changes = [field.value for field in tune.unfolded.elements if isinstance(field, InlineField)]
    return next((value for value in reversed(changes) if isinstance(value, Key)), tune.key)
