"""Fits: the contribution of each segment to each target, from the outputs for each coalition."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from sklearn.base import BaseEstimator
from torch import Tensor

from otoscope.explain.design import SHAPLEY_DESIGNS, Design
from otoscope.explain.shapley import (
    kernel_shap,
    permutation_shapley,
    row_of_all,
    row_of_none,
    shapley_interactions,
    shapley_values,
)
from otoscope.explain.surrogate import (
    CoefficientKind,
    WeightedRidge,
    regress,
    sampling_error,
    weighted_r2,
)

__all__ = ["Fit", "fit_table"]


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


def fit_table(
    design: Design, weights: Tensor, outputs: Tensor, names: list[str], surrogate: BaseEstimator
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
        regression = regress(surrogate, keep.double().numpy(), outputs.numpy(), weights.numpy())
        coefficients, intercepts = map(
            torch.from_numpy, (regression.coefficients, regression.intercepts)
        )
        fitted, measure = torch.from_numpy(regression.fitted), regression.measure
        if design.is_random and isinstance(surrogate, WeightedRidge):
            errors = _sampling_errors(design, keep, outputs - fitted, weights, surrogate.alpha)
    whole, none_kept = row_of_all(keep), (~keep).all(1)

    def column_of(tensor: Tensor | None, column: int) -> Tensor | None:
        return None if tensor is None else tensor[column]

    return tuple(
        Fit(
            target=name,
            coefficients=coefficients[column],
            intercept=float(intercepts[column]),
            r2=weighted_r2(outputs[:, column].numpy(), fitted[:, column].numpy(), weights.numpy()),
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
    if design.kind == "kernelshap":
        return kernel_shap(keep, design.counts, outputs), None
    paths = design.row_of_sample.reshape(-1, keep.shape[1] + 1)
    return permutation_shapley(keep[paths], outputs[paths])


def _sampling_errors(
    design: Design, keep: Tensor, residuals: Tensor, weights: Tensor, alpha: float
) -> Tensor:
    """Estimate the standard errors [target, segment] of a ridge."""
    rows, counts = keep.double().numpy(), design.counts.numpy()
    errors = [
        sampling_error(rows, residual, weights.numpy(), counts, alpha=alpha)
        for residual in residuals.T.numpy()
    ]
    return torch.stack([torch.from_numpy(error) for error in errors])
