"""Find the tunes that a tune resembles most: copies in any key, ornamented or in part."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from otoscope import records
from otoscope.errors import ParameterError
from otoscope.folk.abc import Neighbour, NgramIndex, NotationError
from otoscope.folk.workflows._tune_books import Entry, read_entries
from otoscope.progress import Progress

__all__ = ["NearestFolk", "NearestFound", "TuneNeighbours", "nearest_folk"]

_N = 10


@dataclass(frozen=True)
class NearestFolk:
    """What to look for, and where.

    Parameters
    ----------
    source : str
        A file of ABC or of tokens, a folder of ABC files, a collection, or a prepared folder.
    known : tuple of str
        Where to look: likewise; of a prepared folder all tunes.
    k : int
        Neighbours a tune, at least 1.
    copied : float
        Containment from which a tune counts as copied, in (0, 1].

    Raises
    ------
    ParameterError
        If a number is out of range or there is nowhere to look.

    Examples
    --------
    >>> NearestFolk("a.abc", ("tunes",)).copied
    0.5
    """

    source: str
    known: tuple[str, ...]
    k: int = 3
    copied: float = 0.5

    def __post_init__(self) -> None:
        """Check at the door."""
        if self.k < 1 or not 0 < self.copied <= 1:
            raise ParameterError(
                f"k is {self.k} and copied {self.copied:g}; need at least 1, and in (0, 1]"
            )
        if not self.known:
            raise ParameterError("known is empty; name a file or folder to look in")


@dataclass(frozen=True)
class TuneNeighbours:
    """A tune and what it resembles.

    Parameters
    ----------
    number : int
        In its file, from 1.
    name : str
        Its title.
    error : str
        Why it could not be read; else empty.
    neighbours : tuple of Neighbour
        Most contained first; empty if no run of eleven notes is shared.

    Examples
    --------
    >>> TuneNeighbours(1, "Reel", "", ()).containment
    0.0
    """

    number: int
    name: str
    error: str
    neighbours: tuple[Neighbour, ...]

    @property
    def containment(self) -> float:
        """In the nearest; 0 without neighbour."""
        return self.neighbours[0].containment if self.neighbours else 0.0


@dataclass(frozen=True, eq=False)
class NearestFound:
    """What was found.

    Parameters
    ----------
    settings : NearestFolk
        What was asked for.
    n_known : int
        Tunes in which was looked.
    tunes : tuple of TuneNeighbours
        In the order of the file.
    unreadable : tuple of str
        Names of tunes that could not be looked in.

    Examples
    --------
    >>> nearest_folk(NearestFolk("a.abc", ("ryan",))).copies  # doctest: +SKIP
    ()
    """

    settings: NearestFolk
    n_known: int
    tunes: tuple[TuneNeighbours, ...]
    unreadable: tuple[str, ...]

    @property
    def copies(self) -> tuple[TuneNeighbours, ...]:
        """The tunes that count as copied."""
        return tuple(one for one in self.tunes if one.containment >= self.settings.copied)

    @property
    def sentence(self) -> str:
        """How many tunes resemble known ones."""
        read = [one for one in self.tunes if not one.error]
        share = f"{100 * self.settings.copied:g} %"
        return (
            f"{len(self.copies):,} of {len(read):,} tunes have {share} or more "
            f"of their runs of {_N} intervals in one of {self.n_known:,} known tunes."
        )

    def to_dict(self) -> dict[str, Any]:
        """Give it in JSON's types."""
        plain: dict[str, Any] = json.loads(
            records.to_json(
                {
                    "settings": self.settings,
                    "n": _N,
                    "known": self.n_known,
                    "unreadable": self.unreadable,
                    "tunes": self.tunes,
                    "copies": [one.number for one in self.copies],
                    "versions": records.versions(),
                }
            )
        )
        return plain


def nearest_folk(settings: NearestFolk, *, progress: Progress | None = None) -> NearestFound:
    """Look for each tune in known ones.

    Parameters
    ----------
    settings : NearestFolk
        What to look for, and where.
    progress : callable, optional
        Goes over the "known tunes" and the "tunes".

    Returns
    -------
    NearestFound
        Neighbours by containment: the share of a tune's runs of ten intervals that another has.

    Raises
    ------
    ParameterError
        If a file is missing, empty or not text, or has no tune that can be read.

    Examples
    --------
    >>> nearest_folk(NearestFolk("a.abc", ("ryan",))).n_known  # doctest: +SKIP
    1026
    """
    progress = progress or (lambda items, _: items)
    asked = read_entries(settings.source)
    _require_readable(asked, settings.source)
    index, unreadable = NgramIndex(_N), []
    for source in settings.known:
        known = read_entries(source)
        _require_readable(known, source)
        for entry in progress(known, "known tunes"):
            name = _known_as(entry, Path(source).name)
            if isinstance(entry.tune, NotationError):
                unreadable.append(name)
            else:
                index.add(f"{name} {entry.tune.title}".rstrip(), entry.tune)
    found = tuple(_neighbours(index, entry, settings.k) for entry in progress(asked, "tunes"))
    return NearestFound(settings, len(index), found, tuple(unreadable))


def _neighbours(index: NgramIndex, entry: Entry, k: int) -> TuneNeighbours:
    if isinstance(entry.tune, NotationError):
        return TuneNeighbours(entry.number, entry.title, str(entry.tune), ())
    nearest = tuple(index.nearest(entry.tune, k))
    return TuneNeighbours(entry.number, entry.title, "", nearest)


def _known_as(entry: Entry, source: str) -> str:
    return entry.name if entry.name.startswith(source) else f"{source}/{entry.name}"


def _require_readable(entries: Sequence[Entry], source: str) -> None:
    errors = [entry.tune for entry in entries if isinstance(entry.tune, NotationError)]
    if len(errors) == len(entries):
        first = f": {errors[0]}" if errors else ""
        raise ParameterError(f"{source} has no tune that can be read{first}")
