"""Draws of one token per tune from a model's logits.

A tune's random number in [0, 1) picks the token at which the cumulative probability exceeds it.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from otoscope.errors import ParameterError
from otoscope.folk.model.config import SamplingConfig

__all__ = ["draw", "log_sum"]


def draw(
    logits: NDArray[np.float64],
    allowed: NDArray[np.bool_],
    uniform: NDArray[np.float64],
    settings: SamplingConfig,
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Draw one token for each tune from logits [tune, token].

    ``allowed`` [tune, token] is True for the tokens that may follow, at least one per tune;
    ``uniform`` [tune] holds each tune's random number. Returns the tokens [tune] and, in nats,
    minus the log of the probability of the allowed tokens [tune] at this temperature.

    >>> logits, allowed = np.log([[0.25, 0.25, 0.5]]), np.array([[0, 1, 1]]) > 0
    >>> tokens, masked_nats = draw(logits, allowed, np.array([0.3]), SamplingConfig())
    >>> int(tokens[0]), float(masked_nats[0].round(3))
    (1, 0.288)
    """
    if not np.isfinite(logits).all():
        raise ParameterError("the model's logits are not finite: its weights are damaged")
    with np.errstate(over="ignore"):
        scores = logits / settings.temperature
    if not np.isfinite(scores).all():
        raise ParameterError(f"temperature is {settings.temperature}, too low for these logits")
    masked = np.where(allowed, scores, -np.inf)
    weights = np.exp(masked - masked.max(axis=1, keepdims=True))
    if settings.top_k is not None or settings.top_p is not None:
        weights = _cut(weights, settings)
    border = weights.cumsum(axis=1)
    height = border[:, -1:]
    # Below the last border, even where the product is rounded up to it: no token comes after it.
    drawn = np.minimum(uniform[:, None] * height, np.nextafter(height, 0.0))
    return (border <= drawn).sum(axis=1), log_sum(scores) - log_sum(masked)


def log_sum(scores: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return log(sum(exp(scores))) of each row; faster than SciPy's for a small network."""
    highest: NDArray[np.float64] = scores.max(axis=1)
    highest += np.log(np.exp(scores - highest[:, None]).sum(axis=1))
    return highest


def _cut(weights: NDArray[np.float64], settings: SamplingConfig) -> NDArray[np.float64]:
    """Keep the top_k most probable tokens, and of them the fewest that hold top_p."""
    order = np.argsort(-weights, axis=1, kind="stable")
    ranked = np.take_along_axis(weights, order, axis=1)
    if settings.top_k is not None:
        ranked[:, settings.top_k :] = 0.0
    if settings.top_p is not None:
        before = ranked.cumsum(axis=1) - ranked
        ranked[before >= settings.top_p * ranked.sum(axis=1, keepdims=True)] = 0.0
    cut = np.empty_like(weights)
    np.put_along_axis(cut, order, ranked, axis=1)
    return cut
