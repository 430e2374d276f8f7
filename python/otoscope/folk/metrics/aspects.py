"""Distances of two sets of vectors with an interval, a p value and a noise floor.

An aspect is a vector per tune; what compares the means of two populations is its norm. Distances
that are not functions of means (of pairs, of covariances) use `summarise_draws` alone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from otoscope.errors import require_extra
from otoscope.metrics import Interval

__all__ = [
    "Array",
    "Aspect",
    "AspectFigure",
    "DistanceKind",
    "PopulationDistance",
    "correct_together",
    "distance_of",
    "figure_of",
    "of_categories",
    "of_distributions",
    "of_numbers",
    "summarise_draws",
]

Array: TypeAlias = "NDArray[np.float64]"
DistanceKind: TypeAlias = Literal[
    "total variation",
    "Kolmogorov-Smirnov",
    "Wasserstein",
    "Kullback-Leibler",
    "1 - overlapped area",
    "order beyond chance",
    "Frechet",
]

_LEVEL: Final = 0.95


@dataclass(frozen=True)
class AspectFigure:
    """Bars of the categories of one aspect, or the steps of its distributions.

    Parameters
    ----------
    aspect, definition : str
        Name of the aspect, and what is counted.
    labels : tuple of str
        Categories; empty for numbers.
    values : tuple of float
        Values that occur, in ascending order; empty for categories.
    generated, held_out : tuple of float
        Fraction of the tunes in each category, or at most as large as each value.

    Examples
    --------
    >>> AspectFigure("meter", "meter of the header", ("4/4", "6/8"), (), (1.0, 0.0), (0.5, 0.5))
    ... # doctest: +ELLIPSIS
    AspectFigure(aspect='meter', ...)
    """

    aspect: str
    definition: str
    labels: tuple[str, ...]
    values: tuple[float, ...]
    generated: tuple[float, ...]
    held_out: tuple[float, ...]


@dataclass(frozen=True)
class PopulationDistance:
    """Distance of generated tunes from held-out real ones in one aspect.

    Parameters
    ----------
    aspect : str
        Aspect of the tunes: "meter", "mode", ..., "notes".
    kind : str
        "total variation" and "Kolmogorov-Smirnov", in [0, 1]; "Wasserstein", in the unit of
        ``aspect``; "Kullback-Leibler", in nats; "1 - overlapped area" and "order beyond chance", in
        [0, 1]; "Frechet".
    value : Interval
        Distance of generated from held-out tunes, with bootstrap bounds corrected for their bias.
    p : float
        p value of a permutation test of which tunes are generated.
    p_holm : float
        p value corrected for the number of distances (Holm).
    floor : Interval, optional
        Distance of as many training tunes as there are generated ones (or all, if fewer) from the
        held-out tunes: mean over draws, and bounds of 95 % of the draws; None without training
        tunes.

    Examples
    --------
    >>> value = Interval(0.1, 0.0, 0.2, 0.95)
    >>> PopulationDistance("mode", "total variation", value, 0.3, 1.0, None).p
    0.3
    """

    aspect: str
    kind: DistanceKind
    value: Interval
    p: float
    p_holm: float
    floor: Interval | None


@dataclass(frozen=True, eq=False)
class Aspect:
    """Vectors [tune, column] of all tunes; for Wasserstein, the width v_(j+1) - v_j per column."""

    name: str
    kind: DistanceKind
    vectors: Array
    labels: Sequence[str] = ()
    widths: Array | float = 0.5
    values: Array | None = None

    def norm(self, difference: Array) -> Array:
        """Return the distance for differences [..., column] between means."""
        if self.kind == "Kolmogorov-Smirnov":
            return np.asarray(np.abs(difference).max(-1, initial=0.0))
        return np.asarray((np.abs(difference) * self.widths).sum(-1))


def correct_together(distances: Sequence[PopulationDistance]) -> tuple[PopulationDistance, ...]:
    """Correct the p values for the number of distances (Holm); statsmodels is needed."""
    multitest: Any = require_extra("statsmodels.stats.multitest", "horse")
    corrected = multitest.multipletests([d.p for d in distances], method="holm")[1]
    return tuple(
        replace(distance, p_holm=float(p)) for distance, p in zip(distances, corrected, strict=True)
    )


def summarise_draws(
    value: float, resampled: Array, permuted: Array, floors: Array | None
) -> tuple[Interval, float, Interval | None]:
    """Return a distance with its bounds, the p value, and the noise floor.

    ``resampled`` [draw] are distances of bootstrap samples of both sets, ``permuted`` [draw] those
    of the pooled tunes dealt at random into sets of the same sizes, ``floors`` [draw] those of
    training from held-out tunes. Draws for which the distance does not exist are NaN.
    """
    tails = [(1 - _LEVEL) / 2, (1 + _LEVEL) / 2]
    bias = float(np.nanmean(resampled)) - value  # resampling adds noise, and noise adds distance
    low, high = np.nanquantile(resampled, tails) - bias
    interval = Interval(value, max(float(low), 0.0), float(high), _LEVEL)
    p = (1 + int((permuted >= value - 1e-12).sum())) / (1 + len(permuted))
    if floors is None:
        return interval, p, None
    low, high = np.nanquantile(floors, tails)
    return interval, p, Interval(float(np.nanmean(floors)), float(low), float(high), _LEVEL)


def figure_of(aspect: Aspect, n_generated: int, definition: str) -> AspectFigure:
    """Return what is drawn of an aspect; the generated tunes are the first."""
    ours, theirs = np.split(aspect.vectors, [n_generated])
    means = [tuple(vectors.mean(0).tolist()) for vectors in (ours, theirs)]
    values = () if aspect.values is None else tuple(aspect.values.tolist())
    return AspectFigure(aspect.name, definition, tuple(aspect.labels), values, means[0], means[1])


def of_categories(name: str, categories: Sequence[str]) -> Aspect:
    """Make an aspect of one category per tune."""
    labels, indices = np.unique(categories, return_inverse=True)
    return Aspect(name, "total variation", np.eye(len(labels))[indices], labels.tolist())


def of_distributions(
    name: str, rows: Sequence[Mapping[str, float]], labels: Sequence[str]
) -> Aspect:
    """Make an aspect of a distribution over labels per tune."""
    vectors = np.array([[row.get(label, 0.0) for label in labels] for row in rows])
    return Aspect(name, "total variation", vectors.reshape(len(rows), -1), labels)


def of_numbers(name: str, numbers: Sequence[float]) -> list[Aspect]:
    """Make the two aspects of one number per tune."""
    values = np.array(numbers, dtype=np.float64)
    grid = np.unique(values)
    steps = (values[:, None] <= grid[:-1]).astype(np.float64)  # at the last value all are 1
    return [
        Aspect(name, "Kolmogorov-Smirnov", steps, values=grid),
        Aspect(name, "Wasserstein", steps, widths=np.diff(grid)),
    ]


def distance_of(
    aspect: Aspect, sizes: Sequence[int], n_draws: int, rng: np.random.Generator
) -> PopulationDistance:
    """Return the distance of the first tunes from the next, beside training tunes, the last."""
    n, m, n_train = sizes
    generated, held_out, train = np.split(aspect.vectors, [n, n + m])
    value = float(aspect.norm(generated.mean(0) - held_out.mean(0)))

    resampled = aspect.norm(
        _resampled(generated, n_draws, rng) - _resampled(held_out, n_draws, rng)
    )
    pooled = aspect.vectors[: n + m]
    first = _subset_means(pooled, n, n_draws, rng)
    second = (pooled.sum(0) - n * first) / m
    permuted = aspect.norm(first - second)
    floors = None
    if n_train:
        drawn = _subset_means(train, min(n, n_train), n_draws, rng)
        floors = aspect.norm(drawn - held_out.mean(0))
    interval, p, floor = summarise_draws(value, resampled, permuted, floors)
    return PopulationDistance(aspect.name, aspect.kind, interval, p, p, floor)


_MOST_NUMBERS: Final = 2**25  # of draws at a time: 256 MB


def _parts(n_draws: int, n: int) -> list[int]:
    """Divide draws of n tunes into parts that memory holds, whatever the number of tunes."""
    most = max(_MOST_NUMBERS // max(n, 1), 1)
    return [min(most, n_draws - first) for first in range(0, n_draws, most)]


def _resampled(vectors: Array, n_draws: int, rng: np.random.Generator) -> Array:
    """Return means [draw, column] of bootstrap samples (drawn with replacement)."""
    n = len(vectors)
    equal = np.full(n, 1 / n)
    rows = [rng.multinomial(n, equal, size=part) @ vectors for part in _parts(n_draws, n)]
    return np.concatenate(rows) / n


def _subset_means(vectors: Array, size: int, n_draws: int, rng: np.random.Generator) -> Array:
    """Return means [draw, column] of ``size`` vectors drawn without replacement."""
    chosen = np.arange(len(vectors)) < size
    parts = _parts(n_draws, len(vectors))
    rows = [
        rng.permuted(np.broadcast_to(chosen, (part, len(vectors))), axis=1) @ vectors
        for part in parts
    ]
    return np.concatenate(rows) / size
