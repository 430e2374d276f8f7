"""Prepare folk tunes for training: read, reject and say why, group, split, write a folder."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, cast

from otoscope import records
from otoscope.errors import ParameterError
from otoscope.folk.data import (
    Form,
    PlacedTune,
    ReadTune,
    RejectedTune,
    Tally,
    files_of,
    group_tunes,
    new_folder,
    read_tunes,
    save_prepared,
    split_groups,
    tally,
)
from otoscope.folk.report.prepared import notes, save_tunes, sentence
from otoscope.progress import Progress

__all__ = ["PrepareFolk", "PreparedFolk", "prepare_folk", "save_folk"]


@dataclass(frozen=True)
class PrepareFolk:
    """What to prepare, and how.

    Parameters
    ----------
    sources : tuple of str
        "aird", "oneill", "ryan", "misc", "generated:N", and paths of ABC files, of folders of
        these, or of files of tokens.
    tokens : {"v1", "v2", "v3"}
        Of paper D: characters; tokens on C; tokens on C and C sharp.
    valid, test : float
        Shares of the tunes to hold out, at least 0 and below 1 together.
    seed : int
        Of the split, and of generated tunes; at least 0.

    Raises
    ------
    ParameterError
        If a setting is out of range, or a source is given twice.

    Examples
    --------
    >>> PrepareFolk(("generated:20",)).valid
    0.05
    """

    sources: tuple[str, ...]
    tokens: str = "v2"
    valid: float = 0.05
    test: float = 0.05
    seed: int = 0

    def __post_init__(self) -> None:
        """Check at the door."""
        if self.tokens not in ("v1", "v2", "v3"):
            raise ParameterError(f"tokens is {self.tokens!r}, must be v1, v2 or v3")
        split_groups([], valid=self.valid, test=self.test, seed=self.seed)  # which checks them
        if twice := {source for source in self.sources if self.sources.count(source) > 1}:
            raise ParameterError(f"{', '.join(sorted(twice))} is given twice")


@dataclass(frozen=True, eq=False)
class PreparedFolk:
    """Tunes with their splits, and what could not be used.

    Parameters
    ----------
    settings : PrepareFolk
        What was asked for.
    tunes : tuple of PlacedTune
        In the order in which they were read.
    rejected : tuple of RejectedTune
        Likewise.

    Examples
    --------
    >>> prepare_folk(PrepareFolk(("generated:20",))).tally.kept
    20
    """

    settings: PrepareFolk
    tunes: tuple[PlacedTune, ...]
    rejected: tuple[RejectedTune, ...]

    @property
    def sentence(self) -> str:
        """How many tunes can be used."""
        return sentence(self.tally)

    @property
    def notes(self) -> tuple[str, ...]:
        """What must be known."""
        return tuple(notes(self.tally))

    @cached_property
    def tally(self) -> Tally:
        """What was counted."""
        return tally(self.settings.sources, self.tunes, self.rejected)

    def to_dict(self) -> dict[str, Any]:
        """Give settings and counts in JSON's types."""
        plain: dict[str, Any] = json.loads(
            records.to_json(
                {
                    "settings": self.settings,
                    "counts": self.tally.to_dict(),
                    "versions": records.versions(),
                }
            )
        )
        return plain


def prepare_folk(settings: PrepareFolk, *, progress: Progress | None = None) -> PreparedFolk:
    """Read tunes, join near duplicates, and hold out whole groups.

    Parameters
    ----------
    settings : PrepareFolk
        What to prepare.
    progress : callable, optional
        Goes over "sources" and, in each, over "files"; then over "near duplicates".

    Returns
    -------
    PreparedFolk
        All tunes, placed.

    Raises
    ------
    ParameterError
        If a source is not there or none of its tunes can be used, with the place in the file.
    MissingExtra
        If a collection is asked for and music21 is not installed.

    Examples
    --------
    >>> len(prepare_folk(PrepareFolk(("generated:20",))).tunes)
    20
    """
    progress = progress or (lambda items, _: items)
    for source in settings.sources:
        files_of(source)  # what is not there is told before anything is read
    tunes: list[ReadTune] = []
    rejected: list[RejectedTune] = []
    for source in progress(settings.sources, "sources"):
        form = cast(Form, settings.tokens)
        for found in read_tunes(source, tokens=form, seed=settings.seed, progress=progress):
            if isinstance(found, ReadTune):
                tunes.append(found)
            else:
                rejected.append(found)
    if not tunes:
        raise ParameterError(_nothing(rejected))
    groups = group_tunes(one.tune for one in progress(tunes, "near duplicates"))
    splits = split_groups(groups, valid=settings.valid, test=settings.test, seed=settings.seed)
    placed = map(PlacedTune, tunes, groups, splits)
    return PreparedFolk(settings, tuple(placed), tuple(rejected))


def save_folk(found: PreparedFolk, folder: Path, *, page: Path | None = None) -> None:
    """Write the folder that training reads, with its report; whole or not at all.

    Parameters
    ----------
    found : PreparedFolk
        Of `prepare_folk`.
    folder : Path
        New, or empty.
    page : Path, optional
        The report as well, elsewhere.

    Raises
    ------
    ParameterError
        If the folder is there and is not empty.
    OSError
        If it cannot be written.

    Examples
    --------
    >>> save_folk(prepare_folk(PrepareFolk(("generated:20",))), Path("tunes"))  # doctest: +SKIP
    """
    form = cast(Form, found.settings.tokens)
    with new_folder(folder) as draft:
        save_prepared(draft, found.tunes, found.rejected, tokens=form, report=found.to_dict())
        for report in filter(None, [draft / "report.html", page]):
            save_tunes(found.tally, report, tokens=form)


def _nothing(rejected: Sequence[RejectedTune]) -> str:
    first = rejected[0]
    return (
        f"none of {len(rejected)} tunes can be used; the first: "
        f"{first.origin.name}: {first.message}"
    )
