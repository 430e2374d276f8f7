"""Kernel distance (KID): unbiased squared maximum mean discrepancy with a polynomial kernel.

The estimate needs no covariance: its expectation is exact for any number of rows >= 2, and it
scatters around 0, with both signs, for sets from one distribution.
"""

from __future__ import annotations

from math import inf

import torch
from torch import Tensor

from otoscope.errors import ParameterError
from otoscope.metrics.feature_set import check_features

__all__ = ["kernel_distance"]

_BLOCK = 2048  # rows per block: a block of the kernel matrix has 32 MB


def kernel_distance(
    real: Tensor,
    generated: Tensor,
    *,
    degree: int = 3,
    gamma: float | None = None,
    coef: float = 1.0,
) -> Tensor:
    """Compute the squared maximum mean discrepancy between two sets of features.

    Parameters
    ----------
    real, generated : Tensor [row, column]
        Features, at least 2 rows each.
    degree : int
        Degree of the kernel, >= 1.
    gamma : float, optional
        Scale of the inner products, > 0; by default 1 / columns.
    coef : float
        Constant term of the kernel, >= 0.

    Returns
    -------
    Tensor [], float64
        mean k(x, x') + mean k(y, y') - 2 mean k(x, y) with k(x, y) = (gamma x.y + coef)^degree,
        over pairs of distinct rows. May be negative.

    Raises
    ------
    ParameterError
        If shapes do not fit, a row is not finite, or a setting is out of range.

    References
    ----------
    Gretton et al. (2012) :cite:`gretton2012`, lemma 6; Bińkowski et al. (2018)
    :cite:`binkowski2018` (KID: degree 3, gamma 1 / columns, coef 1).

    Examples
    --------
    >>> kernel_distance(torch.tensor([[0.0], [0.0]]), torch.tensor([[1.0], [1.0]]))
    tensor(7., dtype=torch.float64)
    """
    check_features(real)
    check_features(generated, columns=real.shape[-1])
    scale = 1 / real.shape[-1] if gamma is None else gamma
    if not isinstance(degree, int) or degree < 1 or not 0 < scale < inf or not 0 <= coef < inf:
        raise ParameterError(
            f"degree is {degree}, gamma {gamma} and coef {coef}; must be a whole number >= 1, "
            "and finite, > 0 and >= 0"
        )
    x, y = real.detach().double(), generated.detach().double()
    for side, rows in (("real", x), ("generated", y)):
        if len(rows) < 2:
            raise ParameterError(f"the {side} set has {len(rows)} rows; pairs take 2 or more")
        bad = (~rows.isfinite()).any(-1).nonzero()
        if len(bad):
            raise ParameterError(f"row {int(bad[0])} of the {side} set holds NaN or infinity")

    def total(a: Tensor, b: Tensor) -> Tensor:
        parts = [(scale * part @ b.mT + coef).pow(degree).sum() for part in a.split(_BLOCK)]
        return torch.stack(parts).sum()

    def within(a: Tensor) -> Tensor:
        own = (scale * a.square().sum(-1) + coef).pow(degree).sum()
        return (total(a, a) - own) / (len(a) * (len(a) - 1))

    return within(x) + within(y) - 2 * total(x, y) / (len(x) * len(y))
