"""The tokens a model knows, and their numbers: the order is arbitrary, so the map is stored."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

from otoscope.errors import ParameterError

__all__ = ["START", "STOP", "Vocabulary"]

START, STOP = "<s>", "</s>"


@dataclass(frozen=True)
class Vocabulary:
    """The tokens of a corpus and the two boundaries.

    Parameters
    ----------
    tokens : tuple of str
        Each token's place is its id.

    Raises
    ------
    ParameterError
        If a token is there twice, or <s> or </s> is missing.

    Examples
    --------
    >>> vocabulary = Vocabulary.of([["M:4/4", "K:Cmaj", "C", "2"]])
    >>> vocabulary.encode(["C", "2"]), len(vocabulary)
    ([3, 2], 6)
    """

    tokens: tuple[str, ...]

    def __post_init__(self) -> None:
        twice = sorted(token for token, count in Counter(self.tokens).items() if count > 1)
        if twice:
            raise ParameterError(f"tokens are there twice: {' '.join(twice)}; needs each once")
        missing = {START, STOP} - set(self.tokens)
        if missing:
            raise ParameterError(f"tokens lack {' and '.join(sorted(missing))}; needs both")

    @classmethod
    def of(cls, tunes: Iterable[Sequence[str]]) -> Vocabulary:
        """Return the vocabulary of some tunes: the boundaries, then all tokens in order.

        Parameters
        ----------
        tunes : iterable of (sequence of str)
            Their tokens.

        Returns
        -------
        Vocabulary
            Ids do not depend on the order of the tunes.

        Examples
        --------
        >>> Vocabulary.of([["D", "C"], ["C"]]).tokens
        ('</s>', '<s>', 'C', 'D')
        """
        found = {token for tune in tunes for token in tune} - {START, STOP}
        return cls((STOP, START, *sorted(found)))

    def __len__(self) -> int:
        return len(self.tokens)

    def __contains__(self, token: object) -> bool:
        return token in self._ids

    @property
    def start(self) -> int:
        """The id of <s>."""
        return self._ids[START]

    @property
    def stop(self) -> int:
        """The id of </s>."""
        return self._ids[STOP]

    def encode(self, tokens: Sequence[str]) -> list[int]:
        """Return the tokens' ids.

        Parameters
        ----------
        tokens : sequence of str
            No boundaries are added.

        Returns
        -------
        list of int
            One a token.

        Raises
        ------
        ParameterError
            Which token is not known, and its number in the sequence, from 1.

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
        """Return the tokens of some ids, boundaries included.

        Parameters
        ----------
        ids : iterable of int
            In [0, size of the vocabulary).

        Returns
        -------
        list of str
            One an id.

        Examples
        --------
        >>> Vocabulary.of([["C", "D"]]).decode([1, 2, 3, 0])
        ['<s>', 'C', 'D', '</s>']
        """
        return [self.tokens[index] for index in ids]

    def to_json(self) -> str:
        """Write the tokens as a JSON list in the order of their ids."""
        return json.dumps(self.tokens)

    @classmethod
    def from_json(cls, text: str) -> Vocabulary:
        """Read what `to_json` wrote.

        Parameters
        ----------
        text : str
            A JSON list.

        Returns
        -------
        Vocabulary
            With the ids that it had.

        Raises
        ------
        ParameterError
            If it is not a JSON list of tokens.

        Examples
        --------
        >>> Vocabulary.from_json('["<s>", "</s>", "C"]').encode(["C"])
        [2]
        """
        try:
            tokens = json.loads(text)
        except json.JSONDecodeError as error:
            raise ParameterError(f"the vocabulary is not JSON: {error}") from None
        if not isinstance(tokens, list) or not all(isinstance(token, str) for token in tokens):
            raise ParameterError("the vocabulary is not a JSON list of tokens")
        return cls(tuple(tokens))

    @cached_property
    def _ids(self) -> dict[str, int]:
        return {token: index for index, token in enumerate(self.tokens)}
