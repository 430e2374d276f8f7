"""Results in notebooks and papers: their tables, and the views that reports give them.

Reports stand on a floor above the results, so a result looks its view up by name when it is shown.
Pandas and matplotlib are imported then, too.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from importlib import import_module
from typing import TYPE_CHECKING, Any

from otoscope.errors import require_extra

if TYPE_CHECKING:
    from pandas import DataFrame

__all__ = ["Shown", "data_frame"]


class Shown:
    """A result that shows itself in notebooks; `otoscope.report.notebook` draws it."""

    def _repr_html_(self) -> str:
        """Return the top of the report: its sentence, picture and players."""
        html: str = _view("html")(self)
        return html


def _view(name: str) -> Callable[..., Any]:
    function: Callable[..., Any] = getattr(import_module("otoscope.report.notebook"), name)
    return function


def data_frame(rows: Iterable[Mapping[str, Any]], columns: Sequence[str]) -> DataFrame:
    """Make a table of rows that may lack columns; a number that is None or lacks becomes NaN.

    Raises
    ------
    MissingExtra
        If pandas is not installed.
    """
    pandas = require_extra("pandas", "notebook")
    cells: list[list[Any]] = [
        [math.nan if (cell := row.get(name)) is None else cell for name in columns] for row in rows
    ]
    frame: DataFrame = pandas.DataFrame(cells, columns=list(columns))
    return frame
