"""Compute the power of the test that a score stays within a bound: items that a verdict takes.

A system is cleared if, at every dose, two one-sided tests at the level 0.05 show that the score
differs from the score at the placebo by less than the bound. If the score of a system does not
differ at all, the measured difference of n items in g groups varies with the standard error s =
sqrt(k * design) / n. Here k is the number of items that are right at one of dose and placebo only,
on average flips * n, and *design* = 1 + (m - 1) * correlation is the variance of the differences
beside that of independent items: *m* is the number of items per group, *correlation* that of these
differences within a group. The test passes if |difference| + 1.645 * sqrt(s^2 + 0.5 / g^2) is less
than the bound; the second term is that of the prior of `GroupBootstrap`.

k is small where few items flip, and where it happens to be large the difference varies more, and
its interval is wider, at once. That is why k is drawn: its square root is nearly normal, with the
variance design / 4 (Anscombe 1948).
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
    "error_of",
    "groups_needed",
    "items_needed",
    "measure_noise",
    "probability_to_clear",
]

LEVEL = 0.05
"""Significance level of the tests of a verdict."""

POWER = 0.9
"""Probability with which a plan clears a system whose score does not move."""


_Z = NormalDist().inv_cdf(1 - LEVEL)
_PRIOR = 0.5**0.5  # standard error of the prior of GroupBootstrap, times the number of groups
_DEVIATES = [NormalDist().inv_cdf((i + 0.5) / 256) for i in range(256)]


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
    def design(self) -> float:
        """Variance of the mean difference beside that of as many independent items."""
        return 1 + (self.per_group - 1) * self.correlation

    @property
    def error(self) -> float:
        """Standard error of the mean difference, times the square root of the number of items."""
        return math.sqrt(self.flips * self.design)


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


def items_needed(
    max_change: float,
    error: float,
    *,
    n_doses: int = 1,
    design: float = 1.0,
    per_group: float = 1.0,
    power: float = POWER,
) -> int:
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
    design : float
        Part of the squared error that is not the fraction of flips, >= 1, as of `AnswerNoise`.
    per_group : float
        Number of items per group, >= 1.
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
    298
    """
    if not 0 < max_change < 1 or not 0 <= error < math.inf or n_doses < 1 or not 0 < power < 1:
        raise ParameterError(
            f"max_change is {max_change:g}, error {error:g}, n_doses {n_doses}, power {power:g}; "
            "must be in (0, 1), >= 0 and finite, >= 1 and in (0, 1)"
        )
    if not (1 <= design < math.inf and 1 <= per_group < math.inf):
        raise ParameterError(f"design is {design:g}, per_group {per_group:g}; must be >= 1")

    def suffices(n_items: int) -> bool:
        probability = probability_to_clear(
            n_items, max_change, error, n_doses=n_doses, design=design, per_group=per_group
        )
        return probability >= power

    most = 2
    while not suffices(most):
        most *= 2
    least = most // 2
    while most - least > 1:
        middle = (least + most) // 2
        least, most = (least, middle) if suffices(middle) else (middle, most)
    return most


def probability_to_clear(
    n_items: int,
    max_change: float,
    error: float,
    *,
    n_doses: int = 1,
    design: float = 1.0,
    per_group: float = 1.0,
) -> float:
    """Compute the least probability that a system is cleared whose score does not move.

    Parameters
    ----------
    n_items : int
        Number of items.
    max_change, error, n_doses, design, per_group
        As for `items_needed`.

    Returns
    -------
    float
        Probability in [0, 1]; a lower bound, whatever the correlation between doses.

    References
    ----------
    Anscombe (1948) :cite:`anscombe1948`: the square root of a count.

    Examples
    --------
    >>> round(probability_to_clear(298, 0.05, AnswerNoise(flips=0.04).error, n_doses=6), 2)
    0.9
    """
    missed = 0.0
    root = math.sqrt(max(n_items * error**2 / design - design / 4, 0.0))  # of the flips, on average
    for deviate in _DEVIATES:
        spread = math.sqrt(design) / n_items * max(root + deviate * math.sqrt(design) / 2, 0.0)
        half = _Z * math.hypot(spread, _PRIOR * per_group / n_items)
        if half >= max_change:
            missed += 1
        elif spread:
            missed += math.erfc((max_change - half) / spread / math.sqrt(2))
    return max(0.0, 1 - n_doses * missed / len(_DEVIATES))


def error_of(half: float, n_items: int, *, per_group: float = 1.0) -> float:
    """Compute the error of a change from the interval that was measured on some items.

    Parameters
    ----------
    half : float
        Half the width of the interval of 90 % of `GroupBootstrap`.
    n_items : int
        Number of items, >= 1.
    per_group : float
        Number of items per group, >= 1.

    Returns
    -------
    float
        Standard error of the change times the square root of the number of items; 0 if the prior
        alone is as wide.

    Examples
    --------
    >>> round(error_of(0.02, 300), 2)
    0.21
    """
    return math.sqrt(n_items * max((half / _Z) ** 2 - (_PRIOR * per_group / n_items) ** 2, 0.0))


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
