"""The page of two populations of tunes: a figure and the distances of each aspect."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from markupsafe import Markup

from otoscope.folk.metrics import AspectFigure, PopulationDistance
from otoscope.metrics import Interval
from otoscope.records import to_json
from otoscope.report.numbers import Tick, percent, significant, ticks
from otoscope.report.pages import in_script, save_page

__all__ = ["save_population"]

_ALPHA: Final = 0.05
_MOST_BARS: Final = 24
_FURTHEST: Final = 0.995  # fraction of the tunes that is drawn of a distribution


@dataclass(frozen=True)
class _Bar:
    """Two bars of a category, and their lengths in percent of the longest."""

    label: str
    generated: str
    held_out: str
    generated_length: float
    held_out_length: float


@dataclass(frozen=True)
class _Row:
    """A distance and its floor."""

    kind: str
    value: str
    p: str
    floor: str
    differs: bool


@dataclass(frozen=True)
class _Section:
    """An aspect of the page: bars, or the steps of two distributions."""

    title: str
    definition: str
    rows: list[_Row]
    bars: list[_Bar]
    more: str
    generated: str
    held_out: str
    value_ticks: list[Tick]
    share_ticks: list[Tick]


@dataclass(frozen=True)
class _PopulationPage:
    """The page, ready to be printed."""

    title: str
    about: str
    sentence: str
    cautions: list[str]
    sections: list[_Section]
    json: Markup


def save_population(
    distances: Sequence[PopulationDistance],
    figures: Sequence[AspectFigure],
    path: str | os.PathLike[str],
    *,
    title: str,
    about: str,
    record: Mapping[str, Any],
) -> None:
    """Write the page: one HTML file that needs no network, whole or not at all.

    ``record`` is the result as JSON, with its sentence and notes.
    """
    sections = [
        _section(figure, [d for d in distances if d.aspect == figure.aspect]) for figure in figures
    ]
    page = _PopulationPage(
        title,
        about,
        record["sentence"],
        list(record["notes"]),
        sections,
        in_script(to_json(record)),
    )
    save_page(page, "population.html", path, package="otoscope.folk.report")


def _section(figure: AspectFigure, distances: Sequence[PopulationDistance]) -> _Section:
    rows = [
        _Row(
            distance.kind,
            _bounds(distance.value),
            f"{distance.p_holm:.3f}",
            _bounds(distance.floor) if distance.floor else "",
            distance.p_holm < _ALPHA,
        )
        for distance in distances
    ]
    title = figure.aspect[0].upper() + figure.aspect[1:]
    if figure.labels:
        bars, more = _bars(figure)
        return _Section(title, figure.definition, rows, bars, more, "", "", [], [])
    generated, held_out, marks = _steps(figure)
    shares = ticks(0, 1, most=3)
    return _Section(title, figure.definition, rows, [], "", generated, held_out, marks, shares)


def _bars(figure: AspectFigure) -> tuple[list[_Bar], str]:
    """Draw the most frequent categories, in their order."""
    pairs = list(zip(figure.labels, figure.generated, figure.held_out, strict=True))
    often = sorted(pairs, key=lambda pair: -max(pair[1:]))[:_MOST_BARS]
    longest = max(max(pair[1:]) for pair in pairs) or 1.0
    bars = [
        _Bar(label or "none", percent(a, 1), percent(b, 1), 100 * a / longest, 100 * b / longest)
        for label, a, b in pairs
        if (label, a, b) in often
    ]
    n_more = len(pairs) - len(bars)
    return bars, f"{n_more:,} rarer ones are not drawn" if n_more else ""


def _steps(figure: AspectFigure) -> tuple[str, str, list[Tick]]:
    """Draw two distribution functions up to where nearly all tunes are."""
    values = np.array(figure.values)
    shares = np.array([(*figure.generated, 1.0), (*figure.held_out, 1.0)])
    shown = np.flatnonzero(shares.min(0) >= _FURTHEST)[0] + 1
    low, high = float(values[0]), float(values[shown - 1])
    marks = ticks(low, high, most=6) if high > low else [Tick(0.0, significant(low))]
    span = (high - low) or 1.0
    paths = []
    for row in shares[:, :shown]:
        before, parts = 0.0, ["M0 100"]
        for value, share in zip(values[:shown], row, strict=True):
            x = 100 * (value - low) / span
            parts.append(f"L{x:.2f} {100 - 100 * before:.2f} {x:.2f} {100 - 100 * share:.2f}")
            before = float(share)
        paths.append("".join(parts))
    return paths[0], paths[1], marks


def _bounds(interval: Interval) -> str:
    values = (interval.value, interval.low, interval.high)
    value, low, high = (significant(number) for number in values)
    return f"{value} ({low}\u2013{high})"
