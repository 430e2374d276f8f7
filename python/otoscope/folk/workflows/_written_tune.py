"""A drawn tune in ABC: what can be read as a tune, and what cannot, written so that it shows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

from otoscope.folk.abc import NotationError, Tune, to_abc, transpose
from otoscope.folk.model import SampledTune
from otoscope.folk.tokens import tokeniser

__all__ = ["WrittenTune", "write_drawn"]

_BARS = frozenset("|:")
_LENGTH = frozenset("0123456789/")
_TAKE_LENGTH = frozenset("ABCDEFGabcdefgz,']")


@dataclass(frozen=True)
class WrittenTune:
    """A drawn tune and its ABC.

    Parameters
    ----------
    number : int
        After X: in the file, from 1.
    title : str
        After T:.
    drawn : SampledTune
        Tokens and log-probability.
    abc : str
        Ends in a newline.
    error : str
        Why the tokens are no tune, and where (line 3 is the tune's body); empty if they are one.

    Examples
    --------
    >>> from otoscope.folk.model import SampledTune
    >>> drawn = SampledTune(0, ("M:2/4", "K:Cmaj", "C", "2", "E", "2", "|"), -9.0, 8, True, 0.0)
    >>> write_drawn(drawn, "v2", title="Short").abc.splitlines()[-1]
    'C2 E2 |'
    """

    number: int
    title: str
    drawn: SampledTune
    abc: str
    error: str = ""

    def to_dict(self) -> dict[str, Any]:
        """Give a row for machines."""
        drawn = self.drawn
        return {
            "number": self.number,
            "title": self.title,
            "finished": drawn.is_finished,
            "log_probability": drawn.log_probability,
            "drawn": drawn.n_drawn,
            "masked_nats": drawn.masked_nats,
            "error": self.error or None,
            "tokens": drawn.tokens,
            "abc": self.abc,
        }


def write_drawn(
    drawn: SampledTune,
    form: str,
    *,
    title: str,
    notes: Sequence[str] = (),
    semitones: int = 0,
) -> WrittenTune:
    """Write a drawn tune; what is unfinished or no tune says so in its N: fields.

    Parameters
    ----------
    drawn : SampledTune
        Of a network.
    form : {"v1", "v2", "v3"}
        What its tokens are.
    title : str
        For T:.
    notes : sequence of str
        For N:.
    semitones : int
        To transpose it by, if it is a tune.
    """
    number = drawn.index + 1
    if not drawn.is_finished:
        notes = [*notes, f"unfinished: broken off after {len(drawn.tokens)} tokens"]
    fields = [("T", title), *(("N", note) for note in notes)]
    try:
        tune = tokeniser(form).tune(drawn.tokens)
    except NotationError as err:
        fields.append(("N", f"no tune: {err}"))
        head = [f"X:{number}", *(f"{letter}:{text}" for letter, text in fields)]
        abc = "\n".join([*head, *_as_drawn(drawn.tokens, form)])
        return WrittenTune(number, title, drawn, f"{abc}\n", str(err))
    tune = _titled(transpose(tune, semitones) if semitones else tune, fields)
    return WrittenTune(number, title, drawn, to_abc(tune, number))


def _titled(tune: Tune, fields: Sequence[tuple[str, str]]) -> Tune:
    """Our fields first: a tune of characters has a title of its own."""
    return replace(tune, headers=(*fields, *tune.headers))


def _as_drawn(tokens: Sequence[str], form: str) -> list[str]:
    """Lines of ABC that are as wrong as the tokens: what would run together stays apart."""
    if form == "v1":
        return [line for line in "".join(tokens).splitlines() if line.strip()]
    meter, key, *body = tokens
    text = "".join(body[:1])
    for before, token in pairwise(body):
        is_stray = token[0] in _LENGTH and before[-1] not in _TAKE_LENGTH
        is_bar = token[0] in _BARS or before[0] in _BARS
        text += f" {token}" if is_stray or is_bar else token
    return [meter, "L:1/8", key if key[2:3] == "C" else f"K:C{key[2:]}", text.strip() or "|"]
