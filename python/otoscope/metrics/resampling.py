"""Uncertainty of a Frechet distance: bootstrap interval, and extrapolation to infinite samples.

The distance between finite samples is biased upwards, by about b / n. The bootstrap adds the same
bias again; the interval is therefore the basic bootstrap interval, mirrored at the estimate, and
may end below the estimate.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from otoscope.errors import ParameterError
from otoscope.metrics.feature_set import FeatureSet, FewRows, check_features, few_rows, set_count
from otoscope.metrics.gaussian import Normal, distance
from otoscope.metrics.interval import Interval
from otoscope.metrics.statistics import Statistics
from otoscope.progress import Progress, silent, tracked

__all__ = ["Extrapolation", "Interval", "frechet_infinity", "frechet_interval", "frechet_of"]


@dataclass(frozen=True, eq=False)
class Extrapolation:
    """Distances of growing samples, and the line fitted to them over 1 / n.

    Parameters
    ----------
    value : float
        Distance at 1 / n = 0; may be negative where the slope is large and the distance small.
    slope : float
        Slope of the line: bias(n) = slope / n.
    sizes : Tensor [point], int64
        Numbers of rows.
    distances : Tensor [point], float64
        Distance at each size.

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
    """Compute the Frechet distance between features.

    Parameters
    ----------
    real : Tensor [row, column] or Statistics
        Reference set.
    generated : Tensor [row, column] or [set, row, column]
        Generated set, or one set per candidate.
    ddof : {0, 1}
        Covariance = scatter / (rows - ddof).

    Returns
    -------
    Tensor [] or [set], float64
        Frechet distance, >= 0.

    Raises
    ------
    ParameterError
        If shapes do not fit, a row is not finite, or there are too few rows.

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
    check_features(generated, sets=set_count(generated), columns=columns)
    for name, n_rows in (("the real set", count), ("the generated set", generated.shape[-2])):
        if n_rows is not None and (message := few_rows(name, n_rows, columns)):
            warnings.warn(message, FewRows, stacklevel=2)
    return distance(_normal(real, ddof), FeatureSet.of(generated).normal(ddof))


def frechet_interval(  # noqa: PLR0913  # settings are keyword-only
    real: Tensor | Statistics,
    generated: Tensor,
    *,
    level: float = 0.95,
    resamples: int = 200,
    groups: tuple[Tensor | None, Tensor | None] = (None, None),
    ddof: int = 1,
    seed: int = 0,
    progress: Progress = silent,
) -> Interval:
    """Compute a basic bootstrap interval of the Frechet distance.

    Parameters
    ----------
    real : Tensor [row, column] or Statistics
        Reference set; statistics are not resampled, but treated as exact.
    generated : Tensor [row, column]
        Generated set.
    level : float
        Confidence level, in (0, 1).
    resamples : int
        Number of bootstrap samples, >= 20.
    groups : (Tensor [row] or None, Tensor [row] or None)
        Group number of each row of the real and of the generated set. Groups are drawn whole:
        excerpts of one song are not independent. By default each row is a group.
    ddof : {0, 1}
        Covariance = scatter / (rows - ddof).
    seed : int
        Random seed.
    progress : bool or callable
        True shows a bar over the bootstrap samples.

    Returns
    -------
    Interval
        Distance of the samples, with bounds of the distance between their distributions.

    Raises
    ------
    ParameterError
        If features do not fit, as in `frechet_of`, or a setting is out of range.

    References
    ----------
    Davison and Hinkley (1997) :cite:`davison1997`, section 5.2.

    Examples
    --------
    >>> x = torch.arange(40.0)[:, None]
    >>> frechet_interval(x, x + 5).value
    25.0
    """
    check_level(level, resamples)
    check_features(generated)
    value = float(frechet_of(real, generated, ddof=ddof))
    generator = torch.Generator().manual_seed(seed)
    shown = tracked(progress, range(resamples), "bootstrap samples")
    draw_generated = _drawing("generated", generated, groups[1], generator)
    if isinstance(real, Statistics):
        fixed = _normal(real, ddof)
        pairs = ((fixed, _normal(draw_generated(), ddof)) for _ in shown)
    else:
        draw_real = _drawing("real", real, groups[0], generator)
        pairs = ((_normal(draw_real(), ddof), _normal(draw_generated(), ddof)) for _ in shown)
    distances = [distance(*pair) for pair in pairs]
    tails = torch.tensor([(1 + level) / 2, (1 - level) / 2], dtype=torch.float64)
    low, high = (2 * value - torch.stack(distances).cpu().quantile(tails)).clamp(min=0).tolist()
    return Interval(value, low, high, level)


def frechet_infinity(
    real: Tensor | Statistics,
    generated: Tensor,
    *,
    points: int = 15,
    smallest: int | None = None,
    ddof: int = 1,
    seed: int = 0,
    progress: Progress = silent,
) -> Extrapolation:
    """Extrapolate the Frechet distance to an infinite number of generated rows.

    Parameters
    ----------
    real : Tensor [row, column] or Statistics
        Reference set, used whole: its own bias remains.
    generated : Tensor [row, column]
        Generated set; random subsets of its rows are measured.
    points : int
        Number of subset sizes, equally spaced, >= 2.
    smallest : int, optional
        Rows of the smallest subset; by default a tenth of the rows, but more than columns. Below
        that the bias does not follow slope / n.
    ddof : {0, 1}
        Covariance = scatter / (rows - ddof).
    seed : int
        Random seed.
    progress : bool or callable
        True shows a bar over the sizes.

    Returns
    -------
    Extrapolation
        Line fitted to the distances over 1 / n; its value is the intercept.

    Raises
    ------
    ParameterError
        If features do not fit, as in `frechet_of`, or there are too few rows for the sizes.

    References
    ----------
    Chong and Forsyth (2020) :cite:`chong2020`, section 3.

    Examples
    --------
    >>> x = torch.randn(400, 2, generator=torch.Generator().manual_seed(0))
    >>> frechet_infinity(x, x).slope > 0
    True
    """
    _, columns = _shape(real)
    check_features(generated, columns=columns)
    n_rows = len(generated)
    if smallest is None and n_rows < columns + points:
        raise ParameterError(
            f"the generated set has {n_rows} rows of {columns} columns; an extrapolation takes "
            f"{columns + points} or more, a narrower layer, or fewer points"
        )
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
    subsets = (
        torch.randperm(n_rows, generator=generator)[:size]
        for size in tracked(progress, sizes.tolist(), "sizes")
    )
    distances = torch.stack(
        [distance(fixed, _normal(generated[rows], ddof)) for rows in subsets]
    ).cpu()
    line = torch.stack([torch.ones(points, dtype=torch.float64), 1 / sizes.double()], 1)
    value, slope = torch.linalg.lstsq(line, distances[:, None]).solution[:, 0].tolist()
    return Extrapolation(value, slope, sizes, distances)


def check_level(level: float, resamples: int) -> None:
    """Check the settings of a bootstrap interval."""
    if not 0 < level < 1 or resamples < 20:
        raise ParameterError(
            f"level is {level} and resamples {resamples}; must be in (0, 1) and >= 20"
        )


def group_numbers(
    side: str, features: Tensor, group: Tensor | None, *, by_row: bool = True
) -> Tensor:
    """Number groups of rows [row] from 0; without groups each row is one, or all rows are."""
    if group is None:
        each = torch.arange(len(features), device=features.device)
        return each if by_row else torch.zeros_like(each)
    if group.shape != features.shape[:1]:
        raise ParameterError(
            f"the {side} set has {len(features)} rows, its groups {tuple(group.shape)}"
        )
    numbers: Tensor = torch.unique(group.to(features.device), return_inverse=True)[1]
    return numbers


def _shape(real: Tensor | Statistics) -> tuple[int | None, int]:
    """Return the number of rows (None if unknown) and of columns of a reference."""
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
    """Make a function that draws whole groups of rows with replacement."""
    numbers = group_numbers(side, features, group).cpu()
    members = numbers.argsort(stable=True).split(torch.bincount(numbers).tolist())
    if len(members) < 2:
        raise ParameterError(f"the {side} set is one group; an interval takes 2 or more")

    def draw() -> Tensor:
        drawn = torch.randint(len(members), (len(members),), generator=generator).tolist()
        return features[torch.cat([members[i] for i in drawn])]

    return draw
