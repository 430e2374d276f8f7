"""Contents of measures, read from their tokens: lengths, and whether two begin alike.

Pitches depend on the key (in minor, E and _E are one), which the rules of a form do not know. So
measures that are alike in any key of the vocabulary count as alike.
"""

from __future__ import annotations

import re
from fractions import Fraction
from functools import cache, cached_property, lru_cache
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from otoscope.folk.abc import BarLine, Chord, NotationError, Note, Tune
from otoscope.folk.tokens import Vocabulary, get_tokeniser

__all__ = ["Bar", "BarReader"]

Bar: TypeAlias = tuple[int, ...]
"""Tokens between two bar lines."""

_PITCH = re.compile(r"[\^_=]{0,2}[A-Ga-g][,']*")
_REST = re.compile(r"[xz]\d*")
_LONGEST = 100  # tokens of a measure that is read


class BarReader:
    """Reader of the measures of one vocabulary.

    >>> tokens = ("<s>", "</s>", "M:2/4", "K:Cmaj", "|", "C", "D", "2")
    >>> reader = BarReader(Vocabulary(tokens), "v2")
    >>> reader.length("M:2/4", (5, 7, 6, 7)), reader.begin_alike("M:2/4", (5,), (5, 6))
    (Fraction(1, 1), True)
    >>> np.flatnonzero(reader.same_opening("M:2/4", (6, 5))).tolist()
    [6]
    """

    def __init__(self, vocabulary: Vocabulary, version: str) -> None:
        self._vocabulary, self._tokeniser = vocabulary, get_tokeniser(version)
        self._keys = [token for token in vocabulary.tokens if token.startswith("K:")]
        self.is_pitch = [bool(_PITCH.fullmatch(token)) for token in vocabulary.tokens]
        self._pitch = vocabulary.tokens[self.is_pitch.index(True)]
        self.length = lru_cache(maxsize=4096)(self._length_of)
        self._notes = lru_cache(maxsize=4096)(self._notes_of)
        self.same_opening = cache(self._same_opening_of)

    def begin_alike(self, meter: str, first: Bar, second: Bar) -> bool:
        """Whether the shorter of two measures has the first notes of the longer, in some key."""
        for key in self._keys:
            a, b = self._notes(meter, key, first), self._notes(meter, key, second)
            if a[: len(b)] == b[: len(a)]:
                return True
        return False

    def _same_opening_of(self, meter: str, bar: Bar) -> NDArray[np.bool_]:
        """Return the mask [token] of the pitches that a measure begins with; without any, rests."""
        same = np.zeros(len(self._vocabulary), bool)
        for key, pitches in zip(self._keys, self._pitches, strict=True):
            notes = self._notes(meter, key, bar)
            first = [pitch for onset, pitch in notes if onset == notes[0][0]]
            same |= np.isin(pitches, first) if first else self._is_rest
        return same

    @cached_property
    def _is_rest(self) -> NDArray[np.bool_]:
        return np.array([bool(_REST.fullmatch(token)) for token in self._vocabulary.tokens])

    @cached_property
    def _pitches(self) -> NDArray[np.int64]:
        """Pitches [key, token] of tokens by themselves, -1 of those that are no pitch."""
        meter = next(token for token in self._vocabulary.tokens if token.startswith("M:"))
        pitches = np.full((len(self._keys), len(self.is_pitch)), -1)
        for row, key in enumerate(self._keys):
            for token in np.flatnonzero(self.is_pitch).tolist():
                for _, pitch in self._notes_of(meter, key, (token,)):
                    pitches[row, token] = pitch
        return pitches

    def _length_of(self, meter: str, bar: Bar) -> Fraction | None:
        """Return the length of a measure in full bars; None if it cannot be read."""
        tune = self._read(meter, self._keys[0], bar)
        full = tune.meter.length if tune else None
        if tune is None or not full or len(tune.measures) < 2:
            return None
        return sum((measure.duration for measure in tune.measures[:-1]), Fraction(0)) / full

    def _notes_of(self, meter: str, key: str, bar: Bar) -> tuple[tuple[Fraction, int], ...]:
        """Return onset and pitch of a measure's notes; none if it cannot be read."""
        tune, notes = self._read(meter, key, bar), list[tuple[Fraction, int]]()
        for timed in tune.timed_elements if tune else ():
            element = timed.element
            if isinstance(element, BarLine):
                break
            if isinstance(element, Note | Chord):
                struck = element.notes if isinstance(element, Chord) else (element,)
                notes += [(timed.onset, pitch) for pitch in sorted(note.pitch for note in struck)]
        return tuple(notes)

    def _read(self, meter: str, key: str, bar: Bar) -> Tune | None:
        """Read a measure as a tune, with a second one: a tune needs a note."""
        if len(bar) > _LONGEST:
            return None
        try:
            tokens = [meter, key, *self._vocabulary.decode(bar), "|", self._pitch]
            return self._tokeniser.tune(tokens)
        except NotationError:
            return None
