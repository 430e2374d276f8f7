"""One draw a tune from the tokens that a model offers, and how near it was to another one.

A tune's number in [0, 1) picks the token at whose turn the running sum of probabilities passes it.
Rounding moves that sum by about 1e-6, and depends on the batch: a draw that lies no further from a
border than that is called close, and decided again in double precision.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from otoscope.errors import ParameterError
from otoscope.models.folkrnn.settings import Sampling

__all__ = ["draw"]

_ROUNDING = 1e-5  # ten times the largest difference seen between batches of 1 and 64, 3 x 512


def draw(
    logits: NDArray[np.float64],
    allowed: NDArray[np.bool_],
    uniform: NDArray[np.float64],
    settings: Sampling,
) -> tuple[NDArray[np.int64], NDArray[np.float64], NDArray[np.bool_]]:
    """Draw one token for each tune.

    Parameters
    ----------
    logits : array [tune, token], float64
        The model's.
    allowed : array [tune, token], bool
        Which tokens may follow; at least one a tune.
    uniform : array [tune], in [0, 1)
        The number of each tune.
    settings : Sampling
        Temperature, top_k and top_p.

    Returns
    -------
    tokens : array [tune], int64
        The draws.
    removed : array [tune], nats
        Minus the log of the probability that ``allowed`` left, before top_k and top_p.
    close : array [tune], bool
        True where rounding might have decided.

    Raises
    ------
    ParameterError
        If a logit is not finite.

    Examples
    --------
    >>> token, _, close = draw(np.log([[0.25, 0.75]]), np.ones((1, 2), bool), np.array([0.3]),
    ...                        Sampling())
    >>> int(token[0]), bool(close[0])
    (1, False)
    """
    if not np.isfinite(logits).all():
        raise ParameterError("the model's logits are not finite: its weights are damaged")
    weights = np.exp((logits - logits.max(axis=1, keepdims=True)) / settings.temperature)
    total = weights.sum(axis=1)
    weights *= allowed
    left = weights.sum(axis=1)
    if not left.all():
        scores = np.where(allowed, logits, -np.inf)  # all that is allowed is below e^-700
        weights = np.exp((scores - scores.max(axis=1, keepdims=True)) / settings.temperature)
    rounding = _ROUNDING / min(settings.temperature, 1.0)
    close = np.zeros(len(logits), dtype=bool)
    if settings.top_k is not None or settings.top_p is not None:
        close = _cut(weights, settings, rounding)
    border = weights.cumsum(axis=1)
    height = border[:, -1:]
    # The last border is no token's: below it even if the product was rounded up to it.
    drawn = np.minimum(uniform[:, None] * height, np.nextafter(height, 0.0))
    tokens = (border <= drawn).sum(axis=1)
    close |= (np.abs(border - drawn) < rounding * height).any(axis=1)
    with np.errstate(divide="ignore"):
        return tokens, np.log(total) - np.log(left), close


def _cut(
    weights: NDArray[np.float64], settings: Sampling, rounding: float
) -> NDArray[np.bool_]:
    """Leave the top_k most probable tokens, of these the fewest that hold top_p; tell close cuts."""
    order = np.argsort(-weights, axis=1, kind="stable")
    ranked = np.take_along_axis(weights, order, axis=1)
    ranked /= ranked.sum(axis=1, keepdims=True)
    before = ranked.cumsum(axis=1) - ranked
    kept = np.ones(weights.shape, dtype=bool)
    close = np.zeros(len(weights), dtype=bool)
    if settings.top_k is not None:
        kept[:, settings.top_k :] = False
    if settings.top_p is not None:
        share = before / np.where(kept, ranked, 0.0).sum(axis=1, keepdims=True)
        kept &= share < settings.top_p
        close |= (np.abs(share - settings.top_p) < rounding).any(axis=1)
    last = kept.sum(axis=1) - 1
    rows = np.arange(len(weights))
    following = np.minimum(last + 1, weights.shape[1] - 1)
    close |= (following > last) & (ranked[rows, last] - ranked[rows, following] < rounding)
    np.put_along_axis(weights, order, np.where(kept, ranked, 0.0), axis=1)
    return close
