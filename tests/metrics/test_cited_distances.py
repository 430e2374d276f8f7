"""Distances that papers cite, against slow definitions; intervals that leave songs out."""

from __future__ import annotations

import itertools
import math
import warnings
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from otoscope.errors import ParameterError
from otoscope.metrics import (
    FewRows,
    frechet_interval,
    frechet_of,
    half_sample_intervals,
    kernel_audio_distance,
    kernel_distance,
    kernel_interval,
    mauve_score,
    median_distance,
    neighbour_scores,
)
from otoscope.metrics.halves import block_numbers
from otoscope.metrics.kernel import Gaussian, Polynomial, kernel_bounds
from otoscope.seeds import torch_generator


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


@pytest.mark.parametrize("kernel", [Polynomial(), Gaussian(1.3)])
def test_bounds_of_a_kernel_leave_out_pairs_of_one_song(kernel: Polynomial | Gaussian) -> None:
    """By hand: pairs of rows of different songs, and the deviation over halves of the songs."""
    x, y = rows(13, 3, 13).double(), rows(12, 3, 14, 0.4).double()
    songs = torch.tensor([0, 1, 2, 3, 4] * 2 + [0, 1, 4]), torch.arange(12) // 3
    found = kernel_bounds(x, y, kernel, groups=songs, samples=20, seed=4)

    def mean(a: Tensor, b: Tensor, of_a: Tensor, of_b: Tensor, same: bool) -> float:
        pairs = [
            float(kernel(a[i : i + 1], b[j : j + 1]))
            for i, j in itertools.product(range(len(a)), range(len(b)))
            if not (same and of_a[i] == of_b[j])
        ]
        return sum(pairs) / len(pairs)

    def apart(keep: list[Tensor]) -> float:
        a, b, of_a, of_b = x[keep[0]], y[keep[1]], songs[0][keep[0]], songs[1][keep[1]]
        between = mean(a, b, of_a, of_b, False)
        return mean(a, a, of_a, of_a, True) + mean(b, b, of_b, of_b, True) - 2 * between

    generator, halves = torch_generator(4), []
    blocks = [block_numbers(of, 1000) for of in songs]
    for index in range(20):
        kept = [torch.randperm(n, generator=generator)[: (n + index % 2) // 2] for n in (5, 4)]
        halves.append(apart([torch.isin(of, k) for of, k in zip(blocks, kept, strict=True)]))
    reach = 3.182446 * float(np.std(halves, ddof=1))  # t, 3 degrees
    centre = apart([torch.ones(13, dtype=torch.bool), torch.ones(12, dtype=torch.bool)])
    assert (found.low, found.high) == pytest.approx((centre - reach, centre + reach), rel=1e-5)


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


def song_rows(columns: int, shift: float, generator: torch.Generator) -> Tensor:
    """Draw 24 songs of four rows, which share half of their variance of 1."""
    level = torch.randn(24, 1, columns, generator=generator, dtype=torch.float64)
    own = torch.randn(24, 4, columns, generator=generator, dtype=torch.float64)
    return ((level + own) / math.sqrt(2) + shift).flatten(0, 1)


SONGS = torch.arange(24).repeat_interleave(4)


@pytest.mark.parametrize("columns", [4, 64, 200])
def test_intervals_of_kernels_hold_the_distance_of_known_normals(columns: int) -> None:
    """KID by the moments of x.y, KAD by a normal integral; P(fewer than 26 of 30) is 0.003."""
    generator, held, above = torch.Generator().manual_seed(3), [0, 0], 0
    s, bandwidth = 0.3**2, math.sqrt(2 * columns)
    cubic = 3 * s + 3 * s**2 + s**3 + (3 * s + 6 * s**2) / columns + 6 * s / columns**2
    spread = bandwidth**2 + 2
    gaussian = 2 * (bandwidth**2 / spread) ** (columns / 2)
    gaussian *= 1 - math.exp(-columns * s / (2 * spread))
    for _ in range(30):
        x, y = (song_rows(columns, shift, generator) for shift in (0.0, 0.3))
        kid = kernel_interval(x, y, groups=(SONGS, SONGS))
        kad = kernel_bounds(x, y, Gaussian(bandwidth), groups=(SONGS, SONGS))
        held[0] += kid.low <= cubic <= kid.high
        held[1] += kad.low <= gaussian <= kad.high
        above += kid.value > kid.low + (kid.high - kid.low) / 2
    assert min(held) >= 26
    assert above > 15  # rows of one song are alike, and raise the value


@pytest.mark.parametrize(("columns", "held_zero"), [(1, True), (64, False), (200, False)])
def test_frechet_intervals_are_of_sets_of_this_size(columns: int, held_zero: bool) -> None:
    """Sets of one distribution, whose distance is 0, are far apart in many columns."""
    generator, found = torch.Generator().manual_seed(5), []
    for _ in range(12):
        x, y = (song_rows(columns, 0.0, generator) for _ in range(2))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FewRows)
            found.append(frechet_interval(x, y, groups=(SONGS, SONGS), resamples=20))
    of_this_size = sum(each.value for each in found) / 12
    assert sum(each.low <= of_this_size <= each.high for each in found) >= 10
    assert all((each.low == 0) == held_zero for each in found)


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
