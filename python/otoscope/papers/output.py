"""What an experiment leaves in its folder: a record, and a figure that is the same each time."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from otoscope import records

__all__ = ["svg_figure", "write_record"]

_STYLE = {"svg.fonttype": "none", "svg.hashsalt": "otoscope", "font.size": 9}


def write_record(path: Path, record: Mapping[str, Any]) -> None:
    """Write everything that was measured, as JSON: whole, or not at all."""
    with records.replacing(path) as draft:
        draft.write_text(records.to_json(record) + "\n", encoding="utf-8")


@contextmanager
def svg_figure(path: Path, *, width: float, height: float) -> Iterator[Any]:
    """Give an empty matplotlib figure, in inches; what is drawn is written, its words as text."""
    import matplotlib as mpl
    from matplotlib.figure import Figure

    with mpl.rc_context(_STYLE):  # type: ignore[arg-type]
        figure = Figure(figsize=(width, height), layout="constrained")
        yield figure
        with records.replacing(path) as draft:
            figure.savefig(draft, format="svg", metadata={"Date": None})
