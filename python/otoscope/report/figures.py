"""Tables and figures of experiments; SVG files are equal in every run and keep text as text."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from otoscope.records import replacing

__all__ = ["COLOURS", "ResultTable", "svg_figure"]

COLOURS = ("#1f6fb5", "#d98a1f", "#3a8f5c", "#8d9199")
"""Colours of lines: blue, orange, green and, for references, grey."""

_STYLE = {"svg.fonttype": "none", "svg.hashsalt": "otoscope", "font.size": 9}


@dataclass(frozen=True)
class ResultTable:
    """A table that a command prints and a record keeps: title, column names and printed cells."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


@contextmanager
def svg_figure(path: Path, *, width: float, height: float) -> Iterator[Any]:
    """Yield an empty matplotlib figure of a size in inches, and write it when the block ends."""
    import matplotlib as mpl
    from matplotlib.figure import Figure

    with mpl.rc_context(_STYLE):  # type: ignore[arg-type]
        figure = Figure(figsize=(width, height), layout="constrained")
        yield figure
        with replacing(path) as draft:
            figure.savefig(draft, format="svg", metadata={"Date": None})
