"""Standard MIDI Files, byte by byte."""

from __future__ import annotations

from collections.abc import Iterable

from otoscope.errors import ParameterError

__all__ = ["key_event", "meter_event", "midi_file", "silenced"]

_NOTE_ON, _META, _SYSTEM = 0x90, 0xFF, (0xF0, 0xF7)


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


def silenced(midi: bytes, *, channel: int) -> bytes:
    """Give all notes of a channel, from 0, the velocity 0, which is silence; keep all other bytes.

    Raises ParameterError if the file does not follow the standard.
    """
    if midi[:4] != b"MThd":
        raise ParameterError(f"the bytes begin with {midi[:4]!r}, a MIDI file with b'MThd'")
    result = bytearray(midi)
    try:
        at = 8 + int.from_bytes(midi[4:8], "big")
        while at < len(midi):
            end = at + 8 + int.from_bytes(midi[at + 4 : at + 8], "big")
            if midi[at : at + 4] == b"MTrk":
                _silence_track(result, at + 8, end, channel)
            at = end
    except IndexError:
        raise ParameterError("the MIDI file ends within an event") from None
    return bytes(result)


def _silence_track(midi: bytearray, at: int, end: int, channel: int) -> None:
    """Silence the events of bytes ``at`` to ``end``: each is a delta time, a status and data.

    A status may be left out if it is that of the event before, which is of a channel: data are
    below 0x80.
    """
    status = 0
    while at < end:
        _, at = _read_variable(midi, at)
        if midi[at] >= 0x80:
            status, at = midi[at], at + 1
        if status == _META or status in _SYSTEM:
            length, at = _read_variable(midi, at + (status == _META))
            at, status = at + length, 0
            continue
        if status < 0x80:
            raise ParameterError(f"the MIDI file has data without a status at byte {at}")
        if status == _NOTE_ON + channel:
            midi[at + 1] = 0
        at += 1 if status & 0xF0 in (0xC0, 0xD0) else 2


def _read_variable(midi: bytearray, at: int) -> tuple[int, int]:
    """Read a number of 7 bits per byte; return it and the place behind it."""
    number = midi[at] & 0x7F
    while midi[at] >= 0x80:
        at += 1
        number = number << 7 | midi[at] & 0x7F
    return number, at + 1


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
