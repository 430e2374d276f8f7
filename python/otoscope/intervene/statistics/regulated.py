"""Regulated bootstrap: how much of a score comes from a factor that training and test share.

A system is trained repeatedly on items drawn with replacement and tested twice: on the items that
were not drawn, whose factor (artist, album) mostly occurs in training, and on items whose factor
does not occur in training in their class. The paired difference is the effect of the factor.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from otoscope.errors import ParameterError
from otoscope.intervene.statistics.bootstrap import GroupBootstrap, MetricName, check_classes
from otoscope.metrics import Interval
from otoscope.progress import Progress, silent, tracked

__all__ = ["Indices", "Predict", "RegulatedBootstrap", "RegulatedResult", "Split", "Train"]

Indices = NDArray[np.intp]
Predict = Callable[[Indices, str], Sequence[str]]
"""Function of indices of items and of a condition, the name of an intervention: the answers."""
Train = Callable[[Indices], Predict]
"""Function of indices of items, with repeats, that returns a trained system."""


@dataclass(frozen=True, eq=False)
class Split:
    """One draw of the regulated bootstrap, as indices of items.

    ``train`` has repeats; ``unregulated`` are the items of the pool that were not drawn;
    ``regulated`` are those whose factor does not occur in training in their class.
    """

    train: Indices
    unregulated: Indices
    regulated: Indices


@dataclass(frozen=True, eq=False)
class RegulatedResult:
    """Fraction of right answers to each item, with its factor in training or not.

    Parameters
    ----------
    conditions : tuple of str
        Names of the conditions; the first is the one that others are compared with.
    unregulated, regulated : ndarray [condition, item], float64
        Fraction of right answers in [0, 1], over the systems that the item tested.
    bootstrap : GroupBootstrap
        Bootstrap over factors, for intervals.

    Notes
    -----
    The bootstrap resamples the factors of tested items; those of training, which is done, vary as
    much. Bounds are therefore sqrt(2) as far from the value as the bootstrap's, as for a statistic
    of pairs of factors, one in training and one in the test (Hoeffding 1948).
    ``otoscope experiment regulated-bootstrap`` measures how often they contain planted effects.

    Examples
    --------
    >>> known, new = np.array([[1.0, 0.5] * 9]), np.array([[0.5, 0.5] * 9])
    >>> bootstrap = GroupBootstrap(["waltz", "tango"] * 9, prior=0)
    >>> RegulatedResult(("as it is",), known, regulated=new, bootstrap=bootstrap).effect().value
    0.25
    """

    conditions: tuple[str, ...]
    unregulated: NDArray[np.float64]
    regulated: NDArray[np.float64]
    bootstrap: GroupBootstrap

    def scores(self, condition: str | None = None) -> tuple[Interval, Interval]:
        """Return the scores of the unregulated and of the regulated test.

        Parameters
        ----------
        condition : str, optional
            Name of the condition; by default the first.

        Returns
        -------
        tuple of Interval
            Unregulated and regulated score.

        Examples
        --------
        >>> half = np.full((1, 40), 0.5)
        >>> result = RegulatedResult(("as it is",), half, half, GroupBootstrap(["a", "b"] * 20))
        >>> [score.value for score in result.scores()]
        [0.5, 0.5]
        """
        at, estimate = self._at(condition), self.bootstrap.estimate
        return _widened(estimate(self.unregulated[at])), _widened(estimate(self.regulated[at]))

    def effect(self, condition: str | None = None) -> Interval:
        """Return the effect of the factor: unregulated minus regulated score.

        Parameters
        ----------
        condition : str, optional
            Name of the condition; by default the first.

        Returns
        -------
        Interval
            Effect in [-1, 1]; the interval is wider than that of the draws, and may reach beyond.

        Examples
        --------
        >>> all_right, half = np.ones((1, 40)), np.full((1, 40), 0.5)
        >>> bootstrap = GroupBootstrap(["a", "b"] * 20, prior=0)
        >>> RegulatedResult(("as it is",), all_right, half, bootstrap).effect().low
        0.5
        """
        at = self._at(condition)
        return _widened(self.bootstrap.difference(self.regulated[at], self.unregulated[at]))

    def interaction(self, condition: str) -> Interval:
        """Return the effect under a condition minus the effect under the first one.

        Parameters
        ----------
        condition : str
            Name of one of the other conditions.

        Returns
        -------
        Interval
            Interaction in [-2, 2]; below 0 if the intervention removes what the factor gave.

        Examples
        --------
        >>> known = np.repeat([[0.75], [0.5]], 40, axis=1)
        >>> bootstrap = GroupBootstrap(["a", "b"] * 20)
        >>> result = RegulatedResult(
        ...     ("as it is", "low-pass"), known, np.full((2, 40), 0.5), bootstrap
        ... )
        >>> result.interaction("low-pass").value
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
    """Train repeatedly; test on items whose factor occurs in training, and does not.

    Parameters
    ----------
    labels, factor : sequence of str
        Class of each item, and factor that may be confounded with it, such as artist or album.
    n_regulated : int
        Minimum number of items of the regulated test in each class.
    metric : {"mean_recall", "accuracy"}
        Metric of the scores.
    level : float
        Confidence level of the intervals, in (0, 1).

    Raises
    ------
    ParameterError
        If there is only one class, or a class cannot leave ``n_regulated`` items; names the class.

    Notes
    -----
    If a draw of a class leaves too few items of factors that it does not contain, random factors
    are set aside until there are enough, and as many items as before are drawn from the others.
    Items set aside are not in the unregulated test, which stays that of an ordinary bootstrap. A
    factor that several classes share counts in each class by itself.

    The paper compares scores, system by system. Here the systems that an item tested are averaged
    first and factors are resampled for the interval, since it is factors that are few.

    References
    ----------
    Rodríguez-Algarra et al. (2019) :cite:`rodriguez2019`.

    Examples
    --------
    >>> labels, artists = ["a"] * 8 + ["b"] * 8, list("ppqqrrssttuuvvww")
    >>> def train(items):  # knows the artists in training, and answers "a" for others
    ...     known = {artists[i]: labels[i] for i in items}
    ...     return lambda items, condition: [known.get(artists[i], "a") for i in items]
    >>> RegulatedBootstrap(labels, artists, n_regulated=2).run(train).effect().value > 0.1
    True
    """

    labels: Sequence[str]
    factor: Sequence[str]
    n_regulated: int
    metric: MetricName = "mean_recall"
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
        """Draw items for training and for both tests, class by class.

        Parameters
        ----------
        rng : numpy.random.Generator
            Random generator.

        Returns
        -------
        Split
            Indices of the items.

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
        progress: Progress = silent,
    ) -> RegulatedResult:
        """Train and test a system repeatedly.

        Parameters
        ----------
        train : callable
            Function of indices [item], with repeats, that returns a function of indices and a
            condition, which returns the answers.
        iterations : int
            Number of systems to train. Items that never came in both tests are left out.
        conditions : sequence of str
            Names of interventions on the tested items, the unchanged items first; each system is
            tested under all of them.
        seed : int
            Random seed.
        progress : bool or callable (items, description) -> iterable
            True shows a bar over the iterations.

        Returns
        -------
        RegulatedResult
            Fraction of right answers to each item.

        Raises
        ------
        ParameterError
            If a system returns another number of answers than items, or iterations are too few for
            an item of each class to come in both tests.

        Examples
        --------
        >>> bootstrap = RegulatedBootstrap(["a"] * 4 + ["b"] * 4, list("xxyyxxyy"), n_regulated=2)
        >>> always_a = lambda items: lambda items, condition: ["a"] * len(items)
        >>> bootstrap.run(always_a).effect().value
        0.0
        """
        if iterations < 1 or not conditions:
            raise ParameterError(
                f"there are {iterations} iterations and {len(conditions)} conditions; "
                "need 1 or more of each"
            )
        rng, labels = np.random.default_rng(seed), np.asarray(self.labels)
        tested = np.zeros((2, len(labels)))
        right = np.zeros((2, len(conditions), len(labels)))
        for _ in tracked(progress, range(iterations), "trainings"):
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
        bootstrap = GroupBootstrap(
            labels[both].tolist(),
            factor,
            metric=self.metric,
            level=self.level,
            seed=seed,
            prior=0,  # means over trainings, and bounds that are widened
        )
        return RegulatedResult(tuple(conditions), unregulated, regulated, bootstrap)

    @cached_property
    def _classes(self) -> dict[str, Indices]:
        """Indices of the items of each class."""
        labels = np.asarray(self.labels)
        return {str(label): np.flatnonzero(labels == label) for label in np.unique(labels)}

    def _check_class(self, name: str, items: Indices) -> None:
        """Check that factors, set aside in any order, leave one item, and in some order two."""
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
        """Draw from one class: training, unregulated test, regulated test."""
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


def _widened(interval: Interval) -> Interval:
    """Move both bounds sqrt(2) times as far from the value."""
    value = interval.value
    low, high = (value + np.sqrt(2) * (bound - value) for bound in (interval.low, interval.high))
    return Interval(value, float(low), float(high), interval.level)
