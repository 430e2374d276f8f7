"""Bootstrap intervals of scores over groups of items, and the chance level of shuffled answers.

Excerpts of one artist or album are not independent: groups are resampled, never items. Two scores
of the same items are compared on the same draws. Arrays are over items; ``right`` tells whether
each answer is right.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from otoscope.errors import ParameterError
from otoscope.metrics import Interval

__all__ = [
    "ChanceLevel",
    "GroupBootstrap",
    "MetricName",
    "chance_level",
    "check_classes",
]

MetricName = Literal["mean_recall", "accuracy"]
"""Metric: mean over classes of the fraction of right answers, or fraction over all items."""

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class ChanceLevel:
    """Score of the same answers in random order.

    Parameters
    ----------
    mean : float
        Mean score over random orders, in [0, 1].
    low, high : float
        Central 95 % interval of the scores.
    p : float
        Fraction of orders that score as high as the true one or higher, in (0, 1].

    Examples
    --------
    >>> ChanceLevel(mean=0.13, low=0.08, high=0.18, p=0.0005).mean
    0.13
    """

    mean: float
    low: float
    high: float
    p: float


@dataclass(frozen=True, eq=False)
class GroupBootstrap:
    """Scores with percentile bootstrap intervals over groups, each drawn with all its items.

    Parameters
    ----------
    labels : sequence of str
        Class of each item.
    groups : sequence of str, optional
        Group of each item, such as its artist or album. By default each item is its own group.
    metric : {"mean_recall", "accuracy"}
        Metric of the score. A class that a draw misses does not count in its mean recall.
    n_draws : int
        Number of bootstrap draws, >= 20.
    level : float
        Confidence level of the intervals, in (0, 1).
    seed : int
        Random seed.

    Raises
    ------
    ParameterError
        If lengths differ, there are fewer than two groups, or a setting is out of range.

    Notes
    -----
    If all answers are right, so are those of every draw: the interval is [1, 1], however few items
    there are.

    References
    ----------
    Davison and Hinkley (1997) :cite:`davison1997`, section 3.8.

    Examples
    --------
    >>> bootstrap = GroupBootstrap(["a", "a", "a", "b"], metric="mean_recall")
    >>> bootstrap.score([1, 1, 0, 0])
    0.3333333333333333
    """

    labels: Sequence[str]
    groups: Sequence[str] | None = None
    metric: MetricName = "mean_recall"
    n_draws: int = 2000
    level: float = 0.95
    seed: int = 0

    def __post_init__(self) -> None:
        if self.metric not in ("mean_recall", "accuracy"):
            raise ParameterError(f'metric is {self.metric!r}, must be "mean_recall" or "accuracy"')
        if self.n_draws < 20 or not 0 < self.level < 1:
            raise ParameterError(
                f"n_draws is {self.n_draws} and level {self.level}; must be >= 20 and in (0, 1)"
            )
        if self.groups is not None and len(self.groups) != len(self.labels):
            raise ParameterError(f"{len(self.groups)} groups for {len(self.labels)} labels")
        if self._n_groups < 2:
            raise ParameterError(
                f"{len(self.labels)} items in {self._n_groups} group; an interval takes 2 groups "
                "or more"
            )

    def score(self, right: ArrayLike) -> float:
        """Compute the score.

        Parameters
        ----------
        right : array_like [item]
            Whether each answer is right.

        Returns
        -------
        float
            Score in [0, 1].

        Examples
        --------
        >>> GroupBootstrap(["a", "b", "b"], metric="accuracy").score([True, True, False])
        0.6666666666666666
        """
        return float(self._means(self._checked(right), self._classes, self._once)[0])

    def estimate(self, right: ArrayLike) -> Interval:
        """Compute the score and its interval.

        Parameters
        ----------
        right : array_like [item]
            Whether each answer is right.

        Returns
        -------
        Interval
            Score in [0, 1].

        Examples
        --------
        >>> GroupBootstrap(["a", "b"] * 50).estimate([1, 0] * 50).value
        0.5
        """
        return self._interval(self._checked(right), self._classes)

    def difference(self, right: ArrayLike, other: ArrayLike) -> Interval:
        """Compute the difference of two scores of the same items, on the same draws.

        Parameters
        ----------
        right : array_like [item]
            Whether each answer is right before a change.
        other : array_like [item]
            Whether each answer is right after it.

        Returns
        -------
        Interval
            score(other) - score(right), in [-1, 1].

        Examples
        --------
        >>> GroupBootstrap(["a", "b"] * 50).difference([1, 0] * 50, [1, 1] * 50).value
        0.5
        """
        return self._interval(self._checked(other) - self._checked(right), self._classes)

    def mean(self, values: ArrayLike) -> Interval:
        """Compute the mean over items, whatever their class.

        Parameters
        ----------
        values : array_like [item]
            One number per item, such as the number of labels reached.

        Returns
        -------
        Interval
            Mean over items.

        Examples
        --------
        >>> GroupBootstrap(["a", "b"] * 50).mean([1, 4] * 50).value
        2.5
        """
        return self._interval(self._checked(values), np.zeros_like(self._classes))

    @cached_property
    def _classes(self) -> NDArray[np.intp]:
        """Class of each item as a column; one column for all items if the metric is accuracy."""
        codes = np.unique(np.asarray(self.labels), return_inverse=True)[1]
        return codes if self.metric == "mean_recall" else np.zeros_like(codes)

    @cached_property
    def _group_codes(self) -> NDArray[np.intp]:
        return _codes(self.groups, len(self.labels))

    @property
    def _n_groups(self) -> int:
        return int(self._group_codes.max(initial=-1)) + 1

    @property
    def _once(self) -> Floats:
        """The draw that is the sample itself."""
        return np.ones((1, self._n_groups))

    @cached_property
    def _draws(self) -> Floats:
        """Number of times that each group is drawn: [draw, group]."""
        n_groups, rng = self._n_groups, np.random.default_rng(self.seed)
        probabilities = np.full(n_groups, 1 / n_groups)
        return rng.multinomial(n_groups, probabilities, size=self.n_draws).astype(np.float64)

    def _interval(self, values: Floats, columns: NDArray[np.intp]) -> Interval:
        (value,) = self._means(values, columns, self._once)
        tails = [(1 - self.level) / 2, (1 + self.level) / 2]
        low, high = np.quantile(self._means(values, columns, self._draws), tails)
        return Interval(float(value), float(low), float(high), self.level)

    def _means(self, values: Floats, columns: NDArray[np.intp], draws: Floats) -> Floats:
        """Average the means of the columns, per draw, without the columns that the draw misses."""
        shape = (self._n_groups, int(columns.max()) + 1)
        cells = np.ravel_multi_index((self._group_codes, columns), shape)
        counts = draws @ np.bincount(cells, minlength=shape[0] * shape[1]).reshape(shape)
        sums = draws @ np.bincount(cells, values, shape[0] * shape[1]).reshape(shape)
        means: Floats = (sums / np.maximum(counts, 1)).sum(1) / (counts > 0).sum(1)
        return means

    def _checked(self, values: ArrayLike) -> Floats:
        array = np.asarray(values, dtype=np.float64)
        if array.shape != (len(self.labels),) or not np.isfinite(array).all():
            raise ParameterError(
                f"values have shape {array.shape}, must be [{len(self.labels)}] and finite"
            )
        return array


def check_classes(labels: Sequence[str]) -> None:
    """Raise ParameterError unless there are two classes or more, of two items or more each."""
    classes, counts = np.unique(np.asarray(labels), return_counts=True)
    if len(classes) < 2:
        raise ParameterError(
            f"all {len(labels)} items are of class {', '.join(map(repr, classes.tolist()))}: "
            "any answer that never changes is right; need 2 classes or more"
        )
    if alone := classes[counts == 1].tolist():
        raise ParameterError(
            f"{len(alone)} of {len(classes)} classes have one item, whose recall is 0 or 1: "
            f"{', '.join(map(repr, alone[:10]))}; need 2 items or more per class, "
            "or leave these out"
        )


def chance_level(
    labels: Sequence[str],
    answers: Sequence[str],
    *,
    groups: Sequence[str] | None = None,
    metric: MetricName = "mean_recall",
    n_draws: int = 2000,
    seed: int = 0,
) -> ChanceLevel:
    """Score the same answers in random order: the score of a system that hears nothing.

    Parameters
    ----------
    labels, answers : sequence of str
        Class of each item, and answer of the system.
    groups : sequence of str, optional
        Group of each item. The answers of a group stay together: groups are put in random order,
        and the answers within each group too, for it may hold several classes. By default each
        answer is permuted by itself.
    metric : {"mean_recall", "accuracy"}
        Metric of the score.
    n_draws : int
        Number of random orders, >= 20.
    seed : int
        Random seed.

    Returns
    -------
    ChanceLevel
        Distribution of the scores. Its p counts the true order among the others, so it is at least
        1 / (n_draws + 1).

    References
    ----------
    Good (2005) :cite:`good2005`, chapter 3.

    Examples
    --------
    >>> chance_level(["a", "b"] * 20, ["a", "b"] * 20).p < 0.01
    True
    """
    scores = GroupBootstrap(labels, groups, metric=metric, n_draws=n_draws, seed=seed)
    if len(answers) != len(labels):
        raise ParameterError(f"{len(answers)} answers for {len(labels)} labels")
    columns, codes = scores._classes, scores._group_codes
    counts = np.bincount(columns)
    weights = 1 / (counts[columns] * len(counts))  # the score is a weighted mean of right answers
    both = np.unique([*labels, *answers], return_inverse=True)[1]
    truth, answered = np.split(both, 2)
    by_group, rng = np.argsort(codes, kind="stable"), np.random.default_rng(seed)
    sorted_truth, sorted_weights = truth[by_group], weights[by_group]
    draws = np.empty(n_draws)
    for draw in range(n_draws):
        order = np.lexsort([rng.random(len(codes)), rng.permutation(scores._n_groups)[codes]])
        draws[draw] = sorted_weights[answered[order] == sorted_truth].sum()
    low, high = np.quantile(draws, [0.025, 0.975])
    as_good = (draws >= weights[answered == truth].sum() - 1e-9).sum()
    p = (1 + int(as_good)) / (1 + n_draws)
    return ChanceLevel(float(draws.mean()), float(low), float(high), p)


def _codes(groups: Sequence[str] | None, n_items: int) -> NDArray[np.intp]:
    """Number the groups and return the number of each item's group."""
    if groups is None:
        return np.arange(n_items)
    return np.unique(np.asarray(groups), return_inverse=True)[1]
