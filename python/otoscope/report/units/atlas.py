"""The page of a layer: what drives each unit, made up and real, and what the unit is named by."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass

from otoscope.errors import ParameterError
from otoscope.report.geometry import Panel, mask_png
from otoscope.report.maximisation import Specimen, loudness, loudness_scale
from otoscope.report.methods.bibliography import methods
from otoscope.report.numbers import significant
from otoscope.report.pages import Fact, in_script, save_page, version_facts
from otoscope.report.sounds import Sound, data_uris

__all__ = ["AtlasSummary", "AtlasUnit", "save_atlas"]


@dataclass(frozen=True, eq=False)
class AtlasUnit:
    """A unit of a layer.

    ``name`` is empty for a unit without a name; ``note`` is the evidence in a sentence, and
    ``distance`` the Frechet distance of its made-up inputs to real excerpts, as text. ``made`` is
    its best made-up input, ``real`` the excerpts that drive it furthest.
    """

    unit: int
    name: str
    note: str
    distance: str
    made: Specimen
    real: Sequence[Specimen]


@dataclass(frozen=True)
class AtlasSummary:
    """Hold what the page says of the layer as a whole.

    ``about`` names model, prior and songs, ``sentence`` is the main result, and ``record`` has all
    numbers as JSON, to download from the page.
    """

    layer: str
    about: str
    sentence: str
    cautions: Sequence[str] = ()
    facts: Sequence[Fact] = ()
    record: str = "{}"


def save_atlas(
    units: Sequence[AtlasUnit],
    path: str | os.PathLike[str],
    summary: AtlasSummary,
) -> None:
    """Write the page of a layer: one HTML file, with its sounds, that needs no network.

    Parameters
    ----------
    units : sequence of AtlasUnit
        Units, in the order of the page.
    path : str or PathLike
        File to write, whole or not at all; ends in .html by custom.
    summary : AtlasSummary
        What the page says of the layer.

    Raises
    ------
    ParameterError
        If there is no unit, or ``path`` is a folder.
    OSError
        If the folder is missing or cannot be written.

    Examples
    --------
    >>> save_atlas(units, "atlas.html", summary)  # doctest: +SKIP
    """
    if not units:
        raise ParameterError("there are no units to show")
    page = _AtlasPage(
        title=f"What do the units of {summary.layer} want?",
        about=summary.about,
        sentence=summary.sentence,
        cautions=list(summary.cautions),
        units=[_shown(unit, cells) for unit, cells in zip(units, _cells(units), strict=True)],
        n_units=len(units),
        facts=[
            *summary.facts,
            *version_facts(),
        ],
        json=in_script(summary.record),
    )
    made = methods(
        f"For {len(units):,} units of {summary.layer} ({summary.about}), inputs were made by "
        "activation maximisation [@mishra2019], and shown beside the real excerpts that drive the "
        "unit furthest; units were named by concepts after Wu et al. [@wu2024and]."
    )
    save_page(page, "atlas.html", path, methods=made)


@dataclass(frozen=True)
class _Cell:
    """An input to see and hear."""

    panel: Panel
    sound: Sound


@dataclass(frozen=True)
class _ShownUnit:
    """A unit as the template prints it; ``text`` is what the filter searches."""

    unit: int
    heading: str
    is_named: bool
    note: str
    distance: str
    text: str
    cells: list[_Cell]


@dataclass(frozen=True)
class _AtlasPage:
    """The page of a layer."""

    title: str
    about: str
    sentence: str
    cautions: list[str]
    units: list[_ShownUnit]
    n_units: int
    facts: list[Fact]
    json: str


def _shown(unit: AtlasUnit, cells: list[_Cell]) -> _ShownUnit:
    heading = unit.name or "no name"
    places = " ".join(specimen.origin for specimen in unit.real)
    return _ShownUnit(
        unit.unit,
        heading,
        bool(unit.name),
        unit.note,
        unit.distance,
        f"unit {unit.unit} {heading} {places}".lower(),
        cells,
    )


def _cells(units: Sequence[AtlasUnit]) -> list[list[_Cell]]:
    """Draw and encode all specimens, pictures on one scale, that of the real excerpts."""
    scale = loudness_scale([specimen.patch for unit in units for specimen in unit.real])
    placed = [
        (unit.unit, i, specimen)
        for unit in units
        for i, specimen in enumerate([unit.made, *unit.real])
    ]
    uris = iter(_uris([specimen for _, _, specimen in placed]))
    cells: dict[int, list[_Cell]] = {unit.unit: [] for unit in units}
    for number, i, specimen in placed:
        key = f"{number}-{i}"
        panel = Panel(
            specimen.label,
            f"Loudness over time and frequency: unit {number}, {specimen.label}",
            f"picture-{key}",
            mask_png(loudness(specimen.patch, scale)),
            tuple(specimen.patch.values.shape),
        )
        note = f"{significant(specimen.activation)} · {specimen.origin}"
        cells[number].append(_Cell(panel, Sound(key, specimen.label, note, 0, 100, next(uris))))
    return [*cells.values()]


def _uris(specimens: Sequence[Specimen]) -> list[str]:
    """Encode the sounds, empty for those without one; all have one rate."""
    heard = [s.patch for s in specimens if s.patch.y is not None and s.patch.sr is not None]
    if not heard:
        return [""] * len(specimens)
    rates = {patch.sr for patch in heard}
    if len(rates) > 1:
        raise ParameterError(f"the sounds have rates {sorted(map(str, rates))}, must have one")
    encoded = iter(data_uris([p.y for p in heard if p.y is not None], sr=round(heard[0].sr or 0)))
    return [next(encoded) if s.patch.y is not None else "" for s in specimens]
