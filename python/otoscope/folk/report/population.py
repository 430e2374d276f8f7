"""The page of two populations of tunes: a figure and the distances of each aspect."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from markupsafe import Markup

from otoscope.folk.metrics import (
    AspectFigure,
    DensityFigure,
    EmbeddingDistance,
    Originality,
    PopulationDistance,
)
from otoscope.metrics import Interval
from otoscope.records import to_json
from otoscope.report.methods.bibliography import methods
from otoscope.report.numbers import Tick, percent, significant, ticks
from otoscope.report.pages import in_script, save_page

__all__ = ["PopulationContent", "save_population"]

_ALPHA: Final = 0.05
_MOST_BARS: Final = 24
_NEAREST: Final = 10  # tunes listed
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
    between: str = ""


@dataclass(frozen=True)
class _Near:
    """A generated tune and the tune of the collection that it resembles most."""

    name: str
    nearest: str
    containment: str
    percentile: str


@dataclass(frozen=True)
class _PopulationPage:
    """The page, ready to be printed."""

    title: str
    about: str
    sentence: str
    cautions: list[str]
    sections: list[_Section]
    pairs: list[_Section]
    originality: _Section | None
    nearest: list[_Near]
    embedding: _Section | None
    json: Markup


@dataclass(frozen=True, eq=False)
class PopulationContent:
    """Hold all distances, and what is drawn of them."""

    distances: Sequence[PopulationDistance]
    figures: Sequence[AspectFigure]
    densities: Sequence[DensityFigure] = ()
    originality: Originality | None = None
    embedding: EmbeddingDistance | None = None


def save_population(
    content: PopulationContent,
    path: str | os.PathLike[str],
    *,
    title: str,
    about: str,
    record: Mapping[str, Any],
) -> None:
    """Write the page: one HTML file that needs no network, whole or not at all.

    ``record`` is the result as JSON, with its sentence and notes.
    """

    def of(aspect: str) -> list[_Row]:
        return [_row(distance) for distance in content.distances if distance.aspect == aspect]

    originality, embedding = content.originality, content.embedding
    near = originality.generated[:_NEAREST] if originality else ()
    page = _PopulationPage(
        title,
        about,
        record["sentence"],
        list(record["notes"]),
        [_section(figure, of(figure.aspect)) for figure in content.figures],
        [_pairs(figure, of(figure.aspect)) for figure in content.densities],
        _section(originality.figure, of(originality.figure.aspect)) if originality else None,
        [
            _Near(row.name, row.nearest, percent(row.containment, 1), percent(row.percentile, 1))
            for row in near
        ],
        _embedding(embedding, of(embedding.distance.aspect)) if embedding else None,
        in_script(to_json(record)),
    )
    aspects = dict.fromkeys(distance.aspect for distance in content.distances)
    made = methods(
        f"Generated tunes were compared as a population with held-out tunes [@sturm2016folkrnn] "
        f"({about}), in these aspects: {', '.join(aspects)}."
    )
    save_page(page, "population.html", path, package="otoscope.folk.report", methods=made)


def _row(distance: PopulationDistance) -> _Row:
    return _Row(
        distance.kind,
        _bounds(distance.value),
        f"{distance.p_holm:.3f}",
        _bounds(distance.floor) if distance.floor else "",
        distance.p_holm < _ALPHA,
    )


def _embedding(embedding: EmbeddingDistance, rows: list[_Row]) -> _Section:
    title, definition = embedding.distance.aspect, embedding.definition
    return _Section(title, definition, rows, [], "", "", "", [], [])


def _pairs(figure: DensityFigure, rows: list[_Row]) -> _Section:
    """Draw three densities over the distance."""
    low, high = figure.distances[0], figure.distances[-1]
    curves = (figure.generated, figure.held_out, figure.between)
    highest = max(max(curve) for curve in curves) or 1.0
    x = 100 * (np.array(figure.distances) - low) / ((high - low) or 1.0)
    paths = [
        "M" + "L".join(f"{a:.2f} {b:.2f}" for a, b in zip(x, 100 - 100 * y, strict=True))
        for y in (np.array(curve) / highest for curve in curves)
    ]
    return _Section(
        _title(figure.aspect),
        figure.definition,
        *(rows, [], "", paths[0], paths[1], ticks(low, high, most=6), [], paths[2]),
    )


def _title(aspect: str) -> str:
    return aspect[0].upper() + aspect[1:]


def _section(figure: AspectFigure, rows: list[_Row]) -> _Section:
    title = _title(figure.aspect)
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
