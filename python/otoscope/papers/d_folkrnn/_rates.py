"""Rates of tunes in records and tables, and nats of sampled tunes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from otoscope.folk.metrics import Rate
from otoscope.folk.model import SampledTune
from otoscope.report.numbers import UNKNOWN

__all__ = ["nats_of_drawn", "rate_cell", "rate_of"]


def rate_of(count: int, of: int) -> dict[str, float]:
    """Return a rate with its 95 % bounds, for a record."""
    interval = Rate.of_counts(count, of).interval
    bounds = {"value": interval.value, "low": interval.low, "high": interval.high}
    return {"count": count, "of": of, **bounds}


def rate_cell(rate: Mapping[str, float] | None) -> str:
    """Write a rate with its bounds in percent, for a table."""
    if rate is None:
        return UNKNOWN
    bounds = f"{100 * rate['low']:.1f} to {100 * rate['high']:.1f}"
    return f"{100 * rate['value']:.1f} % ({bounds})"


def nats_of_drawn(tunes: Sequence[SampledTune]) -> float:
    """Return the nats per drawn token by the network itself, whatever the temperature or mask."""
    return -sum(tune.log_probability for tune in tunes) / sum(tune.n_drawn for tune in tunes)
