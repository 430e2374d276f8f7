"""Tests whether answers depend on the dose, on the same items.

All but `sign_flips` assume independent items. Where items share an artist, `sign_flips` takes the
totals of groups.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from otoscope.errors import ParameterError

__all__ = ["CochranQ", "cochran_q", "fisher_falls", "holm", "mcnemar", "sign_flips"]

_MOST_WORK = 1e8  # additions
_MOST_ENUMERATED = 14  # groups whose 2^n sign patterns are all counted


@dataclass(frozen=True)
class CochranQ:
    """Result of Cochran's Q test whether the fraction of right answers depends on the dose.

    Parameters
    ----------
    statistic : float
        Cochran's Q, >= 0.
    df : int
        Degrees of freedom: number of doses minus one.
    p : float
        Probability of a Q as large if no dose matters.

    Examples
    --------
    >>> CochranQ(statistic=9.2, df=4, p=0.056).df
    4
    """

    statistic: float
    df: int
    p: float


def mcnemar(right: ArrayLike, other: ArrayLike) -> float:
    """Test exactly whether answers are right as often at two doses, or from two systems.

    Parameters
    ----------
    right, other : array_like [item], bool
        Whether each answer is right, for the same items.

    Returns
    -------
    float
        Two-sided p-value; 1 if no item is right in one and wrong in the other.

    References
    ----------
    McNemar (1947) :cite:`mcnemar1947`; the binomial test replaces his chi-squared.

    Examples
    --------
    >>> mcnemar([True] * 6, [False] * 5 + [True])
    0.0625
    """
    from scipy.stats import binomtest

    before, after = np.asarray(right, dtype=bool), np.asarray(other, dtype=bool)
    if before.shape != after.shape or before.ndim != 1:
        raise ParameterError(f"answers have shapes {before.shape} and {after.shape}; need [item]")
    lost, gained = int((before & ~after).sum()), int((after & ~before).sum())
    return float(binomtest(lost, lost + gained).pvalue) if lost + gained else 1.0


def sign_flips(totals: ArrayLike, *, n_draws: int = 20_000, seed: int = 0) -> float:
    """Test whether two conditions score alike, where all items of a group may move together.

    If they do, exchanging the two conditions within any group changes nothing: the sign of each
    group's total is random. With one item per group, and equal weights, this is `mcnemar`.

    Parameters
    ----------
    totals : array_like [group]
        Sum over the items of each group of the (weighted) difference of their scores.
    n_draws : int
        Number of random sign patterns if there are too many to count them all.
    seed : int
        Random seed of the patterns.

    Returns
    -------
    float
        Two-sided p-value; 1 if no group differs. Exact for up to 14 groups that differ, and for
        totals that are multiples of the smallest; else at least 1 / (n_draws + 1).

    References
    ----------
    Good (2005) :cite:`good2005`, section 3.2.

    Examples
    --------
    >>> sign_flips([-1] * 5 + [0] * 9)
    0.0625
    >>> round(sign_flips([-3, -2, -2, -1, 1]), 4)
    0.1875
    """
    values = np.asarray(totals, dtype=np.float64)
    if values.ndim != 1 or not np.isfinite(values).all():
        raise ParameterError(f"totals have shape {values.shape}, must be [group] and finite")
    values = values[np.abs(values) > 1e-12]
    if not len(values):
        return 1.0
    least = np.abs(values).min()
    multiples = np.rint(values / least)
    work = len(values) * float(np.abs(multiples).sum())
    if work < _MOST_WORK and np.allclose(values, multiples * least, rtol=1e-6, atol=0):
        return _of_whole_totals(multiples.astype(np.int64))
    observed = abs(values.sum()) * (1 - 1e-9)
    if len(values) <= _MOST_ENUMERATED:
        patterns = np.arange(2 ** len(values))[:, None] >> np.arange(len(values)) & 1
        return float((np.abs((2 * patterns - 1) @ values) >= observed).mean())
    rng, n_extreme = np.random.default_rng(seed), 0
    for start in range(0, n_draws, 4096):
        n = min(4096, n_draws - start)
        signs = rng.integers(0, 2, (n, len(values)), dtype=np.int8).astype(np.float32) * 2 - 1
        n_extreme += int((np.abs(signs @ values.astype(np.float32)) >= observed * 0.999999).sum())
    return (1 + n_extreme) / (1 + n_draws)


def _of_whole_totals(totals: NDArray[np.int64]) -> float:
    """Add up the totals one after another, each with either sign, and count the sums as far out."""
    chance = np.ones(1)  # of the sums -n, -n + 2, ..., n
    for total in np.abs(totals):
        longer = np.zeros(len(chance) + total)
        longer[: len(chance)] += chance / 2
        longer[total:] += chance / 2
        chance = longer
    n = len(chance) - 1
    sums = np.arange(-n, n + 1, 2)
    return float(min(1.0, chance[np.abs(sums) >= abs(totals.sum())].sum()))


def fisher_falls(before: ArrayLike, after: ArrayLike, n: ArrayLike) -> NDArray[np.float64]:
    """Test exactly, and one-sided, whether fewer of the same items are right after a change.

    Fisher's test takes the two sets of answers as independent. Where a system answers the same item
    alike (as systems do), it is conservative; unlike `mcnemar` it uses how often answers are right:
    8 of 8, then 0 of 8, has p = 0.00008.

    Parameters
    ----------
    before, after : array_like of int
        Numbers of right answers.
    n : array_like of int
        Number of items.

    Returns
    -------
    array
        P-values.

    References
    ----------
    Fisher (1935) :cite:`fisher1935`, section 21.1.

    Examples
    --------
    >>> fisher_falls([8, 8], [0, 7], 8).round(5).tolist()
    [8e-05, 0.5]
    """
    from scipy.stats import hypergeom

    before, after = np.asarray(before), np.asarray(after)
    p: NDArray[np.float64] = hypergeom.cdf(after, 2 * np.asarray(n), before + after, n)
    return p


def holm(p_values: Sequence[float]) -> list[float]:
    """Correct p-values for their number by Holm's step-down method.

    Parameters
    ----------
    p_values : sequence of float
        Uncorrected p-values, in [0, 1].

    Returns
    -------
    list of float
        Corrected p-values in the same order. Rejecting those below alpha keeps the probability of
        any false rejection at or below alpha.

    References
    ----------
    Holm (1979) :cite:`holm1979`.

    Examples
    --------
    >>> [round(p, 2) for p in holm([0.01, 0.04, 0.03])]
    [0.03, 0.06, 0.06]
    """
    p = np.asarray(p_values, dtype=np.float64)
    order = np.argsort(p)
    steps = np.maximum.accumulate((len(p) - np.arange(len(p))) * p[order])
    corrected = np.empty_like(p)
    corrected[order] = np.minimum(steps, 1)
    adjusted: list[float] = corrected.tolist()
    return adjusted


def cochran_q(right: ArrayLike) -> CochranQ:
    """Test by Cochran's Q whether the fraction of right answers depends on the dose.

    Parameters
    ----------
    right : array_like [item, dose], bool
        Whether each answer is right, at two doses or more; unchanged items count as a dose.

    Returns
    -------
    CochranQ
        Statistic with the p-value of its chi-squared limit; 1 if no item depends on the dose.

    Raises
    ------
    ParameterError
        If there are fewer than two doses.

    References
    ----------
    Cochran (1950) :cite:`cochran1950`.

    Examples
    --------
    >>> round(cochran_q([[1, 1, 0], [1, 0, 0], [1, 1, 0], [1, 1, 1]]).statistic, 2)
    4.67
    """
    from scipy.stats import chi2

    answers = np.asarray(right, dtype=bool)
    if answers.ndim != 2 or answers.shape[1] < 2:
        raise ParameterError(f"right has shape {answers.shape}, must be [item, dose], 2 doses up")
    df = answers.shape[1] - 1
    if (answers == answers[:, :1]).all():
        return CochranQ(0.0, df, 1.0)
    per_dose, per_item, total = answers.sum(0), answers.sum(1), answers.sum()
    spread = (df + 1) * (per_dose**2).sum() - total**2
    statistic = df * spread / ((df + 1) * total - (per_item**2).sum())
    return CochranQ(float(statistic), df, float(chi2.sf(statistic, df)))
