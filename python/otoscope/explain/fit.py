"""Fits: from the table of outputs for each coalition to what every segment adds, by target."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from sklearn.base import BaseEstimator, clone
from torch import Tensor

from otoscope.explain.design import Design
from otoscope.explain.shapley import (
    empty_row,
    full_row,
    kernel_shap,
    permutation_shapley,
    shapley_interactions,
    shapley_values,
)
from otoscope.explain.surrogate import WeightedRidge, sampling_error, weighted_r2

__all__ = ["SHAPLEY_DESIGNS", "Fit", "fit_table"]

SHAPLEY_DESIGNS = ("kernelshap", "permutation")
"""Designs made for Shapley values: these are the coefficients, and f(none) is the intercept.

The values are exact if all coalitions happen to be among the draws."""


@dataclass(frozen=True, eq=False)
class Fit:
    """The explanation of one target.

    Parameters
    ----------
    target : str
        The output's name.
    coefficients : Tensor [segment]
        What keeping a segment adds, by the surrogate; for the designs ``kernelshap`` and
        ``permutation`` the estimated Shapley values.
    intercept : float
        The surrogate's output where nothing is kept.
    r2 : float
        Weighted, of the surrogate on the coalitions asked about.
    local_error : float
        Absolute difference of surrogate and model for the patch as it is.
    output_all : float
        The model's output for the patch as it is.
    output_none : float, optional
        With all segments occluded, if the design asked.
    shapley : Tensor [segment], optional
        Exact if all coalitions were asked about, estimated by the designs made for it.
    interactions : Tensor [segment, segment], optional
        Pairwise Shapley interactions, if all coalitions were asked about.
    standard_error : Tensor [segment], optional
        Of the coefficients under another seed, where the design is drawn and the error is known.

    Examples
    --------
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


def fit_table(
    design: Design, weights: Tensor, outputs: Tensor, names: list[str], surrogate: BaseEstimator
) -> tuple[Fit, ...]:
    """Explain every target from one table.

    Parameters
    ----------
    design : Design
        The coalitions, on the CPU.
    weights : Tensor [coalition]
        Count times kernel.
    outputs : Tensor [coalition, target]
        The model's outputs, float64.
    names : list of str
        Of the targets.
    surrogate : estimator
        A linear regressor in scikit-learn's convention; not used by the designs for Shapley values.

    Returns
    -------
    tuple of Fit
        One a target.

    Examples
    --------
    >>> from otoscope.explain.design import draw_design
    >>> f = torch.tensor([[0.0], [1.0], [0.0], [1.0]], dtype=torch.float64)
    >>> fit, = fit_table(draw_design("exact", 2), torch.ones(4), f, ["sung"], WeightedRidge())
    >>> fit.coefficients.round(decimals=6).abs()
    tensor([1., 0.], dtype=torch.float64)
    """
    keep = design.coalitions.unpack()
    shapley, errors, interactions = None, None, None
    if design.is_complete:
        shapley, interactions = shapley_values(keep, outputs), shapley_interactions(keep, outputs)
    if design.kind in SHAPLEY_DESIGNS:
        if shapley is None:
            shapley, errors = _estimate(design, keep, outputs)
        coefficients, intercepts = shapley, outputs[empty_row(keep)]
    else:
        coefficients, intercepts = _regress(keep, outputs, weights, surrogate)
    fitted = keep.double() @ coefficients.T + intercepts
    if design.is_random and design.kind not in SHAPLEY_DESIGNS:
        errors = _sampling_errors(design, keep, outputs - fitted, weights, surrogate)
    all_kept, none_kept = full_row(keep), (~keep).all(1)

    def of(column: int, tensor: Tensor | None) -> Tensor | None:
        return None if tensor is None else tensor[column]

    return tuple(
        Fit(
            target=name,
            coefficients=coefficients[column],
            intercept=float(intercepts[column]),
            r2=weighted_r2(outputs[:, column].numpy(), fitted[:, column].numpy(), weights.numpy()),
            local_error=float((fitted - outputs)[all_kept, column].abs()),
            output_all=float(outputs[all_kept, column]),
            output_none=float(outputs[none_kept][0, column]) if none_kept.any() else None,
            shapley=of(column, shapley),
            interactions=of(column, interactions),
            standard_error=of(column, errors),
        )
        for column, name in enumerate(names)
    )


def _estimate(design: Design, keep: Tensor, outputs: Tensor) -> tuple[Tensor, Tensor | None]:
    """Shapley values [target, segment] and their standard error where it is known."""
    if design.kind == "kernelshap":
        return kernel_shap(keep, design.counts, outputs), None
    paths = design.row_of_sample.reshape(-1, keep.shape[1] + 1)
    return permutation_shapley(keep[paths], outputs[paths])


def _regress(
    keep: Tensor, outputs: Tensor, weights: Tensor, surrogate: BaseEstimator
) -> tuple[Tensor, Tensor]:
    """Coefficients [target, segment] and intercepts [target]."""
    rows, weight = keep.double().numpy(), weights.numpy()
    if isinstance(surrogate, WeightedRidge):  # all targets share one factorisation
        model = clone(surrogate).fit(rows, outputs.numpy(), sample_weight=weight)
        return torch.from_numpy(model.coef_), torch.from_numpy(model.intercept_)
    models = [clone(surrogate).fit(rows, f, sample_weight=weight) for f in outputs.T.numpy()]
    coefficients = np.stack([np.ravel(model.coef_) for model in models])
    intercepts = np.stack([np.ravel(model.intercept_)[0] for model in models])
    return torch.from_numpy(coefficients).double(), torch.from_numpy(intercepts).double()


def _sampling_errors(
    design: Design, keep: Tensor, residuals: Tensor, weights: Tensor, surrogate: BaseEstimator
) -> Tensor | None:
    """Standard errors [target, segment]; known for the ridge only."""
    if not isinstance(surrogate, WeightedRidge):
        return None
    rows, weight, counts = keep.double().numpy(), weights.numpy(), design.counts.numpy()
    errors = [
        sampling_error(rows, residual, weight, counts, alpha=surrogate.alpha)
        for residual in residuals.T.numpy()
    ]
    return torch.from_numpy(np.stack(errors))
