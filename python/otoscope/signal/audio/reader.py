"""Sound files from their first sample to their last, whatever their headers tell.

libsndfile goes by the header: it reads nothing of a WAV file that was never closed, the first link
of an Ogg chain, as much of an MP3 without a count as its first frame lets expect, and no end of a
FLAC stream. Such files are given to it as they would be with a right header.
"""

from __future__ import annotations

import io
import itertools
import math
import os
import re
import sys
from bisect import bisect_right
from collections.abc import Sequence
from pathlib import Path
from typing import Any, BinaryIO

from otoscope.errors import ParameterError
from otoscope.signal.audio import ogg
from otoscope.signal.audio.lengths import read_pcm_length
from otoscope.signal.audio.mpeg import read_mpeg

__all__ = ["SoundReader"]

_ANY_LENGTH = 1 << 60  # frames; libsndfile's 2^63 - 1 says that it knows no end
_READ = 1 << 24  # samples of all channels read at once: a header may claim any number
_READ_OPEN = 1 << 20

_Piece = bytes | tuple[int, int]  # content, or a part of the file


class SoundReader:
    """Reads a sound file in order.

    ``sr`` is its sampling rate in Hz, ``n_channels`` their number and ``n_frames`` the number of
    samples per channel by its header, or inf if nothing tells.

    Raises
    ------
    ParameterError
        If the file is missing, empty or no sound file, or a chain of links that differ in sampling
        rate or channels.
    """

    sr: int
    n_channels: int
    n_frames: float

    def __init__(self, path: Path) -> None:
        self._path = path
        self._links = _links(path)
        self._file, self._next = self._open(0), 1
        self.sr, self.n_channels = self._file.samplerate, self._file.channels
        self.n_frames = math.inf if self._file.frames >= _ANY_LENGTH else self._file.frames
        for i in range(1, len(self._links)):
            with self._open(i) as link:
                self.n_frames += link.frames
                if (link.samplerate, link.channels) != (self.sr, self.n_channels):
                    self._file.close()
                    raise ParameterError(
                        f"{path} is a chain of streams, of which number 1 has {self.sr} Hz and "
                        f"{self.n_channels} channels, number {i + 1} {link.samplerate} Hz and "
                        f"{link.channels}: convert it with ffmpeg"
                    )

    def __enter__(self) -> SoundReader:
        """Return the reader."""
        return self

    def __exit__(self, *error: object) -> None:
        """Close the file."""
        self._file.close()

    def read(self, n: int | None = None) -> Any:
        """Read at most ``n`` frames: array [frame, channel], float32, empty at the end."""
        import soundfile

        most = _READ if self._file.seekable() else _READ_OPEN
        most = max(1, most // self.n_channels)
        while True:
            try:
                samples = self._file.read(min(n or most, most), dtype="float32", always_2d=True)
            except soundfile.SoundFileError as err:
                raise _unreadable(self._path, err) from err
            if len(samples) or self._next >= len(self._links):
                return samples
            self._file.close()
            self._file, self._next = self._open(self._next), self._next + 1

    def _open(self, link: int) -> Any:
        import soundfile

        source: Any = self._path if sys.platform == "win32" else os.fsencode(self._path)
        if self._links:  # soundfile encodes no name that is not UTF-8
            source = io.BufferedReader(_Pieces(self._path, self._links[link]))
        try:
            file = soundfile.SoundFile(source)
        except (soundfile.SoundFileError, TypeError) as err:  # TypeError: raw samples
            raise _unreadable(self._path, err) from err
        if file.frames >= _ANY_LENGTH:
            file.seekable = lambda: False  # soundfile would seek behind each block, also the last
        return file


class _Pieces(io.RawIOBase):
    """Pieces of a file and other bytes, as one file."""

    def __init__(self, path: Path, pieces: Sequence[_Piece]) -> None:
        self._file = path.open("rb")
        self._pieces = pieces
        sizes = (len(p) if isinstance(p, bytes) else p[1] - p[0] for p in pieces)
        self._ends = list(itertools.accumulate(sizes))
        self._place = 0

    def close(self) -> None:
        self._file.close()
        super().close()

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        start = {os.SEEK_SET: 0, os.SEEK_CUR: self._place, os.SEEK_END: self._ends[-1]}[whence]
        self._place = max(0, start + offset)
        return self._place

    def readinto(self, buffer: Any) -> int:
        index = bisect_right(self._ends, self._place)
        if index == len(self._pieces):
            return 0
        piece, end = self._pieces[index], self._ends[index]
        n = min(len(buffer), end - self._place)
        if isinstance(piece, bytes):
            part = piece[len(piece) - (end - self._place) :][:n]
        else:
            self._file.seek(piece[1] - (end - self._place))
            part = self._file.read(n)
        buffer[: len(part)] = part
        self._place += len(part)
        return len(part)


def _links(path: Path) -> list[list[_Piece]]:
    """List the files that libsndfile should see; none if it is to read the file as it is."""
    if not path.is_file():
        place = "a link to nothing" if path.is_symlink() else "not there"
        raise ParameterError(f"{path} is {'a folder' if path.is_dir() else place}")
    if path.stat().st_size == 0:
        raise ParameterError(f"{path} is empty (0 bytes)")
    try:
        with path.open("rb") as file:
            return _seen(file, file.seek(0, os.SEEK_END))
    except OSError as err:
        raise _unreadable(path, err) from err


def _seen(file: BinaryIO, size: int) -> list[list[_Piece]]:
    file.seek(0)
    head = file.read(4)
    if head == b"OggS":
        chain = ogg.links(file, size)
        return [[link] for link in chain] if len(chain) > 1 else []
    if head[:3] == b"ID3" or head[:1] == b"\xff":
        stream = read_mpeg(file, size)
        if stream is None or stream.counted is not None:
            return []
        count, frames = stream.counting_frame(), (stream.first, stream.end)
        if count is None and stream.end == size:
            return []
        return [[count, frames] if count else [frames]]
    length = read_pcm_length(file, size)
    if length is None or length.told is not None:
        return []
    place, field = length.field
    return [[(0, place), field, (place + len(field), size)]]


def _unreadable(path: Path, err: Exception) -> ParameterError:
    reason = re.sub(r"^Error opening (b?(['\"]).*\2|<.*>): ", "", str(err)).rstrip(".")
    return ParameterError(
        f"{path} cannot be read as sound ({reason}); "
        "wav, flac, ogg and mp3 can: convert others with ffmpeg"
    )
