"""Distances that papers cite, against slow definitions; intervals that leave songs out."""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from otoscope.errors import ParameterError
from otoscope.metrics import (
    frechet_of,
    half_sample_intervals,
    jackknife_interval,
    kernel_audio_distance,
    kernel_distance,
    kernel_interval,
    mauve_score,
    median_distance,
    neighbour_scores,
)
from otoscope.metrics.jackknife import block_numbers
from otoscope.metrics.kernel import Gaussian, KernelSums, Polynomial


def rows(n: int, columns: int, seed: int, shift: float = 0.0) -> Tensor:
    return torch.randn(n, columns, generator=torch.Generator().manual_seed(seed)) + shift


def frechet(x: Tensor, y: Tensor) -> list[float]:
    return [float(frechet_of(x, y))]


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


def test_bounds_of_a_biased_distance_are_moved_by_its_bias() -> None:
    """The jackknife removes a bias of b / n: of the plain variance it is that of n - 1."""
    x, y = rows(15, 1, 11), rows(400, 1, 12)

    def plain(a: Tensor, b: Tensor) -> float:
        return float(a.var(correction=0))

    found = jackknife_interval(plain, x, y, is_biased=True)
    assert (found.low + found.high) / 2 == pytest.approx(float(x.var()), rel=1e-5)
    assert found.value == pytest.approx(float(x.var(correction=0)), rel=1e-6)


@pytest.mark.parametrize("kernel", [Polynomial(), Gaussian(1.3)])
def test_sums_over_groups_leave_each_of_them_out(kernel: Polynomial | Gaussian) -> None:
    x, y = rows(13, 3, 13), rows(9, 3, 14, 0.4)
    groups = torch.arange(13) % 4, torch.arange(9) % 3
    left_out = KernelSums.of(x, y, kernel, groups=groups).without_each()
    for group in range(4):
        expected = KernelSums.of(x[groups[0] != group], y, kernel).whole()
        assert float(left_out[0][group]) == pytest.approx(float(expected), rel=1e-9)
    for group in range(3):
        expected = KernelSums.of(x, y[groups[1] != group], kernel).whole()
        assert float(left_out[1][group]) == pytest.approx(float(expected), rel=1e-9)


def test_blocks_hold_whole_songs_of_about_equal_number() -> None:
    songs = torch.arange(50).repeat_interleave(3)
    blocks = block_numbers(songs, 20)
    assert int(blocks.max()) == 19
    for song in range(50):
        assert len(blocks[songs == song].unique()) == 1
    assert {int(n) for n in torch.bincount(blocks[::3])} == {2, 3}
    assert block_numbers(torch.tensor([0, 1, 0]), 20).unique().tolist() == [0, 1]


def test_the_deviation_of_halves_is_the_standard_error() -> None:
    """A mean of n numbers has the error s / sqrt(n); Student's t with 39 degrees gives 2.0227."""
    x, y = rows(40, 1, 15), rows(40, 1, 16)
    (found,) = half_sample_intervals(lambda a, b: [float(a.mean())], x, y, samples=4000)
    error = float(x.std()) / math.sqrt(40)
    assert (found.high - found.low) / 2 == pytest.approx(2.0227 * error, rel=0.05)
    assert found.value == pytest.approx(float(x.mean()))


def test_halves_are_of_songs_not_of_rows() -> None:
    songs = torch.arange(9).repeat_interleave(4)
    x, sizes = rows(36, 1, 17), set()

    def score(a: Tensor, b: Tensor) -> list[float]:
        sizes.add((len(a), len(b)))
        return [0.0]

    half_sample_intervals(score, x, x, groups=(songs, None), samples=20)
    assert sizes == {(16, 18), (20, 18), (36, 36)}


def slow_mauve(p: list[float], q: list[float]) -> float:
    """Pillutla et al. (2021): area under the curve of exp(-5 KL) from 25 mixtures, both ways."""

    def likeness(a: list[float], b: list[float]) -> float:
        terms = [x * math.log(x / y) for x, y in zip(a, b, strict=True) if x > 0]
        return math.exp(-5 * sum(terms))

    points = [(1.0, 0.0)]
    for i in range(25):
        w = 1e-6 + i * (1 - 2e-6) / 24
        mixture = [w * x + (1 - w) * y for x, y in zip(p, q, strict=True)]
        points.append((likeness(q, mixture), likeness(p, mixture)))
    points.append((0.0, 1.0))

    def area(curve: list[tuple[float, float]]) -> float:
        curve = sorted(curve, key=lambda point: (point[0], -point[1]))
        pairs = itertools.pairwise(curve)
        return sum((c - a) * (b + d) / 2 for (a, b), (c, d) in pairs)

    return (area(points) + area([(y, x) for x, y in points])) / 2


@pytest.mark.parametrize("fractions", [(0.5, 0.5), (0.2, 0.6), (1.0, 0.0), (0.9, 0.1)])
def test_mauve_of_two_far_clusters_is_that_of_their_fractions(
    fractions: tuple[float, float],
) -> None:
    """Clusters that nothing can mistake: a row is one of two opposite directions."""
    towards = torch.tensor([[1.0, 0.0], [0.0, 1.0]])
    sides = []
    for seed, fraction in enumerate(fractions):
        n = round(40 * fraction)
        which = torch.tensor([0] * n + [1] * (40 - n))
        length = 1 + rows(40, 1, seed).abs()  # is divided out
        sides.append(length * (towards[which] + 0.01 * rows(40, 2, 9 + seed)))
    found = mauve_score(*sides, n_clusters=2)
    p, q = ([fraction, 1 - fraction] for fraction in fractions)
    assert found.similarity == pytest.approx(slow_mauve(p, q), rel=1e-9)
    assert found.divergence == pytest.approx(-math.log(slow_mauve(p, q)), abs=1e-9)


def test_mauve_falls_with_the_shift_and_takes_wide_rows() -> None:
    for n, columns in ((200, 5), (30, 80)):
        near, far = (
            mauve_score(rows(n, columns, 20) + 1, rows(n, columns, 21) + 1 + shift).similarity
            for shift in (0.0, 3.0)
        )
        assert 0 < far < near <= 1
    assert mauve_score(torch.ones(30, 2), torch.ones(30, 2)).divergence == pytest.approx(
        0, abs=1e-5
    )


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
        (lambda: mauve_score(rows(1, 2, 0), rows(9, 2, 0)), "real set has 1 rows"),
        (lambda: mauve_score(rows(9, 2, 0), rows(9, 2, 0) / 0), "generated set has 9 rows"),
        (lambda: mauve_score(rows(9, 2, 0), rows(9, 2, 0), n_clusters=1), "n_clusters is 1"),
        (lambda: half_sample_intervals(frechet, rows(3, 1, 0), rows(9, 1, 0)), "has 3 groups"),
        (lambda: half_sample_intervals(frechet, rows(9, 1, 0), rows(9, 1, 0), samples=3), "is 3"),
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


def test_scores_of_a_feature_that_never_changes_are_refused() -> None:
    """All balls would be empty: a set would have nothing of its own copy."""
    dead = torch.zeros(30, 3)
    for pair in ((dead, dead), (torch.randn(30, 3), dead), (dead, torch.randn(30, 3))):
        with pytest.raises(ParameterError, match="has 5 equal ones or more"):
            neighbour_scores(*pair)
    some = torch.cat([torch.zeros(20, 3), torch.randn(10, 3)])
    assert neighbour_scores(some, some).recall < 1


def test_mauve_does_not_depend_on_the_scale_of_a_row() -> None:
    x, y = rows(200, 4, 0).double(), rows(200, 4, 1, shift=1.0).double()
    expected = mauve_score(x, y).similarity
    for scale in (1e200, 1e-200):
        assert mauve_score(x * scale, y).similarity == pytest.approx(expected, abs=1e-3)


@pytest.mark.parametrize("measure", [kernel_distance, kernel_interval, neighbour_scores])
def test_features_that_overflow_are_refused(measure: Any) -> None:
    rows = torch.randn(30, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    with pytest.raises(ParameterError, match=r"overflows? float64"):
        measure(rows * 1e200, rows)
    with pytest.raises(ParameterError, match=r"overflows? float64"):
        measure(rows, rows * 1e200)
