"""Distances that papers cite, against slow definitions; the jackknife's coverage."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
import torch
from torch import Tensor

from otoscope.errors import ParameterError
from otoscope.metrics import (
    jackknife_interval,
    kernel_audio_distance,
    median_distance,
    neighbour_scores,
)


def rows(n: int, columns: int, seed: int, shift: float = 0.0) -> Tensor:
    return torch.randn(n, columns, generator=torch.Generator().manual_seed(seed)) + shift


def slow_kernel_distance(x: np.ndarray, y: np.ndarray, sigma: float) -> float:
    """The mean of the kernel over ordered pairs of distinct rows, pair by pair."""

    def kernel(a: np.ndarray, b: np.ndarray) -> float:
        return math.exp(-float(((a - b) ** 2).sum()) / (2 * sigma**2))

    within = [
        sum(kernel(a, b) for a, b in itertools.permutations(z, 2)) / (len(z) * (len(z) - 1))
        for z in (x, y)
    ]
    between = sum(kernel(a, b) for a in x for b in y) / (len(x) * len(y))
    return 100 * (within[0] + within[1] - 2 * between)


@pytest.mark.parametrize(("n", "m", "columns"), [(9, 7, 3), (2, 2, 1), (20, 5, 4)])
def test_kernel_audio_distance_is_that_of_all_pairs(n: int, m: int, columns: int) -> None:
    x, y = rows(n, columns, 0), rows(m, columns, 1, 0.7)
    pairs = [float((a - b).norm()) for a, b in itertools.combinations(x.double(), 2)]
    sigma = sorted(pairs)[(len(pairs) - 1) // 2]
    assert median_distance(x) == pytest.approx(sigma)
    expected = slow_kernel_distance(x.double().numpy(), y.double().numpy(), sigma)
    assert float(kernel_audio_distance(x, y)) == pytest.approx(expected, rel=1e-9, abs=1e-9)
    wide = slow_kernel_distance(x.double().numpy(), y.double().numpy(), 3.0)
    found = kernel_audio_distance(x, y, bandwidth=3.0)
    assert float(found) == pytest.approx(wide, rel=1e-9, abs=1e-9)


def slow_scores(x: np.ndarray, y: np.ndarray, k: int) -> tuple[float, ...]:
    """Naeem et al. (2020), equations 3 to 6, row by row."""

    def radius(z: np.ndarray, i: int) -> float:
        others = sorted(float(np.linalg.norm(z[i] - z[j])) for j in range(len(z)) if j != i)
        return others[k - 1]

    def near(a: np.ndarray, b: np.ndarray, r: float) -> bool:
        return float(np.linalg.norm(a - b)) < r

    r_x, r_y = ([radius(z, i) for i in range(len(z))] for z in (x, y))
    precision = np.mean([any(near(b, a, r) for a, r in zip(x, r_x, strict=True)) for b in y])
    recall = np.mean([any(near(a, b, r) for b, r in zip(y, r_y, strict=True)) for a in x])
    density = np.mean([sum(near(b, a, r) for a, r in zip(x, r_x, strict=True)) / k for b in y])
    coverage = np.mean([any(near(b, a, r) for b in y) for a, r in zip(x, r_x, strict=True)])
    return float(precision), float(recall), float(density), float(coverage)


@pytest.mark.parametrize(
    ("n", "m", "k", "shift"), [(15, 11, 3, 0.5), (6, 6, 5, 0.0), (12, 9, 1, 2)]
)
def test_neighbour_scores_are_those_of_the_papers(n: int, m: int, k: int, shift: float) -> None:
    x, y = rows(n, 2, 2), rows(m, 2, 3, shift)
    found = neighbour_scores(x, y, k=k)
    expected = slow_scores(x.double().numpy(), y.double().numpy(), k)
    scores = found.precision, found.recall, found.density, found.coverage
    assert scores == pytest.approx(expected)


def test_a_copy_of_the_real_set_covers_it_and_a_far_one_nothing() -> None:
    x = rows(40, 3, 4)
    same = neighbour_scores(x, x)
    assert (same.precision, same.recall, same.coverage) == (1.0, 1.0, 1.0)
    collapsed = neighbour_scores(x, x[:1] + 1e-6 * rows(40, 3, 5))
    assert collapsed.precision == 1.0
    assert collapsed.coverage < 0.5  # precise, and covers little


def test_jackknife_of_a_difference_of_means_is_the_t_interval() -> None:
    x, y = rows(12, 1, 6), rows(12, 1, 7, 1.0)
    found = jackknife_interval(lambda a, b: float(b.mean() - a.mean()), x, y)
    error = math.sqrt(float(x.var() / 12 + y.var() / 12))
    assert found.high - found.value == pytest.approx(2.200985 * error, rel=1e-4)  # t, 11 degrees


def test_intervals_over_songs_hold_the_truth_as_often_as_they_say() -> None:
    """Rows of a song share its level: leaving out rows would be far too sure."""
    generator, n_held, n_by_row = torch.Generator().manual_seed(8), 0, 0

    def songs(shift: float) -> Tensor:
        level = torch.randn(12, 1, generator=generator).repeat_interleave(5, 0)
        return level + 0.3 * torch.randn(60, 1, generator=generator) + shift

    def distance(a: Tensor, b: Tensor) -> Tensor:
        return kernel_audio_distance(a, b, bandwidth=2.0)

    variance = 1 + 0.3**2
    spread = 4 / (4 + 2 * variance)  # of a Gaussian kernel over the difference of two rows
    truth = 200 * math.sqrt(spread) * (1 - math.exp(-(2.0**2) / (2 * (4 + 2 * variance))))
    groups = torch.arange(12).repeat_interleave(5)
    for _ in range(60):
        x, y = songs(0.0), songs(2.0)
        by_song = jackknife_interval(distance, x, y, groups=(groups, groups))
        by_row = jackknife_interval(distance, x, y)
        n_held += by_song.low <= truth <= by_song.high
        n_by_row += by_row.low <= truth <= by_row.high
    assert n_held >= 50
    assert n_by_row < n_held


@pytest.mark.parametrize(
    ("call", "match"),
    [
        (lambda: neighbour_scores(rows(5, 2, 0), rows(9, 2, 0)), "real set has 5 rows, k is 5"),
        (lambda: neighbour_scores(rows(9, 2, 0), rows(9, 3, 0)), "3 columns"),
        (lambda: neighbour_scores(rows(9, 2, 0), rows(9, 2, 0), k=0), "k is 0"),
        (lambda: neighbour_scores(rows(9, 2, 0), rows(9, 2, 0) / 0), "NaN or infinity"),
        (lambda: kernel_audio_distance(rows(1, 2, 0), rows(9, 2, 0)), "real set has 1 rows"),
        (lambda: kernel_audio_distance(torch.zeros(4, 2), rows(9, 2, 0)), r"bandwidth is 0\.0"),
        (lambda: median_distance(rows(1, 2, 0)), "there are 1 rows"),
        (
            lambda: jackknife_interval(
                kernel_audio_distance, rows(9, 2, 0), rows(9, 2, 1), groups=(torch.zeros(9), None)
            ),
            "real set is one group",
        ),
    ],
)
def test_impossible_sets_are_refused(call: object, match: str) -> None:
    with pytest.raises(ParameterError, match=match):
        call()  # type: ignore[operator]
