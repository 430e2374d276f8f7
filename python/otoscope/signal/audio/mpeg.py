"""Frames of MPEG audio: how many a file holds, whether a header counts them, which are whole."""

from __future__ import annotations

import mmap
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import BinaryIO

__all__ = ["MpegStream", "read_mpeg"]

_LOW_RATES = (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160)
_BITRATES = {  # kbit/s by (is version 1, layer) and index - 1
    (True, 1): tuple(range(32, 449, 32)),
    (True, 2): (32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384),
    (True, 3): (32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
    (False, 1): (32, 48, 56, 64, 80, 96, 112, 128, 144, 160, 176, 192, 224, 256),
    (False, 2): _LOW_RATES,
    (False, 3): _LOW_RATES,
}
_RATES = (44100, 48000, 32000)
_ID3_TAGS = 16
_COUNT_BYTES = 64  # that a frame needs to hold a count
_MOST_TRIES = 1 << 20  # places where a frame may begin behind what is none


@dataclass(frozen=True)
class _Frame:
    """Header of a frame, decoded; ``kind`` is what all frames of a stream share."""

    header: bytes
    kind: tuple[int, int]
    layer: int
    n_bytes: int
    n_samples: int
    sr: int
    side_bytes: int


@dataclass(frozen=True)
class MpegStream:
    """Frames of a file, from byte ``first`` to ``end``, one past the last.

    ``counted`` is the number of bytes that a header of Xing, LAME (Info) or Fraunhofer (VBRI)
    tells. Without one it is None, and the frames were counted: their samples, whether their
    bitrates differ, and whether the last one is there to its end.
    """

    first: int
    end: int
    counted: int | None
    opening: _Frame
    n_samples: int = 0
    is_variable: bool = False
    is_whole: bool = True

    @property
    def seconds(self) -> float:
        """Duration of the frames that were counted, in seconds."""
        return self.n_samples / self.opening.sr

    def counting_frame(self) -> bytes | None:
        """Make a header of Xing that counts the samples; None if only one bitrate needs none."""
        if not self.is_variable or self.opening.layer != 3:
            return None
        b = self.opening.header
        heads = (bytes([0xFF, b[1] | 1, i << 4 | b[2] & 0x0C, b[3]]) for i in range(1, 15))
        frame = next(f for f in map(_frame, heads) if f and f.n_bytes >= _COUNT_BYTES)
        n_frames = self.n_samples // frame.n_samples
        count = struct.pack(">4sIII", b"Xing", 3, n_frames, self.end - self.first + frame.n_bytes)
        return (frame.header + bytes(frame.side_bytes) + count).ljust(frame.n_bytes, b"\0")


def read_mpeg(file: BinaryIO, size: int) -> MpegStream | None:
    """Find the frames of an MPEG file; None if it does not begin with tags and a frame."""
    first = _after_tags(file)
    file.seek(first)
    content = file.read(4096)
    padding = len(content) - len(content.lstrip(b"\0"))  # of some tags, not counted by them
    first, content = first + padding, content[padding:]
    opening = _frame(content[:4])
    if opening is None or len(content) < _COUNT_BYTES:
        return None
    counted = _counted(content, opening)
    if counted is not None:
        return MpegStream(first, size, counted, opening)
    with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as whole:
        return _walked(whole, first, opening)


def _after_tags(file: BinaryIO) -> int:
    """Return the first byte behind the ID3 tags."""
    first = 0
    for _ in range(_ID3_TAGS):
        file.seek(first)
        tag = file.read(10)
        if tag[:3] != b"ID3" or len(tag) < 10:
            break
        has_footer = bool(tag[5] & 0x10)
        n_bytes = sum((b & 0x7F) << 7 * (3 - i) for i, b in enumerate(tag[6:]))
        first += 10 + n_bytes + 10 * has_footer
    return first


@lru_cache(4096)
def _frame(header: bytes) -> _Frame | None:
    """Decode the header of a frame; None if it is none, or of free format."""
    if len(header) < 4 or header[0] != 0xFF or header[1] & 0xE0 != 0xE0:
        return None
    version, layer = header[1] >> 3 & 3, 4 - (header[1] >> 1 & 3)
    bitrate, rate, padding = header[2] >> 4, header[2] >> 2 & 3, header[2] >> 1 & 1
    if version == 1 or layer == 4 or bitrate in (0, 15) or rate == 3:
        return None
    is_first = version == 3
    sr = _RATES[rate] >> {3: 0, 2: 1, 0: 2}[version]
    bits = _BITRATES[is_first, layer][bitrate - 1] * 1000
    n_samples = 384 if layer == 1 else 1152 if layer == 2 or is_first else 576
    slot = 4 if layer == 1 else 1
    n_bytes = (n_samples // 8 * bits // (slot * sr) + padding) * slot
    is_mono = header[3] >> 6 == 3
    side = (17 if is_mono else 32) if is_first else (9 if is_mono else 17)
    kind = (header[1] & 0xFE, header[2] & 0x0C)
    return _Frame(header, kind, layer, n_bytes, n_samples, sr, side)


def _counted(content: bytes, opening: _Frame) -> int | None:
    """Read the bytes that a header of Xing, LAME (Info) or Fraunhofer (VBRI) counts."""
    for place in (4 + opening.side_bytes, 6 + opening.side_bytes):  # behind a checksum
        if content[place : place + 4] in (b"Xing", b"Info"):
            flags, n_frames = struct.unpack(">II", content[place + 4 : place + 12])
            if flags & 3 != 3 or not n_frames:
                return None
            n_bytes: int = struct.unpack(">I", content[place + 12 : place + 16])[0]
            return n_bytes or None
    if content[36:40] == b"VBRI":
        return int(struct.unpack(">I", content[46:50])[0])
    return None


def _walked(content: mmap.mmap, first: int, opening: _Frame) -> MpegStream:
    """Follow the frames to the end; what lies between them is passed over."""
    size, place, end, n_samples, is_whole = len(content), first, first, 0, True
    bitrates, tries = set[int](), iter(range(_MOST_TRIES))
    while place < size:
        frame = _same_kind(content[place : place + 4], opening)
        if frame is None and size - place < 4 and content[place] == 0xFF:
            end, is_whole = size, False  # cut within a header
            break
        if frame is None:
            place = _next_pair(content, place + 1, opening, tries)
            continue
        end = place = place + frame.n_bytes
        is_whole = end <= size
        if is_whole:
            n_samples += frame.n_samples
            bitrates.add(frame.header[2] >> 4)
    return MpegStream(first, min(end, size), None, opening, n_samples, len(bitrates) > 1, is_whole)


def _next_pair(content: mmap.mmap, place: int, opening: _Frame, tries: Iterator[int]) -> int:
    """Return where two frames follow each other again; the end if they do not."""
    for _ in tries:
        place = content.find(b"\xff", place)
        if place < 0:
            break
        frame = _same_kind(content[place : place + 4], opening)
        if frame:
            after = place + frame.n_bytes
            if _same_kind(content[after : after + 4], opening):
                return place
        place += 1
    return len(content)


def _same_kind(header: bytes, opening: _Frame) -> _Frame | None:
    frame = _frame(header)
    return frame if frame and frame.kind == opening.kind else None
