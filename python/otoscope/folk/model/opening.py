"""How a tune begins: meter, key and prime, given or left to the model, as one mask a token."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from otoscope.errors import ParameterError
from otoscope.folk.model.bundle import FolkModel
from otoscope.folk.model.measure_grammar import MeasureGrammar, MeasureState
from otoscope.folk.model.settings import Sampling

__all__ = ["Opening"]


class Opening:
    """What may stand at each place of a tune's beginning.

    Parameters
    ----------
    model : FolkModel
        Its vocabulary says which meters and modes there are.
    settings : Sampling
        Meter, mode, prime, and whether bars add up.

    Raises
    ------
    ParameterError
        If the model does not know the meter, the mode or a token of the prime, or the prime is
        too long, or breaks a bar that must add up.

    Attributes
    ----------
    masks : list of array [token], bool
        For each place, the tokens that may stand there: a meter, a key, then the prime.
    is_given : list of bool
        Whether the user, not the model, chose.
    grammar : MeasureGrammar or None
        The grammar of what follows.

    Examples
    --------
    >>> Opening(model, Sampling(meter="6/8")).is_given  # doctest: +SKIP
    [True, False]
    """

    def __init__(self, model: FolkModel, settings: Sampling) -> None:
        self._vocabulary, self._tokens = model.vocabulary, model.tokens
        header = [("meter", "M:", settings.meter), ("mode", "K:", settings.mode)]
        self.masks: list[NDArray[np.bool_]] = []
        if model.tokens == "v1":
            if asked := [name for name, _, choice in header if choice != "*"]:
                raise ParameterError(
                    f"a model of characters takes no {asked[0]}; give its header as the prime"
                )
        else:
            self.masks = [self._header(*line) for line in header]
        self.is_given = [bool(mask.sum() == 1) for mask in self.masks]
        prime = self._prime(settings.prime)
        self.grammar: MeasureGrammar | None = None
        if settings.bars_add_up:
            if model.tokens == "v1":
                raise ParameterError("bars of characters cannot be made to add up; needs v2 or v3")
            self.grammar = MeasureGrammar(model.vocabulary)
            self._fit(prime)
        self.masks += [np.arange(len(model.vocabulary)) == token for token in prime]
        self.is_given += [True] * len(prime)
        if len(self.masks) > settings.max_tokens:
            raise ParameterError(
                f"max_tokens is {settings.max_tokens}; "
                f"meter, key and prime have {len(self.masks)} already"
            )

    def state(self, ids: Sequence[int]) -> MeasureState | None:
        """Tell where in its measure a tune is.

        Parameters
        ----------
        ids : sequence of int
            The tune so far, from its meter.

        Returns
        -------
        MeasureState or None
            None before the key, outside the grammar, and where none was asked for.

        Examples
        --------
        >>> Opening(model, Sampling(bars_add_up=True)).state([])  # doctest: +SKIP
        """
        if self.grammar is None or len(ids) < 2:
            return None
        state: MeasureState | None = self.grammar.begin(self._vocabulary.tokens[ids[0]])
        for token in ids[2:]:
            state = state and self.grammar.after(state, token)
        return state

    def _header(self, name: str, letter: str, choice: str) -> NDArray[np.bool_]:
        """The tokens of a header line, or the one that was asked for."""
        known = {
            token.removeprefix(letter).removeprefix("C" if letter == "K:" else ""): token
            for token in self._vocabulary.tokens
            if token.startswith(letter)
        }
        if choice != "*" and choice not in known:
            raise ParameterError(
                f"{name} {choice!r} is unknown to the model; "
                f"it knows {', '.join(sorted(known))}, or * for its own choice"
            )
        chosen = set(known.values()) if choice == "*" else {known[choice]}
        return np.array([token in chosen for token in self._vocabulary.tokens])

    def _prime(self, prime: Sequence[str]) -> list[int]:
        """The prime's ids."""
        vocabulary = self._vocabulary
        boundaries = {vocabulary.tokens[vocabulary.start], vocabulary.tokens[vocabulary.stop]}
        for place, token in enumerate(prime, start=1):
            if token not in vocabulary or token in boundaries:
                raise ParameterError(
                    f"prime token {place}, {token!r}, is none of the {len(vocabulary)} that the "
                    f"model knows ({' '.join([*prime[max(0, place - 4) : place - 1]])} >{token}<)"
                )
        return vocabulary.encode(prime)

    def _fit(self, prime: Sequence[int]) -> None:
        """Leave only meters in which the prime's bars add up."""
        meters: list[int] = np.flatnonzero(self.masks[0]).tolist()
        for place in range(len(prime) + 1):
            fits = [one for one in meters if self.state([one, one, *prime[:place]]) is not None]
            if not fits:
                raise ParameterError(
                    f"prime token {place}, {self._vocabulary.tokens[prime[place - 1]]!r}, "
                    "leaves a bar that cannot add up in "
                    f"{' or '.join(self._vocabulary.tokens[one] for one in meters)}; "
                    "mend it, or sample without bars_add_up"
                )
            meters = fits
        self.masks[0] = np.isin(np.arange(len(self._vocabulary)), meters)
