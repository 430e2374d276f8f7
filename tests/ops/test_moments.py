"""Moments equal their definition in two passes, for any split of the rows and any offset."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from otoscope.errors import ParameterError
from otoscope.ops import Moments, moments, moments_merge, moments_update
from otoscope.ops.moments import update_by_products
from tests.conftest import Backend
from tests.oracles import moments as definitions
from tests.support.examples import examples

DTYPES = (torch.float16, torch.bfloat16, torch.float32, torch.float64)


def drawn(rows: int, columns: int, *, offset: float = 0.0, seed: int = 0) -> Tensor:
    random = torch.Generator().manual_seed(seed)
    mixed = torch.randn(rows, columns, generator=random, dtype=torch.float64)
    return mixed @ torch.randn(columns, columns, generator=random, dtype=torch.float64) + offset


def check(state: Moments, features: Tensor, tolerance: float = 1e-12) -> None:
    count, mean, scatter = definitions.moments(features.cpu())
    size = max(float(scatter.abs().max()), 1e-300)
    assert float(state.count) == float(count)
    assert float((state.mean.cpu() - mean).abs().max()) <= 1e-14 * (1 + float(mean.abs().max()))
    assert float((state.scatter.cpu() - scatter).abs().max()) <= tolerance * size
    assert torch.equal(state.scatter, state.scatter.mT)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(
    ("rows", "columns"), [(1, 1), (2, 1), (5, 12), (13, 13), (300, 7), (40, 65), (257, 130)]
)
def test_equals_the_definition(
    backend: Backend, dtype: torch.dtype, rows: int, columns: int
) -> None:
    x = drawn(rows, columns, offset=3.0).to(dtype).to(backend.device)
    check(moments(x), x)


@pytest.mark.parametrize(("offset", "tolerance"), [(0.0, 1e-12), (1e4, 1e-9), (1e6, 1e-9)])
def test_an_offset_costs_no_digits(backend: Backend, offset: float, tolerance: float) -> None:
    x = drawn(200, 20, offset=offset).to(backend.device)
    check(moments(x), x, tolerance)
    state = Moments.none(20, device=backend.device)
    for part in x.split(37):
        moments_update(*state, part)
    check(state, x, tolerance)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("rows", "columns"), [(1, 1), (13, 5), (40, 65), (9000, 9)])
def test_products_give_the_same_moments(dtype: torch.dtype, rows: int, columns: int) -> None:
    x = drawn(rows, columns, offset=3.0).to(dtype)
    state = Moments.none(columns)
    for part in x.tensor_split(2):
        if len(part):
            update_by_products(*state, part)
    check(state, x)


def test_raw_moments_would_lose_them() -> None:
    """Why the rows are centred first: sum and X^T X, as other libraries have them."""
    x = drawn(200, 20, offset=1e4)
    raw = x.mT @ x - 200 * torch.outer(x.mean(0), x.mean(0))
    wanted = definitions.moments(x)[2]
    assert float((raw - wanted).abs().max() / wanted.abs().max()) > 1e-9


@pytest.mark.filterwarnings("error")
@examples(40)
@given(
    rows=st.integers(0, 60),
    columns=st.integers(1, 30),
    cuts=st.lists(st.integers(0, 60), max_size=5),
    offset=st.sampled_from([0.0, -7.0, 1e3, 1e6]),
    seed=st.integers(0, 1000),
)
def test_any_split_and_any_tree_of_merges_agree(
    rows: int, columns: int, cuts: list[int], offset: float, seed: int
) -> None:
    x = drawn(rows, columns, offset=offset, seed=seed)
    bounds = [0, *sorted(min(c, rows) for c in cuts), rows]
    parts = [x[a:b] for a, b in itertools.pairwise(bounds)]
    state = Moments.none(columns)
    for part in parts:
        moments_update(*state, part)
    check(state, x, 1e-9)
    states = [moments(part) for part in parts]
    random = torch.Generator().manual_seed(seed)
    while len(states) > 1:
        i = int(torch.randint(len(states) - 1, (), generator=random))
        states[i : i + 2] = [moments_merge(states[i], states[i + 1])]
    check(states[0], x, 1e-9)


def test_many_sets_are_each_their_own(backend: Backend) -> None:
    x = torch.stack([drawn(30, 9, offset=k, seed=k) for k in range(27)]).to(backend.device)
    state = Moments.none(9, sets=27, device=backend.device)
    for part in x.split(11, dim=1):
        moments_update(*state, part.contiguous())
    joined = moments_merge(moments(x[:, :4].contiguous()), moments(x[:, 4:].contiguous()))
    for k in range(27):
        for found in (state, joined):
            check(Moments(*(part[k] for part in found)), x[k])


def test_the_number_of_threads_changes_no_bit() -> None:
    x = drawn(700, 150)
    found = []
    for threads in (1, 2, 3):
        torch.set_num_threads(threads)
        found.append(moments(x))
    torch.set_num_threads(2)
    for other in found[1:]:
        assert all(torch.equal(a, b) for a, b in zip(found[0], other, strict=True))


def test_a_repeated_run_changes_no_bit(backend: Backend) -> None:
    x = drawn(40, 70).to(backend.device)
    assert all(torch.equal(a, b) for a, b in zip(moments(x), moments(x), strict=True))


def test_no_rows_change_nothing(backend: Backend) -> None:
    state = moments(drawn(5, 3).to(backend.device))
    before = [part.clone() for part in state]
    moments_update(*state, torch.empty(0, 3, device=backend.device))
    assert all(torch.equal(a, b) for a, b in zip(before, state, strict=True))
    same = moments_merge(state, Moments.none(3, device=backend.device))
    assert all(torch.equal(a, b) for a, b in zip(before, same, strict=True))


def test_merging_leaves_both_as_they_were() -> None:
    a, b = moments(drawn(5, 3)), moments(drawn(6, 3, seed=1))
    before = [part.clone() for part in (*a, *b)]
    moments_merge(a, b)
    assert all(torch.equal(x, y) for x, y in zip(before, (*a, *b), strict=True))


def test_update_works_in_place_and_takes_any_stride() -> None:
    x = drawn(20, 8)
    state = Moments.none(4)
    assert moments_update(*state, x[::2, ::2])[2] is state.scatter
    check(state, x[::2, ::2])


def test_covariance_divides_by_the_estimator_s_count() -> None:
    x = drawn(9, 3)
    torch.testing.assert_close(moments(x).covariance(), torch.cov(x.mT))
    torch.testing.assert_close(moments(x).covariance(0), torch.cov(x.mT, correction=0))
    assert bool(moments(x[:1]).covariance().isnan().all())


def test_no_gradient_flows() -> None:
    x = drawn(4, 2).requires_grad_()
    assert not any(part.requires_grad for part in moments(x))


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), -float("inf")])
@pytest.mark.parametrize("dtype", DTYPES)
def test_the_row_that_is_not_finite_is_named_and_nothing_changes(
    bad: float, dtype: torch.dtype
) -> None:
    x = drawn(300, 5).to(dtype)
    x[271, 3], x[280, 0] = bad, bad
    state = moments(drawn(4, 5))
    before = [part.clone() for part in state]
    with pytest.raises(ParameterError, match=r"^row 271 of the features holds NaN or infinity, or"):
        moments_update(*state, x)
    assert all(torch.equal(a, b) for a, b in zip(before, state, strict=True))
    with pytest.raises(ParameterError, match=r"row 271 of set 1 of the features"):
        moments(torch.stack([drawn(300, 5).to(dtype), x]))


def test_a_sum_beyond_all_numbers_is_refused() -> None:
    with pytest.raises(
        ParameterError, match=r"row 2 of the features .* or the sum of rows is too large"
    ):
        moments(torch.full((3, 2), 1e308, dtype=torch.float64))


@pytest.mark.parametrize(
    ("features", "message"),
    [
        (torch.ones(3), r"features are torch.float32 \(3,\); they must be floating point \[row, "),
        (torch.ones(3, 2, dtype=torch.int64), r"features are torch.int64 \(3, 2\)"),
        (
            torch.ones(3, 3),
            r"features have shape \(3, 3\), the state's mean has \(2,\); the numbers",
        ),
        (torch.ones(1, 3, 2), r"features have shape \(1, 3, 2\), the state's mean has \(2,\)"),
        (torch.ones(3, 2, device="meta"), r"features is on meta"),
    ],
)
def test_features_that_do_not_fit_are_refused(features: Tensor, message: str) -> None:
    with pytest.raises(ParameterError, match=message):
        moments_update(*Moments.none(2), features)


def test_states_that_do_not_fit_are_refused() -> None:
    a = Moments.none(2)
    with pytest.raises(ParameterError, match=r"a has mean \(2,\), b has \(3,\)"):
        moments_merge(a, Moments.none(3))
    with pytest.raises(ParameterError, match=r"the state is torch.float64 \(\), torch.float32"):
        moments_update(a.count, a.mean.float(), a.scatter, torch.ones(1, 2))
    with pytest.raises(ParameterError, match=r"must be contiguous float64 count"):
        moments_update(a.count, a.mean, torch.zeros(4, 4).double()[::2, ::2], torch.ones(1, 2))


def opcheck_cases() -> dict[str, list[tuple[Any, ...]]]:
    random = torch.Generator().manual_seed(0)
    x = torch.randn(2, 5, 3, generator=random)
    a, b = moments(x), moments(1 + x)
    return {"moments_update": [(*a, x.half()), (*a, x)], "moments_merge": [(*a, *b)]}
