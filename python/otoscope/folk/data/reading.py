"""Tunes of collections, users' files and the generator, each in the tokens that a model reads.

A source is the name of a printed collection ("ryan"), "generated:200", or the path of an ABC file,
of a folder of these, or of a file of tokens in the form of folk-rnn's authors. A tune that cannot
be used is given as such, with its place and the reason: nothing is dropped in silence.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final, Literal, TypeAlias

from otoscope.errors import ParameterError
from otoscope.folk.abc import NotationError, Tune, read_book
from otoscope.folk.data.generate import generate_tune
from otoscope.folk.data.prints import COLLECTIONS, collection_files
from otoscope.folk.tokens import Tokeniser, read_token_file, tokeniser
from otoscope.progress import Progress

__all__ = ["Origin", "ReadTune", "RejectedTune", "files_of", "read_tunes"]

_GENERATED: Final = "generated:"
# Meter and key, a line each: the first two lines of a file of tokens, and of no book of ABC.
_HEAD: Final = re.compile(rb"(?:\xef\xbb\xbf)?\s*(?:<s>\s+)?M:\S+\s*\n\s*K:(C?)[a-z]{3}\s*\n")


@dataclass(frozen=True)
class Origin:
    """Where a tune comes from.

    Parameters
    ----------
    source : str
        As it was asked for: "oneill", "generated:200", "my/tunes.abc".
    file : str
        The file's name, within its folder if the source is one; "" for what was generated.
    number : int
        Of the tune in its file, from 1.
    line : int, optional
        In the file, from 1; None for what was generated and for files of tokens.
    title : str
        As written; "" if it has none or could not be read.

    Examples
    --------
    >>> Origin("ryan", "AcaciaReel.abc", 1, 2, "Acacia -- Reel").name
    'ryan/AcaciaReel.abc#1'
    """

    source: str
    file: str
    number: int
    line: int | None = None
    title: str = ""

    @property
    def name(self) -> str:
        """A name that no other tune has."""
        is_file = self.file in ("", Path(self.source).name)
        return f"{self.source if is_file else f'{self.source}/{self.file}'}#{self.number}"


@dataclass(frozen=True, eq=False)
class ReadTune:
    """A tune that can be used.

    Parameters
    ----------
    origin : Origin
        Where it comes from.
    tune : Tune
        As written in its source.
    copies : tuple of tuple of str
        Its tokens, without boundaries; in v3 twice, on C and on C sharp.

    Examples
    --------
    >>> tune = next(read_tunes("generated:1"))
    >>> tune.copies[0][0].startswith("M:")
    True
    """

    origin: Origin
    tune: Tune
    copies: tuple[tuple[str, ...], ...]

    @property
    def n_tokens(self) -> int:
        """Length of one copy."""
        return len(self.copies[0])

    @property
    def meter(self) -> str:
        """Meter that the tokens say, in v1 that of the source: "6/8"."""
        said = self.copies[0][0]
        return said[2:] if said.startswith("M:") else self.tune.meter.text

    @property
    def mode(self) -> str:
        """Mode that the tokens say, "maj", "min", "dor" or "mix"; in v1 that of the source."""
        said = self.copies[0][1]
        return said[-3:] if said.startswith("K:") else self.tune.key.mode


@dataclass(frozen=True)
class RejectedTune:
    """A tune, or a whole file, that cannot be used.

    Parameters
    ----------
    origin : Origin
        Where it comes from; number 0 is the whole file.
    line, column : int, optional
        Where the reason is.
    reason : str
        Short: what is counted.
    message : str
        In full.

    Examples
    --------
    >>> origin = Origin("a.abc", "a.abc", 3, 41, "Air")
    >>> RejectedTune(origin, 44, 7, "several voices", "line 44, column 7: ...").reason
    'several voices'
    """

    origin: Origin
    line: int | None
    column: int | None
    reason: str
    message: str

    def to_dict(self) -> dict[str, Any]:
        """Give a row of ``rejected.jsonl``."""
        origin = self.origin
        return {
            "name": origin.name,
            "source": origin.source,
            "file": origin.file,
            "line": self.line,
            "column": self.column,
            "title": origin.title,
            "reason": self.reason,
            "message": self.message,
        }


Form: TypeAlias = Literal["v1", "v2", "v3"]


def files_of(source: str) -> list[Path]:
    """Find the files of a source.

    Parameters
    ----------
    source : str
        As for `read_tunes`; of a folder, what ends in .abc.

    Returns
    -------
    list of Path
        In alphabetical order; none for what is generated.

    Raises
    ------
    ParameterError
        If nothing is there, or "generated:" is not followed by a number above 0.
    MissingExtra
        If it is a collection and music21 is not installed.

    Examples
    --------
    >>> [path.name for path in files_of("aird")][:2]  # doctest: +SKIP
    ['book1.abc', 'book2.abc']
    """
    if source.startswith(_GENERATED):
        _n_generated(source)
        return []
    if source in COLLECTIONS:
        return collection_files(source)
    path = Path(source)
    if not path.exists():
        known = ", ".join(COLLECTIONS)
        raise ParameterError(f"{source} is not there; a source is {known}, {_GENERATED}N or a path")
    if not path.is_dir():
        return [path]
    paths = sorted(p for p in path.rglob("*") if p.suffix.lower() == ".abc" and p.is_file())
    if not paths:
        raise ParameterError(f"{source} has no files that end in .abc")
    return paths


def read_tunes(
    source: str, *, tokens: Form = "v2", seed: int = 0, progress: Progress | None = None
) -> Iterator[ReadTune | RejectedTune]:
    """Read the tunes of a source, one by one.

    Parameters
    ----------
    source : str
        "aird", "oneill", "ryan", "misc", "generated:N" or a path.
    tokens : {"v1", "v2", "v3"}
        Of paper D: characters; tokens on C; tokens on C and C sharp.
    seed : int
        Of what is generated.
    progress : callable, optional
        Goes over the files.

    Yields
    ------
    ReadTune or RejectedTune
        In the order of the files.

    Raises
    ------
    ParameterError
        If there is no such source, or it is one file that is empty or not text.
    MissingExtra
        If it is a collection and music21 is not installed.

    Examples
    --------
    >>> [tune.origin.name for tune in read_tunes("generated:2")]
    ['generated:2#1', 'generated:2#2']
    """
    asked = tokeniser(tokens)
    progress = progress or (lambda items, _: items)
    if source.startswith(_GENERATED):
        for index in progress(range(_n_generated(source)), "tunes"):
            tune = generate_tune(seed, index)
            origin = Origin(source, "", index + 1, title=tune.title)
            yield _converted(origin, tune, asked)
        return
    paths = files_of(source)
    for path in progress(paths, "files"):
        try:
            yield from _of_file(path, source, asked)
        except NotationError as err:  # of the whole file
            if len(paths) == 1:
                raise
            yield _rejected(Origin(source, _within(path, source), 0), err)


def _n_generated(source: str) -> int:
    number = source.removeprefix(_GENERATED)
    if not number.isdecimal() or int(number) == 0:
        raise ParameterError(f"{source} must be {_GENERATED} and how many, as in {_GENERATED}200")
    return int(number)


def _within(path: Path, source: str) -> str:
    """The file's name, within the source if that is a folder."""
    folder = Path(source)
    return str(path.relative_to(folder)) if folder in path.parents else path.name


def _of_file(path: Path, source: str, asked: Tokeniser) -> Iterator[ReadTune | RejectedTune]:
    origin = Origin(source, _within(path, source), 0)
    if written_in := _form(path):
        yield from _of_tokens(path, origin, asked, tokeniser(written_in))
        return
    for number, tune in enumerate(read_book(path), start=1):
        numbered = replace(origin, number=number)
        if isinstance(tune, NotationError):
            yield _rejected(numbered, tune)
        else:
            yield _converted(replace(numbered, line=tune.line, title=tune.title), tune, asked)


def _form(path: Path) -> Form | None:
    """In which tokens a file is written; None where it is not one of tokens."""
    with path.open("rb") as file:
        head = _HEAD.match(file.read(200))
    return None if head is None else "v2" if head[1] else "v3"


def _of_tokens(
    path: Path, origin: Origin, asked: Tokeniser, written_in: Tokeniser
) -> Iterator[ReadTune | RejectedTune]:
    """Give the tunes as they are if these tokens are those asked for, else convert them."""
    on_c: tuple[tuple[str, ...], ...] = ()
    for number, tokens in enumerate(read_token_file(path), start=1):
        numbered = replace(origin, number=number)
        try:
            if isinstance(tokens, NotationError):
                raise tokens
            tune = written_in.tune(tokens)
        except NotationError as err:
            yield _rejected(numbered, err)
            continue
        if asked.name == written_in.name:
            yield ReadTune(numbered, tune, (tuple(tokens),))
            continue
        found = _converted(numbered, tune, asked)
        if isinstance(found, ReadTune) and written_in.name == "v3":
            if found.copies == on_c:
                message = f"tune {number} is tune {number - 1} on C sharp"
                found = RejectedTune(numbered, None, None, "copy on C sharp", message)
            else:
                on_c = found.copies
        yield found


def _converted(origin: Origin, tune: Tune, asked: Tokeniser) -> ReadTune | RejectedTune:
    try:
        return ReadTune(origin, tune, tuple(map(tuple, asked.copies(tune))))
    except NotationError as err:
        return _rejected(origin, err)


def _rejected(origin: Origin, err: NotationError) -> RejectedTune:
    return RejectedTune(origin, err.line, err.column, err.reason, str(err))
