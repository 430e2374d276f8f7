"""Write sampled tunes as ABC: in the key, rhythm and note lengths in which players write them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import pairwise
from typing import Any, Final

from otoscope.errors import ParameterError
from otoscope.folk.abc import Key, NotationError, Tune, to_abc, transpose
from otoscope.folk.abc.transposition import nearest_shift, shift_between, shift_tune
from otoscope.folk.model import SampledTune
from otoscope.folk.tokens import get_tokeniser
from otoscope.folk.tokens.normal_form import TOKEN_MODES

__all__ = ["RHYTHMS", "WrittenTune", "in_key", "meter_of", "read_key", "write_tune"]

RHYTHMS: Final[dict[str, tuple[str, ...]]] = {
    "jig": ("6/8",),
    "reel": ("4/4",),
    "hornpipe": ("4/4", "2/4", "3/2"),
    "polka": ("2/4",),
    "slip jig": ("9/8",),
    "slide": ("12/8",),
    "waltz": ("3/4",),
    "mazurka": ("3/4",),
    "march": ("4/4", "2/4", "6/8"),
    "strathspey": ("4/4",),
    "barndance": ("4/4",),
    "three-two": ("3/2",),
}
"""Dances, and the meters in which they are written; the first is taken unless one is given."""

_BARS = frozenset("|:")
_LENGTH = frozenset("0123456789/")
_TAKES_LENGTH = frozenset("ABCDEFGabcdefgz,']")
_LOWEST, _HIGHEST = 55, 83  # a fiddle's first position: G to b
_UNITS = {"2/4": Fraction(1, 16)}  # players' note without a number; in other meters 1/8


@dataclass(frozen=True)
class WrittenTune:
    """A sampled tune and its ABC.

    Parameters
    ----------
    number : int
        Number of the tune in its file (X:), from 1.
    title : str
        Title (T:).
    sampled : SampledTune
        Tokens and log-probability.
    abc : str
        ABC; ends in a newline.
    error : str
        Reason why the tokens are not a tune, and place (line 3 is the tune's body), or "".
    tune : Tune, optional
        The tune as written; None if the tokens are none.
    """

    number: int
    title: str
    sampled: SampledTune
    abc: str
    error: str = ""
    tune: Tune | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return a row in JSON's types."""
        sampled = self.sampled
        return {
            "number": self.number,
            "title": self.title,
            "finished": sampled.is_finished,
            "log_probability": sampled.log_probability,
            "drawn": sampled.n_drawn,
            "masked_nats": sampled.masked_nats,
            "error": self.error or None,
            "tokens": sampled.tokens,
            "abc": self.abc,
        }


def write_tune(
    sampled: SampledTune,
    version: str,
    *,
    title: str,
    notes: Sequence[str] = (),
    semitones: int = 0,
    tonic: str | None = None,
    rhythm: str | None = None,
) -> WrittenTune:
    """Write a sampled tune as ABC, transposed if it is a tune; N: fields tell its faults.

    It is transposed by a number of semitones, or to a tonic.
    """
    number = sampled.index + 1
    if not sampled.is_finished:
        notes = [*notes, f"unfinished: broken off after {len(sampled.tokens)} tokens"]
    fields = [("T", title), *(("N", note) for note in notes)]
    try:
        tune = get_tokeniser(version).tune(sampled.tokens)
    except NotationError as err:
        fields.append(("N", f"no tune: {err}"))
        head = [f"X:{number}", *(f"{letter}:{text}" for letter, text in fields)]
        abc = "\n".join([*head, *_raw_lines(sampled.tokens, version)])
        return WrittenTune(number, title, sampled, f"{abc}\n", str(err))
    if rhythm:
        fields.append(("R", rhythm))
    if semitones:
        tune = transpose(tune, semitones)
    if tonic:
        tune = in_key(tune, tonic)
    # A tune of characters has a title and a note length of its own.
    unit = tune.unit if version == "v1" else _UNITS.get(tune.meter.text, Fraction(1, 8))
    tune = replace(tune, headers=(*fields, *tune.headers), unit=unit)
    return WrittenTune(number, title, sampled, to_abc(tune, number), tune=tune)


def read_key(text: str) -> tuple[str, str]:
    """Return tonic and mode of a key; the mode is "" if only the tonic is given, "*" of "D*"."""
    name, star, rest = text.strip().partition("*")
    try:
        key = Key.parse(name)
    except NotationError:
        key = Key(None, "none")
    is_known = key.mode in TOKEN_MODES and not key.changes
    is_tonic = name == key.tonic
    if key.tonic is None or not is_known or rest or (star and not is_tonic):
        raise ParameterError(
            f"key is {text!r}, must be a tonic such as D or Bb, for major, or with one of the "
            f"modes {', '.join(TOKEN_MODES)}: Em, Ador; with * the model chooses the mode: D*"
        )
    return key.tonic, star if is_tonic else key.mode


def meter_of(rhythm: str, meter: str) -> str:
    """Return the meter of a dance, or the given one if the dance is written in it."""
    if rhythm not in RHYTHMS:
        raise ParameterError(f"rhythm is {rhythm!r}, must be {', '.join(RHYTHMS)}")
    if meter != "*" and meter not in RHYTHMS[rhythm]:
        raise ParameterError(
            f"rhythm is {rhythm!r} and meter {meter!r}; a {rhythm} is written in "
            f"{' or '.join(RHYTHMS[rhythm])}: give one of both"
        )
    return RHYTHMS[rhythm][0] if meter == "*" else meter


def in_key(tune: Tune, tonic: str) -> Tune:
    """Transpose a tune to a tonic, in the octave that fits a fiddle's first position best.

    A key with double signs is written as its enharmonic one.
    """
    if tune.key.tonic is None:
        return tune
    key = replace(tune.key, tonic=tonic)
    up = (key.tonic_pitch_class or 0) - (tune.key.tonic_pitch_class or 0)
    pitches = [note.pitch for note in tune.notes] or [60]
    low, high = min(pitches), max(pitches)

    def misfit(semitones: int) -> tuple[int, int, int]:
        outside = max(0, _LOWEST - low - semitones) + max(0, high + semitones - _HIGHEST)
        return outside, abs(semitones), -semitones

    semitones = min((up + 12 * octave for octave in (-2, -1, 0, 1, 2)), key=misfit)
    if any(abs(alter) > 1 for alter in key.signature.values()):
        return shift_tune(tune, nearest_shift(tune.key, semitones))
    return shift_tune(tune, shift_between(tune.key.tonic, tonic, semitones))


def _raw_lines(tokens: Sequence[str], version: str) -> list[str]:
    """Write tokens that are not a tune as lines of ABC in which the fault stays visible."""
    if version == "v1":
        return [line for line in "".join(tokens).split("\n") if line.strip()]
    meter, key, *body = tokens
    text = "".join(body[:1])
    for before, token in pairwise(body):
        is_stray = token[0] in _LENGTH and before[-1] not in _TAKES_LENGTH
        is_bar = token[0] in _BARS or before[0] in _BARS
        text += f" {token}" if is_stray or is_bar else token
    return [meter, "L:1/8", key if key[2:3] == "C" else f"K:C{key[2:]}", text.strip() or "|"]
