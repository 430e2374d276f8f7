"""Weighted least squares of outputs on the rows of kept segments, solved in float64 by torch.

NumPy's BLAS has threads of its own, which go on spinning where torch's want the cores.
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

__all__ = ["CoefficientKind", "sampling_error", "weighted_least_squares", "weighted_r2"]

CoefficientKind = Literal["coefficient", "importance", "shapley"]
"""The kind of number that an explanation gives each segment."""


def weighted_least_squares(
    rows: Tensor, outputs: Tensor, weights: Tensor, *, alpha: float = 0.0
) -> tuple[Tensor, Tensor]:
    """Fit least squares with an optional ridge; the intercept is not penalised.

    Minimises ``sum(weight * (output - intercept - rows @ coef)**2) + alpha * sum(coef**2)``. If the
    minimum is not unique (alpha 0, fewer rows than segments), the solution has the smallest norm.

    Parameters
    ----------
    rows : Tensor [coalition, segment]
        1 where a segment is kept, 0 where it is occluded; float64.
    outputs : Tensor [coalition, target]
        The model's outputs, float64.
    weights : Tensor [coalition]
        Weights, count times kernel, >= 0 and not all 0; float64.
    alpha : float
        Penalty, >= 0.

    Returns
    -------
    coefficients : Tensor [target, segment]
        Coefficients, float64.
    intercepts : Tensor [target]
        Predictions for the coalition of no segment, float64.

    References
    ----------
    Mishra et al. (2020) :cite:`mishra2020`, section III.

    Examples
    --------
    >>> rows = torch.tensor([[0.0, 0.0], [1.0, 0.0], [1.0, 1.0]], dtype=torch.float64)
    >>> outputs = torch.tensor([[1.0], [3.0], [3.5]], dtype=torch.float64)
    >>> coef, intercept = weighted_least_squares(rows, outputs, torch.ones(3, dtype=torch.float64))
    >>> coef.round(decimals=6).tolist(), intercept.round(decimals=6).tolist()
    ([[2.0, 0.5]], [1.0])
    """
    row_mean, output_mean = (weights @ m / weights.sum() for m in (rows, outputs))
    root = weights.sqrt()[:, None]
    # the ridge as further observations: sqrt(alpha) * coef = 0
    penalty = alpha**0.5 * torch.eye(rows.shape[1], dtype=torch.float64)
    observed = torch.cat([root * (rows - row_mean), penalty])
    goal = torch.cat(
        [root * (outputs - output_mean), outputs.new_zeros(rows.shape[1], outputs.shape[1])]
    )
    rcond = torch.finfo(torch.float64).eps * max(observed.shape)
    coefficients = torch.linalg.lstsq(observed, goal, rcond=rcond, driver="gelsd").solution.T
    return coefficients, output_mean - coefficients @ row_mean


def weighted_r2(outputs: Tensor, fitted: Tensor, weights: Tensor) -> float:
    """Compute the weighted R2; 1 also if the outputs are constant to rounding and fitted."""
    mean = weights @ outputs / weights.sum()
    epsilon = torch.finfo(torch.float64).eps
    rounding = float(weights.sum() * (4 * epsilon * outputs.abs().max()) ** 2)
    spread, residual = (float(weights @ (outputs - other) ** 2) for other in (mean, fitted))
    if spread <= rounding:
        return 1.0 if residual <= rounding else 0.0
    return 1 - residual / spread


def sampling_error(
    rows: Tensor, residual: Tensor, weights: Tensor, counts: Tensor, *, alpha: float = 0.0
) -> Tensor:
    """Estimate the standard error of ridge coefficients that comes from drawing the coalitions.

    The estimate is of first order. It is too small where the fit depends on coalitions that
    another seed would not draw, as under the 2020 paper's kernel with 5000 samples or fewer.

    Source: White (1980) :cite:`white1980`.
    """
    centred = rows - weights @ rows / weights.sum()
    ridge = alpha * torch.eye(rows.shape[1], dtype=torch.float64)
    bread = torch.linalg.pinv((centred.T * weights) @ centred + ridge)
    # each of `count` draws pulls by weight / count * residual
    pull = (centred.T * (weights * residual) ** 2 / counts) @ centred
    error: Tensor = (bread @ pull @ bread).diagonal().clamp(min=0).sqrt()
    return error
