"""Kernel audio distance (KAD): maximum mean discrepancy with a Gaussian kernel."""

from __future__ import annotations

import torch
from torch import Tensor

from otoscope.errors import ParameterError
from otoscope.metrics.feature_set import check_features
from otoscope.metrics.kernel import Gaussian, KernelSums

__all__ = ["KAD_SCALE", "kernel_audio_distance", "median_distance"]

KAD_SCALE = 100
"""Factor of the published values."""

_MOST = 10_000  # rows whose pairs are compared for the median: 0.4 GB of distances


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
    The paper takes the bandwidth from the real set. The release 1.1.0 of the toolkit kadtk takes it
    from the generated one; for its values pass ``bandwidth=median_distance(generated)``. Values in
    different models cannot be compared.

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
    kernel = Gaussian(median_distance(x) if bandwidth is None else bandwidth)
    return KAD_SCALE * KernelSums.of(x, y, kernel).whole()


def median_distance(rows: Tensor) -> float:
    """Return the median Euclidean distance between pairs of rows; of an even number, the lower.

    Parameters
    ----------
    rows : Tensor [row, column]
        Features, two rows or more; beyond 10,000 every second, third, ... of them.

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
    each = -(-len(rows) // _MOST)
    return float(torch.pdist(rows[::each].detach().double()).median())
