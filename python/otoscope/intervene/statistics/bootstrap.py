"""How sure a score may be: intervals over groups of items, and answers dealt out at random.

Excerpts of one artist or album are not independent: what is drawn anew is the group, never the
item. Two scores of the same items are compared on the same draws. Arrays are over items; ``right``
says whether each answer is right.
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
    "Chance",
    "Figure",
    "GroupBootstrap",
    "Interval",
    "chance",
    "check_classes",
]

Figure = Literal["mean_recall", "accuracy"]
"""Figures of merit: the mean of each class's share of right answers, or the share of all."""

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Chance:
    """What the same answers score when they are dealt out at random.

    Parameters
    ----------
    mean : float
        Of the figure of merit, in [0, 1].
    low, high : float
        95 % of the deals lie between them.
    p : float
        Share of deals that score as the true one or better, in (0, 1].

    Examples
    --------
    >>> Chance(mean=0.13, low=0.08, high=0.18, p=0.0005).mean
    0.13
    """

    mean: float
    low: float
    high: float
    p: float


@dataclass(frozen=True, eq=False)
class GroupBootstrap:
    """Scores and their intervals: groups are drawn anew, with all their items.

    Parameters
    ----------
    labels : sequence of str
        The class of each item.
    groups : sequence of str, optional
        What items share: artist, album. By default each item is its own.
    figure : {"mean_recall", "accuracy"}
        A class that a draw misses does not count in its mean recall.
    n_draws : int
        >= 20.
    level : float
        In (0, 1).
    seed : int
        Of the draws.

    Raises
    ------
    ParameterError
        If lengths differ, there are fewer than two groups, or a setting is out of range.

    Notes
    -----
    Intervals are the percentiles of the draws. Where all answers are right no draw says otherwise:
    the interval is [1, 1], however few the items are.

    References
    ----------
    Davison and Hinkley, "Bootstrap methods and their application", 1997, section 3.8.

    Examples
    --------
    >>> bootstrap = GroupBootstrap(["a", "a", "a", "b"], figure="mean_recall")
    >>> bootstrap.score([1, 1, 0, 0])
    0.3333333333333333
    """

    labels: Sequence[str]
    groups: Sequence[str] | None = None
    figure: Figure = "mean_recall"
    n_draws: int = 2000
    level: float = 0.95
    seed: int = 0

    def __post_init__(self) -> None:
        if self.figure not in ("mean_recall", "accuracy"):
            raise ParameterError(f'figure is {self.figure!r}, must be "mean_recall" or "accuracy"')
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
        """Find the figure of merit.

        Parameters
        ----------
        right : array_like [item]
            Whether each answer is right.

        Returns
        -------
        float
            In [0, 1].

        Examples
        --------
        >>> GroupBootstrap(["a", "b", "b"], figure="accuracy").score([True, True, False])
        0.6666666666666666
        """
        return float(self._means(self._checked(right), self._classes, self._once)[0])

    def estimate(self, right: ArrayLike) -> Interval:
        """Find the figure of merit and its interval.

        Parameters
        ----------
        right : array_like [item]
            Whether each answer is right.

        Returns
        -------
        Interval
            In [0, 1].

        Examples
        --------
        >>> GroupBootstrap(["a", "b"] * 50).estimate([1, 0] * 50).value
        0.5
        """
        return self._interval(self._checked(right), self._classes)

    def difference(self, right: ArrayLike, other: ArrayLike) -> Interval:
        """Find how the figure of merit changes from some answers to others, on the same draws.

        Parameters
        ----------
        right : array_like [item]
            Whether each answer is right before.
        other : array_like [item]
            And after.

        Returns
        -------
        Interval
            Of score(other) - score(right), in [-1, 1].

        Examples
        --------
        >>> GroupBootstrap(["a", "b"] * 50).difference([1, 0] * 50, [1, 1] * 50).value
        0.5
        """
        return self._interval(self._checked(other) - self._checked(right), self._classes)

    def share(self, values: ArrayLike) -> Interval:
        """Find the mean of a number that each item has, whatever its class.

        Parameters
        ----------
        values : array_like [item]
            Labels reachable, or whether the answer flips.

        Returns
        -------
        Interval
            Of the mean over items.

        Examples
        --------
        >>> GroupBootstrap(["a", "b"] * 50).share([1, 4] * 50).value
        2.5
        """
        return self._interval(self._checked(values), np.zeros_like(self._classes))

    @cached_property
    def _classes(self) -> NDArray[np.intp]:
        """The columns that a mean is taken over: classes, or one for all items."""
        codes = np.unique(np.asarray(self.labels), return_inverse=True)[1]
        return codes if self.figure == "mean_recall" else np.zeros_like(codes)

    @cached_property
    def _group_codes(self) -> NDArray[np.intp]:
        return _codes(self.groups, len(self.labels))

    @property
    def _n_groups(self) -> int:
        return int(self._group_codes.max(initial=-1)) + 1

    @property
    def _once(self) -> Floats:
        """The sample itself, as a draw."""
        return np.ones((1, self._n_groups))

    @cached_property
    def _draws(self) -> Floats:
        """How often each group is drawn, [draw, group]."""
        n_groups, rng = self._n_groups, np.random.default_rng(self.seed)
        shares = np.full(n_groups, 1 / n_groups)
        return rng.multinomial(n_groups, shares, size=self.n_draws).astype(np.float64)

    def _interval(self, values: Floats, columns: NDArray[np.intp]) -> Interval:
        (value,) = self._means(values, columns, self._once)
        tails = [(1 - self.level) / 2, (1 + self.level) / 2]
        low, high = np.quantile(self._means(values, columns, self._draws), tails)
        return Interval(float(value), float(low), float(high), self.level)

    def _means(self, values: Floats, columns: NDArray[np.intp], draws: Floats) -> Floats:
        """Mean over columns of the mean in each, per draw; columns that a draw misses left out."""
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
    """Refuse labels that no recall can be measured on.

    Parameters
    ----------
    labels : sequence of str
        The class of each item.

    Raises
    ------
    ParameterError
        If there is one class only, or a class of one item; names them.

    Examples
    --------
    >>> check_classes(["waltz", "waltz", "tango", "tango"])
    """
    classes, counts = np.unique(np.asarray(labels), return_counts=True)
    if len(classes) < 2:
        raise ParameterError(
            f"all {len(labels)} items are of class {', '.join(map(repr, classes.tolist()))}: "
            "any answer that never changes is right; need 2 classes or more"
        )
    if alone := classes[counts == 1].tolist():
        raise ParameterError(
            f"{len(alone)} of {len(classes)} classes have one item, whose recall is 0 or 1: "
            f"{', '.join(map(repr, alone[:10]))}; need 2 items or more a class, or leave these out"
        )


def chance(
    labels: Sequence[str],
    answers: Sequence[str],
    *,
    groups: Sequence[str] | None = None,
    figure: Figure = "mean_recall",
    n_draws: int = 2000,
    seed: int = 0,
) -> Chance:
    """Score the same answers dealt out at random: what a system that hears nothing would get.

    Parameters
    ----------
    labels, answers : sequence of str
        The class of each item, and what the system says.
    groups : sequence of str, optional
        Answers to the items of a group stay together: runs of them are dealt out in random order,
        each shuffled in itself, for a group may hold several classes.
        By default each answer is dealt out by itself.
    figure : {"mean_recall", "accuracy"}
        Figure of merit.
    n_draws : int
        Deals, >= 20.
    seed : int
        Of the deals.

    Returns
    -------
    Chance
        Its p counts the true deal among the others: at least 1 / (n_draws + 1).

    References
    ----------
    Good, "Permutation, parametric, and bootstrap tests of hypotheses", 2005, chapter 3.

    Examples
    --------
    >>> chance(["a", "b"] * 20, ["a", "b"] * 20).p < 0.01
    True
    """
    scores = GroupBootstrap(labels, groups, figure=figure, n_draws=n_draws, seed=seed)
    if len(answers) != len(labels):
        raise ParameterError(f"{len(answers)} answers for {len(labels)} labels")
    columns, codes = scores._classes, scores._group_codes
    counts = np.bincount(columns)
    weights = 1 / (counts[columns] * len(counts))  # the figure is a weighted mean of right answers
    both = np.unique([*labels, *answers], return_inverse=True)[1]
    truth, said = np.split(both, 2)
    seats, rng = np.argsort(codes, kind="stable"), np.random.default_rng(seed)
    in_seats, of_seats = truth[seats], weights[seats]
    dealt = np.empty(n_draws)
    for draw in range(n_draws):
        order = np.lexsort([rng.random(len(codes)), rng.permutation(scores._n_groups)[codes]])
        dealt[draw] = of_seats[said[order] == in_seats].sum()
    low, high = np.quantile(dealt, [0.025, 0.975])
    as_good = (dealt >= weights[said == truth].sum() - 1e-9).sum()
    p = (1 + int(as_good)) / (1 + n_draws)
    return Chance(float(dealt.mean()), float(low), float(high), p)


def _codes(groups: Sequence[str] | None, n_items: int) -> NDArray[np.intp]:
    """A number for each item's group."""
    if groups is None:
        return np.arange(n_items)
    return np.unique(np.asarray(groups), return_inverse=True)[1]
