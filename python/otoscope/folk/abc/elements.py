"""What a line of music is made of: notes, rests, bars and the signs between them.

Lengths are exact fractions of a whole note, as written: before tuplets and broken rhythm change
them. Lines and columns count from 1 and do not take part in comparisons.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from fractions import Fraction

from otoscope.folk.abc.key import LETTERS, NATURAL, Key
from otoscope.folk.abc.meter import Meter

__all__ = [
    "Bar",
    "Broken",
    "Chord",
    "Element",
    "Field",
    "Grace",
    "Mark",
    "MeasureRest",
    "Note",
    "Rest",
    "Tuplet",
    "natural_pitch",
]

_NATURALS = tuple(NATURAL[letter] for letter in LETTERS)


def natural_pitch(step: int) -> int:
    """Return the MIDI number of a place on the staff without alteration.

    Parameters
    ----------
    step : int
        0 is C (middle C, 60), 7 is c.

    Returns
    -------
    int
        60 for step 0.

    Examples
    --------
    >>> natural_pitch(-1)
    59
    """
    return 60 + 12 * (step // 7) + _NATURALS[step % 7]


@dataclass(frozen=True)
class Element:
    """Anything in a line of music; `line` and `column` say where it was read."""

    line: int = field(default=0, compare=False, kw_only=True)
    column: int = field(default=0, compare=False, kw_only=True)


@dataclass(frozen=True)
class Note(Element):
    """A note.

    Parameters
    ----------
    step : int
        Place on the staff: 0 is C (middle C), 1 is D, 7 is c.
    alter : int
        Sounding alteration in semitones, in [-2, 2]: key and earlier accidentals are in it.
    length : Fraction
        In whole notes.
    tie : bool
        Whether a tie (or, where the next note differs, a slur written as one) leads on.
    written : bool
        Whether the accidental is written at this note.

    Examples
    --------
    >>> Note(7, 1, Fraction(1, 8)).pitch
    73
    """

    step: int
    alter: int
    length: Fraction
    tie: bool = False
    written: bool = False

    @property
    def pitch(self) -> int:
        """The MIDI number."""
        return natural_pitch(self.step) + self.alter

    @property
    def letter(self) -> str:
        """The note's letter, A to G."""
        return LETTERS[self.step % 7]


@dataclass(frozen=True)
class Chord(Element):
    """Notes at once; their own lengths are ratios to the chord's ``length``, mostly 1."""

    notes: tuple[Note, ...]
    length: Fraction

    @property
    def tie(self) -> bool:
        """Whether a tie leads on from any note."""
        return any(note.tie for note in self.notes)


@dataclass(frozen=True)
class Rest(Element):
    """A rest: z, or x if it is not ``visible``."""

    length: Fraction
    visible: bool = True


@dataclass(frozen=True)
class MeasureRest(Element):
    """A rest of ``count`` whole bars: Z."""

    count: int = 1


@dataclass(frozen=True)
class Grace(Element):
    """Grace notes: without duration here; ``slash`` for the crossed-out ones."""

    notes: tuple[Note | Chord, ...]
    slash: bool = False


@dataclass(frozen=True)
class Broken(Element):
    """Broken rhythm between two notes: > lengthens the first, < the second."""

    sign: str


@dataclass(frozen=True)
class Tuplet(Element):
    """The next ``count`` notes, ``notes`` in the time of ``time``: (3 is (3:2:3."""

    notes: int
    time: int
    count: int


@dataclass(frozen=True)
class Bar(Element):
    """A bar line, repeat mark or ending.

    Parameters
    ----------
    text : str
        One of ``| || |] [| [|] |: :| ::``, or empty: an ending that begins without a bar line.
    ending : str
        "1", "2", "1,3", "1-3" or empty.

    Examples
    --------
    >>> bar = Bar(":|", "2")
    >>> bar.closes, bar.opens, bar.endings
    (True, False, (2,))
    """

    text: str
    ending: str = ""

    @property
    def closes(self) -> bool:
        """Whether a repeat ends here."""
        return self.text in (":|", "::")

    @property
    def opens(self) -> bool:
        """Whether a repeat begins here."""
        return self.text in ("|:", "::")

    @property
    def endings(self) -> tuple[int, ...]:
        """The passes in which what follows is played; empty for every pass."""
        numbers: list[int] = []
        for span in filter(None, self.ending.split(",")):
            first, _, last = span.partition("-")
            numbers += range(int(first), int(last or first) + 1)
        return tuple(numbers)


@dataclass(frozen=True)
class Field(Element):
    """A change inside the body: K: with a `Key`, M: with a `Meter`, P: and Q: with text."""

    letter: str
    value: Key | Meter | str

    @property
    def text(self) -> str:
        """The value as written."""
        if isinstance(self.value, str):
            return self.value
        return self.value.abc if isinstance(self.value, Key) else self.value.text


@dataclass(frozen=True)
class Mark(Element):
    """A slur, decoration, annotation or chord symbol, as written."""

    text: str
