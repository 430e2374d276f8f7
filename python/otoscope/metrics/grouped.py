"""Means over groups of dependent values, such as the excerpts of a song, with bootstrap intervals.

Groups are drawn with replacement, each with all its values: the number of values of a group says
little about how certain a mean is.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from otoscope.errors import ParameterError
from otoscope.metrics.interval import Interval
from otoscope.seeds import numpy_generator

__all__ = ["group_draws", "grouped_mean"]

Floats = NDArray[np.float64]


def group_draws(n_groups: int, *, resamples: int = 2000, seed: int = 0) -> Floats:
    """Draw how often each group is in each bootstrap sample.

    Parameters
    ----------
    n_groups : int
        Number of groups, >= 1.
    resamples : int
        Number of bootstrap samples, >= 20.
    seed : int
        Random seed.

    Returns
    -------
    ndarray [resample, group], float64
        Counts; each row sums to ``n_groups``.

    Raises
    ------
    ParameterError
        If a number is out of range.

    Examples
    --------
    >>> group_draws(3, resamples=20).sum(1).tolist() == [3.0] * 20
    True
    """
    if n_groups < 1 or resamples < 20:
        raise ParameterError(f"n_groups is {n_groups} and resamples {resamples}; need >= 1 and 20")
    rng = numpy_generator(seed)
    counts = rng.multinomial(n_groups, np.full(n_groups, 1 / n_groups), size=resamples)
    return counts.astype(np.float64)


def grouped_mean(
    values: Sequence[float],
    groups: Sequence[object],
    *,
    level: float = 0.95,
    resamples: int = 2000,
    seed: int = 0,
) -> Interval:
    """Compute the mean of values, with a percentile bootstrap interval over groups.

    Parameters
    ----------
    values : sequence of float
        Values, at least one.
    groups : sequence
        Group of each value, such as the name of its song.
    level : float
        Confidence level, in (0, 1).
    resamples : int
        Number of bootstrap samples, >= 20.
    seed : int
        Random seed.

    Returns
    -------
    Interval
        Mean over all values. The bounds are NaN for a single group, which tells nothing of others.

    Raises
    ------
    ParameterError
        If there is no value, lengths differ, or a setting is out of range.

    References
    ----------
    Davison and Hinkley (1997) :cite:`davison1997`, section 3.8.

    Examples
    --------
    >>> grouped_mean([1.0, 1.0, 3.0], ["a", "a", "b"]).value
    1.6666666666666667
    """
    if not values or len(values) != len(groups) or not 0 < level < 1:
        raise ParameterError(
            f"{len(values)} values came with {len(groups)} groups and level {level}; need as many "
            "groups, at least one, and a level in (0, 1)"
        )
    names = list(dict.fromkeys(groups))
    place = [names.index(group) for group in groups]
    sums = np.bincount(place, weights=np.asarray(values, np.float64))
    counts = np.bincount(place)
    mean = float(sums.sum() / counts.sum())
    if len(names) < 2:
        return Interval(mean, float("nan"), float("nan"), level)
    draws = group_draws(len(names), resamples=resamples, seed=seed)
    means = (draws @ sums) / (draws @ counts)
    low, high = np.quantile(means, [(1 - level) / 2, (1 + level) / 2])
    return Interval(mean, float(low), float(high), level)
