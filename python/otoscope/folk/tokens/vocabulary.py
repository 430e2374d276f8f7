"""Vocabularies: the tokens that a model knows and their ids, whose order is arbitrary."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

from otoscope.documents import read_document
from otoscope.errors import ParameterError
from otoscope.foreign import parse_json

__all__ = ["START", "STOP", "Vocabulary"]

START, STOP = "<s>", "</s>"

_KIND, _VERSION = "otoscope.Vocabulary", 2


@dataclass(frozen=True)
class Vocabulary:
    """The tokens of a corpus and the two boundaries.

    Parameters
    ----------
    tokens : tuple of str
        Tokens; the position of each is its id.

    Raises
    ------
    ParameterError
        If a token occurs twice, or <s> or </s> is missing.

    Examples
    --------
    >>> vocabulary = Vocabulary.of([["M:4/4", "K:Cmaj", "C", "2"]])
    >>> vocabulary.encode(["C", "2"]), len(vocabulary)
    ([3, 2], 6)
    """

    tokens: tuple[str, ...]

    def __post_init__(self) -> None:
        repeated = sorted(token for token, count in Counter(self.tokens).items() if count > 1)
        if repeated:
            raise ParameterError(f"tokens are there twice: {' '.join(repeated)}; needs each once")
        missing = {START, STOP} - set(self.tokens)
        if missing:
            raise ParameterError(f"tokens lack {' and '.join(sorted(missing))}; needs both")

    @classmethod
    def of(cls, tunes: Iterable[Sequence[str]]) -> Vocabulary:
        """Build the vocabulary of tunes: the boundaries, then all tokens in alphabetical order.

        Parameters
        ----------
        tunes : iterable of (sequence of str)
            Tokens of each tune.

        Returns
        -------
        Vocabulary
            Vocabulary whose ids do not depend on the order of the tunes.

        Examples
        --------
        >>> Vocabulary.of([["D", "C"], ["C"]]).tokens
        ('</s>', '<s>', 'C', 'D')
        """
        tokens = {token for tune in tunes for token in tune} - {START, STOP}
        return cls((STOP, START, *sorted(tokens)))

    def __len__(self) -> int:
        return len(self.tokens)

    def __contains__(self, token: object) -> bool:
        return token in self._ids

    @property
    def start(self) -> int:
        """Id of <s>."""
        return self._ids[START]

    @property
    def stop(self) -> int:
        """Id of </s>."""
        return self._ids[STOP]

    def encode(self, tokens: Sequence[str]) -> list[int]:
        """Convert tokens to ids.

        Parameters
        ----------
        tokens : sequence of str
            Tokens; no boundaries are added.

        Returns
        -------
        list of int
            One id per token.

        Raises
        ------
        ParameterError
            If a token is unknown; names the token and its number in the sequence, from 1.

        Examples
        --------
        >>> vocabulary = Vocabulary.of([["C", "D"]])
        >>> vocabulary.decode(vocabulary.encode(["D", "C"]))
        ['D', 'C']
        """
        for number, token in enumerate(tokens, 1):
            if token not in self._ids:
                raise ParameterError(
                    f"token {number} is {token!r}, which is not among the {len(self)} tokens "
                    "of the vocabulary"
                )
        return [self._ids[token] for token in tokens]

    def decode(self, ids: Iterable[int]) -> list[str]:
        """Convert ids to tokens, boundaries included.

        Parameters
        ----------
        ids : iterable of int
            Ids in [0, size of the vocabulary).

        Returns
        -------
        list of str
            One token per id.

        Examples
        --------
        >>> Vocabulary.of([["C", "D"]]).decode([1, 2, 3, 0])
        ['<s>', 'C', 'D', '</s>']
        """
        return [self.tokens[index] for index in ids]

    def to_json(self) -> str:
        """Write a JSON document: the tokens in the order of their ids, and the schema's version."""
        return json.dumps({"format": f"{_KIND}/{_VERSION}", "tokens": self.tokens})

    @classmethod
    def from_json(cls, text: str) -> Vocabulary:
        """Read a document that `to_json` wrote, of this or an older version of the schema.

        Parameters
        ----------
        text : str
            JSON document; version 1 was the bare list of tokens.

        Returns
        -------
        Vocabulary
            Vocabulary with the same ids.

        Raises
        ------
        ParameterError
            If the text is no such document, or was written by a later version of otoscope.

        Examples
        --------
        >>> Vocabulary.from_json('["<s>", "</s>", "C"]').encode(["C"])
        [2]
        """
        parsed = parse_json(text, name="the vocabulary")
        if isinstance(parsed, list):
            parsed = {"format": f"{_KIND}/1", "tokens": parsed}
        tokens = read_document(parsed, _KIND, _VERSION, name="vocabulary")[0].get("tokens")
        if not isinstance(tokens, list) or not all(isinstance(token, str) for token in tokens):
            raise ParameterError(
                f"the text is not a vocabulary; its format must be {_KIND}/{_VERSION}"
            )
        return cls(tuple(tokens))

    @cached_property
    def _ids(self) -> dict[str, int]:
        return {token: index for index, token in enumerate(self.tokens)}
