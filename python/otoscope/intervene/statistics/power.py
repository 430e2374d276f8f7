"""Compute the power of the test that a score stays within a bound: items that a verdict takes.

A system is cleared if, at every dose, two one-sided tests at the level 0.05 show that the score
differs from the score at the placebo by less than the bound. If the score of a system does
not differ at all, the measured difference varies with the standard error s / sqrt(n), s^2 = flips *
(1 + (m - 1) * correlation), where *flips* is the fraction of items that are right at one of dose
and placebo only, *m* the number of items per group, and *correlation* that of these differences
within a group.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
from numpy.typing import ArrayLike

from otoscope.errors import ParameterError

__all__ = [
    "LEVEL",
    "POWER",
    "AnswerNoise",
    "groups_needed",
    "items_needed",
    "measure_noise",
    "probability_to_clear",
]

LEVEL = 0.05
"""Significance level of the tests of a verdict."""

POWER = 0.9
"""Probability with which a plan clears a system whose score does not move."""


@dataclass(frozen=True)
class AnswerNoise:
    """Variation of answers that has nothing to do with what an intervention changes.

    Parameters
    ----------
    flips : float
        Fraction of items that are right at one of dose and placebo only, in (0, 1].
    correlation : float
        Correlation of these differences between two items of a group, in [0, 1].
    per_group : float
        Number of items per group, >= 1.

    Raises
    ------
    ParameterError
        If a number is out of range.

    Examples
    --------
    >>> round(AnswerNoise(flips=0.04, correlation=0.1, per_group=3).error, 3)
    0.219
    """

    flips: float
    correlation: float = 0.0
    per_group: float = 1.0

    def __post_init__(self) -> None:
        if not 0 < self.flips <= 1 or not 0 <= self.correlation <= 1 or not self.per_group >= 1:
            raise ParameterError(
                f"flips is {self.flips:g}, correlation {self.correlation:g}, per_group "
                f"{self.per_group:g}; must be in (0, 1], in [0, 1], and >= 1"
            )

    @property
    def error(self) -> float:
        """Standard error of the mean difference, times the square root of the number of items."""
        return math.sqrt(self.flips * (1 + (self.per_group - 1) * self.correlation))


def measure_noise(differences: ArrayLike, groups: ArrayLike) -> AnswerNoise:
    """Measure how answers vary between a dose and its placebo, of a system that should not move.

    Parameters
    ----------
    differences : array_like [item] or [item, dose]
        1 where an answer is right at the dose only, -1 at the placebo only, else 0.
    groups : array_like [item]
        Group of each item.

    Returns
    -------
    AnswerNoise
        Fraction of flips, their mean correlation between two items of a group (at least 0), and
        the mean number of items per group.

    Raises
    ------
    ParameterError
        If no answer differs, or lengths differ.

    Examples
    --------
    >>> measure_noise([1, 1, 0, 0, -1, 0], ["a", "a", "b", "b", "c", "c"]).flips
    0.5
    """
    values = np.asarray(differences, dtype=np.float64)
    values = values.reshape(len(values), -1)
    codes = np.unique(np.asarray(groups), return_inverse=True)[1]
    if len(codes) != len(values) or not values.any():
        raise ParameterError(
            f"{len(values)} items, {np.count_nonzero(values)} differences, {len(codes)} groups; "
            "need one group per item, and one difference or more"
        )
    sizes = np.bincount(codes)
    totals = np.stack([np.bincount(codes, column) for column in values.T], 1)
    squares = (values**2).sum()
    pairs = (totals**2).sum() - squares  # of two different items of a group, ordered
    possible = ((sizes[codes] - 1)[:, None] * values**2).sum()
    return AnswerNoise(
        flips=float((values != 0).mean()),
        correlation=float(min(1.0, max(0.0, pairs / possible))) if possible else 0.0,
        per_group=len(values) / len(sizes),
    )


def items_needed(max_change: float, error: float, *, n_doses: int = 1, power: float = POWER) -> int:
    """Compute how many items clear a system whose score does not move.

    Parameters
    ----------
    max_change : float
        Bound of the change of the score, in (0, 1).
    error : float
        Standard error of a change times the square root of the number of items, as of
        `AnswerNoise`.
    n_doses : int
        Number of doses, all of which have to pass.
    power : float
        Probability that they do, in (0, 1).

    Returns
    -------
    int
        Number of items; `groups_needed` may ask for more.

    References
    ----------
    Schuirmann (1987) :cite:`schuirmann1987`: two one-sided tests.

    Examples
    --------
    >>> items_needed(0.05, AnswerNoise(flips=0.04).error, n_doses=6)
    261
    """
    if not 0 < max_change < 1 or error < 0 or n_doses < 1 or not 0 < power < 1:
        raise ParameterError(
            f"max_change is {max_change:g}, error {error:g}, n_doses {n_doses}, power {power:g}; "
            "must be in (0, 1), >= 0, >= 1 and in (0, 1)"
        )
    missed = (1 - power) / n_doses  # by each dose, at either side
    normal = NormalDist()
    z = normal.inv_cdf(1 - LEVEL) + normal.inv_cdf(1 - missed / 2)
    return max(2, math.ceil((z * error / max_change) ** 2))


def probability_to_clear(
    n_items: int, max_change: float, error: float, *, n_doses: int = 1
) -> float:
    """Compute the least probability that a system is cleared whose score does not move.

    Parameters
    ----------
    n_items : int
        Number of items.
    max_change, error, n_doses
        As for `items_needed`.

    Returns
    -------
    float
        Probability in [0, 1]; a lower bound, whatever the correlation between doses.

    Examples
    --------
    >>> round(probability_to_clear(261, 0.05, AnswerNoise(flips=0.04).error, n_doses=6), 2)
    0.9
    """
    normal = NormalDist()
    if not error:
        return 1.0
    reserve = max_change / (error / math.sqrt(n_items)) - normal.inv_cdf(1 - LEVEL)
    return max(0.0, 1 - n_doses * 2 * (1 - normal.cdf(reserve)))


def groups_needed(max_change: float) -> int:
    """Compute the least number of groups n with (1 - max_change)^n <= `LEVEL`.

    If a fraction ``max_change`` of all groups moves, fewer groups may well show none of them.

    Parameters
    ----------
    max_change : float
        Bound of the change of the score, in (0, 1).

    Returns
    -------
    int
        Number of groups.

    Examples
    --------
    >>> groups_needed(0.05)
    59
    """
    return math.ceil(math.log(LEVEL) / math.log(1 - max_change))
