"""Silenced channels: every event of a file, written out byte by byte."""

from __future__ import annotations

import io

import mido
import numpy as np
import pytest

from otoscope.errors import ParameterError
from otoscope.midi import midi_file, silenced

NAME = b"\x00\xff\x03\x02ab"
SYSEX = b"\x00\xf0\x03\x99\x24\xf7"  # its data look like a note of the drums
DRUMS = b"\x81\x00\x99\x24\x64\x10\x26\x63"  # the second note without its status
KIT = b"\x00\xc9\x10\x00\xb9\x07\x64"
BASS = b"\x00\x90\x24\x64\x10\x80\x24\x40"
OFF = b"\x10\x89\x24\x40"
END = b"\x00\xff\x2f\x00"


def file(*tracks: bytes) -> bytes:
    head = b"MThd" + (6).to_bytes(4, "big") + bytes([0, 1, 0, len(tracks), 0, 96])
    return head + b"".join(b"MTrk" + len(t).to_bytes(4, "big") + t for t in tracks)


def test_notes_of_the_channel_have_no_velocity_and_all_else_stays() -> None:
    quiet = b"\x81\x00\x99\x24\x00\x10\x26\x00"
    tracks = (NAME + BASS + END, NAME + SYSEX + KIT + DRUMS + OFF + BASS + DRUMS + END)
    expected = file(tracks[0], tracks[1].replace(DRUMS, quiet))
    assert silenced(file(*tracks), channel=9) == expected
    assert silenced(file(*tracks), channel=3) == file(*tracks)
    assert silenced(expected, channel=9) == expected


def test_another_reader_finds_all_events_and_silent_drums() -> None:
    rng = np.random.default_rng(0)
    made = mido.MidiFile(type=1)
    for _ in range(3):
        track = mido.MidiTrack([mido.MetaMessage("track_name", name="a")])
        for kind in rng.choice(["note_on", "note_off", "pitchwheel", "program_change"], 60):
            words = {"channel": int(rng.integers(8, 11)), "time": int(rng.integers(0, 500))}
            if kind.startswith("note"):
                words |= {"note": int(rng.integers(128)), "velocity": int(rng.integers(1, 128))}
            track.append(mido.Message(kind, **words))
        made.tracks.append(track)
    written = io.BytesIO()
    made.save(file=written)
    read = mido.MidiFile(file=io.BytesIO(silenced(written.getvalue(), channel=9)))
    for before, after in zip(made.tracks, read.tracks, strict=True):
        expected = [
            message.copy(velocity=0)
            if message.type == "note_on" and message.channel == 9
            else message
            for message in before
        ]
        assert list(after[: len(expected)]) == expected


def test_a_foreign_chunk_is_passed_over() -> None:
    other = b"XFIH" + (4).to_bytes(4, "big") + b"\x99\x24\x64\x00"
    assert silenced(file() + other, channel=9) == file() + other


def test_files_that_we_write_are_silenced() -> None:
    events = [(0, b"\x90\x3c\x40"), (10, b"\x80\x3c\x40")]
    written = midi_file(events, ticks=96, tempo_bpm=120)
    quiet = midi_file([(0, b"\x90\x3c\x00"), events[1]], ticks=96, tempo_bpm=120)
    assert silenced(written, channel=0) == quiet


def test_broken_files_are_refused() -> None:
    with pytest.raises(ParameterError, match="ends within an event"):
        silenced(file(b"\x00\x99\x24\x64")[:-2], channel=9)
    with pytest.raises(ParameterError, match="data without a status at byte 23"):
        silenced(file(b"\x00\x24\x64"), channel=9)
    for between in (NAME, SYSEX):  # after which a status is not left out
        with pytest.raises(ParameterError, match="data without a status"):
            silenced(file(BASS + between + b"\x10\x24\x64" + END), channel=9)
    with pytest.raises(ParameterError, match="begin with b'RIFF', a MIDI file with b'MThd'"):
        silenced(b"RIFF" + file(END), channel=9)
