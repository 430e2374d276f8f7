"""Signs of a line of music, each read once for all the places where it stands.

`SPLIT.findall` splits a line into signs, and `signs_in` reads them; what follows a sign never
changes what it is. Notes, rests and bar lines are copied to their places.
"""

from __future__ import annotations

import re
from fractions import Fraction
from functools import lru_cache
from typing import NamedTuple

from otoscope.folk.abc.durations import parse_length
from otoscope.folk.abc.elements import BarLine, Mark, Note, Rest
from otoscope.folk.abc.key import LETTERS, SIGNS, Key
from otoscope.folk.abc.text.patterns import TOKEN, bar_line_text

__all__ = ["Sign", "Signs", "signs_in"]

_SAFE_STEPS = range(-33, 39)  # with any alteration their pitches are in [0, 127]
_MOST = 1024  # signs that are remembered


class Sign(NamedTuple):
    """A sign, and the element that it stands for by key and unit alone, accidentals left out."""

    kind: str
    match: re.Match[str]
    note: Note | None = None  # None too if its length is not one
    other: Rest | BarLine | Mark | None = None
    # the note, if it has no accidental and is in the range of MIDI whatever its alteration
    plain: Note | None = None

    @property
    def text(self) -> str:
        """The sign as written, without blanks after it."""
        return str(self.match[self.kind])


class Signs(dict[str, Sign]):
    """Signs in a key and unit by their texts: read when they are looked up, a thousand are kept."""

    def __init__(self, key: Key, unit: Fraction) -> None:
        super().__init__()
        self._key, self._unit = key, unit

    def __missing__(self, text: str) -> Sign:
        if len(self) == _MOST:
            self.clear()
        sign = self[text] = _sign(text, self._key, self._unit)
        return sign


@lru_cache(maxsize=64)
def signs_in(key: Key, unit: Fraction) -> Signs:
    """Return the signs in a key and unit, the same for all tunes."""
    return Signs(key, unit)


def _sign(text: str, key: Key, unit: Fraction) -> Sign:
    match = TOKEN.match(text)
    if match is None:
        raise ValueError(f"{text!r} is no sign of a line")
    kind = str(match.lastgroup)
    if kind == "note":
        note = _note(match, key, unit)
        is_plain = note is not None and not note.written and note.step in _SAFE_STEPS
        return Sign(kind, match, note, None, note if is_plain else None)
    if kind == "rest":
        length = parse_length(match["rest_length"] or "")
        rest = Rest(length * unit, text[0] == "z") if length else None
        return Sign(kind, match, None, rest)
    if kind == "bar":
        bar_line = BarLine(bar_line_text(match["bar_text"]), match["bar_ending"] or "")
        return Sign(kind, match, None, bar_line)
    return Sign(kind, match, None, Mark(text) if kind in ("text", "mark") else None)


def _note(match: re.Match[str], key: Key, unit: Fraction) -> Note | None:
    length = parse_length(match["length"] or "")
    if length is None:
        return None
    octaves = match["letter"].islower() + match["octave"].count("'") - match["octave"].count(",")
    step = LETTERS.index(match["letter"].upper()) + 7 * octaves
    alter = SIGNS.get(match["sign"], key.signature.get(LETTERS[step % 7], 0))
    return Note(step, alter, length * unit, written=match["sign"] is not None)
