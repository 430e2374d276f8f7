"""Files of notation programs as tunes."""

from __future__ import annotations

from pathlib import Path

from otoscope.errors import ParameterError
from otoscope.folk.abc import NotationError, Tune
from otoscope.folk.interchange.midi import tune_of_midi
from otoscope.folk.interchange.musicxml import tune_of_musicxml

__all__ = ["SUFFIXES", "read_score"]

SUFFIXES = (".musicxml", ".mxl", ".xml", ".mid", ".midi")
"""Endings of the files that `read_score` reads."""

_MOST_BYTES = 30 * 2**20


def read_score(path: str | Path, *, strict: bool = False) -> Tune:
    """Read the melody of a MusicXML or MIDI file: the first voice of its first part with notes.

    Of MusicXML are read notes, rests, ties, grace notes, bar lines, repeats, endings, keys, meters,
    transposing instruments, the tempo, title and composer; of MIDI notes, meters, keys, tempo and
    title. MIDI has neither spelling nor bar lines: pitches are spelled in the key, bars begin where
    the meter says. Without key, and for the modes that MIDI does not know, the key is that which
    has most of the notes and ends on the last. A note ends at the latest where the next begins.

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
