"""The opening of a tune: meter, key and prime, chosen by the user or the model, as token masks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

from otoscope.errors import ParameterError
from otoscope.folk.abc.form import Form
from otoscope.folk.model.bundle import FolkModel
from otoscope.folk.model.config import SamplingConfig
from otoscope.folk.model.rules.form_grammar import FormGrammar, FormState
from otoscope.folk.model.rules.measure_grammar import MeasureGrammar, MeasureState

__all__ = ["Opening", "RuleState"]

RuleState: TypeAlias = MeasureState | FormState
"""Position of a tune within the rules that it keeps."""


class Grammar(Protocol):
    """Rules of tokens."""

    def begin(self, meter: str) -> Any:
        """Return the state before the first token of the body."""

    def allowed(self, state: Any) -> NDArray[np.bool_]:
        """Return the mask [token] of the tokens that may follow."""

    def after(self, state: Any, token: int) -> Any:
        """Return the state after a token's id, or None if the token may not follow."""


class Opening:
    """Tokens that may stand at each place of a tune's beginning.

    ``masks`` [place][token] are True for the tokens that may stand at that place: a meter, a key,
    then the prime. ``is_given`` [place] is True where the user, not the model, chose. ``grammar``
    is that of the tokens after the opening, None if the settings have no rules. ``kind`` [token] is
    True for the tokens that stand for each other: with a form, the model says where a bar ends, and
    the form by which bar line.
    """

    def __init__(self, model: FolkModel, settings: SamplingConfig) -> None:
        self._vocabulary, self._tokens = model.vocabulary, model.tokeniser
        header = [("meter", "M:", settings.meter), ("mode", "K:", settings.mode)]
        self.masks: list[NDArray[np.bool_]] = []
        if model.tokeniser == "v1":
            if chosen := [name for name, _, choice in header if choice != "*"]:
                raise ParameterError(
                    f"a model of characters takes no {chosen[0]}; give its header as the prime"
                )
        else:
            self.masks = [self._header(*line) for line in header]
        self.is_given = [bool(mask.sum() == 1) for mask in self.masks]
        prime = self._prime(settings.prime)
        self.grammar = _grammar(model, settings)
        self.kind = self.grammar.bar_lines if isinstance(self.grammar, FormGrammar) else None
        if self.grammar is not None:
            self._fit(prime)
        self.masks += [np.arange(len(model.vocabulary)) == token for token in prime]
        self.is_given += [True] * len(prime)
        if len(self.masks) > settings.max_tokens:
            raise ParameterError(
                f"max_tokens is {settings.max_tokens}; "
                f"meter, key and prime have {len(self.masks)} already"
            )

    def state(self, ids: Sequence[int]) -> RuleState | None:
        """Return the grammar's state after ids; None before the key or without grammar."""
        if self.grammar is None or len(ids) < 2:
            return None
        state: RuleState | None = self.grammar.begin(self._vocabulary.tokens[ids[0]])
        for token in ids[2:]:
            state = state and self.grammar.after(state, token)
        return state

    def _header(self, name: str, letter: str, choice: str) -> NDArray[np.bool_]:
        """Return the mask of the tokens of a header line, or of the chosen token."""
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
        """Return the ids of the prime."""
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
        """Keep only meters in which the measures of the prime add up."""
        meters: list[int] = np.flatnonzero(self.masks[0]).tolist()
        for place in range(len(prime) + 1):
            fits = [x for x in meters if self.state([x, x, *prime[:place]]) is not None]
            if not fits:
                raise self._misfit(meters, prime[:place])
            meters = fits
        self.masks[0] = np.isin(np.arange(len(self._vocabulary)), meters)

    def _misfit(self, meters: Sequence[int], prime: Sequence[int]) -> ParameterError:
        """Say which rule the latest token of a prime breaks."""
        vocabulary = self._vocabulary
        known = " or ".join(vocabulary.tokens[meter] for meter in meters)
        token = f"prime token {len(prime)}, {vocabulary.tokens[prime[-1]]!r},"
        if isinstance(self.grammar, FormGrammar):
            return ParameterError(
                f"{token} does not fit the form {self.grammar.form.text} in {known}; "
                "mend it, or sample without form"
            )
        return ParameterError(
            f"{token} leaves a bar that cannot add up in {known}; "
            "mend it, or sample without bars_add_up"
        )


def _grammar(model: FolkModel, settings: SamplingConfig) -> Grammar | None:
    """Return the grammar of the rules that the settings ask for."""
    if not (settings.bars_add_up or settings.form):
        return None
    if model.tokeniser == "v1":
        rule = "bars of characters cannot be made to add up"
        rule = rule if settings.bars_add_up else "characters cannot be made to have a form"
        raise ParameterError(f"{rule}; needs v2 or v3")
    if not settings.form:
        return MeasureGrammar(model.vocabulary)
    form, add_up = Form.parse(settings.form), settings.bars_add_up
    return FormGrammar(model.vocabulary, form, model.tokeniser, bars_add_up=add_up)
