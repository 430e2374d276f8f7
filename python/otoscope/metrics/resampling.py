"""Uncertainty of a Frechet distance: bootstrap interval, and extrapolation to infinite samples.

A distance of finite samples is too large, in the mean by about b / n. The bootstrap adds the same
bias once more, so the interval is the basic one, mirrored at the distance; it may end below it.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from otoscope.errors import ParameterError
from otoscope.metrics.feature_set import FeatureSet, FewRows, check_features, few_rows
from otoscope.metrics.gaussian import Normal, distance
from otoscope.metrics.interval import Interval
from otoscope.metrics.statistics import Statistics

__all__ = ["Extrapolation", "frechet_infinity", "frechet_interval", "frechet_of"]


@dataclass(frozen=True, eq=False)
class Extrapolation:
    """Distances of growing samples, and the line through them.

    Parameters
    ----------
    value : float
        The distance at 1 / n = 0; may be below 0 where the line is steep and the distance small.
    slope : float
        How much of the bias one sample has: bias(n) = slope / n.
    sizes : Tensor [point]
        Samples.
    distances : Tensor [point], float64
        Their distances.

    Examples
    --------
    >>> Extrapolation(1.0, 50.0, torch.tensor([50]), torch.tensor([2.0])).value
    1.0
    """

    value: float
    slope: float
    sizes: Tensor
    distances: Tensor


def frechet_of(real: Tensor | Statistics, generated: Tensor, *, ddof: int = 1) -> Tensor:
    """Find the Frechet distance of features.

    Parameters
    ----------
    real : Tensor [row, column] or Statistics
        The reference.
    generated : Tensor [row, column] or [set, row, column]
        One set, or candidates.
    ddof : int
        Covariances are divided by rows - ddof.

    Returns
    -------
    Tensor [] or [set], float64
        >= 0.

    Raises
    ------
    ParameterError
        If shapes do not fit, a row is not finite, or there are too few.

    Warns
    -----
    FewRows
        If a set has no more rows than columns.

    Examples
    --------
    >>> frechet_of(torch.tensor([[0.0], [2.0]]), torch.tensor([[1.0], [3.0]]))
    tensor(1., dtype=torch.float64)
    """
    count, columns = _shape(real)
    check_features(generated, sets=len(generated) if generated.ndim == 3 else None, columns=columns)
    for name, n_rows in (("the real set", count), ("the generated set", generated.shape[-2])):
        if n_rows is not None and (told := few_rows(name, n_rows, columns)):
            warnings.warn(told, FewRows, stacklevel=2)
    return distance(_normal(real, ddof), FeatureSet.of(generated).normal(ddof))


def frechet_interval(
    real: Tensor | Statistics,
    generated: Tensor,
    *,
    level: float = 0.95,
    resamples: int = 200,
    groups: tuple[Tensor | None, Tensor | None] = (None, None),
    ddof: int = 1,
    seed: int = 0,
) -> Interval:
    """Bound the Frechet distance by the basic bootstrap.

    Parameters
    ----------
    real : Tensor [row, column] or Statistics
        The reference; statistics are not resampled, as if they were exact.
    generated : Tensor [row, column]
        The other set.
    level : float
        In (0, 1).
    resamples : int
        How often both sets are drawn anew, >= 20.
    groups : (Tensor [row] or None, Tensor [row] or None)
        What is drawn as one, by a number each row: the excerpts of a song are not independent.
        By default each row is drawn by itself.
    ddof : int
        Covariances are divided by rows - ddof.
    seed : int
        Random seed.

    Returns
    -------
    Interval
        Of the distance between the distributions.

    Raises
    ------
    ParameterError
        As `frechet_of` does, or if a setting is out of range.

    References
    ----------
    Davison and Hinkley, "Bootstrap methods and their application", 1997, section 5.2.

    Examples
    --------
    >>> x = torch.arange(40.0)[:, None]
    >>> interval = frechet_interval(x, x + 5)
    >>> interval.value
    25.0
    """
    if not 0 < level < 1 or resamples < 20:
        raise ParameterError(
            f"level is {level} and resamples {resamples}; must be in (0, 1) and >= 20"
        )
    check_features(generated)
    value = float(frechet_of(real, generated, ddof=ddof))
    generator = torch.Generator().manual_seed(seed)
    again = _drawing("generated", generated, groups[1], generator)
    if isinstance(real, Statistics):
        fixed = _normal(real, ddof)
        pairs = ((fixed, _normal(again(), ddof)) for _ in range(resamples))
    else:
        anew = _drawing("real", real, groups[0], generator)
        pairs = ((_normal(anew(), ddof), _normal(again(), ddof)) for _ in range(resamples))
    draws = [distance(*pair) for pair in pairs]
    tails = torch.tensor([(1 + level) / 2, (1 - level) / 2], dtype=torch.float64)
    low, high = (2 * value - torch.stack(draws).cpu().quantile(tails)).clamp(min=0).tolist()
    return Interval(value, low, high, level)


def frechet_infinity(
    real: Tensor | Statistics,
    generated: Tensor,
    *,
    points: int = 15,
    smallest: int | None = None,
    ddof: int = 1,
    seed: int = 0,
) -> Extrapolation:
    """Extrapolate the Frechet distance to endless generated samples.

    Parameters
    ----------
    real : Tensor [row, column] or Statistics
        The reference, as it is: its own bias stays.
    generated : Tensor [row, column]
        Rows in any order; subsets of them are drawn.
    points : int
        Sizes of subsets, equally spaced, >= 2.
    smallest : int, optional
        Rows of the smallest subset; default: a tenth, and more than columns. The bias is not
        slope / n below that.
    ddof : int
        Covariances are divided by rows - ddof.
    seed : int
        Random seed.

    Returns
    -------
    Extrapolation
        Its value is the intercept of distances over 1 / n.

    Raises
    ------
    ParameterError
        As `frechet_of` does, or if there are too few rows for as many sizes.

    References
    ----------
    Chong and Forsyth, "Effectively unbiased FID and Inception Score and where to find them",
    2020, section 3.

    Examples
    --------
    >>> x = torch.randn(400, 2, generator=torch.Generator().manual_seed(0))
    >>> found = frechet_infinity(x, x)
    >>> found.slope > 0
    True
    """
    _, columns = _shape(real)
    check_features(generated, columns=columns)
    n_rows = len(generated)
    smallest = max(n_rows // 10, columns + 1) if smallest is None else smallest
    if points < 2 or not ddof < smallest < n_rows:
        raise ParameterError(
            f"points is {points} and smallest {smallest}; must be >= 2 and in "
            f"[{ddof + 1}, {n_rows - 1}] for {n_rows} rows"
        )
    if points > n_rows - smallest + 1:
        raise ParameterError(
            f"points is {points}; from {smallest} to {n_rows} rows there are only "
            f"{n_rows - smallest + 1} sizes: take fewer points or more rows"
        )
    fixed = _normal(real, ddof)
    generator = torch.Generator().manual_seed(seed)
    sizes = torch.linspace(smallest, n_rows, points, dtype=torch.float64).round().long()
    parts = (torch.randperm(n_rows, generator=generator)[:size] for size in sizes.tolist())
    found = torch.stack([distance(fixed, _normal(generated[part], ddof)) for part in parts]).cpu()
    line = torch.stack([torch.ones(points, dtype=torch.float64), 1 / sizes.double()], 1)
    value, slope = torch.linalg.lstsq(line, found[:, None]).solution[:, 0].tolist()
    return Extrapolation(value, slope, sizes, found)


def _shape(real: Tensor | Statistics) -> tuple[int | None, int]:
    """Count and columns of a reference."""
    if isinstance(real, Statistics):
        return real.count, len(real.mean)
    check_features(real)
    return real.shape[0], real.shape[1]


def _normal(real: Tensor | Statistics, ddof: int) -> Normal:
    if not isinstance(real, Statistics):
        return FeatureSet.of(real).normal(ddof)
    if real.ddof != ddof:
        raise ParameterError(f"ddof is {ddof}, the real statistics have ddof={real.ddof}")
    return real.normal()


def _drawing(
    side: str, features: Tensor, group: Tensor | None, generator: torch.Generator
) -> Callable[[], Tensor]:
    """Rows drawn anew, with replacement; whole groups of them."""
    if group is None:
        group = torch.arange(len(features))
    if group.shape != features.shape[:1]:
        raise ParameterError(
            f"the {side} set has {len(features)} rows, its groups {tuple(group.shape)}"
        )
    order = group.cpu().argsort(stable=True)
    members = order.split(group.cpu().unique(return_counts=True)[1].tolist())
    if len(members) < 2:
        raise ParameterError(f"the {side} set is one group; an interval takes 2 or more")

    def draw() -> Tensor:
        drawn = torch.randint(len(members), (len(members),), generator=generator).tolist()
        return features[torch.cat([members[i] for i in drawn])]

    return draw
