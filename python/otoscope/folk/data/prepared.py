"""A prepared folder: tunes in tokens, split by groups of near duplicates, and what was rejected.

``train.txt``, ``valid.txt`` and ``test.txt`` are in the form of folk-rnn's authors: a tune is three
lines (meter, key, body), tokens separated by one space, a blank line between tunes; tunes of
characters (v1) are ABC, a blank line between. ``vocabulary.json`` has all tokens of the three,
``tunes.jsonl`` and ``rejected.jsonl`` a tune a line, ``report.json`` what was counted.
"""

from __future__ import annotations

import json
import secrets
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from otoscope.errors import ParameterError
from otoscope.folk.abc import NotationError
from otoscope.folk.data.reading import Form, ReadTune, RejectedTune
from otoscope.folk.data.split import SPLITS
from otoscope.folk.tokens import Vocabulary, read_token_file, write_token_file
from otoscope.records import to_json

__all__ = ["PlacedTune", "PreparedTunes", "load_prepared", "new_folder", "save_prepared"]

_REPORT = "report.json"


@dataclass(frozen=True, eq=False)
class PlacedTune:
    """A tune, its group and its split.

    Parameters
    ----------
    read : ReadTune
        The tune.
    group : int
        Near duplicates have the same.
    split : {"train", "valid", "test"}
        The same for a whole group.

    Examples
    --------
    >>> from otoscope.folk.data.reading import read_tunes
    >>> PlacedTune(next(read_tunes("generated:1")), 0, "train").to_dict()["name"]
    'generated:1#1'
    """

    read: ReadTune
    group: int
    split: str

    def to_dict(self) -> dict[str, Any]:
        """Give a row of ``tunes.jsonl``."""
        origin = self.read.origin
        return {
            "name": origin.name,
            "source": origin.source,
            "file": origin.file,
            "line": origin.line,
            "title": origin.title,
            "split": self.split,
            "group": self.group,
            "meter": self.read.meter,
            "mode": self.read.mode,
            "tokens": self.read.n_tokens,
        }


@dataclass(frozen=True, eq=False)
class PreparedTunes:
    """What a prepared folder holds.

    Parameters
    ----------
    tokens : {"v1", "v2", "v3"}
        What a token is.
    vocabulary : Vocabulary
        All tokens, and the boundaries.
    train, valid, test : list of list of str
        Tunes, without boundaries; in v3 each twice.
    tunes : list of dict
        Rows of ``tunes.jsonl``, one a tune.

    Examples
    --------
    >>> load_prepared("tunes").vocabulary.tokens[:2]  # doctest: +SKIP
    ('</s>', '<s>')
    """

    tokens: Form
    vocabulary: Vocabulary
    train: list[list[str]]
    valid: list[list[str]]
    test: list[list[str]]
    tunes: list[dict[str, Any]]


@contextmanager
def new_folder(path: str | Path) -> Iterator[Path]:
    """Write a whole folder or nothing: to a draft beside it, renamed when all went well.

    Parameters
    ----------
    path : str or Path
        The folder; it may be there if it is empty. Folders above it are made.

    Yields
    ------
    Path
        The draft, removed if the block raises.

    Raises
    ------
    ParameterError
        If ``path`` is a file, or a folder that is not empty.
    OSError
        If it cannot be written.

    Examples
    --------
    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "tunes"
    >>> with new_folder(path) as draft:
    ...     _ = (draft / "train.txt").write_text("")
    >>> [file.name for file in path.iterdir()]
    ['train.txt']
    """
    target = Path(path).resolve()
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise ParameterError(f"{path} is there and is not an empty folder; name a new one")
    target.parent.mkdir(parents=True, exist_ok=True)
    draft = target.with_name(f".{target.name}-{secrets.token_hex(4)}")
    draft.mkdir()
    try:
        yield draft
        if target.exists():
            target.rmdir()  # it is empty, and some systems rename onto nothing only
        draft.rename(target)
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def save_prepared(
    folder: Path,
    tunes: Sequence[PlacedTune],
    rejected: Sequence[RejectedTune],
    *,
    tokens: Form,
    report: Mapping[str, object],
) -> None:
    """Write all files of a prepared folder.

    Parameters
    ----------
    folder : Path
        Must exist.
    tunes : sequence of PlacedTune
        In the order in which they are to be written.
    rejected : sequence of RejectedTune
        What could not be used.
    tokens : {"v1", "v2", "v3"}
        What a token is.
    report : Mapping
        What was counted; JSON's types or dataclasses.

    Examples
    --------
    >>> save_prepared(Path("tunes"), placed, [], tokens="v2", report={})  # doctest: +SKIP
    """
    for split in SPLITS:
        copies = [list(copy) for one in tunes if one.split == split for copy in one.read.copies]
        _write(folder / f"{split}.txt", copies, tokens)
    vocabulary = Vocabulary.of([list(copy) for one in tunes for copy in one.read.copies])
    (folder / "vocabulary.json").write_text(vocabulary.to_json(), "utf-8")
    _write_lines(folder / "tunes.jsonl", [one.to_dict() for one in tunes])
    _write_lines(folder / "rejected.jsonl", [one.to_dict() for one in rejected])
    text = to_json({"tokens": tokens, **report}, indent=2)
    (folder / _REPORT).write_text(text + "\n", "utf-8")


def load_prepared(folder: str | Path) -> PreparedTunes:
    """Read a prepared folder.

    Parameters
    ----------
    folder : str or Path
        Of `otoscope folk prepare`.

    Returns
    -------
    PreparedTunes
        Its tunes.

    Raises
    ------
    ParameterError
        If it is not such a folder, or has been changed into something that cannot be read.

    Examples
    --------
    >>> len(load_prepared("tunes").train)  # doctest: +SKIP
    3794
    """
    folder = Path(folder)
    if not (folder / _REPORT).is_file():
        raise ParameterError(
            f"{folder} has no {_REPORT}: it was not made by otoscope folk prepare SOURCES --out DIR"
        )
    form = cast(Form, json.loads((folder / _REPORT).read_text("utf-8"))["tokens"])
    train, valid, test = (_read(folder / f"{split}.txt", form) for split in SPLITS)
    rows = (folder / "tunes.jsonl").read_text("utf-8").splitlines()
    return PreparedTunes(
        form,
        Vocabulary.from_json((folder / "vocabulary.json").read_text("utf-8")),
        train,
        valid,
        test,
        [json.loads(row) for row in rows],
    )


def _write(path: Path, tunes: list[list[str]], tokens: Form) -> None:
    if tokens == "v1":
        path.write_text("\n".join("".join(tune) for tune in tunes), "utf-8")
    else:
        write_token_file(path, tunes)


def _read(path: Path, tokens: Form) -> list[list[str]]:
    if tokens == "v1":
        written = path.read_text("utf-8").split("\n\n") if path.stat().st_size else []
        return [[*tune.removesuffix("\n"), "\n"] for tune in written]
    if not path.stat().st_size:
        return []
    tunes = []
    for tune in read_token_file(path):
        if isinstance(tune, NotationError):
            raise ParameterError(f"{path}: {tune}")
        tunes.append(tune)
    return tunes


def _write_lines(path: Path, rows: list[dict[str, Any]]) -> None:
    path.write_text("".join(f"{to_json(row)}\n" for row in rows), "utf-8")
