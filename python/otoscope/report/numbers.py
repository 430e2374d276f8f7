"""Numbers as reports, axes, tables and the command line print them, with a true minus sign."""

from __future__ import annotations

import math
from dataclasses import dataclass

from otoscope.metrics import Interval

__all__ = [
    "MINUS",
    "UNKNOWN",
    "Tick",
    "decibels",
    "decimals",
    "equals_p",
    "format_change",
    "format_p",
    "format_score",
    "number",
    "percent",
    "points_text",
    "signed",
    "significant",
    "ticks",
    "with_bounds",
]

MINUS = "\N{MINUS SIGN}"
UNKNOWN = "–"
"""Printed for a number that is not known."""


@dataclass(frozen=True)
class Tick:
    """A mark on an axis: its position, percent from the low end, and its label."""

    at: float
    label: str


def number(value: float) -> str:
    """Write two decimals, or up to four where these would be zeros."""
    text = f"{value:.2f}" if abs(value) >= 0.005 else f"{round(value, 4) + 0.0:g}"
    return text.replace("-", MINUS)


def decimals(value: float, count: int = 2) -> str:
    """Write a fixed number of decimals; no minus sign before zeros only."""
    return f"{round(value, count) + 0.0:.{count}f}".replace("-", MINUS)


def signed(value: float, count: int = 2) -> str:
    """Write a fixed number of decimals with the sign, "+0.10"; zero has none."""
    return "+" * (round(value, count) > 0) + decimals(value, count)


def significant(value: float, digits: int = 3) -> str:
    """Write significant digits, from 1000 to a million whole numbers, a dash if not finite."""
    if not math.isfinite(value):
        return UNKNOWN
    text = f"{value:.{digits}g}" if not 1000 <= abs(value) < 1e6 else f"{value:,.0f}"
    return text.replace("-", MINUS)


def decibels(value: float) -> str:
    """Write a level or a ratio in dB, which may be infinite."""
    if math.isinf(value):
        return f"{MINUS * (value < 0)}∞ dB"
    return f"{decimals(value)} dB"


def with_bounds(interval: Interval | None, *, count: int = 2) -> str:
    """Write a number with its interval, "0.71 [0.65, 0.78]"; alone where no bounds are known."""
    if interval is None:
        return UNKNOWN
    if math.isnan(interval.low):
        return f"{interval.value:.{count}f}"
    bounds = (f"{bound:.{count}f}" for bound in (interval.value, interval.low, interval.high))
    return "{} [{}, {}]".format(*bounds)


def percent(fraction: float, count: int = 0) -> str:
    """Write a fraction in percent with a fixed number of decimals, "12.5 %"."""
    return f"{decimals(100 * fraction, count)} %"


def format_score(interval: Interval | None) -> str:
    """Format a score with its interval; a dash if it is unknown."""
    if interval is None:
        return UNKNOWN
    value, low, high = map(decimals, (interval.value, interval.low, interval.high))
    return f"{value} ({low}–{high})"


def format_change(interval: Interval) -> str:
    """Format a change with its sign and interval."""
    value, low, high = map(signed, (interval.value, interval.low, interval.high))
    return f"{value} ({low} to {high})"


def format_p(p: float | None) -> str:
    """Format a p-value with two digits; a dash if there was no test."""
    if p is None:
        return UNKNOWN
    return f"{p:.2g}" if p >= 1e-4 else "< 0.0001"


def points_text(fraction: float) -> str:
    """Format a change of the score in points: hundredths of the score's range."""
    value = f"{100 * fraction:.3g}"
    return f"{value} point{'s' * (value != '1')}"


def equals_p(p: float) -> str:
    """Format a p-value with its sign of comparison: "= 0.03" or "< 0.0001"."""
    text = format_p(p)
    return text if text.startswith("<") else f"= {text}"


def ticks(low: float, high: float, *, most: int = 8) -> list[Tick]:
    """Mark round numbers in [low, high], ``low < high``: two or more, about ``most`` at most.

    They are 1, 2 or 5 times a power of 10 apart.
    """
    rounding = 1e-9 * (high - low)
    apart = (high - low) / most
    power = 10.0 ** math.floor(math.log10(apart))
    steps = [scale * power for scale in (0.2, 0.5, 1, 2, 5, 10)]
    enough = next(i for i, step in enumerate(steps) if step >= apart * (1 - 1e-9))
    for step in reversed(steps[: enough + 1]):
        first, last = math.ceil((low - rounding) / step), math.floor((high + rounding) / step)
        if last > first:
            break
    return [
        Tick(100 * (n * step - low) / (high - low), f"{n * step:g}".replace("-", MINUS))
        for n in range(first, last + 1)
    ]
