"""Surrogates against scikit-learn's solvers, brute force and repeated draws."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from sklearn.base import RegressorMixin, clone
from sklearn.ensemble import (
    ExtraTreesRegressor,
    GradientBoostingRegressor,
    HistGradientBoostingRegressor,
    RandomForestClassifier,
    RandomForestRegressor,
)
from sklearn.linear_model import (
    GammaRegressor,
    Lasso,
    LinearRegression,
    LogisticRegression,
    MultiTaskLasso,
    Ridge,
)
from sklearn.metrics import r2_score
from sklearn.multioutput import MultiOutputRegressor
from sklearn.neighbors import KNeighborsRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVR
from sklearn.tree import DecisionTreeRegressor
from sklearn.utils.estimator_checks import parametrize_with_checks
from torch import Tensor

from otoscope import ops
from otoscope.errors import ParameterError
from otoscope.explain import SoundLIME
from otoscope.explain.design import draw_design
from otoscope.explain.fit.least_squares import sampling_error, weighted_r2
from otoscope.explain.fit.surrogate import ForwardSelection, WeightedRidge
from otoscope.protocols import Patch
from tests.support.examples import examples

Array = NDArray[np.float64]


def draw(n: int, seed: int, *, targets: int = 3) -> tuple[Array, Array, Array]:
    """Rows of zeros and ones, outputs and weights over many orders of magnitude."""
    rng = np.random.default_rng(seed)
    rows = rng.integers(0, 2, (60, n)).astype(np.float64)
    return rows, rng.normal(size=(60, targets)), np.exp(-rng.uniform(0, 12, 60))


@parametrize_with_checks([WeightedRidge(), ForwardSelection(1)])  # type: ignore[untyped-decorator]
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.SkipTestWarning")
def test_follows_scikit_learns_interface(estimator: object, check: object) -> None:
    assert callable(check)
    check(estimator)


@given(n=st.integers(1, 12), seed=st.integers(0, 2**32), alpha=st.sampled_from([0.01, 1.0, 30.0]))
@examples(40)
def test_equals_scikit_learns_ridge(n: int, seed: int, alpha: float) -> None:
    rows, outputs, weights = draw(n, seed)
    ours = WeightedRidge(alpha).fit(rows, outputs, weights)
    theirs = Ridge(alpha=alpha, solver="cholesky").fit(rows, outputs, sample_weight=weights)
    np.testing.assert_allclose(ours.coef_, theirs.coef_, rtol=0, atol=1e-9)
    np.testing.assert_allclose(ours.intercept_, theirs.intercept_, rtol=0, atol=1e-9)
    np.testing.assert_allclose(ours.predict(rows), theirs.predict(rows), rtol=0, atol=1e-9)
    single = WeightedRidge(alpha).fit(rows, outputs[:, 0], weights)
    np.testing.assert_allclose(single.coef_, ours.coef_[0], rtol=0, atol=1e-12)


def test_equals_scikit_learns_least_squares() -> None:
    rows, outputs, weights = draw(8, 0)
    ours = WeightedRidge().fit(rows, outputs, weights)
    theirs = LinearRegression().fit(rows, outputs, sample_weight=weights)
    np.testing.assert_allclose(ours.coef_, theirs.coef_, rtol=0, atol=1e-9)


def test_equals_scikit_learns_ridge_under_the_papers_kernel() -> None:
    rows = ops.coalitions(10, "exact").unpack().double().numpy()
    weights = 70_000 / 1024 * np.exp(-8.0 * (10 - rows.sum(1)))
    outputs = np.random.default_rng(1).uniform(size=1024)
    ours = WeightedRidge(1.0).fit(rows, outputs, weights)
    theirs = Ridge(alpha=1.0, solver="cholesky").fit(rows, outputs, sample_weight=weights)
    np.testing.assert_allclose(ours.coef_, theirs.coef_, rtol=0, atol=1e-9)
    assert abs(ours.intercept_ - theirs.intercept_) < 1e-9


def test_intercept_is_not_penalised() -> None:
    rows, outputs, weights = draw(5, 2, targets=1)
    ridge = WeightedRidge(3.0).fit(rows, outputs[:, 0], weights)
    raised = WeightedRidge(3.0).fit(rows, outputs[:, 0] + 1e3, weights)
    np.testing.assert_allclose(raised.coef_, ridge.coef_, rtol=0, atol=1e-9)
    assert raised.intercept_ - ridge.intercept_ == pytest.approx(1e3)


def test_constant_output_gives_zeros() -> None:
    rows, _, weights = draw(4, 3)
    flat = WeightedRidge().fit(rows, np.full(60, 0.1), weights)
    np.testing.assert_allclose(flat.coef_, 0, atol=1e-14)
    assert flat.intercept_ == pytest.approx(0.1)


def test_fewer_rows_than_segments_gives_the_shortest_solution() -> None:
    fit = WeightedRidge().fit(np.array([[1.0, 1, 1, 1], [0, 0, 1, 1]]), np.array([3.0, 1]))
    np.testing.assert_allclose(fit.coef_, [1, 1, 0, 0], atol=1e-12)


def test_forward_selection_is_greedy_in_r2() -> None:
    rows, outputs, weights = draw(6, 4)
    chosen: list[int] = []
    for _ in range(3):  # the definition, with scikit-learn's solver and score
        scores = {}
        for s in (s for s in range(6) if s not in chosen):
            tried = rows[:, [*chosen, s]]
            fit = LinearRegression().fit(tried, outputs[:, 0], sample_weight=weights)
            scores[s] = fit.score(tried, outputs[:, 0], sample_weight=weights)
        chosen.append(max(scores, key=lambda s: scores[s]))
    ours = ForwardSelection(3).fit(rows, outputs[:, 0], weights)
    theirs = Ridge(alpha=1.0).fit(rows[:, chosen], outputs[:, 0], sample_weight=weights)
    assert ours.selected_ == chosen
    np.testing.assert_allclose(ours.coef_[chosen], theirs.coef_, rtol=0, atol=1e-9)
    assert np.count_nonzero(ours.coef_) == 3


def test_r2_is_scikit_learns_and_one_for_a_constant() -> None:
    rng = np.random.default_rng(5)
    y, fitted, weights = (torch.from_numpy(rng.uniform(size=20)) for _ in range(3))
    assert weighted_r2(y, fitted, weights) == pytest.approx(
        r2_score(y, fitted, sample_weight=weights)
    )
    flat = torch.full((20,), 0.1, dtype=torch.float64)
    assert weighted_r2(flat, flat * (1 + 1e-16), weights) == 1
    assert weighted_r2(flat, flat + 1, weights) == 0


def test_sampling_error_is_the_spread_over_seeds() -> None:
    n, n_samples, n_seeds = 5, 400, 300
    table = np.random.default_rng(6).normal(size=2**n)
    fits, errors = [], []
    for seed in range(n_seeds):
        design = draw_design("bernoulli", n, n_samples=n_samples, seed=seed)
        rows, counts = design.coalitions.unpack().double().numpy(), design.counts.numpy()
        y = table[design.coalitions.bits[:, 0].numpy()]
        weights = counts * np.exp(-(n - rows.sum(1)))
        fit = WeightedRidge().fit(rows, y, weights)
        fits.append(fit.coef_)
        tensors = map(torch.from_numpy, (rows, y - fit.predict(rows), weights, counts))
        errors.append(sampling_error(*tensors).numpy())
    spread = np.std(fits, axis=0)
    # the spread itself is known to 1/sqrt(2 * 300) = 4 %, the estimate is of first order
    np.testing.assert_allclose(np.mean(errors, axis=0), spread, rtol=0.15)


def test_bad_settings_are_refused() -> None:
    rows, outputs, weights = draw(2, 7)
    with pytest.raises(ParameterError, match="alpha is -1"):
        WeightedRidge(-1).fit(rows, outputs)
    with pytest.raises(ParameterError, match="n_segments is 0"):
        ForwardSelection(0).fit(rows, outputs[:, 0])
    for bad in (-weights, 0 * weights):
        with pytest.raises(ParameterError, match="finite, >= 0 and not all zero"):
            WeightedRidge().fit(rows, outputs, bad)


def test_folded_rows_equal_repeated_rows() -> None:
    generator = torch.Generator().manual_seed(8)
    rows = np.array(list(itertools.product([0.0, 1.0], repeat=3)))
    drawn = torch.randint(8, (200,), generator=generator).numpy()
    y = np.random.default_rng(9).normal(size=8)
    counts = np.bincount(drawn, minlength=8).astype(np.float64)
    repeated = WeightedRidge(1.0).fit(rows[drawn], y[drawn])
    folded = WeightedRidge(1.0).fit(rows, y, counts)
    np.testing.assert_allclose(folded.coef_, repeated.coef_, rtol=0, atol=1e-12)


def explainer(model: Callable[[Tensor], Tensor], **options: object) -> SoundLIME:
    return SoundLIME(model, segments="temporal:6", content=0.0, **options)  # type: ignore[arg-type]


def never_called(batch: Tensor) -> Tensor:
    raise AssertionError("the surrogate is refused before the model is evaluated")


def three_frames(batch: Tensor) -> Tensor:
    """Frame 1 speaks for the output, frame 4 less, frame 2 against it."""
    frames = batch[:, 0, :, 0]
    return 3 * frames[:, 1] + 1.5 * frames[:, 4] - 2 * frames[:, 2]


@pytest.mark.parametrize(
    "surrogate",
    [
        RandomForestRegressor(30),
        ExtraTreesRegressor(30),
        GradientBoostingRegressor(n_estimators=60),
        DecisionTreeRegressor(),
    ],
    ids=lambda surrogate: type(surrogate).__name__,
)
def test_importances_serve_as_coefficients_with_the_sign_of_the_effect(
    surrogate: RegressorMixin,
) -> None:
    patch = Patch(torch.ones(6, 2, dtype=torch.float64))
    lime = explainer(three_frames, surrogate=surrogate, kernel_width=2.0)
    explanation = lime.explain(patch)
    assert explanation.measure == "importance"
    assert explanation.top(3) == [1, 4]
    assert int(explanation.coefficients.argmin()) == 2
    assert float(explanation.coefficients.abs().sum()) == pytest.approx(1)
    again = lime.explain(patch)  # random_state None is the explainer's seed
    assert torch.equal(again.coefficients, explanation.coefficients)
    fitted = clone(surrogate).set_params(random_state=0)
    rows = explanation.keep.double().numpy()
    outputs, weights = explanation.outputs[:, 0].numpy(), explanation.weights.numpy()
    fitted.fit(rows, outputs, sample_weight=weights)
    assert explanation.r2 == pytest.approx(fitted.score(rows, outputs, weights))
    assert explanation.intercept == pytest.approx(fitted.predict(np.zeros((1, 6)))[0])
    at_patch = abs(fitted.predict(np.ones((1, 6)))[0] - explanation.output_all)
    assert explanation.local_error == pytest.approx(at_patch, abs=1e-12)


def test_a_linear_support_vector_machine_has_one_row_of_coefficients() -> None:
    patch = Patch(torch.ones(6, 2, dtype=torch.float64))
    explanation = explainer(three_frames, surrogate=SVR(kernel="linear", C=100)).explain(patch)
    assert explanation.measure == "coefficient"
    np.testing.assert_allclose(explanation.coefficients, [0, 3, -2, 0, 1.5, 0], atol=0.3)


def test_intercept_and_r2_are_of_the_surrogates_own_predictions() -> None:
    """A generalised linear model predicts by a link: its coefficients alone do not."""

    def positive(batch: Tensor) -> Tensor:
        return (three_frames(batch) / 3).exp()

    patch = Patch(torch.ones(6, 2, dtype=torch.float64))
    model = GammaRegressor(alpha=0.0, max_iter=1000, tol=1e-9)
    explanation = explainer(positive, surrogate=model, kernel_width=5.0).explain(patch)
    np.testing.assert_allclose(explanation.coefficients, [0, 1, -2 / 3, 0, 0.5, 0], atol=1e-4)
    assert explanation.intercept == pytest.approx(1, abs=1e-3)
    assert explanation.r2 == pytest.approx(1, abs=1e-5)


@pytest.mark.parametrize(
    ("surrogate", "message"),
    [
        (RandomForestRegressor, "is the class RandomForestRegressor; pass an instance"),
        (LogisticRegression(), "LogisticRegression is a classifier, must be a regressor"),
        (RandomForestClassifier(), "RandomForestClassifier is a classifier"),
        (KNeighborsRegressor(), "KNeighborsRegressor does not take sample_weight in fit"),
        (MultiTaskLasso(), "MultiTaskLasso could not be fitted to rows"),
        (HistGradientBoostingRegressor(), "has neither coef_ nor feature_importances_ after fit"),
        (SVR(kernel="rbf"), "SVR has neither coef_ nor feature_importances_ after fit"),
        (make_pipeline(StandardScaler(), Ridge()), "is a Pipeline, whose last step does not see"),
        (MultiOutputRegressor(Ridge()), "MultiOutputRegressor could not be fitted to rows"),
        ("forest", "surrogate is 'forest', must be a regressor of scikit-learn"),
        (3, "surrogate is 3, must be a regressor of scikit-learn"),
    ],
    ids=str,
)
def test_other_estimators_are_refused_before_the_model_is_asked(
    surrogate: object, message: str
) -> None:
    with pytest.raises(ParameterError, match=message):
        explainer(never_called, surrogate=surrogate)


def test_a_fitted_surrogate_is_fitted_anew() -> None:
    fitted = Ridge().fit(np.eye(3), np.ones(3))
    patch = Patch(torch.ones(6, 2, dtype=torch.float64))
    explanation = explainer(three_frames, surrogate=fitted).explain(patch)
    assert explanation.coefficients.shape == (6,)
    assert fitted.coef_.shape == (3,)


def test_other_surrogates_of_scikit_learn_serve() -> None:
    patch = Patch(torch.ones(6, 2, dtype=torch.float64))
    explanation = explainer(three_frames, surrogate=Lasso(0.05)).explain(patch)
    lasso = Lasso(0.05).fit(
        explanation.keep.double().numpy(),
        explanation.outputs[:, 0].numpy(),
        sample_weight=explanation.weights.numpy(),
    )
    np.testing.assert_allclose(explanation.coefficients, lasso.coef_)
    assert explanation.settings.surrogate == "Lasso(alpha=0.05)"
