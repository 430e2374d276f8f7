"""Tables and page of the units of a layer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import torch
from torch import Tensor

from otoscope.explain.maximise.inversion import Inversion
from otoscope.papers.b_maximisation._naming import NamedUnits, NamingRule
from otoscope.papers.b_maximisation._search import SearchSettings, UnitSearch, mixes
from otoscope.protocols import Patch
from otoscope.report.figures import ResultTable
from otoscope.report.maximisation import Specimen
from otoscope.report.numbers import percent, significant
from otoscope.report.pages import Fact
from otoscope.report.units.atlas import AtlasUnit

__all__ = [
    "best_units",
    "by_concept",
    "facts_of",
    "headline",
    "listed",
    "sentence",
    "shown_units",
    "title_of",
    "values_of",
]

_N_DRAWN = 16  # units of the figure


class AtlasSettings(SearchSettings, Protocol):
    """Settings of the experiment, as far as its page tells them."""

    @property
    def tagger(self) -> str:
        """Name of the tagger."""
        ...

    @property
    def seeds(self) -> int:
        """Number of searches per setting."""
        ...

    @property
    def rule(self) -> NamingRule:
        """Conditions of a name."""
        ...


def headline(counts: dict[str, Any], where: str) -> ResultTable:
    """Count units with and without a name, beside placebos."""
    n = counts["units"]
    shuffled = counts["shuffled"]
    mean = sum(shuffled) / len(shuffled)
    rows = [
        (name, str(n), str(counts[key]), str(n - counts[key]), percent(1 - counts[key] / n))
        for name, key in (("trained", "trained"), ("untrained network", "untrained"))
    ]
    text = f"{mean:.2g}, at most {max(shuffled)}"
    name = f"shuffled songs, mean of {len(shuffled)}"
    rows.append((name, str(n), text, significant(n - mean), percent(1 - mean / n)))
    title = f"Units that a concept names ({where}); measured by models, not by people"
    return ResultTable(
        title, ("truths", "units", "named", "without a name", "fraction"), tuple(rows)
    )


def by_concept(named: NamedUnits) -> ResultTable:
    """Count the units of each name."""
    names = [name for unit in range(len(named.chosen)) if (name := named.name(unit))]
    rows = sorted(
        ((name, str(names.count(name))) for name in {*names}), key=lambda r: (-int(r[1]), r[0])
    )
    title = (
        f"Names, of {len(named.concepts)} concepts; {len(named.left_out)} others are in too few "
        "songs"
    )
    return ResultTable(title, ("name", "units"), tuple(rows))


def listed(rows: Sequence[dict[str, Any]], named: NamedUnits) -> ResultTable:
    """List all units with their evidence."""
    columns = ("unit", "name", "candidate", "AUC, choosing", "AUC, testing", "q", "distance",
               "furthest made", "furthest real")  # fmt: skip
    lines = []
    for unit, row in enumerate(rows):
        choosing, testing, q = named.evidence(unit)
        lines.append(
            (
                str(unit),
                named.name(unit) or "—",
                named.candidate(unit),
                f"{choosing:.2f}",
                f"{testing:.2f}",
                f"{q:.2g}",
                _distance(row),
                significant(row["furthest"]),
                significant(row["places"][0]["activation"]),
            )
        )
    return ResultTable("All units", columns, tuple(lines))


def _distance(row: dict[str, Any]) -> str:
    value = row["distance"]
    text = significant(float("nan") if value is None else value)
    return f"at least {text}" if row["exploded"] else text


def best_units(named: NamedUnits) -> list[int]:
    """Return the units of the figure: named ones first, by their agreement on the testing half."""
    units = range(len(named.chosen))
    held = [abs(named.evidence(unit)[1] - 0.5) for unit in units]
    return sorted(units, key=lambda unit: (not named.is_named[unit], -held[unit]))[:_N_DRAWN]


def title_of(row: dict[str, Any], named: NamedUnits, unit: int) -> str:
    """Title a unit in the figure."""
    return f"{unit}: {named.name(unit) or 'no name'}, {significant(row['furthest'])}"


def values_of(row: dict[str, Any]) -> Tensor:
    """Return the best made-up input of a unit [frame, mel]."""
    return torch.tensor(row["example"], dtype=torch.float64)


def sentence(counts: dict[str, Any]) -> str:
    """Say how many units have no name."""
    n, shuffled = counts["units"], counts["shuffled"]
    return (
        f"{n - counts['trained']} of {n} units are left without a name: for {counts['trained']} a "
        f"concept holds on songs that it was not chosen on. Without training {counts['untrained']} "
        f"get a name, and with shuffled songs {sum(shuffled) / len(shuffled):.2g}."
    )


def shown_units(
    rows: Sequence[dict[str, Any]], named: NamedUnits, search: UnitSearch, config: AtlasSettings
) -> list[AtlasUnit]:
    """Make the specimens of all units, with their sounds."""
    inversion = Inversion.of(search.model)
    patches = _real_patches(rows, search, inversion, config)
    units = []
    for unit, row in enumerate(rows):
        values = values_of(row)
        y = None if inversion is None else inversion.sound(values, seed=unit)
        patch = Patch(values) if inversion is None else inversion.patch(values, y)
        setting = "rate {rate:g}, penalty {penalty:g}, {iterations} iterations".format(
            **row["setting"]
        )
        made = Specimen("Made up", patch, row["furthest"], f"{setting}, seed {row['best_seed']}")
        real = [
            Specimen(
                label,
                patches[place["index"]],
                place["activation"],
                f"{place['song']}, {place['start']:.2f} s",
            )
            for label, place in zip(("Furthest", "Second", "Third"), row["places"], strict=False)
        ]
        choosing, testing, q = named.evidence(unit)
        note = (
            f"{named.candidate(unit)}: AUC {choosing:.2f} where chosen, {testing:.2f} on other "
            f"songs, q = {q:.2g}."
        )
        units.append(AtlasUnit(unit, named.name(unit), note, _distance(row), made, real))
    return units


def _real_patches(
    rows: Sequence[dict[str, Any]],
    search: UnitSearch,
    inversion: Inversion | None,
    config: AtlasSettings,
) -> dict[int, Patch]:
    """Cut the sounds of the real excerpts that are shown, song by song."""
    model, values = search.model, search.real.values
    places = {place["index"]: place for row in rows for place in row["places"]}
    if inversion is None:
        return {index: Patch(values[index, 0].cpu()) for index in places}
    n, patches = model.patch_frames * model.hop_length, {}
    for name, stems in zip(search.names, mixes(config, model, len(search.names)), strict=True):
        for index, place in places.items():
            if place["song"] == name:
                first = round(place["start"] * model.sample_rate)
                y = (stems.voice + stems.backing)[first : first + n]
                patches[index] = inversion.patch(values[index, 0], y)
    return patches


def facts_of(config: AtlasSettings, named: NamedUnits, search: UnitSearch) -> list[Fact]:
    """List the settings."""
    rule = config.rule
    return [
        Fact("Model", config.model),
        Fact("Layer", config.layer),
        Fact("Songs", f"{len(search.names)}", "half to choose names, half to test them"),
        Fact("Excerpts", f"{len(search.real.songs):,}", f"every {config.every:g} s"),
        Fact("Concepts", f"{len(named.concepts)}", f"{len(named.left_out)} are in too few songs"),
        Fact("Tagger", config.tagger),
        Fact("Least AUC of a name", f"{rule.least_auc:g}"),
        Fact("False discovery rate", f"{rule.level:g}", "Benjamini and Hochberg, over all pairs"),
        Fact("Permutations of songs", f"{rule.permutations:,}"),
        Fact("Searches per setting", f"{config.seeds}"),
    ]
