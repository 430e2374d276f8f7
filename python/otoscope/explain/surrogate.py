"""Linear surrogates: weighted regressions of a model's output on which segments are kept.

Scikit-learn's convention: ``X`` [coalition, segment], ``y`` [coalition] or [coalition, target],
``sample_weight`` [coalition]. Any linear regressor of scikit-learn serves in their place, such as
``sklearn.linear_model.Lasso``. Everything is solved in float64.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.utils import Tags
from sklearn.utils.validation import check_is_fitted, column_or_1d, validate_data

from otoscope.errors import ParameterError

__all__ = ["ForwardSelection", "WeightedRidge", "sampling_error", "weighted_r2"]

Array = NDArray[np.float64]


class _Linear(RegressorMixin, BaseEstimator):  # type: ignore[misc]  # sklearn has no types
    """What linear surrogates share: ``coef_`` and ``intercept_`` predict."""

    coef_: Array
    intercept_: Any
    n_features_in_: int

    def predict(self, X: ArrayLike) -> Array:
        """Predict outputs for coalitions.

        Parameters
        ----------
        X : array [coalition, segment]
            1 stays, 0 is occluded.

        Returns
        -------
        array [coalition] or [coalition, target]
            float64.
        """
        check_is_fitted(self)
        rows = validate_data(self, X, reset=False, dtype=np.float64)
        fitted: Array = rows @ self.coef_.T + self.intercept_
        return fitted


class WeightedRidge(_Linear):
    """Weighted least squares with an optional ridge; the intercept is not penalised.

    Minimises ``sum(weight * (y - intercept - X @ coef)**2) + alpha * sum(coef**2)``. Where that
    leaves ``coef`` open (alpha 0, fewer coalitions than segments), the shortest one.

    Parameters
    ----------
    alpha : float
        The penalty, >= 0. It is not scale free: doubling all weights halves its effect.

    Attributes
    ----------
    coef_ : array [segment] or [target, segment]
        float64.
    intercept_ : float or array [target]
        The prediction where nothing is kept.

    Raises
    ------
    ParameterError
        If alpha is negative.

    References
    ----------
    Mishra et al., "Reliable Local Explanations for Machine Listening", 2020, section III.

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
            1 stays, 0 is occluded.
        y : array [coalition] or [coalition, target]
            The model's outputs.
        sample_weight : array [coalition], optional
            Count times kernel, >= 0; ones if not given.

        Returns
        -------
        WeightedRidge
            Itself.

        Examples
        --------
        >>> float(WeightedRidge().fit([[0.0], [1.0]], [1.0, 3.0]).coef_[0].round(6))
        2.0
        """
        if not self.alpha >= 0:
            raise ParameterError(f"alpha is {self.alpha}, must be >= 0")
        rows, outputs, weights = _checked(self, X, y, sample_weight)
        columns = outputs.reshape(len(outputs), -1)
        row_mean, output_mean = (weights @ m / weights.sum() for m in (rows, columns))
        root = np.sqrt(weights)[:, None]
        # the ridge as further observations: sqrt(alpha) * coef = 0
        penalty = np.sqrt(self.alpha) * np.eye(rows.shape[1])
        observed = np.vstack([root * (rows - row_mean), penalty])
        wanted = np.vstack(
            [root * (columns - output_mean), np.zeros((rows.shape[1], columns.shape[1]))]
        )
        coef = np.linalg.lstsq(observed, wanted, rcond=None)[0].T
        intercept = output_mean - coef @ row_mean
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
    """Choose segments one by one by the weighted R2 they add, then a ridge on the chosen ones.

    Parameters
    ----------
    n_segments : int
        How many to choose; all if there are fewer.
    alpha : float
        Penalty of the last fit; the steps of the choice have none.

    Attributes
    ----------
    coef_ : array [segment]
        0 for segments that were not chosen.
    intercept_ : float
        The prediction where none of the chosen is kept.
    chosen_ : list of int
        In the order of choice.

    References
    ----------
    Mishra et al., "Local Interpretable Model-Agnostic Explanations for Music Content Analysis",
    ISMIR 2017, temporal version: 3 components, then alpha 1.

    Examples
    --------
    >>> X = [[0, 0, 0], [1, 0, 0], [0, 1, 0], [0, 0, 1], [1, 1, 1]]
    >>> ForwardSelection(1, alpha=0.0).fit(X, [0.0, 1.0, 5.0, 0.0, 6.0]).chosen_
    [1]
    """

    def __init__(self, n_segments: int = 3, alpha: float = 1.0) -> None:
        self.n_segments = n_segments
        self.alpha = alpha

    def fit(
        self, X: ArrayLike, y: ArrayLike, sample_weight: ArrayLike | None = None
    ) -> ForwardSelection:
        """Choose, then fit.

        Parameters
        ----------
        X : array [coalition, segment]
            1 stays, 0 is occluded.
        y : array [coalition]
            The model's outputs.
        sample_weight : array [coalition], optional
            Count times kernel, >= 0; ones if not given.

        Returns
        -------
        ForwardSelection
            Itself.

        Examples
        --------
        >>> ForwardSelection().fit([[0.0], [1.0]], [1.0, 3.0]).chosen_
        [0]
        """
        if self.n_segments < 1:
            raise ParameterError(f"n_segments is {self.n_segments}, must be >= 1")
        rows, outputs, weights = _checked(self, X, y, sample_weight)
        outputs = column_or_1d(outputs, warn=True)
        self.chosen_: list[int] = []
        while len(self.chosen_) < min(self.n_segments, rows.shape[1]):
            left = [s for s in range(rows.shape[1]) if s not in self.chosen_]
            gains = []
            for segment in left:
                tried = rows[:, [*self.chosen_, segment]]
                fitted = WeightedRidge().fit(tried, outputs, weights).predict(tried)
                gains.append(weighted_r2(outputs, fitted, weights))
            self.chosen_.append(left[int(np.argmax(gains))])
        last = WeightedRidge(self.alpha).fit(rows[:, self.chosen_], outputs, weights)
        self.coef_ = np.zeros(rows.shape[1])
        self.coef_[self.chosen_] = last.coef_
        self.intercept_ = last.intercept_
        return self


def weighted_r2(y: Array, fitted: Array, weights: Array) -> float:
    """Weighted coefficient of determination.

    Parameters
    ----------
    y, fitted : array [coalition]
        The model's outputs and the surrogate's.
    weights : array [coalition]
        Count times kernel.

    Returns
    -------
    float
        At most 1; 1 too if y is constant to rounding and fitted equals it: nothing is left to
        explain.

    Examples
    --------
    >>> weighted_r2(np.array([0.0, 2.0]), np.array([1.0, 1.0]), np.ones(2))
    0.0
    """
    mean = weights @ y / weights.sum()
    rounding = float(weights.sum() * (4 * np.finfo(np.float64).eps * np.abs(y).max()) ** 2)
    spread, residual = float(weights @ (y - mean) ** 2), float(weights @ (y - fitted) ** 2)
    if spread <= rounding:
        return 1.0 if residual <= rounding else 0.0
    return 1 - residual / spread


def sampling_error(
    X: Array, residual: Array, weights: Array, counts: Array, *, alpha: float = 0.0
) -> Array:
    """Estimate the standard error of ridge coefficients that comes from drawing the coalitions.

    Parameters
    ----------
    X : array [coalition, segment]
        Distinct coalitions.
    residual : array [coalition]
        Outputs less the surrogate's.
    weights : array [coalition]
        Count times kernel.
    counts : array [coalition]
        How often each was drawn.
    alpha : float
        The ridge's penalty.

    Returns
    -------
    array [segment]
        What the coefficients would vary by (standard deviation) under another seed.

    Notes
    -----
    Of first order: too small where the fit hangs on coalitions that another seed would not draw,
    as under the 2020 paper's kernel with 5000 samples or fewer.

    References
    ----------
    White, "A heteroskedasticity-consistent covariance matrix estimator", 1980.

    Examples
    --------
    >>> X = np.array([[0.0], [1.0]])
    >>> sampling_error(X, np.zeros(2), np.ones(2), np.ones(2))
    array([0.])
    """
    rows = X - weights @ X / weights.sum()
    bread = np.linalg.pinv((rows.T * weights) @ rows + alpha * np.eye(X.shape[1]))
    # each of `count` draws pulls by weight / count * residual
    pull = (rows.T * (weights * residual) ** 2 / counts) @ rows
    variance = np.diag(bread @ pull @ bread)
    error: Array = np.sqrt(variance.clip(min=0))
    return error


def _checked(
    estimator: _Linear, X: ArrayLike, y: ArrayLike, sample_weight: ArrayLike | None
) -> tuple[Array, Array, Array]:
    """Rows, outputs and weights in float64, their shapes checked by scikit-learn."""
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
