"""Rates of verdicts with exact intervals, for experiments that repeat interrogations."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from otoscope.metrics import Interval

__all__ = ["VERDICTS", "rate", "rate_row", "verdict_counts"]

VERDICTS = ("cleared", "undecided", "horse")
"""Verdicts in the order of the tables' columns; "chance" counts as undecided."""


def rate(n_hits: int, n: int) -> Interval:
    """Return a fraction with its exact (Clopper-Pearson) interval of 95 %."""
    from scipy.stats import binomtest

    interval = binomtest(n_hits, n).proportion_ci(0.95)
    return Interval(n_hits / n, float(interval.low), float(interval.high), 0.95)


def rate_row(name: str, verdicts: Sequence[str]) -> tuple[str, ...]:
    """Return the number of runs and the rate of each verdict, for a table."""
    kinds = ["undecided" if kind == "chance" else kind for kind in verdicts]
    cells = (_cell(kinds.count(kind), len(kinds)) for kind in VERDICTS)
    return (name, *cells)


def verdict_counts(rows: Sequence[Mapping[str, Any]]) -> str:
    """Count the verdicts of rows, the most frequent first: "horse 3, cleared 2"."""
    counts = Counter(row["verdict"] for row in rows).most_common()
    return ", ".join(f"{kind} {count}" for kind, count in counts)


def _cell(n_hits: int, n: int) -> str:
    measured = rate(n_hits, n)
    return f"{n_hits} of {n} [{measured.low:.1%}, {measured.high:.1%}]"
