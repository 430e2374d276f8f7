"""Which tokens keep every measure of a tune at its meter's length.

A grammar of v2 and v3 tokens, stricter than music: a token is allowed only if the measure that it
leaves can still be filled exactly. A tune may begin with a short measure, a pickup; then all its
parts do, repeated or not, and end short by as much, so that bars add up however they are played.
Outside the grammar lie lengths inside chords, broken rhythm inside tuplets or twice for a note, and
bars split between parts otherwise.

Times are whole ticks: `Bars.beat` of them are an eighth, the length of a note without a number.
"""

from __future__ import annotations

import math
import re
from fractions import Fraction
from functools import cache, reduce
from operator import or_
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from otoscope.folk.abc import Meter
from otoscope.folk.tokens import Vocabulary

__all__ = ["BarState", "Bars", "Tuplet"]

_PITCH = re.compile(r"[\^_=]{0,2}[A-Ga-g][,']*")
_LENGTH = re.compile(r"(\d*)(/*)(\d*)([<>]*)")  # over, slashes, under, broken rhythm
_TUPLET = re.compile(r"\(([2-9])")
_SECOND_NUMBER = {2: 3, 3: 2, 4: 3, 6: 2, 8: 3}  # of other tuplets: 3 in compound meters, else 2

# By what a broken rhythm multiplies the notes before and after it.
_BROKEN = {
    ">": (Fraction(3, 2), Fraction(1, 2)),
    "<": (Fraction(1, 2), Fraction(3, 2)),
    ">>": (Fraction(7, 4), Fraction(1, 4)),
    "<<": (Fraction(1, 4), Fraction(7, 4)),
}
_BARS = ("|", "|:", ":|", "|1", "</s>")
_LARGEST_CHORD = 4  # notes; a model that is lost in a chord would go on for ever
_HALVES = (1, 2, 4, 8, 16, 32)
_ENDS = (":|", "|:")  # of parts
_AGAIN = "again"  # the bar after a first ending: nothing but a second may follow
# With no note between:
_FOLLOWERS = {"": ("|:",), "|": ("</s>",), ":|": ("|:", "</s>"), _AGAIN: ("|2",)}


class Tuplet(NamedTuple):
    """Notes that a tuplet of p in the time of q still needs, and the ticks written so far."""

    p: int
    q: int
    left: int
    written: int


class BarState(NamedTuple):
    """Where in its measure a tune is.

    Attributes
    ----------
    full : int
        Ticks of a full measure.
    due : int
        Ticks of this one: fewer where a part begins with the pickup.
    is_compound : bool
        Whether its eighths go in threes.
    at : int
        Ticks of the measure that are filled.
    last : {"bar", "note", "length", "tie", "due", "chord"}
        What came last: "note" if a length may follow, "due" if a note must, "chord" inside one.
    size : int
        Ticks of the last note if a broken rhythm may change them, else 0; notes of a chord.
    is_rest : bool
        Whether that was a rest, which no tie follows.
    share : Fraction
        What the next note's length is multiplied by, after a broken rhythm.
    tuplet : Tuplet or None
        The tuplet that is not complete yet.
    bar : str
        The last bar; "" before the first, "again" where only a second ending may follow.
    pickup : int or None
        Ticks of the short measure that parts begin with, 0 if there is none, None before it is
        known.
    is_after_pickup : bool
        Whether the measure before was that one: then this one is full.
    in_first_ending : bool
        Whether ``:|`` and a second ending must come.

    Examples
    --------
    >>> BarState(full=32, due=32, is_compound=False).last
    'bar'
    """

    full: int
    due: int
    is_compound: bool
    at: int = 0
    last: str = "bar"
    size: int = 0
    is_rest: bool = False
    share: Fraction = Fraction(1)
    tuplet: Tuplet | None = None
    bar: str = ""
    pickup: int | None = None
    is_after_pickup: bool = False
    in_first_ending: bool = False


class Bars:
    """The grammar over one vocabulary.

    Parameters
    ----------
    vocabulary : Vocabulary
        Of v2 or v3 tokens.

    Examples
    --------
    >>> bars = Bars(Vocabulary(("<s>", "</s>", "|", "C", "2")))
    >>> state = bars.begin("M:2/4")
    >>> for token in (3, 4, 3, 4):  # C2 C2
    ...     state = bars.after(state, token)
    >>> bars.allowed(state).tolist()
    [False, True, True, False, False]
    """

    def __init__(self, vocabulary: Vocabulary) -> None:
        self.vocabulary = vocabulary
        first: dict[str, int] = {}  # pitches are alike: the first stands for all
        self._alike = [
            first.setdefault("pitch" if _PITCH.fullmatch(token) else token, one)
            for one, token in enumerate(vocabulary.tokens)
        ]
        lengths = [length for token in vocabulary.tokens if (length := _length(token))]
        written = {Fraction(1)} | {length for length, broken in lengths if not broken}
        self.beat = 4 * math.lcm(*(length.denominator for length, _ in lengths))
        # What is left of a measure is filled with the finest of the lengths 1, /2, /4, ...
        finest = min(one for one in written if one.numerator == 1 and one.denominator in _HALVES)
        self._grid = int(finest * self.beat)
        self._lengths = [int(length * self.beat) for length in sorted(written)]
        self._sums = [1]  # bit t of number n: n notes of a tuplet can last t ticks as written
        for _ in range(9):
            self._sums.append(reduce(or_, (self._sums[-1] << ticks for ticks in self._lengths)))
        self._ends = cache(self._tuplet_ends)
        self._masks: dict[BarState, NDArray[np.bool_]] = {}
        self._states: dict[tuple[BarState, int], BarState | None] = {}

    def begin(self, meter: str) -> BarState:
        """State before the first token after the key.

        Parameters
        ----------
        meter : str
            The meter's token, "M:6/8".

        Returns
        -------
        BarState
            At the beginning of a measure.

        Examples
        --------
        >>> Bars(Vocabulary(("<s>", "</s>", "C"))).begin("M:6/8").full
        24
        """
        parsed = Meter.parse(meter.removeprefix("M:"))
        ticks = (parsed.length or 0) * 8 * self.beat
        return BarState(int(ticks), int(ticks), parsed.is_compound)

    def allowed(self, state: BarState) -> NDArray[np.bool_]:
        """Tell which tokens may follow.

        Parameters
        ----------
        state : BarState
            Where the tune is.

        Returns
        -------
        array [token], bool
            One at least is True. Not to be written to.

        Examples
        --------
        >>> bars = Bars(Vocabulary(("<s>", "</s>", "C", "|:")))
        >>> bars.allowed(bars.begin("M:2/4")).tolist()
        [False, False, True, True]
        """
        if state not in self._masks:
            may = {token: self.after(state, token) is not None for token in set(self._alike)}
            mask = np.array([may[token] for token in self._alike])
            mask.flags.writeable = False
            self._masks[state] = mask
        return self._masks[state]

    def after(self, state: BarState, token: int) -> BarState | None:
        """State after a token.

        Parameters
        ----------
        state : BarState
            Where the tune is.
        token : int
            An id.

        Returns
        -------
        BarState or None
            Where the tune is then; None if the token may not follow.

        Examples
        --------
        >>> bars = Bars(Vocabulary(("<s>", "</s>", "C", "|:")))
        >>> bars.after(bars.begin("M:2/4"), 3).bar
        '|:'
        """
        key = state, self._alike[token]
        if key not in self._states:
            self._states[key] = self._follow(state, self.vocabulary.tokens[token])
        return self._states[key]

    def _follow(self, state: BarState, token: str) -> BarState | None:
        if state.bar == _AGAIN:
            return self._barred(state, token)
        is_pitch = _PITCH.fullmatch(token) is not None
        if state.last == "chord":
            if is_pitch and state.size < _LARGEST_CHORD:
                return state._replace(size=state.size + 1)
            return state._replace(last="note") if token == "]" and state.size else None
        length = _length(token)
        if length and state.last == "note":
            return self._sized(state, *length)
        if token in _BROKEN and state.last == "length" and state.size:
            return self._broken(state._replace(at=state.at - state.size), state.size, token)
        closed = self._played(state, self.beat) if state.last == "note" else state
        if closed is None:
            return None
        if is_pitch or token in ("z", "["):
            last = "chord" if token == "[" else "note"
            return self._if_playable(closed._replace(last=last, size=0, is_rest=token == "z"))
        if token == "-":
            may = closed.last == "length" and not closed.is_rest
            return closed._replace(last="tie") if may else None
        if closed.tuplet or closed.last == "due":
            return None
        if tuplet := _TUPLET.fullmatch(token):
            p = int(tuplet[1])
            q = _SECOND_NUMBER.get(p, 3 if closed.is_compound else 2)
            return self._if_playable(closed._replace(last="due", tuplet=Tuplet(p, q, p, 0)))
        return self._barred(closed, token)

    def _sized(self, state: BarState, length: Fraction, broken: str) -> BarState | None:
        """After the length of a note, and perhaps a sign that its neighbour shares it."""
        ticks = int(length * self.beat)
        if not broken:
            return self._played(state, ticks)
        return self._broken(state, ticks, broken) if _is_plain(state) else None

    def _broken(self, state: BarState, ticks: int, sign: str) -> BarState | None:
        """After a broken rhythm sign; the measure is filled as before the note it follows."""
        if sign not in _BROKEN:
            return None
        before, share = _BROKEN[sign]
        at = state.at + int(ticks * before)
        return self._if_playable(state._replace(at=at, share=share, last="due"))

    def _played(self, state: BarState, ticks: int) -> BarState | None:
        """After a note and its length; None if the measure cannot be filled exactly any more."""
        heard = state._replace(last="length", size=ticks if _is_plain(state) else 0)
        if state.tuplet is None:
            at = state.at + int(ticks * state.share)
            heard = heard._replace(at=at, share=Fraction(1))
            room = state.due - at
            return heard if room >= 0 and room % self._grid == 0 else None
        p, q, left, written = state.tuplet
        left, written = left - 1, written + ticks
        if not self._sums[left] << written & self._ends(state.due - state.at, p, q):
            return None
        if left:
            return heard._replace(tuplet=Tuplet(p, q, left, written))
        return heard._replace(tuplet=None, at=state.at + written * q // p)

    def _if_playable(self, state: BarState) -> BarState | None:
        """The state itself, if a note of some length can follow it."""
        return state if any(self._played(state, ticks) for ticks in self._lengths) else None

    def _tuplet_ends(self, room: int, p: int, q: int) -> int:
        """Bit t: a tuplet that is written t ticks long leaves the rest of the room fillable."""
        fits = range(room % self._grid, room + 1, self._grid)
        return reduce(or_, (1 << sounds * p // q for sounds in fits if sounds * p % q == 0), 0)

    def _barred(self, state: BarState, token: str) -> BarState | None:
        """After a bar, or the end."""
        if state.last == "bar":  # a second ending is played after what is before the first
            due = state.full if token == "|2" else state.due
            if state.in_first_ending or token not in _FOLLOWERS.get(state.bar, ()):
                return None
            return state._replace(bar=token, due=due)
        at, full, pickup, in_first = state.at, state.full, state.pickup, state.in_first_ending
        is_cut = False  # whether the part ends short here
        if pickup is None:  # the first measure; one before a repeat is not repeated
            may = at == full or token in ("|", "|:")
            pickup = at % full if token == "|" else 0
        elif at == state.due:
            may = token == "|" or (at == full and (token not in _ENDS or not pickup))
        else:
            is_cut = at == full - pickup and state.due == full and not state.is_after_pickup
            may = is_cut and token != "|1"
        if not may or token not in _BARS or (in_first and token not in ("|", ":|")):
            return None
        is_again = in_first and token == ":|"
        return BarState(
            full,
            pickup if is_cut else full,
            state.is_compound,
            bar=_AGAIN if is_again else token,
            pickup=pickup,
            is_after_pickup=0 < at < full and not is_cut and token == "|",
            in_first_ending=token == "|1" or (in_first and not is_again),
        )


def _is_plain(state: BarState) -> bool:
    """Whether a broken rhythm may change the note."""
    return state.tuplet is None and state.share == 1


def _length(token: str) -> tuple[Fraction, str] | None:
    """Length in eighths and broken rhythm of a token such as "3/2", "/" or "/2>"."""
    found = _LENGTH.fullmatch(token)
    if not token or not found:
        return None
    over, slashes, under, broken = found.groups()
    if under and not slashes:
        return None
    below = int(under) if under else 2 ** len(slashes)
    return (Fraction(int(over or 1), below), broken) if below and over != "0" else None
