"""Numbers as they are printed."""

from __future__ import annotations

import math

import pytest

from otoscope.metrics import Interval
from otoscope.report.numbers import (
    decibels,
    decimals,
    equals_p,
    format_change,
    format_p,
    format_score,
    number,
    percent,
    points_text,
    signed,
    significant,
    with_bounds,
)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0, "0"),
        (1.654, "1.65"),
        (999.4, "999"),
        (1000.0, "1,000"),
        (26752.4, "26,752"),
        (-1e-4, "−0.0001"),
    ],
)
def test_significant_digits(value: float, text: str) -> None:
    assert significant(value) == text
    assert significant(math.inf) == significant(math.nan) == "–"


def test_zeros_have_no_sign() -> None:
    assert [decimals(-0.001), signed(-0.001), signed(0.001)] == ["0.00"] * 3
    assert [number(-0.00001), number(0.0004), number(-0.5)] == ["0", "0.0004", "−0.50"]
    assert [signed(0.1), signed(-0.1), signed(0.004, 3)] == ["+0.10", "−0.10", "+0.004"]


def test_ratios_may_be_infinite() -> None:
    assert [decibels(40), decibels(math.inf), decibels(-math.inf)] == ["40.00 dB", "∞ dB", "−∞ dB"]


def test_an_interval_follows_its_number() -> None:
    assert with_bounds(Interval(0.712, 0.65, 0.778, 0.95)) == "0.71 [0.65, 0.78]"
    assert with_bounds(None) == "–"


def test_scores_changes_and_p_values() -> None:
    assert format_score(Interval(0.714, 0.66, 0.75, 0.95)) == "0.71 (0.66–0.75)"
    assert format_change(Interval(-0.25, -0.3, 0.01, 0.95)) == "−0.25 (−0.30 to +0.01)"
    assert [format_p(0.0312), format_p(1e-4), format_p(None)] == ["0.031", "0.0001", "–"]
    assert [equals_p(0.0312), equals_p(9e-5)] == ["= 0.031", "< 0.0001"]
    assert [points_text(0.125), points_text(0.01)] == ["12.5 points", "1 point"]


def test_fractions_in_percent() -> None:
    assert [percent(0.123), percent(0.123, 1), percent(-0.001)] == ["12 %", "12.3 %", "0 %"]
