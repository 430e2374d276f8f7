"""Rates over a book: Wilson's and Newcombe's bounds, counts, means."""

from __future__ import annotations

import math

import numpy as np
import pytest
import scipy.stats
from hypothesis import given
from hypothesis import strategies as st

from otoscope.folk.abc import NotationError, parse_tune
from otoscope.folk.data import generate_tune
from otoscope.folk.metrics import Rate, check_tune, difference, summarise
from otoscope.records import to_json
from tests.support.tune_faults import quarters


@given(st.integers(0, 60), st.integers(1, 60))
def test_rate_has_wilsons_bounds(count: int, extra: int) -> None:
    of = count + extra
    share, z = count / of, float(scipy.stats.norm.ppf(0.975))
    centre = (share + z**2 / (2 * of)) / (1 + z**2 / of)
    half = z / (1 + z**2 / of) * math.sqrt(share * (1 - share) / of + z**2 / (4 * of**2))
    result = Rate.of_counts(count, of).interval
    assert result.value == share
    assert result.low == pytest.approx(max(centre - half, 0), abs=1e-9)
    assert result.high == pytest.approx(min(centre + half, 1), abs=1e-9)


def test_difference_has_newcombes_bounds() -> None:
    """Newcombe 1998, table II: 56/70 - 48/80, method 10: 0.0524 to 0.3339."""
    result = difference(Rate.of_counts(56, 70), Rate.of_counts(48, 80))
    assert (result.value, result.low, result.high) == pytest.approx((0.2, 0.0524, 0.3339), abs=5e-5)


def test_summary_counts_over_the_book() -> None:
    checks = [check_tune(generate_tune(0, i)) for i in range(8)]
    checks += [
        check_tune(quarters("CD|E|FG|]")),
        check_tune(NotationError("x", reason="x", line=3)),
    ]
    result = summarise(checks)
    assert result.tunes == 10
    counts = {name: (rate.count, rate.of) for name, rate in result.rates.items()}
    assert counts["valid"] == (8, 10)
    assert counts["valid_inside"] == (8, 10)
    assert counts["parse"] == (9, 10)
    assert counts["bars"] == (8, 9)
    assert counts["tonic"] == (8, 9)
    assert counts["cadence"] == (8, 8)
    assert result.measures["short"] == 1
    assert result.forms["AABB"] == 8
    notes = [check.features.notes for check in checks if check.features]
    mean = result.means["notes"]
    assert mean.value == pytest.approx(np.mean(notes))
    assert mean.low < mean.value < mean.high
    assert result == summarise(checks)
    assert sum(result.degrees_by_count.values()) == pytest.approx(1)
    assert '"valid": {"count": 8' in to_json(result.to_dict())


def test_degrees_are_means_over_tunes_with_a_tonic() -> None:
    result = summarise([check_tune(quarters("CC|GC|]")), check_tune(parse_tune("K:none\nCDEF|]"))])
    assert result.degrees_by_count["1"] == 0.75
    assert sum(result.degrees_by_duration.values()) == pytest.approx(1)


def test_summary_without_any_readable_tune() -> None:
    result = summarise([check_tune(NotationError("x", reason="x"))])
    assert set(result.rates) == {"valid", "valid_inside", "parse"}
    assert result.means == {}
    assert result.degrees_by_count == {}
