"""Standard MIDI Files of format 0, byte by byte."""

from __future__ import annotations

from collections.abc import Iterable

__all__ = ["midi_file"]


def midi_file(
    events: Iterable[tuple[int, bytes]], *, ticks: int, tempo_bpm: float, title: str = ""
) -> bytes:
    """Write events (tick, status and data bytes) in ascending order as a file with one track.

    ``ticks`` is their number per quarter note.
    """
    track = bytearray(_meta(0x03, title.encode()))
    track += _meta(0x51, round(60e6 / tempo_bpm).to_bytes(3, "big"))
    now = 0
    for tick, event in events:
        track += _variable(tick - now) + event
        now = tick
    track += _meta(0x2F, b"")
    one_track = b"".join(number.to_bytes(2, "big") for number in (0, 1, ticks))
    return _chunk(b"MThd", one_track) + _chunk(b"MTrk", bytes(track))


def _meta(kind: int, content: bytes) -> bytes:
    """Write a meta event with delta time 0."""
    return bytes([0, 0xFF, kind]) + _variable(len(content)) + content


def _variable(number: int) -> bytes:
    """Write 7 bits per byte, high bits first; all bytes but the last have the top bit set."""
    groups = [number & 0x7F]
    while number := number >> 7:
        groups.append(number & 0x7F | 0x80)
    return bytes(reversed(groups))


def _chunk(name: bytes, content: bytes) -> bytes:
    return name + len(content).to_bytes(4, "big") + content
