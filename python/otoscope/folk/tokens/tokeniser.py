"""Tokenisers: the paper's three ways to write a corpus.

v1: characters of ABC with title and original key. v2: tokens on root C. v3: tokens without root,
every pitch with a sign, each tune on C and on C sharp. A tune in v2 and v3 is three lines, meter,
key and body; lines and columns of errors are those of that form.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import replace
from itertools import accumulate
from typing import Protocol

from otoscope.errors import ParameterError
from otoscope.folk.abc import parse_tune, to_abc
from otoscope.folk.abc.durations import LENGTH
from otoscope.folk.abc.elements import BrokenRhythm, Element, Note
from otoscope.folk.abc.errors import NotationError
from otoscope.folk.abc.key import LETTERS, NATURAL, Key
from otoscope.folk.abc.meter import Meter
from otoscope.folk.abc.text.reading import MusicReader
from otoscope.folk.abc.text.spelling import pieces
from otoscope.folk.abc.transposition import change_notes
from otoscope.folk.abc.tune import Tune
from otoscope.folk.tokens.normal_form import TOKEN_MODES, TOKEN_UNIT, is_normalised, normalise_tune
from otoscope.folk.tokens.vocabulary import START, STOP

__all__ = ["Tokeniser", "get_tokeniser"]

_CLASSES = re.compile(
    rf"""(?P<takes_length> (?P<pitch> (?P<sign>\^\^?|__?|=)? [A-Ga-g] (?:,+|'+)? ) | z )
  | (?P<length> (?:{LENGTH}) (?:<+|>+)? ) | (?P<broken> <+|>+ )
  | (?P<bar> (?:\||:)[|:\]\[]*(?:\d[\d,-]*)? | \[\| ) | (?P<chord> \[|\] )
  | (?P<tuplet> \((?:\d|\d\d(?=:))(?::\d+:\d+)? ) | (?P<tie> - )""",
    re.VERBOSE,
)
_NO_KEY = Key(None, "none")


class Tokeniser(Protocol):
    """Conversion between tunes and tokens.

    Attributes
    ----------
    name : str
        "v1", "v2" or "v3".

    Examples
    --------
    >>> from otoscope.folk.abc import parse_tune
    >>> tokens = get_tokeniser("v3").tokens(parse_tune("M:2/4\\nL:1/8\\nK:D\\nDFA2|"))
    >>> " ".join(tokens)
    'M:2/4 K:maj =C =E =G 2 |'
    """

    name: str

    def tokens(self, tune: Tune) -> list[str]:
        """Convert a tune to tokens.

        Parameters
        ----------
        tune : Tune
            Tune to convert; in v2 and v3, if it is not in the form of tokens, by `normalise_tune`.

        Returns
        -------
        list of str
            Tokens without boundaries.

        Raises
        ------
        ConversionError
            If the tune has no form of tokens; see `normalise_tune`.

        Examples
        --------
        >>> from otoscope.folk.abc import parse_tune
        >>> get_tokeniser("v2").tokens(parse_tune("M:4/4\\nL:1/8\\nK:G\\nG2|"))
        ['M:4/4', 'K:Cmaj', 'c', '2', '|']
        """
        ...

    def copies(self, tune: Tune) -> list[list[str]]:
        """Convert a tune to the copies of it that a corpus holds, in v2 and v3 by `normalise_tune`.

        Parameters
        ----------
        tune : Tune
            Tune to convert.

        Returns
        -------
        list of (list of str)
            Tokens of one copy; in v3 of two copies, on C and on C sharp.

        Raises
        ------
        ConversionError
            If the tune has no form of tokens; see `normalise_tune`.

        Examples
        --------
        >>> from otoscope.folk.abc import parse_tune
        >>> get_tokeniser("v3").copies(parse_tune("M:4/4\\nL:1/8\\nK:G\\nG2|"))[1]
        ['M:4/4', 'K:maj', '^c', '2', '|']
        """
        ...

    def tune(self, tokens: Sequence[str]) -> Tune:
        """Convert tokens to a tune.

        Parameters
        ----------
        tokens : sequence of str
            Tokens, with or without the boundaries <s> and </s>.

        Returns
        -------
        Tune
            Tune whose lines and columns are those of the three-line form.

        Raises
        ------
        NotationError
            If a token cannot follow those before it; names the token and its place.

        Examples
        --------
        >>> get_tokeniser("v2").tune(["M:4/4", "K:Cmaj", "C", ">", "G"]).intervals
        (7,)
        """
        ...


def get_tokeniser(name: str) -> Tokeniser:
    """Return a tokeniser by name.

    Parameters
    ----------
    name : {"v1", "v2", "v3"}
        "v1" for characters, "v2" for root C, "v3" for tokens without root.

    Returns
    -------
    Tokeniser
        The tokeniser.

    Raises
    ------
    ParameterError
        If there is no tokeniser of that name.

    Examples
    --------
    >>> from otoscope.folk.abc import parse_tune
    >>> tokens = get_tokeniser("v2").tokens(parse_tune("M:2/4\\nL:1/8\\nK:D\\n|:D>EF2|^G4:|"))
    >>> " ".join(tokens)
    'M:2/4 K:Cmaj |: C > D E 2 | ^F 4 :|'
    >>> get_tokeniser("v2").tune(tokens).intervals
    (2, 2, 2)
    """
    known: dict[str, Tokeniser] = {"v1": _Characters(), "v2": _Rooted(), "v3": _Rootless()}
    if name not in known:
        raise ParameterError(f"tokeniser is {name!r}, needs one of {', '.join(known)}")
    return known[name]


class _Characters:
    name = "v1"

    def tokens(self, tune: Tune) -> list[str]:
        titles = tuple(header for header in tune.headers if header[0] == "T")
        _, _, text = to_abc(replace(tune, headers=titles)).partition("\n")  # without X:
        return list(text)

    def copies(self, tune: Tune) -> list[list[str]]:
        return [self.tokens(tune)]

    def tune(self, tokens: Sequence[str]) -> Tune:
        return parse_tune("".join(_without_boundaries(tokens)))


class _Rooted:
    name = "v2"

    def tokens(self, tune: Tune) -> list[str]:
        if not (is_normalised(tune) and tune.key.tonic == "C"):
            tune = normalise_tune(tune)
        return _written(tune, f"K:{tune.key.abc}", tune.key)

    def copies(self, tune: Tune) -> list[list[str]]:
        return [self.tokens(normalise_tune(tune))]

    def tune(self, tokens: Sequence[str]) -> Tune:
        tokens = _without_boundaries(tokens)
        meter, key_text, body = _three_lines(tokens)
        key = Key.parse(key_text, line=2, column=3)
        return Tune(_read(body, key, meter), key, meter)


class _Rootless:
    name = "v3"

    def tokens(self, tune: Tune) -> list[str]:
        if not (is_normalised(tune) and tune.key.tonic in ("C", "C#")):
            tune = normalise_tune(tune)
        signed = change_notes(tune.elements, lambda note: _spelt(note, _NO_KEY, written=True))
        return _written(replace(tune, elements=signed), f"K:{tune.key.mode}", _NO_KEY)

    def copies(self, tune: Tune) -> list[list[str]]:
        return [self.tokens(normalise_tune(tune, tonic)) for tonic in ("C", "C#")]

    def tune(self, tokens: Sequence[str]) -> Tune:
        tokens = _without_boundaries(tokens)
        meter, mode, body = _three_lines(tokens)
        if mode not in TOKEN_MODES:
            message = f"'K:{mode}' came, needs K: and one of {', '.join(TOKEN_MODES)}"
            raise NotationError(message, reason="key field", line=2, column=3)
        unkeyed = Tune(_read(body, _NO_KEY, meter), _NO_KEY, meter)
        classes = [note.pitch % 12 for note in unkeyed.notes]
        keys = [Key("C", mode), Key("C#", mode)]  # the root is not written: the one that fits
        key = max(keys, key=lambda key: sum(x in key.pitch_classes for x in classes))
        elements = change_notes(unkeyed.elements, lambda note: _spelt(note, key, written=False))
        return replace(unkeyed, elements=elements, key=key)


def _written(tune: Tune, key_token: str, key: Key) -> list[str]:
    tokens = [f"M:{tune.meter.text}", key_token]
    previous: list[str] = []
    spelled = pieces(tune.elements, key, tune.meter, tune.unit)
    for element, parts in zip(tune.elements, spelled, strict=True):
        has_length = len(previous) > 1 and previous[-1][-1].isdigit()
        if isinstance(element, BrokenRhythm) and has_length:  # "/2>" is one token
            tokens[-1] += parts[0]
        else:
            tokens += parts
        previous = parts
    return tokens


def _without_boundaries(tokens: Sequence[str]) -> list[str]:
    tokens = list(tokens)
    return tokens[tokens[:1] == [START] : len(tokens) - (tokens[-1:] == [STOP])]


def _three_lines(tokens: Sequence[str]) -> tuple[Meter, str, list[str]]:
    """Return meter, the key's text and the body."""
    for index, letter in enumerate("MK"):
        token = tokens[index] if index < len(tokens) else ""
        if not token.startswith(f"{letter}:"):
            message = f"token {index + 1} is {token!r}, needs {letter}: and its value"
            raise NotationError(message, reason="three lines", line=index + 1, column=1)
    return Meter.parse(tokens[0][2:], line=1, column=3), tokens[1][2:], list(tokens[2:])


def _read(body: Sequence[str], key: Key, meter: Meter) -> tuple[Element, ...]:
    """Read the body; without key every pitch needs a sign."""
    before = None
    for index, token in enumerate(body):
        match = _CLASSES.fullmatch(token)
        if match is None:
            raise _error(body, index, "it is not a token of a tune's body", "unknown token")
        if match["pitch"] and match["sign"] is None and key == _NO_KEY:
            raise _error(body, index, "in v3 a pitch needs a sign, = or ^", "unsigned pitch")
        if match["length"] and not (before and (before["takes_length"] or before[0] == "]")):
            raise _error(body, index, "a length needs a note before it", "length")
        before = match
    reader = MusicReader(key, meter, TOKEN_UNIT, strict=True)
    try:
        reader.read_line(" ".join(body), line=3)
        return reader.finish()
    except NotationError as error:
        if error.column is None:
            raise
        starts = list(accumulate((len(token) + 1 for token in body), initial=1))
        index = bisect_right(starts, error.column) - 1
        raise _error(body, index, error.message, error.reason) from None


def _error(body: Sequence[str], index: int, message: str, reason: str) -> NotationError:
    """Return an error with the token, its number in the tune, and its place in the third line."""
    column = sum(len(token) + 1 for token in body[:index]) + 1
    message = f"token {index + 3} ({body[index]!r}): {message}"
    return NotationError(message, reason=reason, line=3, column=column)


def _spelt(note: Note, key: Key, *, written: bool) -> Note:
    """Spell a pitch in the key's scale, else as a natural, else with a sharp."""
    spellings = [(letter, key.signature.get(letter, 0)) for letter in LETTERS]
    spellings += [(letter, alter) for alter in (0, 1) for letter in LETTERS]
    for letter, alter in spellings:
        octave, rest = divmod(note.pitch - 60 - NATURAL[letter] - alter, 12)
        if rest == 0:
            step = LETTERS.index(letter) + 7 * octave
            return replace(note, step=step, alter=alter, written=written)
    raise AssertionError("naturals and sharps are all twelve")
