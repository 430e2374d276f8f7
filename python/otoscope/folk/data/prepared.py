"""A prepared folder: tunes in tokens, split by groups of near duplicates, and rejected tunes.

``train.txt``, ``valid.txt`` and ``test.txt`` are in the form of folk-rnn's authors: a tune is three
lines (meter, key, body), tokens separated by one space, with a blank line between tunes. Tunes of
characters (v1) are ABC, with a blank line between tunes. ``vocabulary.json`` has all tokens of the
three files, ``tunes.jsonl`` and ``rejected.jsonl`` one row per tune, ``report.json`` the counts.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

from otoscope.documents import document, read_document
from otoscope.errors import ParameterError
from otoscope.folk.abc import NotationError
from otoscope.folk.data.sources import RejectedTune, TokenisedTune, TokenVersion
from otoscope.folk.data.split import SPLITS
from otoscope.folk.tokens import Vocabulary, read_token_file, write_token_file
from otoscope.foreign import parse_json, read_json, refusing
from otoscope.records import to_json, write_text

__all__ = [
    "PreparedTunes",
    "SplitTune",
    "is_prepared",
    "load_prepared",
    "save_prepared",
]

_REPORT = "report.json"
_KIND, _VERSION = "otoscope.PreparedTunes", 2


@dataclass(frozen=True, eq=False)
class SplitTune:
    """A tune, its group of near duplicates and its split.

    Parameters
    ----------
    tokenised : TokenisedTune
        The tune.
    group : int
        Number of the group; near duplicates have the same number.
    split : {"train", "valid", "test"}
        Split, the same for a whole group.

    Examples
    --------
    >>> from otoscope.folk.data.sources import read_tunes
    >>> SplitTune(next(read_tunes("generated:1")), 0, "train").to_dict()["name"]
    'generated:1#1'
    """

    tokenised: TokenisedTune
    group: int
    split: str

    def to_dict(self) -> dict[str, Any]:
        """Return a row of ``tunes.jsonl``."""
        origin = self.tokenised.origin
        return {
            "name": origin.name,
            "source": origin.source,
            "file": origin.file,
            "line": origin.line,
            "title": origin.title,
            "split": self.split,
            "group": self.group,
            "meter": self.tokenised.meter,
            "mode": self.tokenised.mode,
            "tokens": self.tokenised.n_tokens,
            "notices": list(self.tokenised.notices),
        }


@dataclass(frozen=True, eq=False)
class PreparedTunes:
    """Tunes of a prepared folder.

    Parameters
    ----------
    tokens : {"v1", "v2", "v3"}
        Version of the tokens.
    vocabulary : Vocabulary
        All tokens, and the boundaries.
    train, valid, test : list of list of str
        Tokens of the tunes, without boundaries; in v3 each tune twice.
    tunes : list of dict
        Rows of ``tunes.jsonl``, one per tune.

    Examples
    --------
    >>> load_prepared("tunes").vocabulary.tokens[:2]  # doctest: +SKIP
    ('</s>', '<s>')
    """

    tokens: TokenVersion
    vocabulary: Vocabulary
    train: list[list[str]]
    valid: list[list[str]]
    test: list[list[str]]
    tunes: list[dict[str, Any]]


def save_prepared(
    folder: Path,
    tunes: Sequence[SplitTune],
    rejected: Sequence[RejectedTune],
    *,
    tokens: TokenVersion,
    report: Mapping[str, object],
) -> None:
    """Write all files of a prepared folder.

    Parameters
    ----------
    folder : Path
        Folder that exists.
    tunes : sequence of SplitTune
        Tunes in the order of writing.
    rejected : sequence of RejectedTune
        Tunes that cannot be used.
    tokens : {"v1", "v2", "v3"}
        Version of the tokens.
    report : Mapping
        Counts, in JSON's types or dataclasses.

    Examples
    --------
    >>> save_prepared(Path("tunes"), tunes, [], tokens="v2", report={})  # doctest: +SKIP
    """
    for split in SPLITS:
        kept = (tune.tokenised for tune in tunes if tune.split == split)
        copies = [list(copy) for tokenised in kept for copy in tokenised.copies]
        _write(folder / f"{split}.txt", copies, tokens)
    vocabulary = Vocabulary.of([list(copy) for tune in tunes for copy in tune.tokenised.copies])
    write_text(folder / "vocabulary.json", vocabulary.to_json())
    _write_rows(folder / "tunes.jsonl", [tune.to_dict() for tune in tunes])
    _write_rows(folder / "rejected.jsonl", [tune.to_dict() for tune in rejected])
    text = to_json(document(_KIND, _VERSION, {"tokens": tokens, **report}), indent=2)
    write_text(folder / _REPORT, text + "\n")


def is_prepared(folder: str | Path) -> bool:
    """Return whether a path is a prepared folder.

    Parameters
    ----------
    folder : str or Path
        Any path.

    Returns
    -------
    bool
        Whether the files of a prepared folder are there.

    Examples
    --------
    >>> is_prepared("no such folder")
    False
    """
    return (Path(folder) / "vocabulary.json").is_file() and (Path(folder) / _REPORT).is_file()


def load_prepared(folder: str | Path) -> PreparedTunes:
    """Read a prepared folder.

    Parameters
    ----------
    folder : str or Path
        Folder written by `otoscope folk prepare`.

    Returns
    -------
    PreparedTunes
        Tunes of the folder.

    Raises
    ------
    ParameterError
        If it is not a prepared folder, was written by a later version, or has been changed into
        something that cannot be read.

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
    report = _read_report(folder / _REPORT)
    if report["tokens"] not in get_args(TokenVersion):
        raise ParameterError(f"{folder / _REPORT}: tokens are {report['tokens']!r}, not v1, v2, v3")
    version: TokenVersion = report["tokens"]
    with refusing(folder, "is no prepared folder that can be read"):
        train, valid, test = (_read(folder / f"{split}.txt", version) for split in SPLITS)
        vocabulary = Vocabulary.from_json((folder / "vocabulary.json").read_text("utf-8"))
        lines = (folder / "tunes.jsonl").read_text("utf-8").split("\n")[:-1]
        rows = [parse_json(line, name="a row of tunes.jsonl") for line in lines]
    return PreparedTunes(version, vocabulary, train, valid, test, rows)


def _read_report(path: Path) -> dict[str, Any]:
    """Read the report; version 1 had "schema": 1 or, at first, no version."""
    report = read_json(path)
    if isinstance(report, dict) and "format" not in report:
        report = {"format": f"{_KIND}/{report.pop('schema', 1)}", **report}
    return read_document(report, _KIND, _VERSION, name=f"report {path}", required=["tokens"])[0]


def _write(path: Path, tunes: list[list[str]], tokens: TokenVersion) -> None:
    if tokens == "v1":
        write_text(path, "\n".join("".join(tune) for tune in tunes))
    else:
        write_token_file(path, tunes)


def _read(path: Path, tokens: TokenVersion) -> list[list[str]]:
    if tokens == "v1":
        texts = path.read_text("utf-8").split("\n\n") if path.stat().st_size else []
        return [[*text.removesuffix("\n"), "\n"] for text in texts]
    if not path.stat().st_size:
        return []
    tunes = []
    for tune in read_token_file(path):
        if isinstance(tune, NotationError):
            raise ParameterError(f"{path}: {tune}")
        tunes.append(tune)
    return tunes


def _write_rows(path: Path, rows: list[dict[str, Any]]) -> None:
    write_text(path, "".join(f"{to_json(row)}\n" for row in rows))
