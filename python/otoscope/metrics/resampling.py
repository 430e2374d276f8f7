"""Uncertainty of a Frechet distance: interval over songs, and extrapolation to infinite samples.

The distance between finite samples is biased upwards. With as many songs as columns the bias is far
larger than the deviation, and no power series in 1 / n: neither bootstrap nor jackknife takes it
away. The interval is therefore that of the distance between sets of this size.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import torch
from torch import Tensor

from otoscope.errors import ParameterError
from otoscope.metrics.feature_set import FeatureSet, FewRows, check_features, few_rows, set_count
from otoscope.metrics.gaussian import Normal, distance
from otoscope.metrics.halves import Groups, half_sample_intervals
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
    resamples: int = 60,
    groups: Groups = (None, None),
    ddof: int = 1,
    seed: int = 0,
    progress: Progress = silent,
) -> Interval:
    """Compute an interval of the Frechet distance between sets of this size.

    Parameters
    ----------
    real : Tensor [row, column] or Statistics
        Reference set; statistics are treated as exact.
    generated : Tensor [row, column]
        Generated set.
    level : float
        Confidence level, in (0, 1).
    resamples : int
        Number of random halves, >= 20.
    groups : (Tensor [row] or None, Tensor [row] or None)
        Group number of each row of the real and of the generated set, four groups or more. They are
        left out whole: excerpts of one song are not independent. By default each row is a group.
    ddof : {0, 1}
        Covariance = scatter / (rows - ddof).
    seed : int
        Random seed.
    progress : bool or callable
        True shows a bar over the "half samples".

    Returns
    -------
    Interval
        Distance of the samples, with bounds of the mean distance between samples of these sizes, as
        in `half_sample_intervals`.

    Raises
    ------
    ParameterError
        If features do not fit, as in `frechet_of`, a side has fewer than four groups, or a setting
        is out of range.

    Notes
    -----
    The bounds hold the bias of few groups, which falls as one over their number and grows faster
    than the columns: they are none of the distance between distributions. Those of
    `kernel_interval` are.

    References
    ----------
    Shao and Wu (1989) :cite:`shao1989`: the jackknife that leaves out many.

    Examples
    --------
    >>> x = torch.arange(40.0)[:, None]
    >>> frechet_interval(x, x + 5).value
    25.0
    """
    check_features(generated)
    value = float(frechet_of(real, generated, ddof=ddof))
    fixed = _normal(real, ddof) if isinstance(real, Statistics) else None

    def score(x: Tensor, y: Tensor) -> list[float]:
        return [float(distance(fixed or _normal(x, ddof), _normal(y, ddof)))]

    if isinstance(real, Statistics):  # no rows: those of the other side are drawn, and not used
        real, groups = generated, (groups[1], groups[1])
    how = {"samples": resamples, "seed": seed}
    (bounds,) = half_sample_intervals(
        score, real, generated, groups=groups, level=level, progress=progress, **how
    )
    return Interval(value, max(bounds.low, 0.0), bounds.high, level)


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
