"""Tables and figures of experiments and robustness curves.

SVG files are equal in every run, and keep text as text.
"""

from __future__ import annotations

import math
from base64 import b64encode
from collections.abc import Iterator, Mapping, Sequence
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
    "draw_confusions",
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
    """Say up to which ratio half of the sounds fool the model, beside the rows around it.

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
    >>> curve_sentence(robustness_curve([40.0, 42.0, 50.0])).partition(":")[0]
    'Of 3 sounds, at least half fool the model up to 42.00 dB, and fewer above'
    """
    if math.isinf(curve.median_db):
        return f"Of {curve.n_sounds} sounds, less than half fool the model."
    rows = list(zip(curve.snr_db, curve.robust, strict=True))
    below = [row for row in rows if row[0] <= curve.median_db][-1:]
    above = [row for row in rows if row[0] > curve.median_db][:1]
    around = " and ".join(
        f"{decimals(robust.value)} at {decibels(snr_db)}" for snr_db, robust in [*below, *above]
    )
    return (
        f"Of {curve.n_sounds} sounds, at least half fool the model up to "
        f"{decibels(curve.median_db)}, and fewer above: the fraction that keeps its label is "
        f"{around}."
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


def draw_confusions(
    answers: Mapping[str, tuple[Sequence[str], Sequence[str]]], path: Path, *, columns: int = 4
) -> None:
    """Draw confusion matrices as SVG: a row per true label, a column per answer, in its fraction.

    Parameters
    ----------
    answers : mapping of str to (sequence of str, sequence of str)
        Title of each matrix, with the true labels of its items and the answers.
    path : Path
        File.
    columns : int
        Matrices beside each other.
    """
    import numpy as np

    names = sorted({label for pair in answers.values() for labels in pair for label in labels})
    n_rows, n_columns = -(-len(answers) // columns), min(columns, len(answers))
    size = 0.9 + 0.17 * len(names)
    with svg_figure(path, width=size * n_columns + 0.8, height=(size + 0.3) * n_rows) as figure:
        panels = figure.subplots(n_rows, n_columns, squeeze=False)
        for panel in panels.flat:
            panel.set_axis_off()
        for number, (panel, (title, pair)) in enumerate(
            zip(panels.flat, answers.items(), strict=False)
        ):
            counts = np.zeros((len(names), len(names)))
            for label, answer in zip(*pair, strict=True):
                counts[names.index(label), names.index(answer)] += 1
            fractions = counts / counts.sum(1, keepdims=True).clip(min=1)
            panel.set_axis_on()
            panel.pcolormesh(fractions, cmap="Blues", vmin=0, vmax=1)  # cells, as shapes
            panel.invert_yaxis()
            panel.set_aspect("equal")
            places = [place + 0.5 for place in range(len(names))]
            panel.set_xticks(places, names, rotation=90, fontsize=7)
            panel.set_yticks(places, names if number % columns == 0 else [], fontsize=7)
            panel.set_title(title.replace(": ", ":\n"), fontsize=8)


def curve_image(path: Path) -> str:
    """Return the address of a figure that is part of the page: the SVG file as data."""
    return "data:image/svg+xml;base64," + b64encode(path.read_bytes()).decode("ascii")
