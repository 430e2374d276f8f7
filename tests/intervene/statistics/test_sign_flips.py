"""Exchanges within groups, beside all sign patterns counted one by one."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest

from otoscope.errors import ParameterError
from otoscope.intervene import GroupBootstrap
from otoscope.intervene.statistics.significance import mcnemar, sign_flips


@pytest.mark.parametrize("n", [1, 2, 5, 9])
def test_p_is_the_fraction_of_sign_patterns_as_extreme(n: int) -> None:
    totals = np.random.default_rng(n).integers(-3, 4, n).astype(float)
    patterns = [abs(np.dot(signs, totals)) for signs in product((-1, 1), repeat=n)]
    expected = np.mean([total >= abs(totals.sum()) - 1e-9 for total in patterns])
    assert sign_flips(totals) == pytest.approx(expected)


def test_items_of_their_own_groups_are_tested_as_by_mcnemar() -> None:
    rng = np.random.default_rng(0)
    before, after = rng.random((2, 60)) < 0.7
    scores = GroupBootstrap(["a", "b"] * 30)
    assert scores.sign_flips(before, after) == pytest.approx(mcnemar(before, after))


def test_groups_that_move_together_count_once() -> None:
    before, after = np.ones(40, bool), np.ones(40, bool)
    after[:20] = False  # four groups of five
    groups = [str(i // 5) for i in range(40)]
    assert mcnemar(before, after) < 1e-5
    scores = GroupBootstrap(["a"] * 40, groups, metric="accuracy")
    assert scores.sign_flips(before, after) == pytest.approx(2 / 2**4)


def test_many_groups_are_drawn_and_p_is_uniform_if_nothing_moves() -> None:
    rng = np.random.default_rng(1)
    p = [sign_flips(rng.normal(size=30), n_draws=999, seed=i) for i in range(400)]
    assert np.mean(np.array(p) < 0.05) == pytest.approx(0.05, abs=0.035)
    assert np.mean(p) == pytest.approx(0.5, abs=0.05)
    assert sign_flips(np.arange(1.0, 31) ** 0.5, n_draws=999) == 1 / 1000


@pytest.mark.parametrize("unit", [1.0, 1 / 698, -0.3])
def test_whole_totals_of_many_groups_are_counted_exactly(unit: float) -> None:
    assert sign_flips(np.arange(1, 31) * unit) == pytest.approx(2 / 2**30)
    totals = np.array([3, -1, 2, 2, -1, 1, 4, 1, -2, 1, 1, 3, -1, 1, 2, 2, 1])
    signs = np.arange(2 ** len(totals))[:, None] >> np.arange(len(totals)) & 1
    sums = (2 * signs - 1) @ totals
    expected = np.mean(np.abs(sums) >= abs(totals.sum()))
    assert sign_flips(totals * unit) == pytest.approx(expected)


def test_nothing_and_nonsense() -> None:
    assert sign_flips([0.0, 0.0]) == 1
    with pytest.raises(ParameterError, match="must be"):
        sign_flips([np.nan])
