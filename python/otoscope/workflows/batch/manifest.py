"""Manifest of a batch: the files to work on, in chunks that have the same names in each run."""

from __future__ import annotations

import csv
import hashlib
import io
import os
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from otoscope.errors import ParameterError, require_extra
from otoscope.foreign import read_text
from otoscope.records import to_json
from otoscope.records.parts import PREFIX
from otoscope.records.places import Place

__all__ = ["Chunk", "Manifest", "Shard", "key_of", "read_manifest"]

STDIN = "-"
_COLUMN = "path"


class Chunk(NamedTuple):
    """Files that one task works on, in the order of the manifest.

    ``files`` are as the manifest writes them, ``others`` the manifest's other columns of each, as
    JSON; ``n_lost`` counts the workers that were killed with this file alone.
    """

    files: tuple[str, ...]
    others: tuple[str, ...]
    n_lost: int = 0

    @property
    def name(self) -> str:
        """Name of the part, without suffix: the same files have the same name."""
        digest = hashlib.sha256("\n".join(map(key_of, self.files)).encode())
        return f"{PREFIX}{digest.hexdigest()[:16]}"

    def halves(self) -> list[Chunk]:
        """Split the chunk; a chunk of one file counts one more loss."""
        if len(self.files) == 1:
            return [self._replace(n_lost=self.n_lost + 1)]
        middle = len(self.files) // 2
        return [
            Chunk(self.files[:middle], self.others[:middle]),
            Chunk(self.files[middle:], self.others[middle:]),
        ]

    def without(self, done: set[str]) -> Chunk:
        """Leave out the files whose keys are done."""
        kept = [i for i, file in enumerate(self.files) if key_of(file) not in done]
        return Chunk(tuple(self.files[i] for i in kept), tuple(self.others[i] for i in kept))


class Shard(NamedTuple):
    """Part of the chunks: every ``of``-th, beginning with the ``number``-th, from 1."""

    number: int
    of: int

    @classmethod
    def read(cls, text: str) -> Shard:
        """Read "I/N", such as 3/8.

        Examples
        --------
        >>> Shard.read("3/8")
        Shard(number=3, of=8)
        """
        number, slash, of = text.partition("/")
        if not (slash and number.isdecimal() and of.isdecimal() and 1 <= int(number) <= int(of)):
            raise ParameterError(f"shard is {text!r}, must be I/N with I from 1 to N, such as 3/8")
        return cls(int(number), int(of))


@dataclass(frozen=True, eq=False)
class Manifest:
    """Files of a batch, as the manifest writes them.

    ``base`` is the folder that relative files are in; ``others`` returns the other columns of a
    range of files, as JSON.
    """

    files: Sequence[str]
    base: str
    others: Callable[[int, int], tuple[str, ...]]

    def chunks(self, size: int, shard: Shard | None = None) -> Iterator[Chunk]:
        """Cut the manifest into chunks of ``size`` files; a shard has every N-th of them."""
        number, of = shard or (1, 1)
        for first in range((number - 1) * size, len(self.files), size * of):
            end = min(first + size, len(self.files))
            yield Chunk(tuple(self.files[first:end]), self.others(first, end))


def read_manifest(source: str) -> Manifest:
    """Read a manifest: a table with a column path, a folder of sounds, or lines on stdin.

    Parameters
    ----------
    source : str
        Path or URI of a .parquet or .csv file with the column ``path``; a folder, which is
        searched for sound files; or "-": the lines of stdin, a CSV if its first line names
        ``path``, else one path each. Files are relative to the manifest or the folder, those on
        stdin to the working folder; a URI stands for itself.

    Returns
    -------
    Manifest
        Files and other columns.

    Raises
    ------
    ParameterError
        If there is no column ``path``, it holds nothing or something twice, or the file cannot be
        read.

    Examples
    --------
    >>> read_manifest("songs.csv").files[:2]  # doctest: +SKIP
    ['rock/a.wav', 'rock/b.wav']
    """
    if source == STDIN:
        manifest = _lines(sys.stdin.read())
    elif "://" not in source and Path(source).is_dir():
        from otoscope.workflows.recording import sound_files

        folder = Path(source)
        found = [file.relative_to(folder).as_posix() for file in sound_files((folder,))]
        manifest = Manifest(found, str(folder.absolute()), _nothing)
    elif source.lower().endswith((".parquet", ".csv")):
        manifest = _table(source)
    else:
        here = "://" in source or Path(source).exists()
        raise ParameterError(
            f"{source} {'is no .csv, .parquet or folder' if here else 'is not there'}; a manifest "
            "is a table with the column path, a folder of sounds, or - for stdin"
        )
    _check(manifest.files, source)
    return manifest


def key_of(file: str) -> str:
    """Return the key of a file: its name, with bytes that are no UTF-8 escaped."""
    return file.encode("utf-8", "backslashreplace").decode()


def _nothing(first: int, end: int) -> tuple[str, ...]:
    return ("",) * (end - first)


def _lines(text: str) -> Manifest:
    lines = [line for line in text.splitlines() if line.strip()]
    if lines and _COLUMN in [name.strip() for name in lines[0].split(",")]:
        return _csv(text, "stdin", str(Path.cwd()))
    return Manifest(lines, str(Path.cwd()), _nothing)


def _table(source: str) -> Manifest:
    is_uri = "://" in source
    base = "" if is_uri else str(Path(source).absolute().parent)
    if source.lower().endswith(".csv"):
        if not is_uri:
            return _csv(read_text(Path(source)), source, base)
        return _csv(_fetched(source).decode("utf-8-sig", "surrogateescape"), source, base)
    parquet = require_extra("pyarrow.parquet", "scale")
    content = require_extra("pyarrow", "scale").BufferReader(_fetched(source))
    try:
        table = parquet.read_table(content)
    except (OSError, ValueError) as err:
        raise ParameterError(f"{source} cannot be read as Parquet: {err}") from err
    if _COLUMN not in table.column_names:
        raise _no_path(source, table.column_names)
    files = table[_COLUMN].to_pylist()
    others = table.drop_columns([_COLUMN])

    def rows(first: int, end: int) -> tuple[str, ...]:
        part = others.slice(first, end - first).to_pylist()
        return tuple(_json(row) for row in part) if others.column_names else _nothing(first, end)

    return Manifest(files, base, rows)


def _csv(text: str, source: str, base: str) -> Manifest:
    reader = csv.DictReader(io.StringIO(text, newline=""), restkey="", strict=True)
    try:
        names = [name.strip() for name in reader.fieldnames or []]
        if _COLUMN not in names:
            raise _no_path(source, names)
        reader.fieldnames = names
        rows = list(reader)
    except csv.Error as err:
        raise ParameterError(f"{source} cannot be read as CSV: {err}") from err
    if odd := [row for row in rows if "" in row or None in row.values()]:
        raise ParameterError(f"{source}: a row is not of {len(names)} columns: {odd[0]}")
    files = [row.pop(_COLUMN) for row in rows]
    texts = [_json(row) if row else "" for row in rows]
    return Manifest(files, base, lambda first, end: tuple(texts[first:end]))


def _json(row: dict[str, Any]) -> str:
    plain = {k: v.isoformat() if hasattr(v, "isoformat") else v for k, v in row.items()}
    return to_json(plain)


def _fetched(source: str) -> bytes:
    if "://" not in source:
        path = Path(source)
        if not path.is_file():
            raise ParameterError(f"{source} is {'a folder' if path.is_dir() else 'not there'}")
        return path.read_bytes()
    folder, _, name = source.partition("?")[0].rpartition("/")
    query = source.partition("?")[2]
    content = Place(f"{folder}?{query}" if query else folder).read(name)
    if content is None:
        raise ParameterError(f"{source} is not there")
    return content


def _no_path(source: str, names: Sequence[str]) -> ParameterError:
    listed = ", ".join(names[:20]) or "no columns"
    return ParameterError(f"{source} has no column {_COLUMN!r}; it has {listed}")


def _check(files: Sequence[Any], source: str) -> None:
    """Refuse a manifest without files, and files without a name or named twice."""
    name = "stdin" if source == STDIN else source
    if not files:
        raise ParameterError(f"{name} names no files")
    if odd := [number for number, file in enumerate(files, 1) if not _is_name(file)]:
        found = files[odd[0] - 1]
        raise ParameterError(f"{name}: path of row {odd[0]} is {found!r}, must name a file")
    if len(set(files)) < len(files):
        twice = [file for file, count in Counter(files).items() if count > 1]
        raise ParameterError(
            f"{name} names {twice[0]} twice ({len(twice)} of {len(files)}); each file must be "
            "named once"
        )


def _is_name(file: object) -> bool:
    return isinstance(file, str) and bool(file.strip()) and os.sep != file and "\0" not in file
