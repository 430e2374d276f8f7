"""One draw a tune from the tokens that a model offers.

A tune's number in [0, 1) picks the token at whose turn the running sum of probabilities passes it.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from otoscope.errors import ParameterError
from otoscope.folk.model.settings import Sampling

__all__ = ["draw", "log_sum"]


def draw(
    logits: NDArray[np.float64],
    allowed: NDArray[np.bool_],
    uniform: NDArray[np.float64],
    settings: Sampling,
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
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
        Temperature, top_k and top_p, of what is allowed.

    Returns
    -------
    tokens : array [tune], int64
        The draws.
    removed : array [tune], nats
        Minus the log of the probability that ``allowed`` left, at this temperature.

    Raises
    ------
    ParameterError
        If a logit is not finite, or so low a temperature makes it so.

    Examples
    --------
    >>> logits = np.log([[0.25, 0.25, 0.5]])
    >>> tokens, removed = draw(logits, np.array([[0, 1, 1]]) > 0, np.array([0.3]), Sampling())
    >>> int(tokens[0]), float(removed[0].round(3))
    (1, 0.288)
    """
    if not np.isfinite(logits).all():
        raise ParameterError("the model's logits are not finite: its weights are damaged")
    with np.errstate(over="ignore"):
        scores = logits / settings.temperature
    if not np.isfinite(scores).all():
        raise ParameterError(f"temperature is {settings.temperature}, too low for these logits")
    left = np.where(allowed, scores, -np.inf)
    weights = np.exp(left - left.max(axis=1, keepdims=True))
    if settings.top_k is not None or settings.top_p is not None:
        weights = _cut(weights, settings)
    border = weights.cumsum(axis=1)
    height = border[:, -1:]
    # Below the last border, even where the product is rounded up to it: no token comes after it.
    drawn = np.minimum(uniform[:, None] * height, np.nextafter(height, 0.0))
    return (border <= drawn).sum(axis=1), log_sum(scores) - log_sum(left)


def log_sum(scores: NDArray[np.float64]) -> NDArray[np.float64]:
    """Log of the sum of each row's exponentials; SciPy's takes longer than a small network.

    Parameters
    ----------
    scores : array [tune, token]
        One at least is finite in each row.

    Returns
    -------
    array [tune]
        Nats.

    Examples
    --------
    >>> log_sum(np.log([[1.0, 3.0]])).round(3)
    array([1.386])
    """
    highest: NDArray[np.float64] = scores.max(axis=1)
    highest += np.log(np.exp(scores - highest[:, None]).sum(axis=1))
    return highest


def _cut(weights: NDArray[np.float64], settings: Sampling) -> NDArray[np.float64]:
    """Leave the top_k most probable tokens, and of these the fewest that hold top_p."""
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
