"""Tunes of users' files, as written: ABC, tokens, collections and prepared folders."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from otoscope.errors import ParameterError
from otoscope.folk.abc import NotationError, Tune, read_book
from otoscope.folk.data import COLLECTIONS, SPLITS, files_of, load_prepared
from otoscope.folk.tokens import read_token_file, tokeniser

__all__ = ["Entry", "held_out", "read_entries"]


@dataclass(frozen=True, eq=False)
class Entry:
    """A tune of a book, read or not.

    Parameters
    ----------
    name : str
        Book and number: "a.abc#3".
    number : int
        In its file, from 1.
    tune : Tune or NotationError
        As written.
    """

    name: str
    number: int
    tune: Tune | NotationError

    @property
    def title(self) -> str:
        """Its title, else its number."""
        title = "" if isinstance(self.tune, NotationError) else self.tune.title
        return title or f"tune {self.number}"


def read_entries(source: str | Path, *, splits: Sequence[str] = SPLITS) -> list[Entry]:
    """Read a file, a folder of ABC files, a collection ("ryan"), or splits of a prepared folder."""
    path = Path(source)
    if (path / "vocabulary.json").is_file():
        return list(_of_prepared(path, splits))
    if str(source) not in COLLECTIONS and not path.exists():
        known = ", ".join(COLLECTIONS)
        raise ParameterError(f"{source} is not there; name a file, a folder, or one of {known}")
    return [entry for file in files_of(str(source)) for entry in _of_file(file)]


def held_out(source: str | Path) -> list[Entry]:
    """Read what a model that learnt from ``source`` has not seen: its test and validation tunes."""
    entries = read_entries(source, splits=("valid", "test"))
    if not entries:
        raise ParameterError(f"{source} holds out no tune; prepare it with --valid and --test")
    return entries


def _of_file(path: Path) -> Iterator[Entry]:
    for number, tune in enumerate(_tunes(path), start=1):
        yield Entry(f"{path.name}#{number}", number, tune)


def _tunes(path: Path) -> Sequence[Tune | NotationError]:
    """Read a file of tokens if it is one, else a book of ABC."""
    try:
        tunes = read_token_file(path)
    except NotationError as err:
        if err.reason != "no tune":
            raise
        return read_book(path)
    heads = [tune[1] for tune in tunes if not isinstance(tune, NotationError)]
    form = "v2" if heads[0].startswith("K:C") else "v3"
    return [tune if isinstance(tune, NotationError) else _tune(tune, form) for tune in tunes]


def _of_prepared(folder: Path, splits: Sequence[str]) -> Iterator[Entry]:
    found = load_prepared(folder)
    for split in splits:
        tokens: list[list[str]] = getattr(found, split)
        copies = 2 if found.tokens == "v3" else 1  # on C, and on C sharp
        names = [row["name"] for row in found.tunes if row["split"] == split]
        for number, (name, tune) in enumerate(zip(names, tokens[::copies], strict=True), start=1):
            yield Entry(name, number, _tune(tune, found.tokens))


def _tune(tokens: Sequence[str], form: str) -> Tune | NotationError:
    try:
        return tokeniser(form).tune(tokens)
    except NotationError as err:
        return err
