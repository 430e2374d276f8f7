"""Splits: near duplicates are one group, and no group is in two splits."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from otoscope.errors import ParameterError
from otoscope.folk.abc import parse_tune, to_abc, transpose
from otoscope.folk.data import (
    generate_tune,
    group_tunes,
    split_groups,
)


@given(
    groups=st.lists(st.integers(0, 30), max_size=200),
    shares=st.tuples(st.floats(0, 0.49), st.floats(0, 0.49)),
    seed=st.integers(0, 2**32),
)
def test_no_group_is_in_two_splits(
    groups: list[int], shares: tuple[float, float], seed: int
) -> None:
    """And never more is held out than was asked for."""
    split = split_groups(groups, valid=shares[0], test=shares[1], seed=seed)
    assert split == split_groups(groups, valid=shares[0], test=shares[1], seed=seed)
    assert len(split) == len(groups)
    assert len(set(zip(groups, split, strict=True))) == len(set(groups))
    counts = Counter(split)
    assert set(counts) <= {"train", "valid", "test"}
    assert counts["valid"] <= round(shares[0] * len(groups))
    assert counts["test"] <= round(shares[1] * len(groups))


def test_shares_are_met_where_groups_are_small_and_seeds_differ() -> None:
    groups = [i // 2 for i in range(1000)]
    split = Counter(split_groups(groups, valid=0.1, test=0.2, seed=1))
    assert split == {"train": 700, "valid": 100, "test": 200}
    assert split_groups(groups, seed=1) != split_groups(groups, seed=2)


@pytest.mark.parametrize(
    ("valid", "test", "seed"),
    [(-0.1, 0.1, 0), (0.5, 0.5, 0), (float("nan"), 0, 0), (0.1, -1, 0), (0, 0, -1)],
)
def test_shares_out_of_range_are_refused(valid: float, test: float, seed: int) -> None:
    with pytest.raises(ParameterError, match=r"must be at least 0"):
        split_groups([1, 2, 3], valid=valid, test=test, seed=seed)


def test_settings_of_a_tune_are_one_group() -> None:
    """Transposed, one part only, another beginning; unrelated tunes stay apart."""
    drawn = [generate_tune(7, i, meter="4/4") for i in range(6)]
    abc = to_abc(drawn[2])
    bars = abc.split("|")
    varied = parse_tune(abc.replace(bars[1], "z8", 1)) if len(bars) > 1 else drawn[2]
    groups = group_tunes([*drawn, transpose(drawn[2], 5), varied])
    assert groups[:6] == [0, 1, 2, 3, 4, 5]
    assert groups[6:] == [2, 2]
    assert group_tunes([]) == []
