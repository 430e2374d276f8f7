"""Tables of an experiment on the terminal."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table as Shown

if TYPE_CHECKING:  # torch takes seconds to load
    from otoscope.report.tables import Table

__all__ = ["show_tables"]


def show_tables(tables: Iterable[Table], last: str) -> None:
    """Print tables, then a line that says where all of it is."""
    console = Console(markup=False, highlight=False)
    if not console.is_terminal:  # a file is as wide as it must be
        console.width = 200
    for table in tables:
        shown = Shown(*table.columns, title=table.title, title_justify="left", box=None)
        for row in table.rows:
            shown.add_row(*row)
        console.print(shown)
    console.print(last, soft_wrap=True)
