"""Tables and figures of experiments and robustness curves.

SVG files are equal in every run, and keep text as text.
"""

from __future__ import annotations

import math
from base64 import b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from otoscope.records import replacing
from otoscope.report.numbers import decibels, decimals

if TYPE_CHECKING:
    from otoscope.attack.strong import RobustnessCurve

__all__ = [
    "COLOURS",
    "ResultTable",
    "curve_image",
    "curve_sentence",
    "curve_table",
    "draw_robustness_curve",
    "svg_figure",
]

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


def curve_sentence(curve: RobustnessCurve) -> str:
    """Say at which ratio half of the sounds fool the model.

    Parameters
    ----------
    curve : RobustnessCurve
        The curve.

    Returns
    -------
    str
        A sentence.

    Examples
    --------
    >>> from otoscope.attack.strong import robustness_curve
    >>> curve_sentence(robustness_curve([40.0, 42.0, 50.0]))
    'Of 3 sounds, half fool the model at 42.00 dB or less.'
    """
    if math.isinf(curve.median_db):
        return f"Of {curve.n_sounds} sounds, less than half fool the model."
    return (
        f"Of {curve.n_sounds} sounds, half fool the model at {decibels(curve.median_db)} or less."
    )


def curve_table(curve: RobustnessCurve) -> ResultTable:
    """Lay out a curve as a table of ratios, fractions and their intervals."""
    return ResultTable(
        "Sounds that keep their label",
        ("SNR bound", "fraction", "95 % interval"),
        tuple(
            (
                decibels(snr_db),
                decimals(robust.value),
                f"{decimals(robust.low)}-{decimals(robust.high)}",
            )
            for snr_db, robust in zip(curve.snr_db, curve.robust, strict=True)
        ),
    )


def draw_robustness_curve(curve: RobustnessCurve, path: Path) -> None:
    """Draw the fraction of sounds that keep their label against the bound, as SVG."""
    low, high = [f.low for f in curve.robust], [f.high for f in curve.robust]
    with svg_figure(path, width=4.8, height=3.0) as figure:
        axes = figure.add_subplot()
        axes.fill_between(curve.snr_db, low, high, color=COLOURS[0], alpha=0.2, lw=0)
        values = [f.value for f in curve.robust]
        axes.plot(curve.snr_db, values, "-o", color=COLOURS[0], ms=4)
        axes.set(ylim=(-0.03, 1.03), xlabel="minimum signal-to-noise ratio in dB")
        axes.set_ylabel("fraction that keeps its label")
        axes.set_title(f"{curve.n_sounds} sounds, 95 % intervals", fontsize=9)


def curve_image(path: Path) -> str:
    """Return the address of a figure that is part of the page: the SVG file as data."""
    return "data:image/svg+xml;base64," + b64encode(path.read_bytes()).decode("ascii")
