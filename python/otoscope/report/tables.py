"""Tables that a command prints and a record keeps."""

from __future__ import annotations

from dataclasses import dataclass

from otoscope.metrics import Interval

__all__ = ["Table", "with_bounds"]


@dataclass(frozen=True)
class Table:
    """A table: what it shows, its columns, and cells as they are printed."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


def with_bounds(interval: Interval | None, *, decimals: int = 2) -> str:
    """Write a number with its interval, "0.71 [0.65, 0.78]"; a dash for what is not known."""
    if interval is None:
        return "–"
    value, low, high = (
        f"{one:.{decimals}f}" for one in (interval.value, interval.low, interval.high)
    )
    return f"{value} [{low}, {high}]"
