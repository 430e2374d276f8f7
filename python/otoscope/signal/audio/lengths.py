"""Length of the sound by the headers of PCM files: WAV, RF64, W64, AIFF, CAF and AU."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

__all__ = ["PcmLength", "read_pcm_length"]

_STREAMED = 0x7FFFF000
"""A size from here on is written by programs that do not know it yet: SoX, FFmpeg, arecord."""
_STREAMED_64 = 1 << 60
_MOST_CHUNKS = 10_000
_KINDS = {  # position of the first chunk, layout of its head, alignment
    b"RIFF": (12, "<4sI", 2),
    b"RF64": (12, "<4sI", 2),
    b"BW64": (12, "<4sI", 2),
    b"RIFX": (12, ">4sI", 2),
    b"FORM": (12, ">4sI", 2),
    b"caff": (8, ">4sQ", 1),
    b"riff": (40, "<4s12xQ", 8),  # Sony's Wave64, whose sizes count the head
}


@dataclass(frozen=True)
class PcmLength:
    """Bytes of sound: those that the header tells, None if it leaves them open; those there.

    ``field`` is where the header tells them, and what it should hold for the bytes there.
    """

    told: int | None
    there: int
    field: tuple[int, bytes]


def read_pcm_length(file: BinaryIO, size: int) -> PcmLength | None:
    """Read the length of the sound; None in other formats, and without sound."""
    file.seek(0)
    head = file.read(16)
    if head[:4] in _KINDS:
        return _in_chunks(file, head[:4], size)
    order = {b".snd": ">", b"dns.": "<"}.get(head[:4])
    if order is None or len(head) < 12:
        return None
    start, told = struct.unpack(order + "II", head[4:12])
    there = max(0, size - start)
    is_open = told >= _STREAMED or told == 0 < there
    field = 8, struct.pack(order + "I", min(there, 0xFFFFFFFF))
    return PcmLength(None if is_open else told, there, field)


def _in_chunks(file: BinaryIO, kind: bytes, size: int) -> PcmLength | None:
    """Find the chunk of samples."""
    long_field = None
    for name, told, start in _chunks(file, kind):
        if name == b"ds64":
            long_field = start + 8
        elif name.lower() in (b"data", b"ssnd"):
            there = max(0, size - start)
            if long_field is not None and told == 0xFFFFFFFF:
                file.seek(long_field)
                (told,) = struct.unpack("<Q", file.read(8))
                field = long_field, struct.pack("<Q", there)
                is_open = told >= _STREAMED_64
            elif kind in (b"caff", b"riff"):  # 64 bits
                own = 24 if kind == b"riff" else 0
                field = start - 8, struct.pack(_KINDS[kind][1][0] + "Q", there + own)
                is_open = told >= _STREAMED_64
            else:
                field = start - 4, struct.pack(_KINDS[kind][1][0] + "I", min(there, 0xFFFFFFFF))
                is_open = told >= _STREAMED
            is_open = is_open or (told == 0 and _is_never_closed(file, kind, start, size))
            return PcmLength(None if is_open else told, there, field)
    return None


def _is_never_closed(file: BinaryIO, kind: bytes, start: int, size: int) -> bool:
    """Return whether sound follows a length of 0, and not other chunks or nothing."""
    place, alignment = start, _KINDS[kind][2]
    for name, told, after in _chunks(file, kind, start):
        if not name.isascii() or not name.decode("ascii").isprintable():
            return True
        place = after + told + -told % alignment
    return not size <= place < size + alignment


def _chunks(
    file: BinaryIO, kind: bytes, place: int | None = None
) -> Iterator[tuple[bytes, int, int]]:
    """Yield name, size and first byte of each chunk, from ``place`` on or from the first."""
    first, layout, alignment = _KINDS[kind]
    place, length = first if place is None else place, struct.calcsize(layout)
    for _ in range(_MOST_CHUNKS):
        file.seek(place)
        chunk = file.read(length)
        if len(chunk) < length:
            return
        name, told = struct.unpack(layout, chunk)
        if kind == b"riff":
            told = max(0, told - length)
        yield name, told, place + length
        place += length + told + -told % alignment
