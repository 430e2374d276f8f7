"""Robustness curve: the fraction of sounds still classified rightly, against the ratio."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from otoscope.errors import ParameterError
from otoscope.metrics import Interval

__all__ = ["RobustnessCurve", "robustness_curve", "wilson"]

SNRS_DB = tuple(float(snr_db) for snr_db in range(10, 65, 5))
"""Ratios of a curve by default, dB."""


@dataclass(frozen=True)
class RobustnessCurve:
    """Fraction of sounds that keep their label, for each bound on the signal-to-noise ratio.

    Parameters
    ----------
    snr_db : tuple of float
        Ratios, rising, dB.
    robust : tuple of Interval
        Fraction of sounds without an adversary of that ratio or a higher one, with Wilson's
        interval at 95 % over sounds.
    n_sounds : int
        Number of sounds.
    median_db : float
        Largest ratio at which at least half of the sounds fool the model, the (upper) median of
        their ratios; -inf if less than half fool it at any. At ``snr_db`` up to this, ``robust`` is
        0.5 or less, and above it more.

    Examples
    --------
    >>> robustness_curve([20.0, 42.0], (10.0, 30.0, 50.0)).robust[1].value
    0.5
    """

    snr_db: tuple[float, ...]
    robust: tuple[Interval, ...]
    n_sounds: int
    median_db: float

    def to_rows(self) -> list[dict[str, Any]]:
        """Return one row per ratio: ``snr_db``, ``robust``, ``low``, ``high``, ``n_sounds``."""
        return [
            {
                "snr_db": snr_db,
                "robust": robust.value,
                "low": robust.low,
                "high": robust.high,
                "n_sounds": self.n_sounds,
            }
            for snr_db, robust in zip(self.snr_db, self.robust, strict=True)
        ]


def robustness_curve(
    found_db: Sequence[float], snr_db: Sequence[float] = SNRS_DB
) -> RobustnessCurve:
    """Compute the curve from the largest ratio that fools the model with each sound.

    Parameters
    ----------
    found_db : sequence of float
        Ratio of the nearest adversary of each sound that the model first classified rightly, dB;
        -inf for a sound without adversary.
    snr_db : sequence of float
        Ratios of the curve, dB.

    Returns
    -------
    RobustnessCurve
        Fractions, which do not fall as the ratio rises.

    Raises
    ------
    ParameterError
        If there is no sound or no ratio, or a number is NaN.

    Examples
    --------
    >>> [f.value for f in robustness_curve([20.0, float("-inf")], (10.0, 30.0)).robust]
    [0.5, 1.0]
    """
    ratios, levels = sorted(map(float, found_db)), sorted(map(float, snr_db))
    if not ratios or not levels:
        name = "snr_db" if ratios else "found_db"
        raise ParameterError(f"{name} is empty: a curve needs a sound and a ratio at least")
    if any(map(math.isnan, [*ratios, *levels])):
        raise ParameterError("a ratio is NaN, must be dB")
    n = len(ratios)
    robust = tuple(wilson(sum(ratio < level for ratio in ratios), n) for level in levels)
    return RobustnessCurve(tuple(levels), robust, n, ratios[n // 2])


def wilson(n_true: int, n: int, level: float = 0.95) -> Interval:
    """Estimate a fraction with Wilson's interval.

    Parameters
    ----------
    n_true : int
        Number of cases that hold.
    n : int
        Number of cases, >= 1.
    level : float
        Confidence level, in (0, 1).

    Returns
    -------
    Interval
        n_true / n with its bounds.

    Examples
    --------
    >>> wilson(5, 10).value
    0.5
    """
    from scipy.stats import binomtest  # 0.3 s, when it is used

    bounds = binomtest(n_true, n).proportion_ci(level, method="wilson")
    return Interval(n_true / n, float(bounds.low), float(bounds.high), level)
