"""Fits: the contribution of each segment to each target, from the outputs for each coalition."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

import torch
from torch import Tensor

from otoscope.errors import ParameterError
from otoscope.explain.design import SHAPLEY_DESIGNS, Design
from otoscope.explain.fit.least_squares import (
    CoefficientKind,
    sampling_error,
    weighted_least_squares,
    weighted_r2,
)
from otoscope.explain.fit.shapley import (
    kernel_shap,
    kernel_shap_error,
    permutation_shapley,
    row_of_all,
    row_of_none,
    shapley_interactions,
    shapley_values,
)

if TYPE_CHECKING:
    from sklearn.base import BaseEstimator

__all__ = ["Fit", "Surrogate", "choose_surrogate", "fit_table", "ranked"]

Surrogate: TypeAlias = "float | BaseEstimator"
"""Penalty of weighted least squares, or another regressor of scikit-learn."""


@dataclass(frozen=True, eq=False)
class Fit:
    """Hold the explanation of one target.

    Parameters
    ----------
    target : str
        Name of the output.
    coefficients : Tensor [segment]
        Gain in the output from keeping each segment, by the surrogate; see ``measure``.
    intercept : float
        Surrogate's output for the coalition of no segment.
    r2 : float
        Weighted R2 of the surrogate on the table of coalitions.
    local_error : float
        Absolute difference of surrogate and model for the whole patch.
    output_all : float
        Model's output for the whole patch.
    output_none : float, optional
        Model's output with all segments occluded, if the design holds that coalition.
    shapley : Tensor [segment], optional
        Shapley values: exact from all coalitions, estimated by the designs made for them.
    interactions : Tensor [segment, segment], optional
        Pairwise Shapley interactions, from all coalitions.
    standard_error : Tensor [segment], optional
        Standard error of the coefficients under another seed, where it is known.
    measure : {"coefficient", "importance", "shapley"}
        Kind of ``coefficients``: of a linear surrogate, in units of the output; importances of a
        forest or gradient boosting, which sum to 1 in absolute value and have the sign of the
        segment's effect on the surrogate; or estimated Shapley values.

    Examples
    --------
    >>> import torch
    >>> Fit("singing", torch.tensor([0.2]), 0.1, r2=1.0, local_error=0.0, output_all=0.3).shapley
    """

    target: str
    coefficients: Tensor
    intercept: float
    r2: float
    local_error: float
    output_all: float
    output_none: float | None = None
    shapley: Tensor | None = None
    interactions: Tensor | None = None
    standard_error: Tensor | None = None
    measure: CoefficientKind = "coefficient"


def ranked(values: Tensor) -> Tensor:
    """Return the order of values from the highest; those equal to nine digits keep theirs.

    The rounding of a solver thus never decides which of two equal segments comes first.
    """
    digits = values * (1e9 / values.abs().max().clamp(min=torch.finfo(values.dtype).tiny))
    return digits.round().argsort(descending=True, stable=True)


def choose_surrogate(
    surrogate: BaseEstimator | None, *, design: str, alpha: float, seed: int
) -> tuple[Surrogate, str]:
    """Return the surrogate to fit, checked, and its name: a call, or that of the design."""
    if not alpha >= 0:
        raise ParameterError(f"alpha is {alpha}, must be >= 0")
    if alpha > 0 and surrogate is not None:
        raise ParameterError(f"alpha is {alpha} beside a surrogate; set it in the surrogate")
    if design in SHAPLEY_DESIGNS:
        if alpha > 0 or surrogate is not None:
            raise ParameterError(f"design {design!r} takes no alpha and no surrogate")
        return 0.0, design
    if surrogate is None:
        return float(alpha), f"WeightedRidge(alpha={alpha})" if alpha else "WeightedRidge()"
    from otoscope.explain.fit.surrogate import WeightedRidge, checked_surrogate

    estimator = checked_surrogate(surrogate, seed)
    chosen = float(estimator.alpha) if isinstance(estimator, WeightedRidge) else estimator
    return chosen, repr(surrogate)


def fit_table(
    design: Design, weights: Tensor, outputs: Tensor, names: list[str], surrogate: Surrogate
) -> tuple[Fit, ...]:
    """Fit each column of a table [coalition, target], float64, on the CPU."""
    keep = design.coalitions.unpack()
    shapley, errors, interactions = None, None, None
    if design.is_complete:
        shapley, interactions = shapley_values(keep, outputs), shapley_interactions(keep, outputs)
    measure: CoefficientKind
    if design.kind in SHAPLEY_DESIGNS:
        if shapley is None:
            shapley, errors = _estimate(design, keep, outputs)
        coefficients, intercepts, measure = shapley, outputs[row_of_none(keep)], "shapley"
        fitted = keep.double() @ coefficients.T + intercepts
    else:
        rows = keep.double()
        coefficients, intercepts, fitted, measure = _regress(surrogate, rows, outputs, weights)
        if design.is_random and isinstance(surrogate, float):
            errors = torch.stack(
                [
                    sampling_error(rows, residual, weights, design.counts, alpha=surrogate)
                    for residual in (outputs - fitted).T
                ]
            )
    whole, none_kept = row_of_all(keep), (~keep).all(1)

    def column_of(tensor: Tensor | None, column: int) -> Tensor | None:
        return None if tensor is None else tensor[column]

    return tuple(
        Fit(
            target=name,
            coefficients=coefficients[column],
            intercept=float(intercepts[column]),
            r2=weighted_r2(outputs[:, column], fitted[:, column], weights),
            local_error=float((fitted - outputs)[whole, column].abs()),
            output_all=float(outputs[whole, column]),
            output_none=float(outputs[none_kept][0, column]) if none_kept.any() else None,
            shapley=column_of(shapley, column),
            interactions=column_of(interactions, column),
            standard_error=column_of(errors, column),
            measure=measure,
        )
        for column, name in enumerate(names)
    )


def _estimate(design: Design, keep: Tensor, outputs: Tensor) -> tuple[Tensor, Tensor | None]:
    """Estimate Shapley values [target, segment], and their standard error where it is known."""
    if design.kind in ("kernelshap", "paired"):
        values = kernel_shap(keep, design.counts, outputs)
        drawn = design.row_of_sample[2:].reshape(-1, 2 if design.kind == "paired" else 1)
        return values, kernel_shap_error(keep, outputs, drawn, values)
    paths = design.row_of_sample.reshape(-1, keep.shape[1] + 1)
    return permutation_shapley(keep[paths], outputs[paths])


def _regress(
    surrogate: Surrogate, rows: Tensor, outputs: Tensor, weights: Tensor
) -> tuple[Tensor, Tensor, Tensor, CoefficientKind]:
    """Return coefficients [target, segment], intercepts, fitted outputs and their kind."""
    if isinstance(surrogate, float):
        coefficients, intercepts = weighted_least_squares(rows, outputs, weights, alpha=surrogate)
        return coefficients, intercepts, rows @ coefficients.T + intercepts, "coefficient"
    from otoscope.explain.fit.surrogate import regress

    regression = regress(surrogate, rows.numpy(), outputs.numpy(), weights.numpy())
    numbers = (regression.coefficients, regression.intercepts, regression.fitted)
    coefficients, intercepts, fitted = map(torch.from_numpy, numbers)
    return coefficients, intercepts, fitted, regression.measure
