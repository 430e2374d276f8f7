"""Sound files that were cut off: what their headers tell against the bytes that are there.

libsndfile shortens the length of such a file to what is there, so that reading says nothing.
"""

from __future__ import annotations

import os
import struct
import sys
import warnings
from collections.abc import Collection, Iterator
from os import SEEK_END, PathLike
from pathlib import Path
from typing import BinaryIO

__all__ = ["TruncatedSound", "truncated_note", "truncation", "warn_if_truncated"]

_STREAMED = 0x7FFFF000
"""A size from here on is written by programs that do not know it yet: SoX, FFmpeg, arecord."""
_UNIT = 2  # bytes that may lack: some writers count a padding byte that they do not write
_MOST_CHUNKS = 10_000
_OGG_PAGE = 65_307  # bytes, the largest
_ID3_TAGS = 16


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
        WAV (RF64, BW64, W64), AIFF, AU, CAF, MP3 with a header of Xing, LAME or Fraunhofer, or Ogg.
        Of other formats, and of sizes that a stream leaves open, nothing can be told.

    Returns
    -------
    str
        Sentence with the file's name; empty if nothing lacks, or if the file cannot be read.

    Examples
    --------
    >>> truncation("halved.wav")  # doctest: +SKIP
    'halved.wav is cut off: its header tells 10.00 s, 5.00 s are there'
    """
    import soundfile

    path = Path(path)
    try:
        with path.open("rb") as file:
            size = file.seek(0, SEEK_END)
            lengths = _lengths(file, size)
        if lengths is None:
            return ""
        told, there = lengths
        info = soundfile.info(path if sys.platform == "win32" else os.fsencode(path))
    except (OSError, struct.error, soundfile.SoundFileError, TypeError):  # TypeError: raw samples
        return ""  # who reads the file says why it cannot be read
    name, seconds = path.name, info.frames / info.samplerate
    if told is None:
        return f"{name} is cut off: its last page does not end the sound; {seconds:.2f} s are there"
    if info.format == "MP3":  # whose length libsndfile takes from the header
        seconds *= there / told
    return (
        f"{name} is cut off: its header tells {seconds * told / max(there, 1):.2f} s, "
        f"{seconds:.2f} s are there"
    )


def truncated_note(texts: Collection[str]) -> list[str]:
    """Sum up what `truncation` said of several files; without any, nothing.

    >>> truncated_note(["a.wav is cut off: its header tells 2.00 s, 1.00 s are there"])
    ['a.wav is cut off: its header tells 2.00 s, 1.00 s are there']
    """
    if len(texts) < 2:
        return list(texts)
    return [f"{len(texts)} sound files are cut off; the first: {next(iter(texts))}"]


def _lengths(file: BinaryIO, size: int) -> tuple[int | None, int] | None:
    """Return the bytes of sound that the header tells (None: unknown) and those there, if fewer."""
    file.seek(0)
    head = file.read(16)
    if head[:4] == b"OggS":
        return None if _ends(file, size) else (None, size)
    lengths = (
        _in_chunks(file, head, size)
        or _of_au(head, size)
        or (_of_mp3(file, size) if head[:3] == b"ID3" or head[:1] == b"\xff" else None)
    )
    if lengths is None:
        return None
    told, there = lengths
    return (told, there) if told - there >= _UNIT else None


def _in_chunks(file: BinaryIO, head: bytes, size: int) -> tuple[int, int] | None:
    """Find the chunk of samples: WAV, RF64, W64, AIFF and CAF."""
    long_size = None
    for name, told, start in _chunks(file, head):
        if name == b"ds64":
            file.seek(start + 8)
            (long_size,) = struct.unpack("<Q", file.read(8))
        elif name.lower() in (b"data", b"ssnd"):
            if long_size is not None and told == 0xFFFFFFFF:
                told = long_size
                is_open = told >= 1 << 62
            elif head[:4] in (b"caff", b"riff"):  # 64 bits; of CAF, -1 is open
                is_open = told >= 1 << 62
            else:
                is_open = told >= _STREAMED
            return None if is_open else (told, max(0, size - start))
    return None


def _chunks(file: BinaryIO, head: bytes) -> Iterator[tuple[bytes, int, int]]:
    """Yield name, size and first byte of each chunk."""
    kinds = {  # position of the first chunk, layout of its head, alignment
        b"RIFF": (12, "<4sI", 2),
        b"RF64": (12, "<4sI", 2),
        b"BW64": (12, "<4sI", 2),
        b"RIFX": (12, ">4sI", 2),
        b"FORM": (12, ">4sI", 2),
        b"caff": (8, ">4sQ", 1),
        b"riff": (40, "<4s12xQ", 8),  # Sony's Wave64, whose sizes count the head
    }
    if head[:4] not in kinds:
        return
    place, layout, alignment = kinds[head[:4]]
    length = struct.calcsize(layout)
    for _ in range(_MOST_CHUNKS):
        file.seek(place)
        chunk = file.read(length)
        if len(chunk) < length:
            return
        name, told = struct.unpack(layout, chunk)
        if head[:4] == b"riff":
            told = max(0, told - length)
        yield name, told, place + length
        place += length + told + -told % alignment


def _of_au(head: bytes, size: int) -> tuple[int, int] | None:
    order = {b".snd": ">", b"dns.": "<"}.get(head[:4])
    if order is None:
        return None
    start, told = struct.unpack(order + "II", head[4:12])
    return None if told >= _STREAMED else (told, max(0, size - start))


def _of_mp3(file: BinaryIO, size: int) -> tuple[int, int] | None:
    """Read the bytes that a header of Xing, LAME (Info) or Fraunhofer (VBRI) counts."""
    start = 0
    for _ in range(_ID3_TAGS):
        file.seek(start)
        tag = file.read(10)
        if tag[:3] != b"ID3" or len(tag) < 10:
            break
        has_footer = bool(tag[5] & 0x10)
        start += (
            10 + sum((b & 0x7F) << 7 * (3 - i) for i, b in enumerate(tag[6:])) + 10 * has_footer
        )
    file.seek(start)
    frame = file.read(4096)
    padding = len(frame) - len(frame.lstrip(b"\0"))  # of some tags, not counted by them
    start, frame = start + padding, frame[padding:]
    if len(frame) < 64 or frame[0] != 0xFF or frame[1] & 0xE0 != 0xE0:
        return None
    is_mono, is_mpeg1 = frame[3] >> 6 == 3, frame[1] & 0x18 == 0x18
    side = (17 if is_mono else 32) if is_mpeg1 else (9 if is_mono else 17)
    for place in (4 + side, 6 + side):  # behind a checksum
        if frame[place : place + 4] in (b"Xing", b"Info"):
            (flags,) = struct.unpack(">I", frame[place + 4 : place + 8])
            if flags & 2:
                place += 12 if flags & 1 else 8
                return struct.unpack(">I", frame[place : place + 4])[0], size - start
            return None
    if frame[36:40] == b"VBRI":
        return struct.unpack(">I", frame[46:50])[0], size - start
    return None


def _ends(file: BinaryIO, size: int) -> bool:
    """Return whether the last page of an Ogg file is whole and marked as the end of its stream."""
    file.seek(max(0, size - 2 * _OGG_PAGE))
    tail = file.read(2 * _OGG_PAGE)
    place, ends = tail.find(b"OggS"), False
    while place >= 0:
        table = tail[place + 27 : place + 27 + tail[place + 26]] if place + 26 < len(tail) else b""
        end = place + 27 + len(table) + sum(table)
        is_whole = bool(table) and end <= len(tail)
        ends = is_whole and bool(tail[place + 5] & 4)
        is_followed = is_whole and tail[end : end + 4] == b"OggS"
        place = end if is_followed else tail.find(b"OggS", end if ends else place + 4)
    return ends
