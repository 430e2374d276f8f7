"""Fields of a JSON object that came from a browser, and what can be chosen in one."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from otoscope.errors import ParameterError

__all__ = ["SEGMENTS", "choice", "number", "real", "text"]

SEGMENTS = {
    "temporal:10": "10 spans of time",
    "spectral:10": "10 frequency bands",
    "grid:4x3": "4 spans of time by 3 bands",
    "onsets": "from onset to onset",
    "beats": "beats",
}
"""Segments to choose from, with their names on the page."""

_MOST_CHARACTERS = 20_000


def text(item: Mapping[str, Any], name: str, default: str | None = None) -> str:
    """Return a field that is a text of bounded length."""
    value = item.get(name, default)
    if not isinstance(value, str) or len(value) > _MOST_CHARACTERS:
        raise ParameterError(f"{name} must be a text of at most {_MOST_CHARACTERS:,} characters")
    return value


def number(item: Mapping[str, Any], name: str, default: int) -> int:
    """Return a field that is a whole number."""
    value = item.get(name, default)
    if type(value) is not int:
        raise ParameterError(f"{name} is {_shown(value)}, must be a whole number")
    return value


def real(item: Mapping[str, Any], name: str, default: float) -> float:
    """Return a field that is a number."""
    value = item.get(name, default)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ParameterError(f"{name} is {_shown(value)}, must be a number")
    return float(value)


def choice(item: Mapping[str, Any], name: str, choices: Collection[str]) -> str:
    """Return a field that is one of some texts, by default the first."""
    value = item.get(name, next(iter(choices)))
    if not isinstance(value, str) or value not in choices:
        raise ParameterError(f"{name} is {_shown(value)}, must be one of {', '.join(choices)}")
    return value


def _shown(value: object) -> str:
    return "empty" if value is None else repr(value)
