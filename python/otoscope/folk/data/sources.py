"""Tunes of printed collections, users' files and the generator, in the tokens that a model reads.

A source is the name of a printed collection ("ryan"), "generated:200", or the path of an ABC file,
of a folder of ABC files, or of a file of tokens in the form of folk-rnn's authors. A tune that
cannot be used is returned as a `RejectedTune` with its place and the reason: none is dropped.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final, Literal, TypeAlias

from otoscope.errors import ParameterError
from otoscope.folk.abc import NotationError, Tune
from otoscope.folk.data.collections import COLLECTIONS, collection_files, not_there
from otoscope.folk.data.generate import generate_tune
from otoscope.folk.interchange import BOOKS, stream_file
from otoscope.folk.tokens import Tokeniser, get_tokeniser, read_token_file
from otoscope.foreign import files_below
from otoscope.progress import Progress, silent, tracked

__all__ = [
    "Origin",
    "RejectedTune",
    "TokenVersion",
    "TokenisedTune",
    "files_of",
    "read_tunes",
]

TokenVersion: TypeAlias = Literal["v1", "v2", "v3"]
"""Tokenisers of paper D: characters; tokens on root C; tokens on roots C and C sharp."""

_GENERATED: Final = "generated:"
# Meter and key on a line each: the first two lines of a file of tokens, and of no ABC file.
_HEAD: Final = re.compile(rb"(?:\xef\xbb\xbf)?\s*(?:<s>\s+)?M:\S+\s*\n\s*K:(C?)[a-z]{3}\s*\n")


@dataclass(frozen=True)
class Origin:
    """Source, file and number of a tune.

    Parameters
    ----------
    source : str
        Source as the user named it: "oneill", "generated:200", "my/tunes.abc".
    file : str
        Name of the file, relative to the source if that is a folder; "" for generated tunes.
    number : int
        Number of the tune in its file, from 1.
    line : int, optional
        Line in the file, from 1; None for generated tunes and for files of tokens.
    title : str
        Title as written; "" if there is none or the tune could not be read.

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
        """Unique name of the tune."""
        is_file = self.file in ("", Path(self.source).name)
        return f"{self.source if is_file else f'{self.source}/{self.file}'}#{self.number}"


@dataclass(frozen=True, eq=False)
class TokenisedTune:
    """A tune and its tokens.

    Parameters
    ----------
    origin : Origin
        Source, file and number.
    tune : Tune
        Tune as written in its source.
    copies : tuple of tuple of str
        Tokens, without boundaries; two copies in v3, on C and on C sharp, else one.

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
    def notices(self) -> tuple[str, ...]:
        """Voices and overlays that were left out, with line and column."""
        return tuple(map(str, self.tune.notices))

    @property
    def n_tokens(self) -> int:
        """Number of tokens of one copy."""
        return len(self.copies[0])

    @property
    def meter(self) -> str:
        """Meter in the tokens, in v1 that of the source: "6/8"."""
        token = self.copies[0][0]
        return token[2:] if token.startswith("M:") else self.tune.meter.text

    @property
    def mode(self) -> str:
        """Mode in the tokens, "maj", "min", "dor" or "mix"; in v1 that of the source."""
        token = self.copies[0][1]
        return token[-3:] if token.startswith("K:") else self.tune.key.mode


@dataclass(frozen=True)
class RejectedTune:
    """A tune, or a whole file, that cannot be used.

    Parameters
    ----------
    origin : Origin
        Source, file and number; number 0 is the whole file.
    line, column : int, optional
        Place of the fault.
    reason : str
        Short reason, for counting.
    message : str
        Full message.

    Examples
    --------
    >>> origin = Origin("a.abc", "a.abc", 3, 41, "Air")
    >>> RejectedTune(origin, 44, 7, "key changes", "line 44, column 7: ...").reason
    'key changes'
    """

    origin: Origin
    line: int | None
    column: int | None
    reason: str
    message: str

    def to_dict(self) -> dict[str, Any]:
        """Return a row of ``rejected.jsonl``."""
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


def files_of(source: str) -> list[Path]:
    """Find the files of a source.

    Parameters
    ----------
    source : str
        Source, as for `read_tunes`. For a folder, its ABC files and scores are taken: .abc,
        .musicxml, .mxl, .xml, .mid and .midi.

    Returns
    -------
    list of Path
        Files in alphabetical order; empty for generated tunes.

    Raises
    ------
    ParameterError
        If there is no such source, or "generated:" is not followed by a number above 0.
    MissingExtra
        If the source is a collection and music21 is not installed.

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
    if not source or not path.exists():
        raise not_there(source, f"a file, a folder of ABC files, {_GENERATED}N")
    if not path.is_dir():
        return [path]
    paths = files_below(path, set(BOOKS))
    if not paths:
        raise ParameterError(f"{source} has no files that end in {', '.join(BOOKS)}")
    return paths


def read_tunes(
    source: str,
    *,
    tokens: TokenVersion = "v2",
    seed: int = 0,
    strict: bool = False,
    progress: Progress = silent,
) -> Iterator[TokenisedTune | RejectedTune]:
    """Read the tunes of a source.

    Parameters
    ----------
    source : str
        "aird", "oneill", "ryan", "misc", "generated:N" or a path.
    tokens : {"v1", "v2", "v3"}
        Tokeniser of paper D: characters; tokens on C; tokens on C and C sharp.
    seed : int
        Random seed of generated tunes.
    strict : bool
        Refuse tunes that are not read whole: second voices, overlays, directives on pitches.
    progress : bool or callable
        True shows a bar over the "files".

    Yields
    ------
    TokenisedTune or RejectedTune
        Tunes in the order of the files.

    Raises
    ------
    ParameterError
        If there is no such source, or it is one file that is empty or not text.
    MissingExtra
        If the source is a collection and music21 is not installed.

    Examples
    --------
    >>> [tune.origin.name for tune in read_tunes("generated:2")]
    ['generated:2#1', 'generated:2#2']
    """
    target = get_tokeniser(tokens)
    if source.startswith(_GENERATED):
        for index in tracked(progress, range(_n_generated(source)), "tunes"):
            tune = generate_tune(seed, index)
            origin = Origin(source, "", index + 1, title=tune.title)
            yield _tokenised(origin, tune, target)
        return
    paths = files_of(source)
    for path in tracked(progress, paths, "files"):
        try:
            yield from _read_file(path, source, target, strict)
        except (NotationError, OSError) as err:  # about the whole file
            if len(paths) == 1:
                raise
            yield _rejected(Origin(source, _relative_name(path, source), 0), _of_file(path, err))


def _of_file(path: Path, err: NotationError | OSError) -> NotationError:
    if isinstance(err, NotationError):
        return err
    is_lost = path.is_symlink() and not path.exists()
    message = "is a link to nothing" if is_lost else f"cannot be read: {err.strerror or err}"
    return NotationError(message, reason="unreadable file")


def _n_generated(source: str) -> int:
    number = source.removeprefix(_GENERATED)
    if not number.isdecimal() or int(number) == 0:
        raise ParameterError(
            f"{source} must be {_GENERATED} and a number of tunes, as in {_GENERATED}200"
        )
    return int(number)


def _relative_name(path: Path, source: str) -> str:
    """Return the name of the file, relative to the source if that is a folder."""
    folder = Path(source)
    return path.relative_to(folder).as_posix() if folder in path.parents else path.name


def _read_file(
    path: Path, source: str, target: Tokeniser, strict: bool
) -> Iterator[TokenisedTune | RejectedTune]:
    origin = Origin(source, _relative_name(path, source), 0)
    if version := _version_of(path):
        yield from _read_tokens(path, origin, target, get_tokeniser(version))
        return
    for number, tune in enumerate(stream_file(path, strict=strict), start=1):
        numbered = replace(origin, number=number)
        if isinstance(tune, NotationError):
            yield _rejected(numbered, tune)
        else:
            yield _tokenised(replace(numbered, line=tune.line, title=tune.title), tune, target)


def _version_of(path: Path) -> TokenVersion | None:
    """Return the version of the tokens in a file; None if the file is not one of tokens."""
    with path.open("rb") as file:
        head = _HEAD.match(file.read(200))
    return None if head is None else "v2" if head[1] else "v3"


def _read_tokens(
    path: Path, origin: Origin, target: Tokeniser, written: Tokeniser
) -> Iterator[TokenisedTune | RejectedTune]:
    """Yield the tokens of a file as they are if they are of the target version, else converted."""
    on_c: tuple[tuple[str, ...], ...] = ()
    for number, tokens in enumerate(read_token_file(path), start=1):
        numbered = replace(origin, number=number)
        try:
            if isinstance(tokens, NotationError):
                raise tokens
            tune = written.tune(tokens)
        except NotationError as err:
            yield _rejected(numbered, err)
            continue
        if target.name == written.name:
            yield TokenisedTune(numbered, tune, (tuple(tokens),))
            continue
        converted = _tokenised(numbered, tune, target)
        if isinstance(converted, TokenisedTune) and written.name == "v3":
            if converted.copies == on_c:
                message = f"tune {number} is tune {number - 1} on C sharp"
                converted = RejectedTune(numbered, None, None, "copy on C sharp", message)
            else:
                on_c = converted.copies
        yield converted


def _tokenised(origin: Origin, tune: Tune, target: Tokeniser) -> TokenisedTune | RejectedTune:
    try:
        return TokenisedTune(origin, tune, tuple(map(tuple, target.copies(tune))))
    except NotationError as err:
        return _rejected(origin, err)


def _rejected(origin: Origin, err: NotationError) -> RejectedTune:
    return RejectedTune(origin, err.line, err.column, err.reason, str(err))
