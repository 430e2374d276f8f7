"""Surrogates as regressors of scikit-learn: ours, and those that a user passes.

Scikit-learn's convention: ``X`` [coalition, segment], ``y`` [coalition] or [coalition, target],
``sample_weight`` [coalition]. `regress` takes any regressor of scikit-learn that has coefficients
or feature importances. Everything is solved in float64. The surrogate of an explainer to which no
other is passed needs no scikit-learn, see `fit.least_squares`: importing that takes seconds.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, RegressorMixin, clone, is_classifier
from sklearn.utils import Tags
from sklearn.utils.validation import (
    check_is_fitted,
    column_or_1d,
    has_fit_parameter,
    validate_data,
)

from otoscope.errors import ParameterError
from otoscope.explain.fit.least_squares import (
    CoefficientKind,
    weighted_least_squares,
    weighted_r2,
)

__all__ = ["ForwardSelection", "Regression", "WeightedRidge", "checked_surrogate", "regress"]

Array = NDArray[np.float64]


class _Linear(RegressorMixin, BaseEstimator):  # type: ignore[misc]  # sklearn has no types
    """Base of the linear surrogates: predicts by ``coef_`` and ``intercept_``."""

    coef_: Array
    intercept_: Any
    n_features_in_: int

    def predict(self, X: ArrayLike) -> Array:
        """Predict outputs for coalitions.

        Parameters
        ----------
        X : array [coalition, segment]
            1 where a segment is kept, 0 where it is occluded.

        Returns
        -------
        array [coalition] or [coalition, target]
            Predictions, float64.
        """
        check_is_fitted(self)
        rows = validate_data(self, X, reset=False, dtype=np.float64)
        fitted: Array = rows @ self.coef_.T + self.intercept_
        return fitted


class WeightedRidge(_Linear):
    """Fit weighted least squares with an optional ridge; the intercept is not penalised.

    Minimises ``sum(weight * (y - intercept - X @ coef)**2) + alpha * sum(coef**2)``. If the minimum
    is not unique (alpha 0, fewer coalitions than segments), the solution has the smallest norm.

    Parameters
    ----------
    alpha : float
        Penalty, >= 0. The penalty is not scale free: doubling all weights halves its effect.

    Attributes
    ----------
    coef_ : array [segment] or [target, segment]
        Coefficients, float64.
    intercept_ : float or array [target]
        Prediction for the coalition of no segment.

    Raises
    ------
    ParameterError
        If alpha is negative.

    References
    ----------
    Mishra et al. (2020) :cite:`mishra2020`, section III.

    Examples
    --------
    >>> ridge = WeightedRidge().fit([[0, 0], [1, 0], [1, 1]], [1.0, 3.0, 3.5])
    >>> ridge.coef_.round(6).tolist(), round(float(ridge.intercept_), 6)
    ([2.0, 0.5], 1.0)
    """

    def __init__(self, alpha: float = 0.0) -> None:
        self.alpha = alpha

    def fit(
        self, X: ArrayLike, y: ArrayLike, sample_weight: ArrayLike | None = None
    ) -> WeightedRidge:
        """Solve the weighted least squares problem.

        Parameters
        ----------
        X : array [coalition, segment]
            1 where a segment is kept, 0 where it is occluded.
        y : array [coalition] or [coalition, target]
            The model's outputs.
        sample_weight : array [coalition], optional
            Weights, count times kernel, >= 0; ones by default.

        Returns
        -------
        WeightedRidge
            The estimator itself.

        Examples
        --------
        >>> float(WeightedRidge().fit([[0.0], [1.0]], [1.0, 3.0]).coef_[0].round(6))
        2.0
        """
        if not self.alpha >= 0:
            raise ParameterError(f"alpha is {self.alpha}, must be >= 0")
        rows, outputs, weights = _checked(self, X, y, sample_weight)
        columns = outputs.reshape(len(outputs), -1)
        coef, intercept = _solved(rows, columns, weights, self.alpha)
        self.coef_, self.intercept_ = (
            (coef[0], float(intercept[0])) if outputs.ndim == 1 else (coef, intercept)
        )
        return self

    def __sklearn_tags__(self) -> Tags:
        """Tell scikit-learn that several targets are taken at once."""
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags


class ForwardSelection(_Linear):
    """Select segments one by one by the weighted R2 they add, then fit a ridge on the selection.

    Parameters
    ----------
    n_segments : int
        Number of segments to select; all if there are fewer.
    alpha : float
        Penalty of the last fit; the selection steps have no penalty.

    Attributes
    ----------
    coef_ : array [segment]
        Coefficients; 0 for segments that are not selected.
    intercept_ : float
        Prediction for a coalition without the selected segments.
    selected_ : list of int
        Selected segments, in the order of selection.

    References
    ----------
    Mishra et al. (2017) :cite:`mishra2017`, temporal version: 3 components, then alpha 1.

    Examples
    --------
    >>> X = [[0, 0, 0], [1, 0, 0], [0, 1, 0], [0, 0, 1], [1, 1, 1]]
    >>> ForwardSelection(1, alpha=0.0).fit(X, [0.0, 1.0, 5.0, 0.0, 6.0]).selected_
    [1]
    """

    def __init__(self, n_segments: int = 3, alpha: float = 1.0) -> None:
        self.n_segments = n_segments
        self.alpha = alpha

    def fit(
        self, X: ArrayLike, y: ArrayLike, sample_weight: ArrayLike | None = None
    ) -> ForwardSelection:
        """Select segments, then fit.

        Parameters
        ----------
        X : array [coalition, segment]
            1 where a segment is kept, 0 where it is occluded.
        y : array [coalition]
            The model's outputs.
        sample_weight : array [coalition], optional
            Weights, count times kernel, >= 0; ones by default.

        Returns
        -------
        ForwardSelection
            The estimator itself.

        Examples
        --------
        >>> ForwardSelection().fit([[0.0], [1.0]], [1.0, 3.0]).selected_
        [0]
        """
        if self.n_segments < 1:
            raise ParameterError(f"n_segments is {self.n_segments}, must be >= 1")
        rows, outputs, weights = _checked(self, X, y, sample_weight)
        outputs = column_or_1d(outputs, warn=True)
        self.selected_: list[int] = []
        while len(self.selected_) < min(self.n_segments, rows.shape[1]):
            candidates = [s for s in range(rows.shape[1]) if s not in self.selected_]
            gains = []
            for segment in candidates:
                tried = rows[:, [*self.selected_, segment]]
                fitted = WeightedRidge().fit(tried, outputs, weights).predict(tried)
                gains.append(weighted_r2(*map(torch.from_numpy, (outputs, fitted, weights))))
            self.selected_.append(candidates[int(np.argmax(gains))])
        last = WeightedRidge(self.alpha).fit(rows[:, self.selected_], outputs, weights)
        self.coef_ = np.zeros(rows.shape[1])
        self.coef_[self.selected_] = last.coef_
        self.intercept_ = last.intercept_
        return self


@dataclass(frozen=True, eq=False)
class Regression:
    """Surrogates of all targets, fitted to one table of coalitions."""

    coefficients: Array  # [target, segment]
    intercepts: Array  # [target]
    fitted: Array  # [coalition, target]: the surrogates' own predictions
    measure: CoefficientKind


def checked_surrogate(surrogate: Any, seed: int) -> BaseEstimator:
    """Return an unfitted, seeded copy of a surrogate, or raise if `regress` could not use it."""
    if isinstance(surrogate, _Linear):
        return clone(surrogate)
    if isinstance(surrogate, type):
        raise ParameterError(f"surrogate is the class {surrogate.__name__}; pass an instance of it")
    name = type(surrogate).__name__
    if not all(hasattr(surrogate, method) for method in ("fit", "predict", "get_params")):
        raise ParameterError(f"surrogate is {surrogate!r}, must be a regressor of scikit-learn")
    if isinstance(surrogate, BaseEstimator) and is_classifier(surrogate):
        raise ParameterError(f"surrogate {name} is a classifier, must be a regressor")
    if hasattr(surrogate, "steps"):
        raise ParameterError(
            f"surrogate is a {name}, whose last step does not see the segments; pass that step "
            "itself: rows are 0 and 1 and need no scaling"
        )
    if not has_fit_parameter(surrogate, "sample_weight"):
        raise ParameterError(
            f"surrogate {name} does not take sample_weight in fit, which locality needs; "
            "use another regressor, for example Ridge() or RandomForestRegressor()"
        )
    unfitted = clone(surrogate)
    if unfitted.get_params().get("random_state", seed) is None:
        unfitted.set_params(random_state=seed)
    if not hasattr(type(unfitted), "feature_importances_"):
        # coef_ is there after fit only: look for it before the model evaluates all coalitions
        rows = np.tile([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]], (8, 1))
        regress(unfitted, rows, rows.sum(1, keepdims=True) + 1, np.ones(len(rows)))
    return unfitted


def regress(surrogate: BaseEstimator, rows: Array, outputs: Array, weights: Array) -> Regression:
    """Fit a surrogate for each target, and read its coefficients or its signed importances.

    Importances are >= 0 and sum to 1. Each gets the sign of its segment's effect: the weighted
    mean, over the rows, of the surrogate's prediction with the segment kept less without it.
    Intercept and fitted values are the surrogate's own predictions.
    """
    if isinstance(surrogate, WeightedRidge):  # all targets share one factorisation
        coef, intercept = _solved(rows, outputs, weights, surrogate.alpha)
        return Regression(coef, intercept, rows @ coef.T + intercept, "coefficient")
    models = [_fitted(surrogate, rows, f, weights) for f in outputs.T]
    has_coefficients = all(hasattr(model, "coef_") for model in models)
    coefficients = [
        _coefficients(model, rows.shape[1])
        if has_coefficients
        else _signed_importances(model, rows, weights)
        for model in models
    ]
    nothing = np.zeros((1, rows.shape[1]))
    return Regression(
        np.stack(coefficients),
        np.array([np.ravel(model.predict(nothing))[0] for model in models], np.float64),
        np.stack([np.ravel(model.predict(rows)) for model in models], 1).astype(np.float64),
        "coefficient" if has_coefficients else "importance",
    )


def _fitted(surrogate: BaseEstimator, rows: Array, outputs: Array, weights: Array) -> Any:
    name = type(surrogate).__name__
    try:
        model = clone(surrogate).fit(rows, outputs, sample_weight=weights)
    except (ValueError, TypeError, AttributeError) as err:
        raise ParameterError(
            f"surrogate {name} could not be fitted to rows {list(rows.shape)} with one output: "
            f"{err}"
        ) from err
    if not (hasattr(model, "coef_") or hasattr(model, "feature_importances_")):
        raise ParameterError(
            f"surrogate {name} has neither coef_ nor feature_importances_ after fit; use a linear "
            "model, a forest or gradient boosting"
        )
    return model


def _coefficients(model: Any, n_segments: int) -> Array:
    coefficients = np.ravel(model.coef_).astype(np.float64)
    if coefficients.shape != (n_segments,):
        raise ParameterError(
            f"surrogate {type(model).__name__} has coef_ of shape {np.shape(model.coef_)} for "
            f"{n_segments} segments; it needs one coefficient per segment"
        )
    return coefficients


def _signed_importances(model: Any, rows: Array, weights: Array) -> Array:
    effects = np.empty(rows.shape[1])
    for segment in range(rows.shape[1]):
        kept, removed = rows.copy(), rows.copy()
        kept[:, segment], removed[:, segment] = 1, 0
        both = np.ravel(model.predict(np.vstack([kept, removed])))
        effects[segment] = weights @ (both[: len(rows)] - both[len(rows) :])
    signed: Array = np.sign(effects) * np.ravel(model.feature_importances_)
    return signed


def _solved(rows: Array, outputs: Array, weights: Array, alpha: float) -> tuple[Array, Array]:
    """Return coefficients [target, segment] and intercepts [target]."""
    tensors = map(torch.tensor, (rows, outputs, weights))  # copies: arrays may be read-only
    coef, intercept = weighted_least_squares(*tensors, alpha=alpha)
    return coef.numpy(), intercept.numpy()


def _checked(
    estimator: _Linear, X: ArrayLike, y: ArrayLike, sample_weight: ArrayLike | None
) -> tuple[Array, Array, Array]:
    """Return rows, outputs and weights in float64, their shapes checked by scikit-learn."""
    rows, outputs = validate_data(
        estimator, X, y, multi_output=True, y_numeric=True, dtype=np.float64
    )
    weights = np.ones(len(rows)) if sample_weight is None else np.asarray(sample_weight, float)
    if weights.shape != (len(rows),) or not (weights >= 0).all() or not 0 < weights.sum() < np.inf:
        raise ParameterError(
            f"sample_weight has shape {weights.shape} and sum {weights.sum()}; "
            f"it must be [{len(rows)}], finite, >= 0 and not all zero"
        )
    return rows, outputs.astype(np.float64), weights
