"""Which alteration a note without sign has: key, earlier signs in the bar, ties across bars.

Conventions of abc2midi: a sign holds to the next bar line, for its letter in every octave, also
one at a grace note; a tie carries the alteration across a bar line, to that note alone.
"""

from __future__ import annotations

from collections.abc import Iterable

from otoscope.folk.abc.elements import Note
from otoscope.folk.abc.key import LETTERS, Key

__all__ = ["Accidentals"]


class Accidentals:
    """The alterations in force while a tune is read or written from left to right.

    Examples
    --------
    >>> accidentals = Accidentals(Key.parse("G"))
    >>> accidentals.sign(3, 0)  # =F
    >>> accidentals.unsigned(10)  # f in the same bar
    0
    >>> accidentals.bar()
    >>> accidentals.unsigned(10)
    1
    """

    def __init__(self, key: Key) -> None:
        self._signature = key.signature
        self._signs: dict[int, int] = {}
        self._tied: dict[int, int] = {}

    def unsigned(self, step: int) -> int:
        """Return the alteration of a note without sign."""
        letter = step % 7
        if letter in self._signs:
            return self._signs[letter]
        return self._tied.get(step, self._signature.get(LETTERS[letter], 0))

    def sign(self, step: int, alter: int) -> None:
        """Take note of a written sign."""
        self._signs[step % 7] = alter

    def hold(self, notes: Iterable[Note]) -> None:
        """Take note of the ties that lead on from the notes just passed, if any."""
        self._tied = {note.step: note.alter for note in notes if note.tie}

    def bar(self) -> None:
        """Forget the signs of the bar."""
        self._signs = {}

    def change(self, key: Key) -> None:
        """Take another key."""
        self._signature = key.signature
        self._signs = {}
