"""Progress bars on stderr, so that what a command prints can be piped."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, TypeAlias

from rich.console import Console
from rich.progress import Progress, TimeElapsedColumn

__all__ = ["Bars", "bars"]

Bars: TypeAlias = "Callable[[Sequence[Any], str], Iterator[Any]]"


@contextmanager
def bars() -> Iterator[Bars]:
    """Open a place for progress bars, one within the other, that are gone when they are done.

    Yields
    ------
    callable (items, description) -> iterator
        Gives the items under a bar; of one item no part is known to be done, so its bar moves.
        Nothing is drawn unless stderr is a terminal.

    Examples
    --------
    >>> with bars() as progress:
    ...     [song for song in progress(["a.ogg", "b.ogg"], "files")]
    ['a.ogg', 'b.ogg']
    """
    console = Console(stderr=True)
    shown = Progress(
        *Progress.get_default_columns(),
        TimeElapsedColumn(),
        console=console,
        transient=True,
        redirect_stdout=False,  # what is piped must not end on the terminal
        disable=not console.is_terminal,
    )

    def progress(items: Sequence[Any], description: str) -> Iterator[Any]:
        bar = shown.add_task(description, total=len(items) if len(items) > 1 else None)
        for item in items:
            yield item
            shown.advance(bar)
        shown.remove_task(bar)

    with shown:
        yield progress
