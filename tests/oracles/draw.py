"""Draws of tokens in NumPy: softmax, cut, cumulative sum."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.special import log_softmax, logsumexp

__all__ = ["draw"]


def draw(
    logits: NDArray[np.float64],
    allowed: NDArray[np.bool_],
    uniform: float,
    *,
    temperature: float = 1.0,
    top_k: int | None = None,
    top_p: float | None = None,
) -> tuple[int, float, float]:
    """Draw a token from logits [token]: the token, its gained and its masked nats."""
    with np.errstate(under="ignore"):
        probabilities = np.exp(log_softmax(np.where(allowed, logits / temperature, -np.inf)))
        ranked = sorted(range(len(logits)), key=lambda token: (-probabilities[token], token))
        kept = ranked[:top_k]
        if top_p is not None:
            held = np.cumsum(probabilities[kept]) - probabilities[kept]
            kept = [
                token
                for token, before in zip(kept, held, strict=True)
                if before < top_p * probabilities[ranked[:top_k]].sum()
            ]
        cut = np.zeros(len(logits))
        cut[kept] = probabilities[kept]
        border = np.cumsum(cut)
        token = int(np.searchsorted(border, uniform * border[-1], side="right"))
        scores = logits / temperature
        masked = logsumexp(scores) - logsumexp(scores[allowed])
        return token, float(log_softmax(logits)[token]), float(masked)
