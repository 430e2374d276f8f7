"""Type of a progress callback, and the silent one."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeAlias

__all__ = ["Progress", "silent"]

Progress: TypeAlias = Callable[[Sequence[Any], str], Iterable[Any]]
"""Called with items and a description; yields the items while showing how many are done."""


def silent(items: Sequence[Any], description: str) -> Iterable[Any]:
    """Return the items without showing anything."""
    return items
