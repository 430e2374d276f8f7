"""The scalar Frechet distance, the order of settings, and the extremes of a stream."""

from __future__ import annotations

import math
import weakref
from collections.abc import Iterator
from itertools import product

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from otoscope.errors import ParameterError
from otoscope.explain import ActivationMaximiser, RawPrior
from otoscope.explain.maximise import GridResult, Setting, find_extremes, scalar_frechet
from otoscope.models import SVDNet
from otoscope.protocols import Patch
from tests.support.maximisations import maximised

NUMBERS = st.lists(st.floats(-1e3, 1e3), min_size=2, max_size=20)


def by_definition(real: list[float], made: list[float]) -> float:
    m_r, m_g = np.mean(real), np.mean(made)
    s_r, s_g = np.var(real, ddof=1), np.var(made, ddof=1)
    return float((m_r - m_g) ** 2 + s_r + s_g - 2 * np.sqrt(s_r * s_g))


@given(NUMBERS, NUMBERS)
def test_distance_is_the_papers(real: list[float], made: list[float]) -> None:
    found = scalar_frechet(torch.tensor(real), torch.tensor(made))
    rounded = [torch.tensor(x).tolist() for x in (real, made)]
    assert found >= 0
    assert found == pytest.approx(by_definition(*rounded), rel=1e-9, abs=1e-7)


def test_distance_of_equal_sets_is_nothing_and_of_a_shift_its_square() -> None:
    x = torch.randn(50, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    assert scalar_frechet(x, x.flip(0)) == pytest.approx(0, abs=1e-25)
    assert scalar_frechet(x, x + 3) == pytest.approx(9, rel=1e-12)
    assert scalar_frechet(x, 0 * x) == pytest.approx(float(x.mean() ** 2 + x.var()), rel=1e-12)


@pytest.mark.parametrize("bad", [torch.zeros(1), torch.zeros(3, 2), torch.tensor([1.0, math.nan])])
def test_distance_needs_two_finite_numbers_a_side(bad: Tensor) -> None:
    with pytest.raises(ParameterError, match="real has shape"):
        scalar_frechet(bad, torch.zeros(2))
    with pytest.raises(ParameterError, match="made has shape"):
        scalar_frechet(torch.zeros(2), bad)


def test_settings_are_sorted_and_the_median_of_27_is_the_14th() -> None:
    shifts = [float((7 * i) % 27) for i in range(27)]  # each of 0..26 once, in some order
    grid = GridResult(tuple(maximised([s, s + 1, s + 2], rate=s + 1) for s in shifts))
    ranking = grid.rank(torch.tensor([0.0, 1.0, 2.0]))
    assert [row.distance for row in ranking.rows] == pytest.approx([i**2 for i in range(27)])
    assert ranking.best.setting.rate == 1
    assert ranking.median.setting.rate == 14
    assert ranking.worst.setting.rate == 27


def test_failed_rows_do_not_count_and_settings_with_them_come_last() -> None:
    nan = math.nan
    grid = GridResult(
        (
            maximised([nan, nan, nan], rate=1.0),
            maximised([nan, 5.0, nan], rate=2.0),
            maximised([90.0, 92.0], rate=3.0),
            maximised([4.0, nan, 6.0], rate=4.0),
        )
    )
    ranking = grid.rank(torch.tensor([4.0, 6.0]))
    assert [row.setting.rate for row in ranking.rows] == [3, 4, 1, 2]
    assert [row.n_finite for row in ranking.rows] == [2, 2, 0, 1]
    assert [row.is_complete for row in ranking.rows] == [True, False, False, False]
    assert ranking.rows[1].distance == 0
    assert math.isnan(ranking.worst.distance)
    assert ranking.rows[2].result.n_failed == 3


def test_a_layers_features_and_another_distance_can_be_compared() -> None:
    grid = GridResult((maximised([1.0, 2.0], rate=1.0), maximised([5.0, 6.0], rate=2.0)))

    def feature(inputs: Tensor) -> Tensor:
        return torch.cat([inputs, -inputs], 1)

    def means(real: Tensor, made: Tensor) -> float:
        assert real.shape[1] == made.shape[1] == 2
        return float((real.mean(0) - made.mean(0)).square().sum())

    ranking = grid.rank(torch.tensor([[5.5, -5.5], [5.5, -5.5]]), feature=feature, distance=means)
    assert [row.distance for row in ranking.rows] == [0, 32]
    assert ranking.best.setting.rate == 2


def test_features_of_one_column_rank_as_activations_do() -> None:
    """The general Frechet distance of one column is the scalar one."""
    grid = GridResult(tuple(maximised([s, 2 * s, s + 1], rate=s) for s in (9.0, 1.0, 4.0)))
    real = torch.tensor([2.0, 3.0, 5.0])
    scalar, general = grid.rank(real), grid.rank(real[:, None], feature=lambda x: x)
    for one, other in zip(scalar.rows, general.rows, strict=True):
        assert one.setting == other.setting
        assert one.distance == pytest.approx(other.distance, rel=1e-9)


@pytest.mark.parametrize("real", [torch.tensor(1.0), torch.ones(1), torch.tensor([1.0, math.inf])])
def test_ranking_needs_two_real_samples(real: Tensor) -> None:
    grid = GridResult((maximised([1.0, 2.0], rate=1.0),))
    with pytest.raises(ParameterError, match="two samples or more"):
        grid.rank(real)


def test_a_grid_says_its_settings_in_the_order_asked_for() -> None:
    net = SVDNet(shrink=32)
    grid = ActivationMaximiser(net, RawPrior((1, 115, 80)), layer="fc9", unit=0).grid(
        rates=(0.1, 0.01), penalties=(1.0, 0.0), iterations=(2, 1), seeds=2
    )
    asked = [Setting(*one) for one in product((0.1, 0.01), (1.0, 0.0), (2, 1))]
    assert [found.setting for found in grid.results] == asked
    assert all(found.input.shape == (2, 1, 115, 80) for found in grid.results)


@given(
    st.lists(st.integers(-3, 3), min_size=1, max_size=30),
    st.integers(1, 8),
    st.booleans(),
    st.integers(1, 7),
)
def test_extremes_are_those_of_a_stable_sort(
    numbers: list[int], k: int, largest: bool, max_batch: int
) -> None:
    values = torch.tensor(numbers, dtype=torch.float64)
    found = find_extremes(
        lambda x: x[:, 0], values[:, None], k, largest=largest, max_batch=max_batch
    )
    order = values.argsort(stable=True, descending=largest)[:k]
    assert [one.index for one in found.excerpts] == order.tolist()
    assert found.activations.equal(values[order])
    assert found.n_seen == len(numbers)


def test_extremes_are_streamed() -> None:
    """At most k excerpts and a batch are alive, of a thousand."""
    alive: weakref.WeakSet[Tensor] = weakref.WeakSet()
    most = 0

    def stream() -> Iterator[Tensor]:
        nonlocal most
        for i in range(1000):
            excerpt = torch.tensor([float(i % 97)])
            alive.add(excerpt)
            most = max(most, len(alive))
            yield excerpt

    found = find_extremes(lambda x: x[:, 0], stream(), 5, max_batch=4)
    assert found.activations.tolist() == [96.0] * 5
    assert most <= 5 + 2 * 4


def test_patches_come_back_as_they_were_and_are_seen_with_a_channel() -> None:
    patches = [Patch(torch.full((4, 3), float(i))) for i in (1, 3, 2)]
    shapes = []

    def activation(x: Tensor) -> Tensor:
        shapes.append(tuple(x.shape))
        return x.mean((1, 2, 3))

    found = find_extremes(activation, patches, 1)
    assert found.excerpts[0].patch is patches[1]
    assert {shape[1:] for shape in shapes} == {(1, 4, 3)}
    assert shapes[0] == (3, 1, 4, 3)


def test_extremes_go_the_way_of_the_search() -> None:
    layer = torch.nn.utils.skip_init(torch.nn.Linear, 1, 1, bias=False)
    layer.weight.data = torch.ones(1, 1, dtype=torch.float64)
    net, numbers = torch.nn.Sequential(layer), torch.tensor([[2.0], [-5.0], [4.0]])
    for maximise, furthest in ((True, 4.0), (False, -5.0)):
        search = ActivationMaximiser(net, RawPrior((1,)), layer="0", unit=0, maximise=maximise)
        assert search.extremes(numbers, 1).activations.tolist() == [furthest]


def test_what_cannot_be_gone_over_is_told() -> None:
    def first(x: Tensor) -> Tensor:
        return x.flatten(1)[:, 0]

    with pytest.raises(ParameterError, match="there is no excerpt"):
        find_extremes(first, [], 3)
    with pytest.raises(ParameterError, match="k is 0"):
        find_extremes(first, torch.zeros(2, 1), 0)
    with pytest.raises(ParameterError, match="activation of excerpt 1 is nan"):
        find_extremes(first, torch.tensor([[1.0], [math.nan]]), 1)
    with pytest.raises(ParameterError, match=r"excerpt 1 has shape \(3,\), excerpt 0 has \(2,\)"):
        find_extremes(first, [torch.zeros(2), torch.zeros(3)], 1)
