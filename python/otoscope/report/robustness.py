"""Robustness curve of attacked files: sentence, table and figure."""

from __future__ import annotations

import math
from base64 import b64encode
from pathlib import Path

from otoscope.attack.strong import RobustnessCurve
from otoscope.report.figures import COLOURS, ResultTable, svg_figure
from otoscope.report.numbers import decibels, decimals

__all__ = ["curve_image", "curve_sentence", "curve_table", "draw_robustness_curve"]


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
