"""A progress callback that records what it is called with."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from otoscope.progress import Display


def recording(seen: list[object]) -> Display:
    """Append the description, then each item when it is taken."""

    def progress(items: Sequence[Any], description: str) -> Iterator[Any]:
        seen.append(description)
        for item in items:
            seen.append(item)
            yield item

    return progress
