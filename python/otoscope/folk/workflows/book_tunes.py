"""Tunes of users' files, as written: ABC, scores, tokens, collections and prepared folders."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from otoscope.errors import ParameterError
from otoscope.folk.abc import NotationError, Tune
from otoscope.folk.abc.text.book import listed
from otoscope.folk.data import COLLECTIONS, SPLITS, files_of, is_prepared, load_prepared
from otoscope.folk.data.collections import not_there
from otoscope.folk.interchange import SUFFIXES, stream_file
from otoscope.folk.report.counts import notes_on_voices
from otoscope.folk.tokens import get_tokeniser, read_token_file

__all__ = [
    "PICKED",
    "BookTune",
    "find_tunes",
    "held_out_tunes",
    "is_picked",
    "left_out_notes",
    "note_of_picked",
    "picked_notes",
    "read_book_tunes",
    "stream_book_tunes",
    "tune_of_tokens",
]

PICKED = "picked:"
"""Beginning of the note (N:) of a tune that was picked from many."""


@dataclass(frozen=True, eq=False)
class BookTune:
    """A tune of a book, or the error at which reading it ended; its name is "a.abc#3"."""

    name: str
    number: int
    tune: Tune | NotationError

    @property
    def title(self) -> str:
        """Title of the tune, else its number."""
        title = "" if isinstance(self.tune, NotationError) else self.tune.title
        return title or f"tune {self.number}"

    @property
    def is_picked(self) -> bool:
        """Whether the tune is one of those that were picked from many by a judge."""
        return isinstance(self.tune, Tune) and is_picked(self.tune)

    @property
    def file_name(self) -> str:
        """The title in small letters and hyphens, of at most 40 characters."""
        return re.sub(r"[^a-z0-9]+", "-", self.title.lower()).strip("-")[:40].rstrip("-")

    @property
    def notices(self) -> tuple[str, ...]:
        """Voices and overlays that were left out, with line and column."""
        return () if isinstance(self.tune, NotationError) else tuple(map(str, self.tune.notices))


def is_picked(tune: Tune) -> bool:
    """Whether a tune says that it was picked from many by a judge."""
    return any(letter == "N" and text.startswith(PICKED) for letter, text in tune.headers)


def read_book_tunes(
    source: str | Path, *, splits: Sequence[str] = SPLITS, strict: bool = False
) -> list[BookTune]:
    """Read a file, a folder of files, a collection ("ryan"), or splits of a prepared folder.

    ``strict`` refuses tunes with several voices or overlays.
    """
    return listed(stream_book_tunes(source, splits=splits, strict=strict))


def stream_book_tunes(
    source: str | Path, *, splits: Sequence[str] = SPLITS, strict: bool = False
) -> Iterator[BookTune]:
    """Read the same tunes one after the other; a source that is not there is refused at once."""
    files = find_tunes(source)
    if is_prepared(Path(source)):
        return _of_prepared(Path(source), splits)
    return (
        BookTune(f"{file.name}#{number}", number, tune)
        for file in files
        for number, tune in enumerate(_tunes_of_file(file, strict), start=1)
    )


def tune_of_tokens(tokens: Sequence[str], version: str) -> Tune | NotationError:
    """Read the tokens of a tokeniser ("v3"), or return the error at which reading ended."""
    try:
        return get_tokeniser(version).tune(tokens)
    except NotationError as err:
        return err


def find_tunes(source: str | Path) -> list[Path]:
    """Find the files of a source, or say that there are none; of a prepared folder, itself."""
    path = Path(source)
    if source and is_prepared(path):
        return [path]
    if not source or (str(source) not in COLLECTIONS and not path.exists()):
        kinds = "a file, a folder of ABC files or one that otoscope folk prepare has made"
        raise not_there(str(source), kinds)
    return list(files_of(str(source)))


def left_out_notes(tunes: Iterable[BookTune]) -> tuple[str, ...]:
    """Say in how many tunes voices were left out, and where first."""
    return notes_on_voices((tune.name, tune.notices) for tune in tunes)


def picked_notes(tunes: Iterable[BookTune], *, are_counted: bool = False) -> tuple[str, ...]:
    """Say how many tunes were picked by a judge: they are no sample of a model."""
    return note_of_picked(sum(tune.is_picked for tune in tunes), are_counted=are_counted)


def note_of_picked(n: int, *, are_counted: bool) -> tuple[str, ...]:
    """Say so if n tunes, more than none, were picked."""
    if not n:
        return ()
    count = "1 tune was" if n == 1 else f"{n:,} tunes were"
    end = "say nothing of the model" if are_counted else "are without these"
    return (f"{count} picked by --best (N:picked): figures {end}.",)


def held_out_tunes(source: str | Path, *, strict: bool = False) -> list[BookTune]:
    """Read the tunes that a model trained on a prepared folder has not seen; else all tunes."""
    tunes = read_book_tunes(source, splits=("valid", "test"), strict=strict)
    if not tunes:
        raise ParameterError(f"{source} holds out no tune; prepare it with --valid and --test")
    return tunes


def _tunes_of_file(path: Path, strict: bool) -> Iterable[Tune | NotationError]:
    """Read a file of tokens if it is one, else a score or a book of ABC."""
    if path.suffix.lower() in SUFFIXES:
        return stream_file(path, strict=strict)
    try:
        rows = read_token_file(path)
    except NotationError as err:
        if err.reason != "no tune":
            raise
        return stream_file(path, strict=strict)
    heads = [row[1] for row in rows if not isinstance(row, NotationError)]
    version = "v2" if heads[0].startswith("K:C") else "v3"
    return (row if isinstance(row, NotationError) else tune_of_tokens(row, version) for row in rows)


def _of_prepared(folder: Path, splits: Sequence[str]) -> Iterator[BookTune]:
    prepared = load_prepared(folder)
    for split in splits:
        tokens: list[list[str]] = getattr(prepared, split)
        copies = 2 if prepared.tokens == "v3" else 1  # on C, and on C sharp
        names = [row["name"] for row in prepared.tunes if row["split"] == split]
        for number, (name, tune) in enumerate(zip(names, tokens[::copies], strict=True), start=1):
            yield BookTune(name, number, tune_of_tokens(tune, prepared.tokens))
