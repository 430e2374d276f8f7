"""Prepare folk tunes for training: read, reject with reasons, group, split, write a folder."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, cast

from otoscope import records
from otoscope.documents import document
from otoscope.errors import ParameterError
from otoscope.folk.data import (
    RejectedTune,
    SplitTune,
    TokenisedTune,
    TokenVersion,
    TuneCounts,
    count_tunes,
    files_of,
    group_tunes,
    read_tunes,
    save_prepared,
    split_groups,
)
from otoscope.folk.report.counts import notes, notes_on_voices, save_counts, sentence
from otoscope.progress import Progress, silent, tracked

__all__ = ["PrepareFolkConfig", "PrepareFolkResult", "prepare_folk", "save_folk"]


@dataclass(frozen=True)
class PrepareFolkConfig:
    """Sources to prepare, their tokens and their splits.

    Parameters
    ----------
    sources : tuple of str
        "aird", "oneill", "ryan", "misc" (old prints), "generated:N", ABC files, folders of ABC
        files, and files of tokens.
    tokens : {"v1", "v2", "v3"}
        Version of the tokens. v1: characters; v2: tokens on C; v3: tokens on C and C sharp.
    valid : float
        Fraction of the tunes for validation, at least 0; below 1 together with ``test``.
    test : float
        Fraction of the tunes for testing, at least 0.
    seed : int
        Random seed of the split, and of generated tunes; at least 0.
    strict : bool
        Refuse tunes that are not read whole: second voices, overlays, directives on pitches.
    """

    sources: tuple[str, ...]
    tokens: str = "v2"
    valid: float = 0.05
    test: float = 0.05
    seed: int = 0
    strict: bool = False

    def __post_init__(self) -> None:
        if self.tokens not in ("v1", "v2", "v3"):
            raise ParameterError(f"tokens is {self.tokens!r}, must be v1, v2 or v3")
        split_groups([], valid=self.valid, test=self.test, seed=self.seed)  # checks its arguments
        if twice := {source for source in self.sources if self.sources.count(source) > 1}:
            raise ParameterError(f"{', '.join(sorted(twice))} is given twice")


@dataclass(frozen=True, eq=False)
class PrepareFolkResult:
    """Tunes with their splits, and tunes that cannot be used.

    Parameters
    ----------
    settings : PrepareFolkConfig
        Sources, tokens and splits.
    tunes : tuple of SplitTune
        Tunes that can be used, in the order of reading.
    rejected : tuple of RejectedTune
        Tunes that cannot be used, in the order of reading.
    """

    settings: PrepareFolkConfig
    tunes: tuple[SplitTune, ...]
    rejected: tuple[RejectedTune, ...]

    @property
    def sentence(self) -> str:
        """Number of tunes that can be used."""
        return sentence(self.counts)

    @property
    def notes(self) -> tuple[str, ...]:
        """Limits of the prepared tunes, and voices that were left out."""
        tunes = (tune.tokenised for tune in self.tunes)
        left_out = notes_on_voices((tune.origin.name, tune.notices) for tune in tunes)
        return (*notes(self.counts), *left_out)

    @cached_property
    def counts(self) -> TuneCounts:
        """Counts by source, reason, meter, mode, length and split."""
        return count_tunes(self.settings.sources, self.tunes, self.rejected)

    def to_dict(self) -> dict[str, Any]:
        """Return settings and counts in JSON's types."""
        return document("otoscope.PrepareFolk", 2, self.report)

    @property
    def report(self) -> dict[str, Any]:
        """Settings and counts of the tunes, for the prepared folder."""
        return {
            "settings": self.settings,
            "counts": self.counts.to_dict(),
            "notes": self.notes,
            "versions": records.versions(),
        }


def prepare_folk(settings: PrepareFolkConfig, *, progress: Progress = silent) -> PrepareFolkResult:
    """Read tunes, group near duplicates, and hold out whole groups."""
    for source in settings.sources:
        files_of(source)  # refuses a missing source before anything is read
    tunes: list[TokenisedTune] = []
    rejected: list[RejectedTune] = []
    version = cast(TokenVersion, settings.tokens)
    for source in tracked(progress, settings.sources, "sources"):
        for tune in read_tunes(
            source,
            tokens=version,
            seed=settings.seed,
            strict=settings.strict,
            progress=progress,
        ):
            if isinstance(tune, TokenisedTune):
                tunes.append(tune)
            else:
                rejected.append(tune)
    if not tunes:
        raise ParameterError(_no_tune(rejected))
    groups = group_tunes(tune.tune for tune in tracked(progress, tunes, "near duplicates"))
    splits = split_groups(groups, valid=settings.valid, test=settings.test, seed=settings.seed)
    return PrepareFolkResult(
        settings, tuple(map(SplitTune, tunes, groups, splits)), tuple(rejected)
    )


def save_folk(result: PrepareFolkResult, folder: Path, *, page: Path | None = None) -> None:
    """Write the prepared folder that training reads, with its report; whole or not at all."""
    version = cast(TokenVersion, result.settings.tokens)
    with records.new_folder(folder) as draft:
        save_prepared(draft, result.tunes, result.rejected, tokens=version, report=result.report)
        for report in filter(None, [draft / "report.html", page]):
            save_counts(result.counts, report, tokens=version)


def _no_tune(rejected: Sequence[RejectedTune]) -> str:
    first = rejected[0]
    return (
        f"none of {len(rejected)} tunes can be used; the first: "
        f"{first.origin.name}: {first.message}"
    )
