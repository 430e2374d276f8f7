"""Leads and speech: the MIDI file read back by its definition, espeak-ng if it is installed."""

from __future__ import annotations

from importlib.util import find_spec

import numpy as np
import pytest

from otoscope.data.synthesis import speech
from otoscope.data.synthesis.lead import INSTRUMENTS, lead_midi
from otoscope.data.synthesis.score import compose
from otoscope.errors import MissingExtra, ParameterError

needs_speech = pytest.mark.skipif(not find_spec("espeakng_loader"), reason="pip: espeakng-loader")


def events(content: bytes) -> list[tuple[int, bytes]]:
    """Read (tick, event) of a Standard MIDI File of format 0."""
    assert content[:8] == b"MThd\x00\x00\x00\x06"
    assert content[14:18] == b"MTrk"
    track, at, now, read = content[22:], 0, 0, []
    assert len(track) == int.from_bytes(content[18:22], "big")

    def number() -> int:
        nonlocal at
        value = 0
        while True:
            byte = track[at]
            at += 1
            value = value << 7 | byte & 0x7F
            if byte < 0x80:
                return value

    while at < len(track):
        now += number()
        status = track[at]
        if status == 0xFF:
            at += 2
            size = number()
        else:
            at += 1
            size = 1 if status >> 4 == 0xC else 2
            read.append((now, bytes([status]) + track[at : at + size]))
        at += size
    return read


def test_lead_plays_the_melody_with_bends_within_its_notes() -> None:
    score = compose(np.random.default_rng(3), seconds=10)
    read = events(lead_midi(score, INSTRUMENTS["violin"], np.random.default_rng(1)))
    assert read[0] == (0, bytes([0xC0, 40]))
    starts = [(tick, event[1]) for tick, event in read if event[0] == 0x90]
    ends = [(tick, event[1]) for tick, event in read if event[0] == 0x80]
    assert starts == [(note.start * 120, note.pitch) for note in score.notes]
    assert ends == [(note.end * 120, note.pitch) for note in score.notes]
    bends = [(tick, event[1] + 128 * event[2]) for tick, event in read if event[0] == 0xE0]
    assert all(0 <= value < 1 << 14 for _, value in bends)
    inside = [any(note.start * 120 <= t < note.end * 120 for note in score.notes) for t, _ in bends]
    assert all(inside)
    assert len({value for _, value in bends}) > 50


def test_no_instrument_is_a_choir() -> None:
    assert not set(INSTRUMENTS.values()) & {52, 53, 54, 85, 91}


@needs_speech
def test_speech_is_the_same_bits_and_has_pauses() -> None:
    first, again, other = (
        speech.speak(np.random.default_rng(seed), seconds=6.0, sr=16000) for seed in (1, 1, 2)
    )
    assert first.shape == (96000,)
    assert np.abs(first).max() == 1.0
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)
    loud = np.sqrt((first.reshape(-1, 800) ** 2).mean(1)) > 0.02
    assert 0.3 < loud.mean() < 0.95


def test_a_missing_espeak_is_named_with_its_pip_line(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str, package: str | None = None) -> None:
        raise ModuleNotFoundError(f"No module named {name!r}", name=name)

    monkeypatch.setattr("otoscope.errors.import_module", missing)
    with pytest.raises(MissingExtra, match="pip install espeakng-loader"):
        speech.versions()


def test_what_espeak_says_of_its_failure_is_passed_on(monkeypatch: pytest.MonkeyPatch) -> None:
    class Loader:
        @staticmethod
        def get_library_path() -> str:
            return "/nowhere.so"

        @staticmethod
        def get_data_path() -> str:
            return "/nowhere"

    monkeypatch.setattr(speech, "require_extra", lambda *_, **__: Loader)
    with pytest.raises(ParameterError, match=r"espeak-ng failed with status 1: .*nowhere\.so"):
        speech.speak(np.random.default_rng(0), seconds=1.0, sr=16000)
