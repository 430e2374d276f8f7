"""A number that was measured on a sample, and where its true value may lie."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Interval"]


@dataclass(frozen=True)
class Interval:
    """A number and bounds of what it estimates.

    Parameters
    ----------
    value : float
        Value of the sample.
    low, high : float
        Bounds of the value in what the sample was drawn from.
    level : float
        How often such bounds hold it, in (0, 1).

    Examples
    --------
    >>> Interval(1.2, low=0.7, high=1.3, level=0.95).low
    0.7
    """

    value: float
    low: float
    high: float
    level: float
