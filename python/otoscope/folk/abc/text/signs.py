"""Signs of a line of music, each read once for all the places where it stands.

`SPLIT.findall` splits a line into signs, and `sign_reader` reads one; what follows a sign never
changes what it is. Notes, rests and bar lines are copied to their places.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from fractions import Fraction
from functools import lru_cache
from typing import NamedTuple

from otoscope.folk.abc.durations import parse_length
from otoscope.folk.abc.elements import BarLine, Mark, Note, Rest
from otoscope.folk.abc.key import LETTERS, SIGNS, Key
from otoscope.folk.abc.text.patterns import TOKEN, bar_line_text

__all__ = ["Sign", "sign_reader"]

_SAFE_STEPS = range(-33, 39)  # with any alteration their pitches are in [0, 127]


class Sign(NamedTuple):
    """A sign, and the element that it stands for by key and unit alone, accidentals left out."""

    kind: str
    match: re.Match[str]
    note: Note | None = None  # None too if its length is not one
    other: Rest | BarLine | Mark | None = None
    is_plain: bool = (
        False  # a note without accidental, in the range of MIDI whatever its alteration
    )

    @property
    def text(self) -> str:
        """The sign as written, without blanks after it."""
        return str(self.match[self.kind])


@lru_cache(maxsize=64)
def sign_reader(key: Key, unit: Fraction) -> Callable[[str], Sign]:
    """Return the reader of signs in a key and unit; it remembers the latest thousand."""

    @lru_cache(maxsize=1024)
    def read_sign(text: str) -> Sign:
        match = TOKEN.match(text)
        if match is None:
            raise ValueError(f"{text!r} is no sign of a line")
        kind = str(match.lastgroup)
        if kind == "note":
            note = _note(match, key, unit)
            is_plain = note is not None and not note.written and note.step in _SAFE_STEPS
            return Sign(kind, match, note, None, is_plain)
        if kind == "rest":
            length = parse_length(match["rest_length"] or "")
            rest = Rest(length * unit, text[0] == "z") if length else None
            return Sign(kind, match, None, rest)
        if kind == "bar":
            bar_line = BarLine(bar_line_text(match["bar_text"]), match["bar_ending"] or "")
            return Sign(kind, match, None, bar_line)
        return Sign(kind, match, None, Mark(text) if kind in ("text", "mark") else None)

    return read_sign


def _note(match: re.Match[str], key: Key, unit: Fraction) -> Note | None:
    length = parse_length(match["length"] or "")
    if length is None:
        return None
    octaves = match["letter"].islower() + match["octave"].count("'") - match["octave"].count(",")
    step = LETTERS.index(match["letter"].upper()) + 7 * octaves
    alter = SIGNS.get(match["sign"], key.signature.get(LETTERS[step % 7], 0))
    return Note(step, alter, length * unit, written=match["sign"] is not None)
