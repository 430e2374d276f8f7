"""Intervals cover the true distance; extrapolation removes the bias; the kernel has none."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from otoscope.errors import ParameterError
from otoscope.metrics import (
    FeatureSet,
    FewRows,
    Statistics,
    frechet_infinity,
    frechet_interval,
    frechet_of,
    kernel_distance,
    kernel_interval,
)

COLUMNS = 4


def draw(generator: torch.Generator, n_rows: int) -> tuple[Tensor, Tensor]:
    x, y = (torch.randn(n_rows, COLUMNS, generator=generator).double() for _ in range(2))
    return x, 1.2 * y + 0.3


def test_intervals_hold_the_distance_of_sets_of_this_size(random: torch.Generator) -> None:
    """30 intervals of level 0.9: P(fewer than 22 cover) is about 0.002."""
    of_this_size = sum(float(frechet_of(*draw(random, 150))) for _ in range(300)) / 300
    n_covered = 0
    for seed in range(30):
        x, y = draw(random, 150)
        interval = frechet_interval(x, y, level=0.9, resamples=40, seed=seed)
        n_covered += interval.low <= of_this_size <= interval.high
    assert n_covered >= 22


def test_rows_of_a_group_are_left_out_together(random: torch.Generator) -> None:
    """Four copies of each row carry no more information than one."""
    x, y = (part.repeat_interleave(4, 0) for part in draw(random, 40))
    y += 2
    songs = torch.arange(40).repeat_interleave(4)
    apart = frechet_interval(x, y, resamples=100)
    together = frechet_interval(x, y, resamples=100, groups=(songs, songs))
    assert apart.value == together.value
    assert together.high - together.low > 1.6 * (apart.high - apart.low)  # 2 in the long run


def test_rows_of_a_group_may_be_apart(random: torch.Generator) -> None:
    x, y = draw(random, 40)
    songs = torch.arange(8).repeat_interleave(5)
    order = torch.randperm(40, generator=random)
    side_by_side = frechet_interval(x, y, resamples=20, groups=(songs, songs))
    mixed = frechet_interval(x[order], y, resamples=20, groups=(songs[order], songs))
    assert (mixed.low, mixed.high) == pytest.approx((side_by_side.low, side_by_side.high))


def test_the_same_seed_draws_the_same(random: torch.Generator) -> None:
    x, y = draw(random, 40)
    first, again, other = (frechet_interval(x, y, resamples=20, seed=seed) for seed in (3, 3, 4))
    assert first == again
    assert first != other
    assert first.value == float(frechet_of(x, y))


def test_statistics_are_taken_as_exact(random: torch.Generator) -> None:
    x, y = draw(random, 60)
    real = Statistics.of(FeatureSet.of(x))
    exact, resampled = (frechet_interval(z, y, resamples=100) for z in (real, x))
    assert exact.value == pytest.approx(resampled.value)
    assert 0 <= exact.low < exact.high
    assert exact.high - exact.low < resampled.high - resampled.low


def test_extrapolation_takes_the_bias_away(random: torch.Generator) -> None:
    real = Statistics(torch.zeros(16), torch.eye(16))
    values, biased = [], []
    for seed in range(10):
        rows = torch.randn(400, 16, generator=random).double()
        extrapolated = frechet_infinity(real, rows, smallest=100, seed=seed)
        values.append(extrapolated.value)
        biased.append(float(extrapolated.distances[-1]))
    bias, remainder = sum(biased) / 10, abs(sum(values) / 10)
    assert bias > 0.1  # the true distance is 0
    assert remainder < 0.2 * bias


def test_extrapolation_is_the_line_over_1_by_n(random: torch.Generator) -> None:
    x, y = draw(random, 200)
    result = frechet_infinity(x, y, points=4, smallest=50)
    assert result.sizes.tolist() == [50, 100, 150, 200]
    assert float(result.distances[-1]) == pytest.approx(float(frechet_of(x, y)))
    slope = torch.linalg.lstsq(
        torch.stack([torch.ones(4).double(), 1 / result.sizes.double()], 1),
        result.distances[:, None],
    ).solution
    assert [result.value, result.slope] == pytest.approx(slope[:, 0].tolist())


def test_kernel_distance_is_its_definition(random: torch.Generator) -> None:
    x, y = draw(random, 7)
    y = y[:5]

    def mean(a: Tensor, b: Tensor) -> float:
        pairs = [
            float((a[i] @ b[j]) / COLUMNS + 1) ** 3
            for i in range(len(a))
            for j in range(len(b))
            if a is not b or i != j
        ]
        return sum(pairs) / len(pairs)

    assert float(kernel_distance(x, y)) == pytest.approx(mean(x, x) + mean(y, y) - 2 * mean(x, y))


def test_kernel_intervals_hold_the_true_distance(random: torch.Generator) -> None:
    """For xy + 1 it is the square of the difference of the means.

    Songs of three equal excerpts are left out whole; P(fewer than 30 of 40 cover) is about 0.002.
    """
    songs, n_covered = torch.arange(60).repeat_interleave(3), 0
    for seed in range(40):
        x, y = torch.randn(2, 60, 1, generator=random, dtype=torch.float64)
        rows = (part.repeat_interleave(3, 0) for part in (x, y + 0.6))
        interval = kernel_interval(
            *rows, level=0.9, resamples=100, groups=(songs, songs), degree=1, seed=seed
        )
        n_covered += interval.low <= 0.36 <= interval.high
    assert n_covered >= 30


def test_kernel_distance_has_no_bias(random: torch.Generator) -> None:
    result = torch.stack(
        [kernel_distance(*torch.randn(2, 6, 3, generator=random)) for _ in range(400)]
    )
    assert abs(float(result.mean())) < 3 * float(result.std()) / 20


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda x: frechet_interval(x, x, level=1.0), r"level is 1.0"),
        (lambda x: frechet_interval(x, x, resamples=3), "number of samples is 3"),
        (
            lambda x: frechet_interval(x, x, groups=(None, torch.zeros(9))),
            "the generated set is one group",
        ),
        (
            lambda x: frechet_interval(
                Statistics.of(FeatureSet.of(x)), x, groups=(None, torch.zeros(9))
            ),
            "the generated set is one group",
        ),
        (
            lambda x: frechet_interval(Statistics.of(FeatureSet.of(x)), x[:3]),
            "the generated set has 3 groups",
        ),
        (
            lambda x: frechet_interval(x, x, groups=(torch.zeros(4), None)),
            r"the real set has 9 rows, its groups \(4,\)",
        ),
        (lambda x: frechet_infinity(x, x, points=1), "points is 1"),
        (lambda x: frechet_infinity(x, x, smallest=9), r"smallest 9; must be >= 2 and in \[2, 8\]"),
        (
            lambda x: frechet_infinity(x, x[:3]),
            r"has 3 rows of 2 columns; an extrapolation takes 17 or more",
        ),
        (
            lambda x: frechet_infinity(x, x, smallest=3),
            r"points is 15; from 3 to 9 rows there are only 7 sizes",
        ),
        (lambda x: frechet_infinity(x, x[:, 0]), r"shape \(9,\); they must be \[row, column\]"),
        (lambda x: frechet_infinity(x[:, 0], x), r"shape \(9,\); they must be"),
        (lambda x: frechet_infinity(x, x[None]), r"shape \(1, 9, 2\); they must be"),
        (lambda x: frechet_infinity(x, x[:, :1]), "have 1 columns, those before had 2"),
        (lambda x: frechet_interval(x, x.expand(2, 9, 2)), r"shape \(2, 9, 2\); they must be"),
        (lambda x: frechet_of(x, x[:, :1]), "have 1 columns, those before had 2"),
        (
            lambda x: frechet_of(Statistics(torch.zeros(2), torch.eye(2), ddof=0), x),
            "ddof is 1, the real statistics have ddof=0",
        ),
        (lambda x: kernel_interval(x, x, level=1.0), r"level is 1.0"),
        (
            lambda x: kernel_interval(x, x, groups=(None, torch.zeros(9))),
            "the generated set is one group",
        ),
        (lambda x: kernel_distance(x, x[:, :1]), "have 1 columns"),
        (lambda x: kernel_distance(x[:1], x), "the real set has 1 rows; pairs take 2"),
        (lambda x: kernel_distance(x, x * torch.nan), "row 0 of the generated set holds NaN"),
        (lambda x: kernel_distance(x, x, gamma=0.0), "gamma 0.0"),
        (lambda x: kernel_distance(x, x, gamma=torch.inf), "gamma inf"),
        (lambda x: kernel_distance(x, x, coef=torch.nan), "coef nan"),
        (lambda x: kernel_distance(x, x, degree=1.5), "degree is 1.5"),  # type: ignore[arg-type]
    ],
)
def test_unusable_settings_are_refused(call: object, message: str) -> None:
    assert callable(call)
    with pytest.raises(ParameterError, match=message):
        call(torch.arange(18.0).reshape(9, 2))


def test_sizes_of_an_extrapolation_differ() -> None:
    x = torch.arange(18.0).reshape(9, 2) ** 2
    assert frechet_infinity(x, x, points=7).sizes.tolist() == [3, 4, 5, 6, 7, 8, 9]


def test_few_rows_are_warned_of() -> None:
    x, y = torch.randn(3, 4, generator=torch.Generator()), torch.zeros(9, 4)
    with pytest.warns(FewRows, match="the real set has 3 rows of 4 columns"):
        frechet_of(x, y)
    with pytest.warns(FewRows, match="the generated set has 3 rows"):
        frechet_of(y, x)
