"""Kernel audio distance (KAD): maximum mean discrepancy with a Gaussian kernel; its jackknife."""

from __future__ import annotations

import math
from collections.abc import Callable

import scipy
import torch
from torch import Tensor

from otoscope.errors import ParameterError
from otoscope.metrics.feature_set import check_features
from otoscope.metrics.interval import Interval
from otoscope.metrics.resampling import group_numbers

__all__ = ["jackknife_interval", "kernel_audio_distance", "median_distance"]

_SCALE = 100  # of the published values
_BLOCK = 2048  # rows per block of the kernel matrix


def kernel_audio_distance(
    real: Tensor, generated: Tensor, *, bandwidth: float | None = None
) -> Tensor:
    """Compute the kernel audio distance of two sets of features.

    Parameters
    ----------
    real, generated : Tensor [row, column]
        Features, finite, two rows or more each.
    bandwidth : float, optional
        Standard deviation of the kernel, > 0. By default `median_distance` of the real set, so that
        generated sets are compared by one kernel.

    Returns
    -------
    Tensor [], float64
        100 times the unbiased squared maximum mean discrepancy with exp(-d^2 / (2 bandwidth^2)); it
        may be below 0.

    Raises
    ------
    ParameterError
        If the shapes do not fit, a row is not finite, a set has fewer than two rows, or the
        bandwidth is not > 0, as that of a real set of equal rows.

    Notes
    -----
    The toolkit kadtk takes the bandwidth from the generated set; for its values pass
    ``bandwidth=median_distance(generated)``. Values in different models cannot be compared.

    References
    ----------
    Chung et al. (2025) :cite:`chung2025`, section 3. Gretton et al. (2012) :cite:`gretton2012`.

    Examples
    --------
    >>> rows = torch.tensor([[0.0], [0.0], [1.0]])
    >>> round(float(kernel_audio_distance(rows, rows + 1, bandwidth=1.0)), 3)
    29.686
    """
    check_features(real)
    check_features(generated, columns=real.shape[-1])
    x, y = real.detach().double(), generated.detach().double()
    for side, rows in (("real", x), ("generated", y)):
        if len(rows) < 2 or not bool(rows.isfinite().all()):
            raise ParameterError(f"the {side} set has {len(rows)} rows; need 2 or more, finite")
    sigma = median_distance(x) if bandwidth is None else bandwidth
    if not 0 < sigma < math.inf:
        raise ParameterError(f"bandwidth is {sigma}, must be finite and > 0: rows must differ")
    within = [(_kernel_sum(z, z, sigma) - len(z)) / (len(z) * (len(z) - 1)) for z in (x, y)]
    between = _kernel_sum(x, y, sigma) / (len(x) * len(y))
    return _SCALE * (within[0] + within[1] - 2 * between)


def median_distance(rows: Tensor) -> float:
    """Return the median Euclidean distance between pairs of rows; of an even number, the lower.

    Parameters
    ----------
    rows : Tensor [row, column]
        Features, two rows or more.

    Returns
    -------
    float
        Median, >= 0.

    Examples
    --------
    >>> median_distance(torch.tensor([[0.0], [1.0], [5.0]]))
    4.0
    """
    if len(rows) < 2:
        raise ParameterError(f"there are {len(rows)} rows; a distance takes 2 or more")
    return float(torch.pdist(rows.detach().double()).median())


def jackknife_interval(
    distance: Callable[[Tensor, Tensor], Tensor | float],
    real: Tensor,
    generated: Tensor,
    *,
    groups: tuple[Tensor | None, Tensor | None] = (None, None),
    level: float = 0.95,
) -> Interval:
    """Compute a jackknife interval of a distance, leaving out one song at a time.

    A bootstrap repeats rows, and so biases distances that compare neighbours or pairs; leaving out
    does not.

    Parameters
    ----------
    distance : callable
        Function (real, generated) -> number, smooth in its sets.
    real, generated : Tensor [row, column]
        Features.
    groups : (Tensor [row] or None, Tensor [row] or None)
        Group number of each row of the real and of the generated set, such as its song; two groups
        or more. By default each row is a group.
    level : float
        Confidence level, in (0, 1).

    Returns
    -------
    Interval
        Distance of the sets, and bounds by Student's t with the standard errors of both sides.

    Raises
    ------
    ParameterError
        If a side has fewer than two groups, or ``level`` is out of range.

    References
    ----------
    Davison and Hinkley (1997) :cite:`davison1997`, section 2.7.3.

    Examples
    --------
    >>> rows = torch.arange(30.0)[:, None]
    >>> each = jackknife_interval(lambda x, y: (x.mean() - y.mean()).abs(), rows, rows + 5)
    >>> each.value, each.low < 5 < each.high
    (5.0, True)
    """
    if not 0 < level < 1:
        raise ParameterError(f"level is {level}, must be in (0, 1)")
    sets = (("real", real, groups[0]), ("generated", generated, groups[1]))
    variance, fewest = 0.0, math.inf
    for index, (side, rows, group) in enumerate(sets):
        numbers = group_numbers(side, rows, group, by_row=True)
        n = int(numbers.max()) + 1
        if n < 2:
            raise ParameterError(f"the {side} set is one group; an interval takes 2 or more")
        values = []
        for left_out in range(n):
            kept = rows[numbers != left_out]
            pair = (kept, generated) if index == 0 else (real, kept)
            values.append(float(distance(*pair)))
        deviations = torch.tensor(values, dtype=torch.float64)
        deviations = deviations - deviations.mean()
        variance += (n - 1) / n * float(deviations.square().sum())
        fewest = min(fewest, n)
    value = float(distance(real, generated))
    reach = float(scipy.stats.t.ppf((1 + level) / 2, fewest - 1)) * math.sqrt(variance)
    return Interval(value, value - reach, value + reach, level)


def _kernel_sum(x: Tensor, y: Tensor, sigma: float) -> Tensor:
    """Sum the kernel over all pairs."""
    total = x.new_zeros(())
    for part in x.split(_BLOCK):
        squares = torch.cdist(part, y, compute_mode="donot_use_mm_for_euclid_dist").square()
        total = total + (-squares / (2 * sigma**2)).exp().sum()
    return total
