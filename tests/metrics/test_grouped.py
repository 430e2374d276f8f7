"""Means over groups: the interval is that of groups, however many values they have."""

from __future__ import annotations

import numpy as np
import pytest

from otoscope.errors import ParameterError
from otoscope.metrics.grouped import group_draws, grouped_mean


def test_the_mean_is_over_values_and_the_interval_over_groups() -> None:
    values = [1.0] * 90 + [0.0] * 10 + [1.0] * 50 + [0.0] * 50
    interval = grouped_mean(values, ["a"] * 100 + ["b"] * 100)
    assert interval.value == pytest.approx(0.7)
    assert (interval.low, interval.high) == pytest.approx((0.5, 0.9))  # only a, only b


def test_repeating_each_value_changes_nothing() -> None:
    values = np.random.default_rng(0).normal(size=12).tolist()
    groups = list(range(12))
    once, ten = grouped_mean(values, groups), grouped_mean(values * 10, groups * 10)
    assert (ten.value, ten.low, ten.high) == pytest.approx((once.value, once.low, once.high))


def test_the_interval_of_a_normal_mean_has_its_width() -> None:
    values = np.random.default_rng(1).normal(size=400)
    interval = grouped_mean(values.tolist(), list(range(400)))
    expected = 2 * 1.96 * values.std() / 20
    assert interval.high - interval.low == pytest.approx(expected, rel=0.1)


def test_one_group_has_no_interval() -> None:
    interval = grouped_mean([1.0, 2.0], ["a", "a"])
    assert interval.value == 1.5
    assert np.isnan([interval.low, interval.high]).all()


@pytest.mark.parametrize(("values", "groups"), [([], []), ([1.0], [])])
def test_values_without_groups_are_refused(values: list[float], groups: list[str]) -> None:
    with pytest.raises(ParameterError, match="need as many groups"):
        grouped_mean(values, groups)


def test_numbers_out_of_range_are_refused() -> None:
    with pytest.raises(ParameterError, match="level 1"):
        grouped_mean([1.0], ["a"], level=1.0)
    with pytest.raises(ParameterError, match="n_groups is 0"):
        group_draws(0)
