"""Frechet music distance: the formula, a planted shift, and a floor with the same bias."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.linalg

from otoscope.errors import ParameterError
from otoscope.folk.metrics import compare_embeddings


def rows(seed: int, n: int, columns: int = 3) -> np.ndarray[tuple[int, int], np.dtype[np.float64]]:
    return np.random.default_rng(seed).normal(size=(n, columns))


def test_distance_is_the_formula() -> None:
    x, y = rows(0, 30), rows(1, 40) * 2 + 1
    covariances = [np.cov(side.T) for side in (x, y)]
    root = scipy.linalg.sqrtm(covariances[0] @ covariances[1]).real
    shift = ((x.mean(0) - y.mean(0)) ** 2).sum()
    expected = shift + np.trace(covariances[0] + covariances[1] - 2 * root)
    result = compare_embeddings(x, y, n_draws=1)
    assert result.distance.value.value == pytest.approx(expected)
    assert result.infinity is not None
    assert "extrapolated from 30" in result.notes[0]


def test_planted_shift_is_found_and_chance_is_not() -> None:
    planted = compare_embeddings(rows(0, 40) + 1, rows(1, 50), rows(2, 90), n_draws=199).distance
    assert planted.p == pytest.approx(1 / 200)
    assert planted.floor is not None
    assert planted.value.low > planted.floor.high
    chance = compare_embeddings(rows(103, 40), rows(203, 50), n_draws=199).distance
    assert chance.p > 0.05
    assert chance.floor is not None
    assert chance.value.value < chance.floor.high


def test_floor_has_the_bias_of_few_tunes() -> None:
    result = compare_embeddings(rows(0, 12, 30), rows(1, 25, 30), rows(2, 60, 30), n_draws=20)
    floor = result.distance.floor
    assert floor is not None
    assert floor.low > 5
    assert floor.value == pytest.approx(result.distance.value.value, rel=0.2)
    assert result.infinity is None
    assert "12 generated and 25 held-out embeddings of 30 columns: too few" in result.notes[0]


def test_floor_of_halves_has_the_bias_of_the_sizes_compared() -> None:
    """Against distances between new sets of the compared sizes, of the same distribution."""
    floor = compare_embeddings(rows(0, 100, 8), rows(1, 120, 8), n_draws=1).distance.floor
    assert floor is not None
    alike = [
        compare_embeddings(rows(2 * i, 100, 8), rows(2 * i + 1, 120, 8), n_draws=1).distance
        for i in range(1, 9)
    ]
    expected = np.mean([distance.value.value for distance in alike])
    assert floor.value == pytest.approx(expected, rel=0.25)  # it was twice as large


@pytest.mark.parametrize(
    ("generated", "message"),
    [
        (rows(0, 9, 2), "must be \\[tune, column\\], equally wide"),
        (rows(0, 9)[0], "must be \\[tune, column\\], equally wide"),
        (rows(0, 3), "need 4 tunes of each"),
        (rows(0, 9) * np.inf, "not finite"),
    ],
)
def test_bad_arrays_are_refused(
    generated: np.ndarray[tuple[int, ...], np.dtype[np.float64]], message: str
) -> None:
    with pytest.raises(ParameterError, match=message):
        compare_embeddings(generated, rows(1, 9))
