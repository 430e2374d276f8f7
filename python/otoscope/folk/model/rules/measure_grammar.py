"""A grammar of tokens in which every measure of a tune lasts as long as its meter.

The grammar of v2 and v3 tokens is stricter than music: a token is allowed only if the rest of the
measure that it leaves can be filled exactly. A tune may begin with a short measure, a pickup; then
all its parts do, repeated or not, and end short by as much, so that measures add up with their
repeats played. The grammar has no lengths inside chords, no broken rhythm inside tuplets or twice
for a note, and no other measures split between parts.

Times are whole ticks: `MeasureGrammar.ticks_per_eighth` of them are an eighth, the length of a note
without a number. Lengths, broken rhythm and tuplets follow `otoscope.folk.abc.durations`.
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
from otoscope.folk.abc.durations import (
    broken_factors,
    default_normal_notes,
    parse_length,
    tuplet_factor,
)
from otoscope.folk.tokens import Vocabulary

__all__ = ["MeasureGrammar", "MeasureState", "OpenTuplet"]

_PITCH = re.compile(r"[\^_=]{0,2}[A-Ga-g][,']*")
_LENGTH = re.compile(r"([\d/]*)([<>]*)")  # length, broken rhythm
_TUPLET = re.compile(r"\(([2-9])")
_BROKEN = (">", "<", ">>", "<<")
_BAR_LINES = ("|", "|:", ":|", "|1", "</s>")
_LARGEST_CHORD = 4  # notes; a model that is lost in a chord would never end it
_HALVES = (1, 2, 4, 8, 16, 32)
_PART_ENDS = (":|", "|:")
_AGAIN = "again"  # the bar line after a first ending: only a second ending may follow
# Bar lines that may follow a bar line with no note between:
_FOLLOWERS = {"": ("|:",), "|": ("</s>",), ":|": ("|:", "</s>"), _AGAIN: ("|2",)}


class OpenTuplet(NamedTuple):
    """A tuplet (p:q that still needs notes: their number, and the ticks written so far."""

    p: int
    q: int
    remaining: int
    written: int


class MeasureState(NamedTuple):
    """Position of a tune within its measure.

    Attributes
    ----------
    full : int
        Ticks of a full measure.
    expected : int
        Ticks of the current measure: fewer than ``full`` where a part begins with the pickup.
    is_compound : bool
        Whether the meter is compound.
    at : int
        Ticks of the measure that are filled.
    latest : {"bar", "note", "length", "tie", "prefix", "chord"}
        Kind of the latest token: "note" if a length may follow, "prefix" after the sign
        of a tuplet or broken rhythm, which a note must follow, "chord" inside a chord.
    size : int
        Inside a chord, its number of notes; else the ticks of the latest note if broken rhythm may
        change them, else 0.
    is_rest : bool
        Whether the latest note is a rest, which no tie may follow.
    factor : Fraction
        Factor of the next note's length, after a broken rhythm sign.
    tuplet : OpenTuplet or None
        Tuplet that is not complete yet.
    bar_line : str
        Latest bar line; "" before the first, "again" where only a second ending may follow.
    pickup : int or None
        Ticks of the short measure that parts begin with, 0 if there is none, None in the first
        measure, where it is not known yet.
    is_after_pickup : bool
        Whether the previous measure was the pickup; then this one is full.
    in_first_ending : bool
        Whether the tune is in a first ending, so that ``:|`` and a second ending must come.
    ends_part : bool or None
        Whether a part ends with this measure, short by the pickup; None if the model chooses.

    Examples
    --------
    >>> MeasureState(full=32, expected=32, is_compound=False).latest
    'bar'
    """

    full: int
    expected: int
    is_compound: bool
    at: int = 0
    latest: str = "bar"
    size: int = 0
    is_rest: bool = False
    factor: Fraction = Fraction(1)
    tuplet: OpenTuplet | None = None
    bar_line: str = ""
    pickup: int | None = None
    is_after_pickup: bool = False
    in_first_ending: bool = False
    ends_part: bool | None = None


class MeasureGrammar:
    """The grammar over one vocabulary of v2 or v3 tokens.

    Examples
    --------
    >>> grammar = MeasureGrammar(Vocabulary(("<s>", "</s>", "|", "C", "2")))
    >>> state = grammar.begin("M:2/4")
    >>> for token in (3, 4, 3, 4):  # C2 C2
    ...     state = grammar.after(state, token)
    >>> grammar.allowed(state).tolist()
    [False, True, True, False, False]
    """

    def __init__(self, vocabulary: Vocabulary) -> None:
        self.vocabulary = vocabulary
        first: dict[str, int] = {}  # pitches are alike: the first stands for all
        self._alike = [
            first.setdefault("pitch" if _PITCH.fullmatch(token) else token, index)
            for index, token in enumerate(vocabulary.tokens)
        ]
        lengths = [length for token in vocabulary.tokens if (length := _length(token))]
        written = {Fraction(1)} | {length for length, broken in lengths if not broken}
        self.ticks_per_eighth = 4 * math.lcm(*(length.denominator for length, _ in lengths))
        # The rest of a measure is filled with the finest of the lengths 1, /2, /4, ...
        halves = [x for x in written if x.numerator == 1 and x.denominator in _HALVES]
        self._grid = int(min(halves) * self.ticks_per_eighth)
        self._lengths = [int(length * self.ticks_per_eighth) for length in sorted(written)]
        self._sums = [1]  # bit t of number n: n notes of a tuplet can last t ticks as written
        for _ in range(9):
            self._sums.append(reduce(or_, (self._sums[-1] << ticks for ticks in self._lengths)))
        self._ends = cache(self._tuplet_ends)
        self._masks: dict[MeasureState, NDArray[np.bool_]] = {}
        self._states: dict[tuple[MeasureState, int], MeasureState | None] = {}

    def begin(self, meter: str) -> MeasureState:
        """Return the state before the first token of the body; ``meter`` is a token: "M:6/8"."""
        parsed = Meter.parse(meter.removeprefix("M:"))
        ticks = (parsed.length or 0) * 8 * self.ticks_per_eighth
        return MeasureState(int(ticks), int(ticks), parsed.is_compound)

    def allowed(self, state: MeasureState) -> NDArray[np.bool_]:
        """Return the mask [token] of the tokens that may follow: at least one; read-only."""
        if state not in self._masks:
            may = {token: self.after(state, token) is not None for token in set(self._alike)}
            mask = np.array([may[token] for token in self._alike])
            mask.flags.writeable = False
            self._masks[state] = mask
        return self._masks[state]

    def after(self, state: MeasureState, token: int) -> MeasureState | None:
        """Return the state after a token's id, or None if the token may not follow."""
        key = state, self._alike[token]
        if key not in self._states:
            self._states[key] = self._follow(state, self.vocabulary.tokens[token])
        return self._states[key]

    def _follow(self, state: MeasureState, token: str) -> MeasureState | None:
        if state.bar_line == _AGAIN:
            return self._after_bar_line(state, token)
        is_pitch = _PITCH.fullmatch(token) is not None
        if state.latest == "chord":
            if is_pitch and state.size < _LARGEST_CHORD:
                return state._replace(size=state.size + 1)
            return state._replace(latest="note") if token == "]" and state.size else None
        length = _length(token)
        if length and state.latest == "note":
            return self._after_length(state, *length)
        if token in _BROKEN and state.latest == "length" and state.size:
            return self._after_broken(state._replace(at=state.at - state.size), state.size, token)
        closed = self._after_note(state, self.ticks_per_eighth) if state.latest == "note" else state
        if closed is None:
            return None
        if is_pitch or token in ("z", "["):
            latest = "chord" if token == "[" else "note"
            return self._if_playable(closed._replace(latest=latest, size=0, is_rest=token == "z"))
        if token == "-":
            may = closed.latest == "length" and not closed.is_rest
            return closed._replace(latest="tie") if may else None
        if closed.tuplet or closed.latest == "prefix":
            return None
        if tuplet := _TUPLET.fullmatch(token):
            p = int(tuplet[1])
            q = default_normal_notes(p, is_compound=closed.is_compound)
            return self._if_playable(
                closed._replace(latest="prefix", tuplet=OpenTuplet(p, q, p, 0))
            )
        return self._after_bar_line(closed, token)

    def _after_length(
        self, state: MeasureState, length: Fraction, broken: str
    ) -> MeasureState | None:
        """Return the state after a note's length, with broken rhythm or ""."""
        ticks = int(length * self.ticks_per_eighth)
        if not broken:
            return self._after_note(state, ticks)
        return self._after_broken(state, ticks, broken) if _may_be_broken(state) else None

    def _after_broken(self, state: MeasureState, ticks: int, sign: str) -> MeasureState | None:
        """Return the state after broken rhythm; ``state`` is that before the note of ``ticks``."""
        if sign not in _BROKEN:
            return None
        before, after = broken_factors(sign)
        at = state.at + int(ticks * before)
        return self._if_playable(state._replace(at=at, factor=after, latest="prefix"))

    def _after_note(self, state: MeasureState, ticks: int) -> MeasureState | None:
        """Return the state after a note and its length; None if the measure cannot be filled."""
        size = ticks if _may_be_broken(state) else 0
        following = state._replace(latest="length", size=size)
        if state.tuplet is None:
            at = state.at + int(ticks * state.factor)
            room = state.expected - at
            fits = room >= 0 and room % self._grid == 0
            return following._replace(at=at, factor=Fraction(1)) if fits else None
        p, q, remaining, written = state.tuplet
        remaining, written = remaining - 1, written + ticks
        if not self._sums[remaining] << written & self._ends(state.expected - state.at, p, q):
            return None
        if remaining:
            return following._replace(tuplet=OpenTuplet(p, q, remaining, written))
        return following._replace(tuplet=None, at=state.at + int(written * tuplet_factor(p, q)))

    def _if_playable(self, state: MeasureState) -> MeasureState | None:
        """Return the state itself, if a note of some length can follow it."""
        return state if any(self._after_note(state, ticks) for ticks in self._lengths) else None

    def _tuplet_ends(self, room: int, p: int, q: int) -> int:
        """Return bits: t is set if a tuplet written t ticks long leaves a room that can be filled.

        For instance with p:q = 3:2, a grid of 4 and a room of 12 ticks, the tuplet may last 0, 4, 8
        or 12 ticks, of which 0, 6, 12 and 18 are written.
        """
        durations = range(room % self._grid, room + 1, self._grid)
        lengths = [duration / tuplet_factor(p, q) for duration in durations]
        return reduce(or_, (1 << int(ticks) for ticks in lengths if ticks.denominator == 1), 0)

    def _after_bar_line(self, state: MeasureState, token: str) -> MeasureState | None:
        """Return the state after a bar line, or the tune's end."""
        if state.latest == "bar":  # a second ending is played after what is before the first
            expected = state.full if token == "|2" else state.expected
            if state.in_first_ending or token not in _FOLLOWERS.get(state.bar_line, ()):
                return None
            return state._replace(bar_line=token, expected=expected)
        at, full, pickup, in_first = state.at, state.full, state.pickup, state.in_first_ending
        is_cut = False  # whether the part ends short here
        if pickup is None:  # the first measure; one before a repeat is not repeated
            may = at == full or token in ("|", "|:")
            pickup = at % full if token == "|" else 0
        elif state.ends_part:
            is_cut = may = at == state.expected
        elif at == state.expected:
            may = token == "|" or (at == full and (token not in _PART_ENDS or not pickup))
        else:
            can_end = state.ends_part is None and not state.is_after_pickup
            is_cut = can_end and at == full - pickup and state.expected == full
            may = is_cut and token != "|1"
        if not may or token not in _BAR_LINES or (in_first and token not in ("|", ":|")):
            return None
        is_again = in_first and token == ":|"
        return MeasureState(
            full,
            pickup if is_cut else full,
            state.is_compound,
            bar_line=_AGAIN if is_again else token,
            pickup=pickup,
            is_after_pickup=0 < at < full and not is_cut and token == "|",
            in_first_ending=token == "|1" or (in_first and not is_again),
        )


def _may_be_broken(state: MeasureState) -> bool:
    """Whether broken rhythm may change the next note: not in a tuplet, and not twice."""
    return state.tuplet is None and state.factor == 1


def _length(token: str) -> tuple[Fraction, str] | None:
    """Return the length in eighths and the broken rhythm of a token such as "3/2", "/" or "/2>"."""
    match = _LENGTH.fullmatch(token)
    length = parse_length(match[1]) if match and token else None
    return (length, match[2]) if match and length else None
