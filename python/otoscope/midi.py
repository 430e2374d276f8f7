"""Standard MIDI Files of format 0, byte by byte."""

from __future__ import annotations

from collections.abc import Iterable

__all__ = ["key_event", "meter_event", "midi_file"]


def midi_file(
    events: Iterable[tuple[int, bytes]], *, ticks: int, tempo_bpm: float, title: str = ""
) -> bytes:
    """Write events (tick, bytes without delta time) in ascending order as a file with one track.

    ``ticks`` is their number per quarter note.
    """
    track = bytearray(b"\0" + _meta(0x03, title.encode()))
    track += b"\0" + _meta(0x51, round(60e6 / tempo_bpm).to_bytes(3, "big"))
    now = 0
    for tick, event in events:
        track += _variable(tick - now) + event
        now = tick
    track += b"\0" + _meta(0x2F, b"")
    one_track = b"".join(number.to_bytes(2, "big") for number in (0, 1, ticks))
    return _chunk(b"MThd", one_track) + _chunk(b"MTrk", bytes(track))


def meter_event(beats: int, beat_type: int) -> bytes | None:
    """Make the event of a meter; None of one that MIDI cannot tell. A click is a beat type long."""
    power = beat_type.bit_length() - 1
    if not 0 < beats < 256 or beat_type != 2**power:
        return None
    return _meta(0x58, bytes([beats, power, max(96 >> power, 1), 8]))


def key_event(fifths: int, *, is_minor: bool) -> bytes:
    """Make the event of a key signature: sharps or, below 0, flats, in [-7, 7]."""
    return _meta(0x59, bytes([fifths % 256, is_minor]))


def _meta(kind: int, content: bytes) -> bytes:
    return bytes([0xFF, kind]) + _variable(len(content)) + content


def _variable(number: int) -> bytes:
    """Write 7 bits per byte, high bits first; all bytes but the last have the top bit set."""
    groups = [number & 0x7F]
    while number := number >> 7:
        groups.append(number & 0x7F | 0x80)
    return bytes(reversed(groups))


def _chunk(name: bytes, content: bytes) -> bytes:
    return name + len(content).to_bytes(4, "big") + content
