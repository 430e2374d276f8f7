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
    from matplotlib.axes import Axes
    from pandas import DataFrame

__all__ = ["Shown", "data_frame"]


class Shown:
    """A result that shows itself; `otoscope.report.notebook` draws it, and words its sentence."""

    def __str__(self) -> str:
        """Return the sentence at the top of the report."""
        text: str = _view("headline")(self)
        return text

    def __repr__(self) -> str:
        """Return the sentence with the name of the class: tensors and tables do not fit a line."""
        return f"{type(self).__name__}({self})"

    def _repr_html_(self) -> str:
        """Return the top of the report: its sentence, picture and players."""
        html: str = _view("html")(self)
        return html

    def plot(self, kind: str | None = None, *, ax: Axes | None = None) -> Axes:
        """Draw the result with matplotlib, with labels and units.

        Parameters
        ----------
        kind : str, optional
            Kind of figure, by default the first. Explanation: "spectrogram" (with the segments'
            coefficients in colour) or "bars". AttackResult: "confidence" (over steps) or "spectrum"
            (of original and difference). InterrogationResult: "scores" (of all changes) or the name
            of an intervention (its dose curve). MaximisationResult: "trace" (over iterations),
            "input" (the best one) or "spectrogram" (of an input that is a waveform).
        ax : Axes, optional
            Axes to draw on; new ones by default.

        Returns
        -------
        Axes
            The axes; ``ax.figure.savefig("figure.pdf")`` saves them.

        Raises
        ------
        ParameterError
            If there is no such kind, ``ax`` is not Axes, or there is nothing to draw.
        """
        axes: Axes = _view("plot")(self, kind, ax)
        return axes


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
