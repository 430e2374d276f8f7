"""Regulated bootstrap: how much of a score comes from a factor that training and test share.

A system is trained again and again on items drawn with replacement. It is tested twice: on the
items that were not drawn, whose factor (artist, album) it has mostly met, and on items whose factor
it never met in their class. The paired difference is what knowing the factor is worth.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from otoscope.errors import ParameterError
from otoscope.intervene.interrogation._items import Progress
from otoscope.intervene.statistics.bootstrap import Figure, GroupBootstrap, check_classes
from otoscope.metrics import Interval

__all__ = ["Predict", "Regulated", "RegulatedBootstrap", "Split", "Train"]

Indices = NDArray[np.intp]
Predict = Callable[[Indices, str], Sequence[str]]
"""Answers to items, by their indices, under a condition: the name of an intervention."""
Train = Callable[[Indices], Predict]
"""Makes a system of items, by their indices; some come several times."""


@dataclass(frozen=True, eq=False)
class Split:
    """One draw of the regulated bootstrap; items by their indices.

    Parameters
    ----------
    train : ndarray [item]
        With repeats.
    unregulated : ndarray [item]
        Those that were not drawn, of what training was drawn from.
    regulated : ndarray [item]
        Those whose factor training does not hold in their class.

    Examples
    --------
    >>> Split(np.array([0, 0]), unregulated=np.array([1]), regulated=np.array([2])).regulated
    array([2])
    """

    train: Indices
    unregulated: Indices
    regulated: Indices


@dataclass(frozen=True, eq=False)
class Regulated:
    """How often each item was answered rightly, its factor met in training or not.

    Parameters
    ----------
    conditions : tuple of str
        The first is the one that others are compared with.
    unregulated, regulated : ndarray [condition, item], float64
        Share of right answers in [0, 1], over the systems that the item tested.
    bootstrap : GroupBootstrap
        Draws factors anew, for intervals.

    Notes
    -----
    The bootstrap draws the factors of tested items; those of training, which is done, vary as much.
    Bounds are therefore sqrt(2) as far from the value as the bootstrap's, as for a statistic of
    pairs of factors, one in training and one in the test (Hoeffding 1948).
    ``otoscope experiment regulated-bootstrap`` measures how often they hold planted effects.

    Examples
    --------
    >>> known, new = np.array([[1.0, 0.5] * 9]), np.array([[0.5, 0.5] * 9])
    >>> bootstrap = GroupBootstrap(["waltz", "tango"] * 9)
    >>> Regulated(("as it is",), known, regulated=new, bootstrap=bootstrap).effect().value
    0.25
    """

    conditions: tuple[str, ...]
    unregulated: NDArray[np.float64]
    regulated: NDArray[np.float64]
    bootstrap: GroupBootstrap

    def scores(self, condition: str | None = None) -> tuple[Interval, Interval]:
        """Find the figure of merit of both tests.

        Parameters
        ----------
        condition : str, optional
            By default the first.

        Returns
        -------
        tuple of Interval
            Unregulated, regulated.

        Examples
        --------
        >>> half = np.full((1, 40), 0.5)
        >>> found = Regulated(("as it is",), half, half, GroupBootstrap(["a", "b"] * 20))
        >>> [score.value for score in found.scores()]
        [0.5, 0.5]
        """
        at, estimate = self._at(condition), self.bootstrap.estimate
        return _widened(estimate(self.unregulated[at])), _widened(estimate(self.regulated[at]))

    def effect(self, condition: str | None = None) -> Interval:
        """Find what the factor adds to the score: unregulated less regulated.

        Parameters
        ----------
        condition : str, optional
            By default the first.

        Returns
        -------
        Interval
            Its value is in [-1, 1]; it is wider than that of draws alone, and may reach beyond.

        Examples
        --------
        >>> all_right, half = np.ones((1, 40)), np.full((1, 40), 0.5)
        >>> found = Regulated(("as it is",), all_right, half, GroupBootstrap(["a", "b"] * 20))
        >>> found.effect().low
        0.5
        """
        at = self._at(condition)
        return _widened(self.bootstrap.difference(self.regulated[at], self.unregulated[at]))

    def interaction(self, condition: str) -> Interval:
        """Find how much larger the effect is under a condition than under the first one.

        Parameters
        ----------
        condition : str
            One of the others.

        Returns
        -------
        Interval
            Its value is in [-2, 2]; below 0 where the intervention takes away what the factor gave.

        Examples
        --------
        >>> known = np.repeat([[0.75], [0.5]], 40, axis=1)
        >>> bootstrap = GroupBootstrap(["a", "b"] * 20)
        >>> found = Regulated(("as it is", "low-pass"), known, np.full((2, 40), 0.5), bootstrap)
        >>> found.interaction("low-pass").value
        -0.25
        """
        effects = self.unregulated - self.regulated
        return _widened(self.bootstrap.difference(effects[0], effects[self._at(condition)]))

    def _at(self, condition: str | None) -> int:
        if condition is None:
            return 0
        if condition not in self.conditions:
            raise ParameterError(
                f"condition is {condition!r}; there are {', '.join(map(repr, self.conditions))}"
            )
        return self.conditions.index(condition)


@dataclass(frozen=True, eq=False)
class RegulatedBootstrap:
    """Train again and again; test on items whose factor the system may know, and cannot know.

    Parameters
    ----------
    labels, factor : sequence of str
        The class of each item, and what may be confounded with it: artist, album.
    n_regulated : int
        Items of the regulated test in each class, at least.
    figure : {"mean_recall", "accuracy"}
        Figure of merit.
    level : float
        Of the intervals, in (0, 1).

    Raises
    ------
    ParameterError
        If there is one class only, or a class cannot leave ``n_regulated`` items: names it.

    Notes
    -----
    Where a draw of a class leaves too few items of factors that it does not hold, random factors
    are put aside until there are enough, and as many items as the others are drawn from the others.
    Items put aside are not in the unregulated test: it stays what an ordinary bootstrap tests on.
    A factor that several classes share counts in each class by itself.

    The paper compares scores, system by system. Here the systems that an item tested are averaged
    first and factors are drawn anew for the interval, since it is factors that are few.

    References
    ----------
    Rodriguez-Algarra, Sturm and Dixon, "Characterising confounding effects in music classification
    experiments through interventions", TISMIR 2(1), 2019.

    Examples
    --------
    >>> labels, artists = ["a"] * 8 + ["b"] * 8, list("ppqqrrssttuuvvww")
    >>> def train(items):  # knows the artists it has met, and says "a" of others
    ...     met = {artists[i]: labels[i] for i in items}
    ...     return lambda items, condition: [met.get(artists[i], "a") for i in items]
    >>> RegulatedBootstrap(labels, artists, n_regulated=2).run(train).effect().value > 0.1
    True
    """

    labels: Sequence[str]
    factor: Sequence[str]
    n_regulated: int
    figure: Figure = "mean_recall"
    level: float = 0.95

    def __post_init__(self) -> None:
        if len(self.factor) != len(self.labels):
            raise ParameterError(f"{len(self.factor)} factors for {len(self.labels)} labels")
        if self.n_regulated < 1:
            raise ParameterError(f"n_regulated is {self.n_regulated}, must be >= 1")
        check_classes(self.labels)
        for name, items in self._classes.items():
            self._check_class(name, items)

    def split(self, rng: np.random.Generator) -> Split:
        """Draw items for training and for both tests.

        Parameters
        ----------
        rng : Generator
            Of NumPy.

        Returns
        -------
        Split
            Class by class, one after the other.

        Examples
        --------
        >>> bootstrap = RegulatedBootstrap(["a"] * 4 + ["b"] * 4, list("xxyyxxyy"), n_regulated=2)
        >>> len(bootstrap.split(np.random.default_rng(0)).regulated)
        4
        """
        factor = np.asarray(self.factor)
        parts = [self._draw(items, factor[items], rng) for items in self._classes.values()]
        return Split(*(np.concatenate(part) for part in zip(*parts, strict=True)))

    def run(
        self,
        train: Train,
        *,
        iterations: int = 100,
        conditions: Sequence[str] = ("as it is",),
        seed: int = 0,
        progress: Progress | None = None,
    ) -> Regulated:
        """Train and test a system again and again.

        Parameters
        ----------
        train : callable
            Takes indices [item], with repeats; gives a function of indices and a condition that
            gives the answers.
        iterations : int
            Systems to train. Items that never came in both tests are left out.
        conditions : sequence of str
            Interventions on the tested items, by name, the unchanged items first; each system
            meets all of them.
        seed : int
            Of the draws.
        progress : callable, optional
            Goes over the iterations.

        Returns
        -------
        Regulated
            What each item's answers were worth.

        Raises
        ------
        ParameterError
            If a system gives another number of answers than items, or iterations are too few for
            an item of each class to come in both tests.

        Examples
        --------
        >>> bootstrap = RegulatedBootstrap(["a"] * 4 + ["b"] * 4, list("xxyyxxyy"), n_regulated=2)
        >>> always_a = lambda items: lambda items, condition: ["a"] * len(items)
        >>> bootstrap.run(always_a).effect().value
        0.0
        """
        if iterations < 1 or not conditions:
            raise ParameterError(f"{iterations} iterations of {len(conditions)} conditions: none")
        rng, labels = np.random.default_rng(seed), np.asarray(self.labels)
        tested = np.zeros((2, len(labels)))
        right = np.zeros((2, len(conditions), len(labels)))
        for _ in progress(range(iterations), "trainings") if progress else range(iterations):
            split = self.split(rng)
            predict = train(split.train)
            items = np.union1d(split.unregulated, split.regulated)
            is_right = np.stack([self._right(predict, items, one) for one in conditions])
            for test, chosen in enumerate((split.unregulated, split.regulated)):
                tested[test, chosen] += 1
                right[test][:, chosen] += is_right[:, np.searchsorted(items, chosen)]
        both = (tested > 0).all(0)
        if missing := sorted(set(labels.tolist()) - set(labels[both].tolist())):
            raise ParameterError(
                f"iterations is {iterations}: no item of {', '.join(missing)} came in both tests; "
                "take more"
            )
        unregulated, regulated = right[:, :, both] / tested[:, None, both]
        factor = np.asarray(self.factor)[both].tolist()
        merit = GroupBootstrap(
            labels[both].tolist(), factor, figure=self.figure, level=self.level, seed=seed
        )
        return Regulated(tuple(conditions), unregulated, regulated, merit)

    @cached_property
    def _classes(self) -> dict[str, Indices]:
        """Items of each class."""
        labels = np.asarray(self.labels)
        return {str(one): np.flatnonzero(labels == one) for one in np.unique(labels)}

    def _check_class(self, name: str, items: Indices) -> None:
        """See that, put aside in any order, factors leave one item, and in some order two."""
        values, counts = np.unique(np.asarray(self.factor)[items], return_counts=True)
        most = len(items) - max(int(counts.max()), 2)
        if most < self.n_regulated:
            take = f"take n_regulated <= {most} or " if most > 0 else ""
            raise ParameterError(
                f"class {name!r} leaves no {self.n_regulated} items for a regulated test: of its "
                f"{len(items)} items {counts.max()} share the factor "
                f"{str(values[counts.argmax()])!r}; {take}add items of other factors"
            )

    def _draw(
        self, items: Indices, factor: NDArray[np.str_], rng: np.random.Generator
    ) -> tuple[Indices, Indices, Indices]:
        """Draw from one class: training, the unregulated test, the regulated test."""
        pool = np.arange(len(items))
        while True:  # ends: `_check_class` has seen that a pool of two items or more can come
            train = rng.choice(pool, size=len(pool))
            unregulated = np.setdiff1d(pool, train)
            regulated = np.flatnonzero(~np.isin(factor, factor[train]))
            if len(unregulated) and len(regulated) >= self.n_regulated:
                return items[train], items[unregulated], items[regulated]
            values, counts = np.unique(factor, return_counts=True)
            order = rng.permutation(len(values))
            n_aside = np.searchsorted(np.cumsum(counts[order]), self.n_regulated) + 1
            pool = np.flatnonzero(~np.isin(factor, values[order[:n_aside]]))

    def _right(self, predict: Predict, items: Indices, condition: str) -> NDArray[np.bool_]:
        answers = np.asarray(predict(items, condition))
        if answers.shape != items.shape:
            raise ParameterError(
                f"a system gave answers of shape {answers.shape} to {len(items)} items"
            )
        is_right: NDArray[np.bool_] = answers == np.asarray(self.labels)[items]
        return is_right


def _widened(found: Interval) -> Interval:
    low, high = (
        found.value + np.sqrt(2) * (bound - found.value) for bound in (found.low, found.high)
    )
    return Interval(found.value, float(low), float(high), found.level)
