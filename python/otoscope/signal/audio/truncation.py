"""Sound files that were cut off: what their headers tell against the bytes that are there.

libsndfile shortens the length of such a file to what is there, so that reading says nothing.
"""

from __future__ import annotations

import struct
import warnings
from collections.abc import Collection
from os import SEEK_END, PathLike
from pathlib import Path

from otoscope.errors import ParameterError
from otoscope.signal.audio import ogg
from otoscope.signal.audio.lengths import read_pcm_length
from otoscope.signal.audio.mpeg import read_mpeg
from otoscope.signal.audio.reader import SoundReader

__all__ = ["TruncatedSound", "truncated_note", "truncation", "warn_if_truncated"]

_UNIT = 2  # bytes that may lack: some writers count a padding byte that they do not write


class TruncatedSound(UserWarning):
    """Warning for a sound file that was cut off: less is there than its header tells."""


def warn_if_truncated(path: str | PathLike[str], *, stacklevel: int = 2) -> None:
    """Warn with `TruncatedSound` if a file was cut off; see `truncation`."""
    if text := truncation(path):
        warnings.warn(text, TruncatedSound, stacklevel=stacklevel + 1)


def truncation(path: str | PathLike[str]) -> str:
    """Say what a sound file lacks, without decoding it.

    Parameters
    ----------
    path : str or PathLike
        WAV (RF64, BW64, W64), AIFF, AU and CAF, whose header tells the length; MP3 with a header of
        Xing, LAME or Fraunhofer; MP3 without one, whose last frame must be whole; Ogg, whose last
        page must end the sound. A cut between two frames of an MP3 without a header, and the end
        of a length that a stream leaves open, cannot be known. A FLAC file that was cut within a
        frame is refused by `read_audio`.

    Returns
    -------
    str
        Sentence with the file's name; empty if nothing lacks, or if the file cannot be read.

    Examples
    --------
    >>> truncation("halved.wav")  # doctest: +SKIP
    'halved.wav is cut off: its header tells 10.00 s, 5.00 s are there'
    """
    path = Path(path)
    try:
        text = _lack(path)
    except (OSError, struct.error, ValueError, ParameterError):
        return ""  # who reads the file says why it cannot be read
    return f"{path.name} is cut off: {text}" if text else ""


def truncated_note(texts: Collection[str]) -> list[str]:
    """Sum up what `truncation` said of several files; without any, nothing.

    >>> truncated_note(["a.wav is cut off: its header tells 2.00 s, 1.00 s are there"])
    ['a.wav is cut off: its header tells 2.00 s, 1.00 s are there']
    """
    if len(texts) < 2:
        return list(texts)
    return [f"{len(texts)} sound files are cut off; the first: {next(iter(texts))}"]


def _lack(path: Path) -> str:
    with path.open("rb") as file:
        size = file.seek(0, SEEK_END)
        file.seek(0)
        head = file.read(4)
        if head == b"OggS":
            if ogg.ends(file, size):
                return ""
            return f"its last page does not end the sound; {_seconds(path):.2f} s are there"
        if head[:3] == b"ID3" or head[:1] == b"\xff":
            stream = read_mpeg(file, size)
            if stream is None:
                return ""
            if stream.counted is None:
                lack = f"its last frame is not whole; {stream.seconds:.2f} s are there"
                return "" if stream.is_whole else lack
            told, there = stream.counted, size - stream.first
            seconds = _seconds(path) * there / told  # libsndfile takes the length from the header
        else:
            length = read_pcm_length(file, size)
            if length is None or length.told is None:
                return ""
            told, there = length.told, length.there
            seconds = _seconds(path) if told - there >= _UNIT else 0.0
    if told - there < _UNIT:
        return ""
    return f"its header tells {seconds * told / max(there, 1):.2f} s, {seconds:.2f} s are there"


def _seconds(path: Path) -> float:
    with SoundReader(path) as reader:
        return reader.n_frames / reader.sr
