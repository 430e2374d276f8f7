"""Elements of a line of music: notes, rests, bar lines and the signs between them.

Lengths are exact fractions of a whole note, as written: before tuplets and broken rhythm change
them. Lines and columns count from 1 and do not take part in comparisons.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, fields
from fractions import Fraction
from functools import cache, lru_cache
from typing import Self, TypeAlias

from otoscope.folk.abc.key import LETTERS, NATURAL, Key
from otoscope.folk.abc.meter import Meter

__all__ = [
    "BarLine",
    "BrokenRhythm",
    "Chord",
    "Element",
    "GraceNotes",
    "InlineField",
    "Mark",
    "MeasureRest",
    "Note",
    "Rest",
    "Tuplet",
    "join_bar_lines",
    "natural_pitch",
    "repeat_mark",
]

_new = object.__new__
_NATURALS = tuple(NATURAL[letter] for letter in LETTERS)


def natural_pitch(step: int) -> int:
    """Return the MIDI number of a staff position without alteration: 60 for step 0, middle C."""
    return 60 + 12 * (step // 7) + _NATURALS[step % 7]


@dataclass(frozen=True, slots=True)
class Element:
    """Base class of the elements; `line` and `column` are the place in the text, 0 if none."""

    line: int = field(default=0, compare=False, kw_only=True)
    column: int = field(default=0, compare=False, kw_only=True)

    @property
    def place(self) -> tuple[int, int]:
        """Line and column."""
        return self.line, self.column

    def at(self, line: int, column: int) -> Self:
        """Copy the element to another place; faster than `dataclasses.replace`."""
        other = _new(self.__class__)
        _put_line(other, line)
        _put_column(other, column)
        for name, put in _values_of(self.__class__):  # type: ignore[arg-type] # classes have a hash
            put(other, getattr(self, name))
        return other


_Put: TypeAlias = Callable[[Element, object], None]


def _setter(kind: type[Element], name: str) -> _Put:
    """Return the function that sets a field of a new element, which is frozen."""
    put: _Put = getattr(kind, name).__set__
    return put


@cache
def _values_of(kind: type[Element]) -> list[tuple[str, _Put]]:
    """Return name and setter of each field but the place."""
    names = [x.name for x in fields(kind) if x.name not in ("line", "column")]
    return [(name, _setter(kind, name)) for name in names]


_put_line, _put_column = _setter(Element, "line"), _setter(Element, "column")


@dataclass(frozen=True, slots=True)
class Note(Element):
    """A note.

    Parameters
    ----------
    step : int
        Staff position in ABC's notes without octave marks: 0 is C (middle C), 1 is D, 7 is c.
    alter : int
        Sounding alteration in semitones, in [-2, 2], including the key's and earlier accidentals.
    length : Fraction
        Written length in whole notes; in a chord, the ratio to the chord's length.
    tie : bool, default False
        Whether a tie (or, if the next note differs, a slur written as a tie) follows the note.
    written : bool, default False
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

    def at(self, line: int, column: int) -> Note:
        """Copy the note to another place, in half the time of other elements: most are notes."""
        other = _new(Note)
        _put_line(other, line)
        _put_column(other, column)
        _put_step(other, self.step)
        _put_alter(other, self.alter)
        _put_length(other, self.length)
        _put_tie(other, self.tie)
        _put_written(other, self.written)
        return other

    @property
    def pitch(self) -> int:
        """The MIDI number."""
        return natural_pitch(self.step) + self.alter

    @property
    def letter(self) -> str:
        """The note's letter, A to G."""
        return LETTERS[self.step % 7]


_put_step, _put_alter, _put_length, _put_tie, _put_written = (
    _setter(Note, name) for name in ("step", "alter", "length", "tie", "written")
)


@dataclass(frozen=True, slots=True)
class Chord(Element):
    """Simultaneous notes; each note's length is its ratio to the chord's ``length``, mostly 1."""

    notes: tuple[Note, ...]
    length: Fraction

    @property
    def tie(self) -> bool:
        """Whether a tie follows any of the notes."""
        return any(note.tie for note in self.notes)


@dataclass(frozen=True, slots=True)
class Rest(Element):
    """A rest of ``length`` whole notes: z, or x if it is not ``visible``."""

    length: Fraction
    visible: bool = True


@dataclass(frozen=True, slots=True)
class MeasureRest(Element):
    """A rest of ``count`` full measures: Z."""

    count: int = 1


@dataclass(frozen=True, slots=True)
class GraceNotes(Element):
    """Grace notes, without duration here; ``slash`` for the crossed-out ones."""

    notes: tuple[Note | Chord, ...]
    slash: bool = False


@dataclass(frozen=True, slots=True)
class BrokenRhythm(Element):
    """A broken rhythm between two notes.

    Parameters
    ----------
    sign : str
        Signs as written: ">" lengthens the first note and shortens the second, "<" the reverse.
    """

    sign: str


@dataclass(frozen=True, slots=True)
class Tuplet(Element):
    """A tuplet ``(p:q:r``: the next r = ``count`` notes, p = ``notes`` in the time of q.

    q is ``normal_notes``, as MusicXML calls it.
    """

    notes: int
    normal_notes: int
    count: int


@dataclass(frozen=True, slots=True)
class BarLine(Element):
    """A bar line, repeat mark or ending.

    Parameters
    ----------
    text : str
        One of ``| || |] [| [|] |: :| ::``, or empty for an ending that begins without bar line.
        With n colons a repeat mark stands for n repeats: ``|::`` and ``::|`` around what is played
        three times, ``::|:`` between that and a repeat.
    ending : str, default ""
        Passes that play what follows: "1", "2", "1,3", "1-3", or empty for all passes.

    Examples
    --------
    >>> bar_line = BarLine(":|", "2")
    >>> bar_line.closes, bar_line.opens, bar_line.endings
    (True, False, (2,))
    """

    text: str
    ending: str = ""

    @property
    def closes(self) -> bool:
        """Whether a repeat ends here."""
        return self.text.startswith(":")

    @property
    def opens(self) -> bool:
        """Whether a repeat begins here."""
        return self.text.endswith(":")

    @property
    def repeats(self) -> tuple[int, int]:
        """Numbers of repeats of what ends here, and of what begins here; 0 without repeat mark."""
        if self.text == "::":
            return 1, 1
        length = len(self.text)
        return length - len(self.text.lstrip(":")), length - len(self.text.rstrip(":"))

    @property
    def is_heavy(self) -> bool:
        """Whether the bar line ends a later ending: ``||``, ``|]`` or ``[|``."""
        return self.text in ("||", "|]", "[|")

    @property
    def endings(self) -> tuple[int, ...]:
        """The passes that play what follows; empty for all passes."""
        return _numbers(self.ending) if self.ending else ()


@dataclass(frozen=True, slots=True)
class InlineField(Element):
    """A change of a field within the music.

    Parameters
    ----------
    letter : str
        Letter of the field: "K", "M", "P" or "Q".
    value : Key, Meter or str
        Value of the field: a `Key` for K:, a `Meter` for M:, text for P: and Q:.
    """

    letter: str
    value: Key | Meter | str

    @property
    def text(self) -> str:
        """The value as written."""
        if isinstance(self.value, str):
            return self.value
        return self.value.abc if isinstance(self.value, Key) else self.value.text


@dataclass(frozen=True, slots=True)
class Mark(Element):
    """A slur, decoration, annotation or chord symbol, as written."""

    text: str


def join_bar_lines(bar_lines: Sequence[BarLine]) -> BarLine:
    """Join consecutive bar lines, with no music between them, to the one they mean together."""
    text, ending = _joined(tuple([(x.text, x.ending) for x in bar_lines]))
    return BarLine(text, ending, line=bar_lines[0].line, column=bar_lines[0].column)


@lru_cache(maxsize=4096)
def _joined(pairs: tuple[tuple[str, str], ...]) -> tuple[str, str]:
    """Return text and ending of the bar line that several mean together."""
    bar_lines = [BarLine(text, ending) for text, ending in pairs]
    closing, opening = (max(counts) for counts in zip(*(x.repeats for x in bar_lines), strict=True))
    heavy = [x.text for x in bar_lines if x.is_heavy]
    plain = heavy[0] if heavy else max((x.text for x in bar_lines), key=len)
    ending = ",".join(x.ending for x in bar_lines if x.ending)
    return repeat_mark(closing, opening) or plain, ending


@lru_cache(maxsize=4096)
def _numbers(text: str) -> tuple[int, ...]:
    """Read the passes of an ending: "1,3-4" is 1, 3, 4."""
    numbers: list[int] = []
    for span in filter(None, text.split(",")):
        first, _, last = span.partition("-")
        numbers += range(int(first), int(last or first) + 1)
    return tuple(numbers)


def repeat_mark(closing: int, opening: int) -> str:
    """Return the text of the bar line with these `BarLine.repeats`; "" without any."""
    if closing == opening == 1:
        return "::"
    return f"{':' * closing}|{':' * opening}" if closing or opening else ""
