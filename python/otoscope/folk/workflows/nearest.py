"""Find the known tunes that a tune resembles most: copies in any key, ornamented or in part."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from otoscope import records
from otoscope.documents import document
from otoscope.errors import ParameterError
from otoscope.folk.abc import Neighbour, NgramIndex, NotationError
from otoscope.folk.abc.ngrams import Melody
from otoscope.folk.report.counts import notes_on_voices
from otoscope.folk.workflows.book_tunes import BookTune, note_of_picked, stream_book_tunes
from otoscope.progress import Progress, silent, tracked

__all__ = ["NearestFolkConfig", "NearestFolkResult", "TuneNeighbours", "nearest_folk"]

_N = 10  # intervals per n-gram


@dataclass(frozen=True)
class NearestFolkConfig:
    """Tunes to look for, and known tunes to look in.

    Parameters
    ----------
    source : str
        File of ABC or of tokens, folder of ABC files, collection, or prepared folder.
    known : tuple of str
        Known tunes, likewise; of a prepared folder all tunes.
    k : int
        Number of neighbours per tune, at least 1.
    copied : float
        Containment from which a tune counts as a copy, in (0, 1].
    strict : bool
        Refuse tunes that are not read whole: second voices, overlays, directives on pitches.
    """

    source: str
    known: tuple[str, ...]
    k: int = 3
    copied: float = 0.5
    strict: bool = False

    def __post_init__(self) -> None:
        if self.k < 1 or not 0 < self.copied <= 1:
            raise ParameterError(
                f"k is {self.k} and copied {self.copied:g}; need at least 1, and in (0, 1]"
            )
        if not self.known:
            raise ParameterError("known is empty; need a file or folder to look in")


@dataclass(frozen=True)
class TuneNeighbours:
    """A tune and the known tunes that it resembles.

    Parameters
    ----------
    number : int
        Number of the tune in its file, from 1.
    name : str
        Title of the tune.
    error : str
        Reason why the tune could not be read, or "".
    neighbours : tuple of Neighbour
        Known tunes by descending containment; empty if no interval 10-gram is shared.
    """

    number: int
    name: str
    error: str
    neighbours: tuple[Neighbour, ...]

    @property
    def containment(self) -> float:
        """Containment in the nearest neighbour; 0 without neighbour."""
        return self.neighbours[0].containment if self.neighbours else 0.0


@dataclass(frozen=True, eq=False)
class NearestFolkResult:
    """Neighbours of each tune.

    Parameters
    ----------
    settings : NearestFolkConfig
        Settings of the search.
    n_known : int
        Number of known tunes that could be read.
    tunes : tuple of TuneNeighbours
        Tunes in the order of the file.
    unreadable : tuple of str
        Names of known tunes that could not be read.
    notes : tuple of str
        Note on tunes of which voices were left out.
    """

    settings: NearestFolkConfig
    n_known: int
    tunes: tuple[TuneNeighbours, ...]
    unreadable: tuple[str, ...]
    notes: tuple[str, ...] = ()

    @property
    def copies(self) -> tuple[TuneNeighbours, ...]:
        """Tunes that count as copies."""
        return tuple(tune for tune in self.tunes if tune.containment >= self.settings.copied)

    @property
    def sentence(self) -> str:
        """Number of tunes that count as copies."""
        n_read = sum(not tune.error for tune in self.tunes)
        return (
            f"{len(self.copies):,} of {n_read:,} tunes have {100 * self.settings.copied:g} % or "
            f"more of their runs of {_N} intervals in one of {self.n_known:,} known tunes."
        )

    def to_dict(self) -> dict[str, Any]:
        """Return the result in JSON's types."""
        return document(
            "otoscope.NearestFolk",
            2,
            {
                "settings": self.settings,
                "n": _N,
                "known": self.n_known,
                "unreadable": self.unreadable,
                "tunes": self.tunes,
                "copies": [tune.number for tune in self.copies],
                "notes": self.notes,
                "versions": records.versions(),
            },
        )


def nearest_folk(settings: NearestFolkConfig, *, progress: Progress = silent) -> NearestFolkResult:
    """Look for each tune in known ones; no more than one parsed tune is held at a time."""
    read = partial(stream_book_tunes, strict=settings.strict)
    notices = list[tuple[str, tuple[str, ...]]]()
    queries = _melodies(read(settings.source), settings.source, notices)
    index, unreadable = NgramIndex(_N), list[str]()
    for source in settings.known:
        known = _melodies(read(source), source, notices)
        for tune in tracked(progress, known, "known tunes"):
            name = _known_name(tune.name, Path(source).name)
            if isinstance(tune.melody, str):
                unreadable.append(name)
            else:
                index.add(f"{name} {tune.written_title}".rstrip(), tune.melody)
    tunes = tuple(
        _neighbours(index, query, settings.k) for query in tracked(progress, queries, "tunes")
    )
    n_picked = sum(tune.is_picked for tune in queries)
    notes = (*note_of_picked(n_picked, are_counted=True), *notes_on_voices(notices))
    return NearestFolkResult(settings, len(index), tunes, tuple(unreadable), notes)


class _Melody(NamedTuple):
    """Melody of a tune, or the error at which reading it ended."""

    number: int
    name: str
    title: str
    written_title: str
    melody: Melody | str
    is_picked: bool


def _melodies(
    tunes: Iterable[BookTune], source: str, notices: list[tuple[str, tuple[str, ...]]]
) -> list[_Melody]:
    """Keep the melodies of tunes, and what was left out of them; refuse a source without any."""
    melodies, first = list[_Melody](), ""
    for tune in tunes:
        if isinstance(tune.tune, NotationError):
            melody: Melody | str = str(tune.tune)
            written_title, first = "", first or f": {melody}"
        else:
            melody, written_title = Melody.of(tune.tune), tune.tune.title
        titles = (tune.title, written_title)
        melodies.append(_Melody(tune.number, tune.name, *titles, melody, tune.is_picked))
        if tune.notices:
            notices.append((tune.name, tune.notices))
    if all(isinstance(tune.melody, str) for tune in melodies):
        raise ParameterError(f"{source} has no tune that can be read{first}")
    return melodies


def _neighbours(index: NgramIndex, query: _Melody, k: int) -> TuneNeighbours:
    if isinstance(query.melody, str):
        return TuneNeighbours(query.number, query.title, query.melody, ())
    return TuneNeighbours(query.number, query.title, "", tuple(index.nearest(query.melody, k)))


def _known_name(name: str, source: str) -> str:
    return name if name.startswith(source) else f"{source}/{name}"
