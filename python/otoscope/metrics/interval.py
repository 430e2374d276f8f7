"""An estimate with its confidence interval."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Interval"]


@dataclass(frozen=True)
class Interval:
    """An estimate with its confidence interval.

    Parameters
    ----------
    value : float
        Estimate from the sample.
    low, high : float
        Bounds of the interval.
    level : float
        Confidence level, in (0, 1).

    Examples
    --------
    >>> Interval(1.2, low=0.7, high=1.3, level=0.95).low
    0.7
    """

    value: float
    low: float
    high: float
    level: float
