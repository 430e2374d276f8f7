"""Position of each token in its bar, part and tune, from the tokens before it: inputs of networks.

A network that is told how much of the bar is left need not count beats, and one that is told what
stood at the same place some bars before can repeat it. Positions are read from left to right, and
never refuse a tune: bars that are too long, open tuplets and stray signs have positions as well.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from functools import cache
from typing import Final, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from otoscope.errors import ParameterError
from otoscope.folk.abc import Meter, NotationError
from otoscope.folk.abc.durations import broken_factors, default_normal_notes, parse_length
from otoscope.folk.tokens import Vocabulary

__all__ = ["INPUTS", "Column", "Position", "PositionReader", "position_columns"]

INPUTS: Final = {
    "bar": ("remaining", "carried", "inside"),
    "part": ("pickup", "return", "number", "part", "previous"),
    "earlier": ("earlier 1", "earlier 2", "earlier 4", "earlier 8"),
}
"""Columns of each input, by the input's name."""

_EIGHTH = 20160  # ticks: sixteenths of it, tuplets of up to 10 and broken rhythm are whole
_STEP = _EIGHTH // 4  # durations are told apart in 32nds
_LONGEST = 49  # in steps; a bar of 12/8 and of 3/2 has 48
_MOST_BARS, _MOST_PARTS, _MOST_NOTES = 33, 7, 9
_LAGS = (1, 2, 4, 8)  # bars
_AFTER_BAR = 99
_BAR_BEGINS = ("bar", "meter", "key")
_SIZES = {
    "remaining": 2 * (_LONGEST + 2),
    "carried": 2 * (_LONGEST + 2),
    "inside": 4 * (_MOST_NOTES + 1),
    "pickup": _LONGEST + 2,
    "return": 2 * (_LONGEST + 2),
    "number": _MOST_BARS + 1,
    "part": 6 * (_MOST_PARTS + 1),
    "previous": _MOST_BARS + 1,
}
_NOTE = re.compile(r"[\^_=]{0,2}[A-Ga-g][,']*|z")
_LENGTH = re.compile(r"([\d/]*)([<>]*)")
_TUPLET = re.compile(r"\((\d+)(?::(\d+):(\d+))?")
_BAR = re.compile(r"[|:\[\]]+(\d?)[\d,-]*")


class Column(NamedTuple):
    """A column of positions: number of its values, and whether they are tokens.

    The values are 0 to ``size`` - 1. In a column of tokens they are ids, and the last is "none".
    """

    name: str
    size: int
    is_token: bool


def position_columns(inputs: Iterable[str], n_tokens: int) -> list[Column]:
    """Return the columns of inputs.

    Parameters
    ----------
    inputs : iterable of {"bar", "part", "earlier"}
        Names of the inputs.
    n_tokens : int
        Size of the vocabulary.

    Returns
    -------
    list of Column
        Columns in the order of `INPUTS`.

    Raises
    ------
    ParameterError
        If there is no input of a name, or it comes twice.

    Examples
    --------
    >>> [column.name for column in position_columns(["bar"], 9)]
    ['remaining', 'carried', 'inside']
    """
    inputs = list(inputs)
    for place, name in enumerate(inputs):
        if name not in INPUTS or name in inputs[:place]:
            raise ParameterError(
                f"inputs are {', '.join(map(str, inputs))}; "
                f"must be some of {', '.join(INPUTS)}, each once"
            )
    return [
        Column(name, _SIZES.get(name, n_tokens + 1), name not in _SIZES)
        for group, names in INPUTS.items()
        if group in inputs
        for name in names
    ]


_Ratio: TypeAlias = tuple[int, int]
_UNBROKEN: Final = (1, 1), (1, 1)


class _Kind(NamedTuple):
    """Say what a token does; ratios are two numbers."""

    name: str = ""
    length: _Ratio = (1, 1)
    broken: tuple[_Ratio, _Ratio] = _UNBROKEN
    tuplet: tuple[int, int, int] = (1, 1, 0)
    full: int = 0
    is_compound: bool = False
    ending: int = 0
    begins_part: bool = False
    ends_part: bool = False


def _kind(token: str) -> _Kind:
    """Classify a token of a tune's body or a meter; others change no position."""
    if _NOTE.fullmatch(token) or token in ("[", "]"):
        return _Kind("note" if token not in ("[", "]") else token)
    if (match := _LENGTH.fullmatch(token)) and (length := parse_length(match[1])):
        kind = _Kind("length" if match[1] else "broken", length.as_integer_ratio())
        if not match[2]:
            return kind
        before, after = broken_factors(match[2])
        return kind._replace(broken=(before.as_integer_ratio(), after.as_integer_ratio()))
    if match := _TUPLET.fullmatch(token):
        p, q, notes = (int(number or 0) for number in match.groups())
        return _Kind("tuplet", tuplet=(p, q, notes or p))
    if match := _BAR.fullmatch(token):
        marks = token.rstrip("0123456789,-")
        ends = marks.startswith(":") or "||" in marks or "]" in marks
        return _Kind(
            "bar", ending=int(match[1] or 0), begins_part=marks.endswith(":"), ends_part=ends
        )
    if token.startswith("K:"):
        return _Kind("key")
    if token.startswith("M:"):
        try:
            meter = Meter.parse(token[2:])
        except NotationError:
            return _Kind()
        full = int((meter.length or 0) * 8 * _EIGHTH)
        return _Kind("meter", full=full, is_compound=meter.is_compound)
    return _Kind()


@cache
def _in_steps(ticks: int) -> int:
    """Return a duration in 32nds; what is between them, or longer, has its own values."""
    steps, rest = divmod(ticks, _STEP)
    return min(max(steps, -1), _LONGEST) + 1 + (_LONGEST + 2 if rest else 0)


class PositionReader:
    """Reader of positions from the tokens of one vocabulary.

    Parameters
    ----------
    vocabulary : Vocabulary
        Vocabulary of v2 or v3 tokens.
    inputs : sequence of {"bar", "part", "earlier"}
        Names of the inputs.

    Raises
    ------
    ParameterError
        If there is no input of a name, or it comes twice.

    Notes
    -----
    bar: ``remaining`` is the time to the end of the bar, in 32nds, if the latest note ends now;
    ``carried`` the same if the measure before was short and this one completes it; ``inside`` tells
    tuplets and chords that are open, and broken rhythm.

    part: ``pickup`` is the length of the part's first measure if that is short; ``return`` the time
    to the end of a bar that the pickup completes when the part is repeated; ``number`` that of the
    bar in the part; ``part`` that of the part, whether it is repeated, and the ending;
    ``previous`` the number of bars of the part before.

    earlier: the token that followed at the same place 1, 2, 4 and 8 bars before; a second ending is
    at the place of the first.

    Examples
    --------
    >>> vocabulary = Vocabulary.of([["M:2/4", "K:Cmaj", "C", "2", "D", "|"]])
    >>> reader = PositionReader(vocabulary, ["bar"])
    >>> reader.read(vocabulary.encode(["M:2/4", "K:Cmaj", "C", "2", "D", "|"]))[:, 0].tolist()
    [17, 17, 13, 9, 5, 17]
    """

    def __init__(self, vocabulary: Vocabulary, inputs: Sequence[str]) -> None:
        self.columns = position_columns(inputs, len(vocabulary))
        self.inputs = frozenset(inputs)
        self.kinds = [_kind(token) for token in vocabulary.tokens]
        self.none = len(vocabulary)

    def begin(self) -> Position:
        """Return the position before a tune's first token."""
        return Position(self)

    def read(self, ids: Sequence[int]) -> NDArray[np.int64]:
        """Return the positions after each token of a tune.

        Parameters
        ----------
        ids : sequence of int
            Tokens from the tune's beginning.

        Returns
        -------
        array [token, column], int64
            Positions; each depends on the tokens up to it.

        Examples
        --------
        >>> PositionReader(Vocabulary(("<s>", "</s>")), ["part"]).read([0]).shape
        (1, 5)
        """
        position = self.begin()
        rows = [position.after(token) for token in ids]
        return np.array(rows, np.int64).reshape(len(ids), len(self.columns))


class Position:
    """Position in a tune that is read token by token.

    >>> vocabulary = Vocabulary(("<s>", "</s>", "M:2/4", "C"))
    >>> position = PositionReader(vocabulary, ["bar"]).begin()
    >>> [position.after(token)[0] for token in (0, 2, 3, 3)]
    [1, 17, 13, 9]
    """

    def __init__(self, reader: PositionReader) -> None:
        self._reader = reader
        self._full, self._bar, self._is_compound = 0, 1, False
        self._at = self._onset = 0  # ticks in the bar: now, and before the latest note
        self._unit = _EIGHTH  # ticks of the latest note if its length is 1
        self._takes_length = self._in_chord = False
        self._tuplet, self._tuplet_left = (1, 1), 0
        self._next_factor = (1, 1)  # of broken rhythm
        self._bar_line = 0  # ticks of the tune before the latest bar line
        self._carried = self._pickup = 0
        self._is_first_bar = True  # of the part
        self._part_line = self._first_full = 0  # ticks before the part, before its first full bar
        self._part, self._previous, self._is_repeated, self._ending = 0, 0, False, 0
        self._pickup_value = self._part_value = 0
        self._branch = (0, 0)  # bar line and carried length before the first ending
        self._tokens: list[int] = []
        self._next: dict[tuple[int, int, bool], int] = {}  # index of the token after a place
        self._now, self._n_here = 0, 0  # ticks of the tune, number of tokens that left it there

    def after(self, token: int) -> list[int]:
        """Read a token, given by its id; return the value of each column."""
        kind = self._reader.kinds[token]
        name = kind.name
        if name == "note":
            if not self._in_chord:
                self._begin_note()
        elif name == "length":
            self._end_note(kind)
        elif name == "bar":
            self._cross(kind)
        elif name == "broken":
            self._break(*kind.broken)
        elif name == "tuplet":
            p, q, self._tuplet_left = kind.tuplet
            q = q or default_normal_notes(p, is_compound=self._is_compound)
            self._tuplet = p or 1, q
        elif name == "meter":
            self._full, self._is_compound = kind.full, kind.is_compound
            self._bar = max(kind.full, 1)
        elif name == "[":
            self._in_chord, self._takes_length = True, False
        elif name == "]":
            self._in_chord = False
            self._begin_note()
        else:
            self._takes_length = False
        values = self._bar_values() if "bar" in self._reader.inputs else []
        if "part" in self._reader.inputs:
            values += self._part_values()
        if "earlier" in self._reader.inputs:
            values += self._earlier(token, begins_bar=name in _BAR_BEGINS)
        return values

    def _begin_note(self) -> None:
        """Begin a note, rest or chord whose length is 1 until another one follows."""
        above, below = self._next_factor
        unit = _EIGHTH * above // below
        if self._tuplet_left:
            self._tuplet_left -= 1
            p, q = self._tuplet
            unit = unit * q // p
        self._unit, self._next_factor = unit, (1, 1)
        self._onset = self._at
        self._at += unit
        self._takes_length = True

    def _end_note(self, kind: _Kind) -> None:
        if self._takes_length:
            above, below = kind.length
            self._at = self._onset + self._unit * above // below
            self._takes_length = False
        if kind.broken != _UNBROKEN:
            self._break(*kind.broken)

    def _break(self, before: _Ratio, after: _Ratio) -> None:
        (above, below), self._next_factor = before, after
        self._at = self._onset + (self._at - self._onset) * above // below
        self._takes_length = False

    def _cross(self, kind: _Kind) -> None:
        """Cross a bar line: the measure before it is complete, and perhaps its part."""
        self._takes_length = self._in_chord = False
        self._tuplet_left, self._next_factor = 0, (1, 1)
        if self._at:
            self._bar_line += self._at
            short = self._at if self._at < self._full else 0
            self._carried = 0 if short + self._carried == self._full else short
            if self._is_first_bar:
                self._is_first_bar, self._pickup = False, short
                if short:
                    self._first_full = self._bar_line
            self._at = self._onset = 0
        if kind.ending == 1:
            self._branch, self._ending = (self._bar_line, self._carried), 1
        elif kind.ending and self._ending:
            (self._bar_line, self._carried), self._ending = self._branch, 2
        elif kind.begins_part or (kind.ends_part and self._ending != 1):
            if self._bar_line != self._part_line:
                self._part += 1
                bars = (self._bar_line - self._first_full) // self._bar
                self._previous = min(max(bars, 0), _MOST_BARS)
                self._part_line = self._first_full = self._bar_line
                self._is_first_bar, self._pickup = True, 0
            self._is_repeated, self._ending = kind.begins_part, 0
        self._pickup_value = 0 if self._is_first_bar else 1 + min(self._pickup // _STEP, _LONGEST)
        part = min(self._part, _MOST_PARTS)
        self._part_value = 3 * (2 * part + self._is_repeated) + self._ending

    def _bar_values(self) -> list[int]:
        left = self._full - self._at
        notes = min(self._tuplet_left, _MOST_NOTES)
        inside = 4 * notes + 2 * (self._next_factor != (1, 1)) + self._in_chord
        return [_in_steps(left), _in_steps(left - self._carried), inside]

    def _part_values(self) -> list[int]:
        number = (self._bar_line + self._at - self._first_full) // self._bar
        return [
            self._pickup_value,
            _in_steps(self._full - self._at - self._pickup),
            0 if number < 0 else number if number < _MOST_BARS else _MOST_BARS,
            self._part_value,
            self._previous,
        ]

    def _earlier(self, token: int, *, begins_bar: bool) -> list[int]:
        """Return the tokens that followed at the same place some bars before.

        A place is a time, the number of tokens since that time was reached, and whether the latest
        note may still get a length; all bar lines at a time are one place.
        """
        now, tokens = self._bar_line + self._at, self._tokens
        n_here = _AFTER_BAR if begins_bar else self._n_here + 1 if now == self._now else 0
        self._now, self._n_here = now, n_here
        tokens.append(token)
        is_open, n_tokens = self._takes_length, len(tokens)
        self._next[now, n_here, is_open] = n_tokens
        find, kinds, values = self._next.get, self._reader.kinds, []
        for lag in _LAGS:
            time = now - lag * self._full
            index = find((time, n_here, is_open), n_tokens)
            if index == n_tokens:
                index = find((time, n_here, not is_open), n_tokens)
                if index < n_tokens and kinds[tokens[index]].name in ("length", "broken"):
                    index = n_tokens
            values.append(tokens[index] if index < n_tokens else self._reader.none)
        return values
