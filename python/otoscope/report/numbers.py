"""Numbers as reports, tables and the command line print them, with a true minus sign."""

from __future__ import annotations

import math

from otoscope.metrics import Interval

__all__ = [
    "MINUS",
    "UNKNOWN",
    "decibels",
    "decimals",
    "number",
    "signed",
    "significant",
    "with_bounds",
]

MINUS = "\N{MINUS SIGN}"
UNKNOWN = "–"
"""Printed for a number that is not known."""


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


def with_bounds(interval: Interval | None, *, decimals: int = 2) -> str:
    """Write a number with its interval, "0.71 [0.65, 0.78]"."""
    if interval is None:
        return UNKNOWN
    bounds = (f"{bound:.{decimals}f}" for bound in (interval.value, interval.low, interval.high))
    return "{} [{}, {}]".format(*bounds)
