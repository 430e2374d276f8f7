"""Feature sets do not depend on the batches or merges they were made by."""

from __future__ import annotations

from functools import reduce

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from otoscope.errors import ParameterError
from otoscope.metrics.feature_set import FeatureSet, check_features, few_rows
from tests.support.examples import examples


def assert_same(result: FeatureSet, x: torch.Tensor) -> None:
    """Compare with two-pass moments, within rounding."""
    assert result.n_rows == x.shape[-2]
    moments = result.moments
    torch.testing.assert_close(moments.mean, x.mean(-2), rtol=1e-11, atol=1e-12)
    centred = x - x.mean(-2, keepdim=True)
    torch.testing.assert_close(moments.scatter, centred.mT @ centred, rtol=1e-10, atol=1e-10)


@examples(40)
@given(
    sizes=st.lists(st.integers(0, 9), min_size=1, max_size=8),
    columns=st.integers(1, 12),
    seed=st.integers(0, 999),
)
def test_batches_and_order_of_merges_do_not_matter(
    sizes: list[int], columns: int, seed: int
) -> None:
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(sum(sizes), columns, generator=generator, dtype=torch.float64)
    if not len(x):
        return
    parts = x.split(sizes)
    added = reduce(lambda features, part: features.added(part), parts, FeatureSet.none())
    left = reduce(FeatureSet.joined, (FeatureSet.none().added(part) for part in parts))
    right = reduce(
        lambda features, part: part.joined(features),
        [FeatureSet.none().added(part) for part in reversed(parts)],
    )
    for result in (added, left, right):
        assert_same(result, x)
        assert len(result.rows) == (len(x) if len(x) <= columns else 0)
    if len(x) <= columns:
        torch.testing.assert_close(left.rows, x, rtol=0, atol=0)


def test_rows_are_dropped_when_they_outnumber_columns() -> None:
    features = FeatureSet.none()
    for n in range(1, 9):
        features = features.added(torch.full((1, 4), float(n)))
        assert len(features.rows) == (n if n <= 4 else 0)
        assert max(part.numel() for part in features) <= 16


def test_many_sets_are_each_by_itself(random: torch.Generator) -> None:
    x = torch.randn(3, 11, 4, generator=random, dtype=torch.float64)
    features = FeatureSet.none(sets=3)
    for part in x.split([2, 5, 4], 1):
        features = features.added(part)
    assert features.n_rows == 11
    for result, expected in zip(features.moments.scatter, x, strict=True):
        assert_same(FeatureSet.of(expected), expected)
        torch.testing.assert_close(result, FeatureSet.of(expected).moments.scatter)


def test_a_merge_leaves_its_parts_alone(random: torch.Generator) -> None:
    x = torch.randn(20, 3, generator=random, dtype=torch.float64)
    first, second = FeatureSet.of(x[:8]), FeatureSet.of(x[8:])
    both = FeatureSet.none().joined(first)
    both.added(x[8:])
    both = first.joined(second)
    both.added(x)
    assert_same(first, x[:8])
    assert_same(second, x[8:])


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32])
@pytest.mark.parametrize("n_rows", [3, 30])
def test_narrow_types_are_read_exactly(
    dtype: torch.dtype, n_rows: int, random: torch.Generator
) -> None:
    x = torch.randn(n_rows, 5, generator=random).to(dtype)
    assert_same(FeatureSet.of(x), x.double())


@pytest.mark.parametrize("n_rows", [4, 40])
@pytest.mark.parametrize("bad", [torch.nan, torch.inf, -torch.inf])
def test_a_row_that_is_not_finite_is_named_and_changes_nothing(n_rows: int, bad: float) -> None:
    features = FeatureSet.of(torch.zeros(n_rows, 20))
    x = torch.zeros(n_rows, 20)
    x[2, 7] = bad
    with pytest.raises(ParameterError, match="row 2 of the features holds NaN or infinity"):
        features.added(x)
    with pytest.raises(ParameterError, match="row 2 of set 1 of the features"):
        FeatureSet.none(sets=2).added(
            torch.stack([x * 0 if bad == 0 else x.nan_to_num(0, 0, 0), x])
        )
    assert_same(features, torch.zeros(n_rows, 20).double())


@pytest.mark.parametrize(
    ("features", "message"),
    [
        (torch.zeros(4), r"shape \(4,\); they must be \[row, column\]: one neuron is x\[:, None\]"),
        (torch.zeros(4, 2, 3, 3), "pool or flatten a layer's output"),
        (torch.zeros(4, 0), "at least one column"),
        (torch.zeros(4, 2, dtype=torch.int32), "torch.int32"),
        (torch.zeros(4, 2, dtype=torch.complex64), "must be floating point"),
    ],
)
def test_invalid_features_are_refused(features: torch.Tensor, message: str) -> None:
    with pytest.raises(ParameterError, match=message):
        check_features(features)


@pytest.mark.parametrize("n_rows", [3, 30])
@pytest.mark.parametrize("size", [1e200, 1.5e308])
def test_features_too_large_for_float64_are_refused(n_rows: int, size: float) -> None:
    x = torch.zeros(n_rows, 5, dtype=torch.float64)
    x[::2] = size
    with pytest.raises(ParameterError, match=r"overflow|the sum of rows is too large"):
        FeatureSet.of(x).normal()


@pytest.mark.parametrize("ddof", [0, 1])
@pytest.mark.parametrize("n_rows", [3, 30])
def test_a_covariance_divides_by_rows_less_ddof(
    n_rows: int, ddof: int, random: torch.Generator
) -> None:
    x = torch.randn(n_rows, 5, generator=random, dtype=torch.float64)
    expected = torch.cov(x.mT, correction=ddof).trace()
    torch.testing.assert_close(FeatureSet.of(x).normal(ddof).trace, expected)


def test_a_single_row_has_no_covariance() -> None:
    with pytest.raises(ParameterError, match="1 rows; a covariance takes 2 or more"):
        FeatureSet.of(torch.zeros(1, 3)).normal()
    assert float(FeatureSet.of(torch.zeros(1, 3)).normal(ddof=0).trace) == 0


@pytest.mark.parametrize(("n_rows", "warns"), [(2, True), (3, True), (4, False)])
def test_a_covariance_of_full_rank_takes_one_row_more_than_columns(
    n_rows: int, warns: bool
) -> None:
    assert bool(few_rows("the real set", n_rows, 3)) == warns
