"""Draws of one token per tune from a model's logits.

A tune's random number in [0, 1) picks the token at which the cumulative probability exceeds it.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from otoscope import native
from otoscope.errors import ParameterError
from otoscope.folk.model.config import SamplingConfig

__all__ = ["Draw", "draw"]

_ALL = 2**62  # more than there are tokens


class Draw(NamedTuple):
    """Tokens that were drawn, one for each tune.

    Attributes
    ----------
    tokens : array [tune], int64
        Tokens.
    gained_nats : array [tune], float64, nats
        Log of each token's probability at temperature 1, with nothing forbidden.
    masked_nats : array [tune], float64, nats
        By how much each token is more probable under the rules than to the model, at the
        temperature; where rules only forbid tokens, minus the log of the probability of the others.
    """

    tokens: NDArray[np.int64]
    gained_nats: NDArray[np.float64]
    masked_nats: NDArray[np.float64]


def draw(
    logits: NDArray[np.float64],
    allowed: NDArray[np.bool_],
    uniform: NDArray[np.float64],
    settings: SamplingConfig,
    kind: NDArray[np.bool_] | None = None,
) -> Draw:
    """Draw one token for each tune from logits [tune, token].

    ``allowed`` [tune, token] is True for the tokens that may follow, at least one per tune;
    ``uniform`` [tune] holds each tune's random number. The tokens of a ``kind`` [token] stand for
    each other: where some of them are allowed, these get the probability of all. The kernel is
    csrc/draw_tokens.

    >>> logits, allowed = np.log([[0.25, 0.25, 0.5]]), np.array([[0, 1, 1]]) > 0
    >>> drawn = draw(logits, allowed, np.array([0.3]), SamplingConfig())
    >>> int(drawn.tokens[0]), float(drawn.masked_nats[0].round(3))
    (1, 0.288)
    >>> kind = np.array([True, True, False])  # the second token stands for the first as well
    >>> drawn = draw(logits, allowed, np.array([0.49]), SamplingConfig(), kind)
    >>> int(drawn.tokens[0]), float(drawn.masked_nats[0].round(3))
    (1, 0.693)
    """
    if kind is not None and (allowed[:, kind].any(axis=1) & ~allowed[:, kind].all(axis=1)).any():
        return _draw_kind(logits, allowed, uniform, settings, kind)
    tokens, nats = np.empty(len(logits), np.int64), np.empty((len(logits), 2))
    top_k, top_p = settings.top_k or _ALL, settings.top_p or math.inf
    problem = native.host_kernel("draw_tokens")(
        np.ascontiguousarray(logits),
        allowed,
        uniform,
        settings.temperature,
        min(top_k, _ALL),
        top_p,
        tokens,
        nats,
    )
    if problem == 1:
        raise ParameterError("the model's logits are not finite: its weights are damaged")
    if problem == 2:
        raise ParameterError(f"temperature is {settings.temperature}, too low for these logits")
    return Draw(tokens, nats[:, 0], nats[:, 1])


def _draw_kind(
    logits: NDArray[np.float64],
    allowed: NDArray[np.bool_],
    uniform: NDArray[np.float64],
    settings: SamplingConfig,
    kind: NDArray[np.bool_],
) -> Draw:
    """Draw where the allowed tokens of a kind have the probability of all of it, in proportion."""
    with np.errstate(over="ignore"):
        scores = logits / settings.temperature
    if not np.isfinite(scores).all():
        return draw(logits, allowed, uniform, settings)  # which says so
    masked = np.where(allowed[:, kind], scores[:, kind], -np.inf)
    rows = np.flatnonzero(allowed[:, kind].any(axis=1))
    more = np.zeros(len(logits))
    more[rows] = _log_sum(scores[rows][:, kind]) - _log_sum(masked[rows])
    lifted = scores + np.where(kind, more[:, None], 0.0)
    drawn = draw(lifted * settings.temperature, allowed, uniform, settings)
    tunes = np.arange(len(logits))
    by_rules = lifted[tunes, drawn.tokens] - _log_sum(np.where(allowed, lifted, -np.inf))
    by_model = scores[tunes, drawn.tokens] - _log_sum(scores)
    gained = logits[tunes, drawn.tokens] - _log_sum(logits)
    return Draw(drawn.tokens, gained, by_rules - by_model)


def _log_sum(scores: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return log(sum(exp(scores))) of each row."""
    highest = scores.max(axis=1, keepdims=True)
    return np.asarray(highest[:, 0] + np.log(np.exp(scores - highest).sum(axis=1)))
