"""Bootstrap intervals of scores over groups of items.

Excerpts of one artist or album are not independent: groups are weighted at random, never items. Two
scores of the same items are compared on the same draws. Arrays are over items; ``right`` tells
whether each answer is right.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from otoscope.errors import ParameterError
from otoscope.intervene.statistics.significance import sign_flips
from otoscope.metrics import Interval

__all__ = ["GroupBootstrap", "MetricName", "check_classes"]

MetricName = Literal["mean_recall", "accuracy"]
"""Metric: mean over classes of the fraction of right answers, or fraction over all items."""

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class GroupBootstrap:
    """Scores with intervals by the Bayesian bootstrap over groups.

    Each draw weights the groups, with all their items, at random (gamma distributed), beside
    a prior of a fraction of a group that is all right and as much that is all wrong, shared by the
    classes (Jeffreys' prior: half a group each). Intervals are percentiles of the draws, extended
    to the score itself. Where each item is a group and there is one class, they are close to
    Jeffreys' and Wilson's intervals of a proportion.

    Parameters
    ----------
    labels : sequence of str
        Class of each item.
    groups : sequence of str, optional
        Group of each item, such as its artist or album. By default each item is its own group.
    metric : {"mean_recall", "accuracy"}
        Metric of the score.
    n_draws : int
        Number of bootstrap draws, >= 20, rounded up to an even number.
    level : float
        Confidence level of the intervals, in (0, 1).
    seed : int
        Random seed.
    prior : float
        Weight of each of the two parts of the prior, in groups, >= 0; 0: no prior. Differences
        have half of it.

    Raises
    ------
    ParameterError
        If lengths differ, there are fewer than two groups, or a setting is out of range.

    Notes
    -----
    Of 24 answers that are all right the interval is about [0.90, 1]: a few more items might be
    wrong. Without the prior its width would be 0.

    References
    ----------
    Rubin (1981) :cite:`rubin1981`; Brown, Cai and DasGupta (2001) :cite:`brown2001`, section 4.1.

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
    prior: float = 0.5

    def __post_init__(self) -> None:
        if self.metric not in ("mean_recall", "accuracy"):
            raise ParameterError(f'metric is {self.metric!r}, must be "mean_recall" or "accuracy"')
        if self.n_draws < 20 or not 0 < self.level < 1:
            raise ParameterError(
                f"n_draws is {self.n_draws} and level {self.level}; must be >= 20 and in (0, 1)"
            )
        if not 0 <= self.prior < float("inf"):
            raise ParameterError(f"prior is {self.prior}, must be >= 0 and finite")
        if self.groups is not None and len(self.groups) != len(self.labels):
            raise ParameterError(f"{len(self.groups)} groups for {len(self.labels)} labels")
        if self.n_groups < 2:
            raise ParameterError(
                f"{len(self.labels)} items in {self.n_groups} group; an interval takes 2 groups "
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
        return self._value(self._checked(right), self.columns)

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
        return self._interval(self._checked(right), self.columns, (0, 1))

    def difference(
        self, right: ArrayLike, other: ArrayLike, *, level: float | None = None
    ) -> Interval:
        """Compute the difference of two scores of the same items, on the same draws.

        Parameters
        ----------
        right : array_like [item]
            Whether each answer is right before a change.
        other : array_like [item]
            Whether each answer is right after it.
        level : float, optional
            Confidence level in place of that of the object.

        Returns
        -------
        Interval
            score(other) - score(right), in [-1, 1].

        Examples
        --------
        >>> GroupBootstrap(["a", "b"] * 50).difference([1, 0] * 50, [1, 1] * 50).value
        0.5
        """
        change = self._checked(other) - self._checked(right)
        draws = self._draws_of(change, self.columns, (-1, 1)).mean(1)
        return self._around(self._value(change, self.columns), draws, level)

    def sign_flips(self, right: ArrayLike, other: ArrayLike) -> float:
        """Test whether two scores of the same items differ, by exchanges within whole groups.

        Parameters
        ----------
        right, other : array_like [item]
            Whether each answer is right, in two conditions.

        Returns
        -------
        float
            Two-sided p-value, see `sign_flips` of `otoscope.intervene.statistics.significance`.

        Examples
        --------
        >>> GroupBootstrap(["a", "b"] * 8).sign_flips([1] * 16, [0, 1] * 8)
        0.0078125
        """
        change = self._checked(other) - self._checked(right)
        weights = 1 / np.bincount(self.columns)[self.columns]
        return sign_flips(np.bincount(self.group_codes, weights * change), seed=self.seed)

    def recall_differences(self, right: ArrayLike, other: ArrayLike) -> dict[str, Interval]:
        """Compute the difference of the recalls of each class, on the same draws.

        Parameters
        ----------
        right, other : array_like [item]
            Whether each answer is right before and after a change.

        Returns
        -------
        dict of str to Interval
            Differences in [-1, 1] by class, each with a whole prior of its own.

        Examples
        --------
        >>> scores = GroupBootstrap(["a", "b"] * 8)
        >>> changes = scores.recall_differences([1] * 16, [0, 1] * 8)
        >>> changes["a"].high < -0.4 < changes["b"].low
        True
        """
        change = self._checked(other) - self._checked(right)
        names, codes = np.unique(np.asarray(self.labels), return_inverse=True)
        values = np.bincount(codes, change) / np.bincount(codes)
        draws = self._draws_of(change, codes, (-1, 1), n_sharing=1)
        columns = zip(names.tolist(), values.tolist(), draws.T, strict=True)
        return {name: self._around(value, of_class) for name, value, of_class in columns}

    def mean(self, values: ArrayLike, *, bounds: tuple[float, float] | None = None) -> Interval:
        """Compute the mean over items, whatever their class.

        Parameters
        ----------
        values : array_like [item]
            One number per item, such as the number of labels reached.
        bounds : tuple of float, optional
            Smallest and largest possible value, which the prior has; without them there is no
            prior, and the interval of equal values has no width.

        Returns
        -------
        Interval
            Mean over items.

        Examples
        --------
        >>> GroupBootstrap(["a", "b"] * 50).mean([1, 4] * 50).value
        2.5
        """
        return self._interval(self._checked(values), np.zeros_like(self.columns), bounds)

    @cached_property
    def columns(self) -> NDArray[np.intp]:
        """Class of each item as a column; one column for all items if the metric is accuracy."""
        codes = np.unique(np.asarray(self.labels), return_inverse=True)[1]
        return codes if self.metric == "mean_recall" else np.zeros_like(codes)

    @cached_property
    def group_codes(self) -> NDArray[np.intp]:
        """Number of each item's group, from 0."""
        return _codes(self.groups, len(self.labels))

    @property
    def n_groups(self) -> int:
        """Number of groups."""
        return int(self.group_codes.max(initial=-1)) + 1

    @cached_property
    def _weights(self) -> Floats:
        """Weight of each group in half of the draws: [draw, group].

        With n groups in a class, shape 1 - 1 / n makes the variance of a recall that of n groups
        drawn with replacement; shape 1, of exponential weights, has n / (n + 1) of it.
        """
        pairs = np.unique(np.stack([self.columns, self.group_codes]), axis=1)
        n_in_class = pairs.shape[1] / (self.columns.max() + 1)
        rng = np.random.default_rng(self.seed)
        shape = max(0.5, 1 - 1 / n_in_class)
        return rng.gamma(shape, size=((self.n_draws + 1) // 2, self.n_groups))

    def _prior(self, n_columns: int, shape: float) -> Floats:
        """Weights of the two parts of the prior for each column: [part, draw, column]."""
        rng = np.random.default_rng([self.seed, n_columns])
        return rng.gamma(shape, size=(2, (self.n_draws + 1) // 2, n_columns))

    def _interval(
        self, values: Floats, columns: NDArray[np.intp], bounds: tuple[float, float] | None
    ) -> Interval:
        value = self._value(values, columns)
        return self._around(value, self._draws_of(values, columns, bounds).mean(1))

    def _around(self, value: float, draws: Floats, level: float | None = None) -> Interval:
        """Return the percentiles of draws, extended to the value itself."""
        level = level or self.level
        low, high = np.quantile(draws, [(1 - level) / 2, (1 + level) / 2])
        return Interval(value, min(float(low), value), max(float(high), value), level)

    def _value(self, values: Floats, columns: NDArray[np.intp]) -> float:
        """Average the means of the columns."""
        return float((np.bincount(columns, values) / np.bincount(columns)).mean())

    def _draws_of(
        self,
        values: Floats,
        columns: NDArray[np.intp],
        bounds: tuple[float, float] | None,
        *,
        n_sharing: int | None = None,
    ) -> Floats:
        """Draw the mean of each column, with the prior if there are ``bounds``: [draw, column].

        ``n_sharing`` columns share the prior, by default all. The second half of the draws has the
        two parts of the prior exchanged: a difference and its reverse have the same interval but
        for the sign.
        """
        shape = (self.n_groups, int(columns.max()) + 1)
        cells = np.ravel_multi_index((self.group_codes, columns), shape)
        n_items = np.bincount(cells, minlength=shape[0] * shape[1]).reshape(shape)
        totals = np.bincount(cells, values, shape[0] * shape[1]).reshape(shape)
        counts, sums = self._weights @ n_items + 1e-300, self._weights @ totals
        if bounds is None or not self.prior:
            return np.concatenate([sums / counts] * 2)
        group_size = n_items.sum(0) / (n_items > 0).sum(0)
        low, high = bounds
        part = self.prior / (2 if low < 0 else 1)  # a change of 0 lies between, and needs less
        first, second = group_size * self._prior(shape[1], part / (n_sharing or shape[1]))
        counts = counts + first + second
        halves = (sums + low * first + high * second, sums + high * first + low * second)
        draws: Floats = np.concatenate([half / counts for half in halves])
        return draws

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


def _codes(groups: Sequence[str] | None, n_items: int) -> NDArray[np.intp]:
    """Number the groups and return the number of each item's group."""
    if groups is None:
        return np.arange(n_items)
    return np.unique(np.asarray(groups), return_inverse=True)[1]
