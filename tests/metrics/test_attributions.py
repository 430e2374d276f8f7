"""Measures of attribution maps against scikit-learn, SciPy, Quantus and their definitions."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import entropy, spearmanr
from sklearn.metrics import roc_auc_score

from otoscope.errors import ParameterError
from otoscope.metrics.attributions import (
    complexity,
    intersection_over_union,
    pointing_game,
    rank_correlation,
    relaxed_auc,
    roc_auc,
    sparseness,
)
from tests.support.examples import examples


@examples(40)
@given(seed=st.integers(0, 2**32), n=st.integers(2, 40), levels=st.integers(1, 8))
def test_curves_and_correlations_are_those_of_other_libraries(
    seed: int, n: int, levels: int
) -> None:
    rng = np.random.default_rng(seed)
    a, b = rng.integers(levels, size=(2, n)).astype(float)  # with ties
    truth = rng.random(n) < 0.5
    if truth.all() or not truth.any():
        assert np.isnan(roc_auc(a, truth))
    else:
        assert roc_auc(a, truth) == pytest.approx(roc_auc_score(truth, a))
    if np.ptp(a) and np.ptp(b):
        assert rank_correlation(a, b) == pytest.approx(spearmanr(a, b).statistic)
    else:
        assert np.isnan(rank_correlation(a, b))
    if np.abs(a).sum():
        assert complexity(a) == pytest.approx(entropy(np.abs(a)))


def test_relaxed_curve_leaves_edges_out() -> None:
    truth = np.zeros((10, 2), bool)
    truth[4:7] = True
    a = np.zeros((10, 2))
    a[3:6] = 1  # one frame early
    kept = [0, 1, 2, 5, 8, 9]  # a frame on either side of both edges is left out
    assert relaxed_auc(a, truth, tolerance=1) == roc_auc(a[kept], truth[kept]) == 1
    assert relaxed_auc(a, truth, tolerance=0) == roc_auc(a, truth) < 1
    assert relaxed_auc(a.T, truth.T, tolerance=1, axis=1) == 1
    assert np.isnan(relaxed_auc(a, truth, tolerance=20))
    with pytest.raises(ParameterError, match="tolerance is -1, must be >= 0"):
        relaxed_auc(a, truth, tolerance=-1)


def test_overlap_takes_as_many_cells_as_the_truth() -> None:
    truth = np.array([False, True, True, False])
    assert intersection_over_union([0, 3, 2, 1], truth) == 1
    assert intersection_over_union([3, 0, 0, 2], truth) == 0
    assert intersection_over_union([1, 1, 1, 1], truth) == pytest.approx(1 / 3)  # one of two
    assert np.isnan(intersection_over_union([1, 2], [False, False]))
    assert pointing_game([5, 5, 0], [False, True, False]) is True
    assert pointing_game([5, 1, 0], [False, True, False]) is False
    assert pointing_game([5, 1], [False, False]) is None


def test_sparseness_and_complexity_have_their_bounds() -> None:
    assert sparseness(np.ones(8)) == pytest.approx(0)
    assert sparseness([0] * 7 + [3]) == pytest.approx(7 / 8)
    assert sparseness(np.zeros(3)) == 0
    assert complexity(np.ones(8)) == pytest.approx(np.log(8))
    assert complexity(np.zeros(3)) == pytest.approx(np.log(3))


def test_wrong_maps_are_refused() -> None:
    with pytest.raises(ParameterError, match=r"the truth is float64 \(2,\), must be bool \(2,\)"):
        roc_auc([1, 2], np.ones(2))
    with pytest.raises(ParameterError, match="is empty, or has numbers that are not finite"):
        sparseness([np.inf])
    with pytest.raises(ParameterError, match="the maps have 2 and 3 cells"):
        rank_correlation([1, 2], [1, 2, 3])


@pytest.mark.slow  # its import takes seconds
def test_equal_to_quantus() -> None:
    quantus = pytest.importorskip("quantus", reason="quantus is not installed (extra 'bench')")
    rng = np.random.default_rng(0)
    a, truth = rng.standard_normal((1, 1, 6, 5)), rng.random((1, 1, 6, 5)) < 0.4
    call = {
        "model": None, "x_batch": np.ones((1, 1, 6, 5)), "y_batch": np.zeros(1, int), "a_batch": a
    }  # fmt: skip
    quiet = {"disable_warnings": True, "display_progressbar": False, "normalise": False}
    ours = np.abs(a)
    assert sparseness(ours) == pytest.approx(
        quantus.Sparseness(abs=True, **quiet)(**call)[0], abs=1e-5
    )
    assert complexity(ours) == pytest.approx(
        quantus.Complexity(abs=True, **quiet)(**call)[0], abs=1e-5
    )
    local = {**call, "s_batch": truth}
    assert roc_auc(a, truth) == pytest.approx(quantus.AUC(abs=False, **quiet)(**local)[0])
    assert pointing_game(a, truth) == quantus.PointingGame(abs=False, **quiet)(**local)[0]
