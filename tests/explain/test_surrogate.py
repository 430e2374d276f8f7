"""Surrogates against scikit-learn's solvers, brute force and repeated draws."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from sklearn.linear_model import LinearRegression, Ridge
from sklearn.metrics import r2_score
from sklearn.utils.estimator_checks import parametrize_with_checks

from otoscope import ops
from otoscope.errors import ParameterError
from otoscope.explain.design import draw_design
from otoscope.explain.surrogate import (
    ForwardSelection,
    WeightedRidge,
    sampling_error,
    weighted_r2,
)
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
    y, fitted, weights = rng.normal(size=20), rng.normal(size=20), rng.uniform(size=20)
    assert weighted_r2(y, fitted, weights) == pytest.approx(
        r2_score(y, fitted, sample_weight=weights)
    )
    flat = np.full(20, 0.1)
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
        errors.append(sampling_error(rows, y - fit.predict(rows), weights, counts))
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
