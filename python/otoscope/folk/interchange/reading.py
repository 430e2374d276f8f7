"""Files of notation programs as tunes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from otoscope.errors import ParameterError
from otoscope.folk.abc import NotationError, Tune
from otoscope.folk.abc.text.book import stream_book
from otoscope.folk.interchange.midi import tune_of_midi
from otoscope.folk.interchange.musicxml import tune_of_musicxml

__all__ = ["BOOKS", "SUFFIXES", "read_score", "stream_file"]

SUFFIXES = (".musicxml", ".mxl", ".xml", ".mid", ".midi")
"""Endings of the files that `read_score` reads."""

BOOKS = (".abc", *SUFFIXES)
"""Endings of the files that are taken from a folder of tunes."""

_MOST_BYTES = 30 * 2**20


def read_score(path: str | Path, *, strict: bool = False) -> Tune:
    """Read the melody of a MusicXML or MIDI file: the first voice of its first part with notes.

    Of MusicXML are read notes, rests, ties, grace notes, bar lines, repeats, endings, keys, meters,
    transposing instruments, chord symbols, names of parts, tempo, title and composer; of MIDI
    notes, meters, keys, tempo and title. MIDI has neither spelling nor bar lines: pitches are
    spelled in the key, bars begin where the meter says. A file without key gets the key that has
    most of its notes and ends on the last one; so do the modes that MIDI cannot name. A note ends
    at the latest where the next begins.

    Parameters
    ----------
    path : str or Path
        File with an ending of `SUFFIXES`, of at most 30 MiB.
    strict : bool
        Refuse files with further voices or parts instead of leaving these out; what is left out is
        in `Tune.notices`.

    Returns
    -------
    Tune
        Tune at the pitch at which it sounds.

    Raises
    ------
    NotationError
        If the file is damaged, too large or no such file, has no note, or if ``strict`` and it has
        further voices.
    OSError
        If the file is missing.
    MissingExtra
        If mido, which reads MIDI, is not installed.

    Examples
    --------
    >>> import tempfile
    >>> from otoscope.folk.abc import parse_tune, to_abc
    >>> from otoscope.folk.interchange import to_musicxml
    >>> path = Path(tempfile.mkdtemp()) / "a.musicxml"
    >>> _ = path.write_bytes(to_musicxml(parse_tune("M:3/4\\nL:1/8\\nK:G\\nG2 (3ABc d2|")))
    >>> to_abc(read_score(path)).splitlines()[-1]
    'G2 (3ABc d2 |]'
    """
    path = Path(path)
    kind = path.suffix.lower()
    if kind not in SUFFIXES:
        raise ParameterError(f"{path.name} is none of {', '.join(SUFFIXES)}")
    content = path.read_bytes()
    try:
        if len(content) > _MOST_BYTES:
            message = f"{len(content):,} bytes came, needs at most {_MOST_BYTES:,}"
            raise NotationError(message, reason="size")
        is_midi = kind in (".mid", ".midi")
        tune = tune_of_midi(content) if is_midi else tune_of_musicxml(content, _MOST_BYTES)
        if strict and tune.notices:
            raise tune.notices[0]
    except NotationError as err:
        raise NotationError(f"{path.name}: {err.message}", reason=err.reason) from err
    return tune


def stream_file(path: Path, *, strict: bool = False) -> Iterator[Tune | NotationError]:
    """Read a score, or else a book of ABC tune by tune.

    Parameters
    ----------
    path : Path
        File with an ending of `SUFFIXES`, or ABC.
    strict : bool
        As for `read_score` and `read_book`.

    Yields
    ------
    Tune or NotationError
        Each tune, or the error at which reading it ended.

    Raises
    ------
    NotationError
        If a file of ABC has no tune.
    OSError
        If the file is missing.
    MissingExtra
        If mido, which reads MIDI, is not installed.

    Examples
    --------
    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "a.abc"
    >>> _ = path.write_text("X:1\\nT:One\\nK:C\\nC|\\n\\nX:2\\nT:Two\\nK:C\\nD|\\n")
    >>> [tune.title for tune in stream_file(path)]
    ['One', 'Two']
    """
    if path.suffix.lower() not in SUFFIXES:
        yield from stream_book(path, strict=strict)
        return
    try:
        yield read_score(path, strict=strict)
    except NotationError as err:
        yield err
