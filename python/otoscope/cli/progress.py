"""Progress bars on stderr, so that what a command prints can be piped."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TypeVar

from rich.console import Console
from rich.progress import track

__all__ = ["progress"]

Item = TypeVar("Item")


def progress(
    items: Iterable[Item], *, description: str, total: float | None = None
) -> Iterator[Item]:
    """Go through items under a bar that is gone when they are done.

    Parameters
    ----------
    items : iterable
        What to go through.
    description : str
        What is being done to them, "explaining".
    total : float, optional
        How many there are, if ``items`` has no length.

    Yields
    ------
    item
        Each item. No bar is drawn unless stderr is a terminal.

    Examples
    --------
    >>> [song for song in progress(["a.ogg", "b.ogg"], description="explaining")]
    ['a.ogg', 'b.ogg']
    """
    console = Console(stderr=True)
    bar = track(
        items, description, total, console=console, transient=True, disable=not console.is_terminal
    )
    yield from bar
