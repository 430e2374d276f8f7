"""Sound of a tune: a plucked string of our own, or fluidsynth playing its MIDI file."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from dataclasses import replace
from functools import cache, partial
from pathlib import Path
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

from otoscope.errors import Advice, Argument, MissingExtra, ParameterError
from otoscope.folk.abc import Tune, to_midi
from otoscope.folk.abc.elements import Chord, Note
from otoscope.folk.report.sheet import EVENTS

__all__ = ["SOUNDFONT", "event_onsets", "play_note", "play_tune"]

SOUNDFONT: Final = Path("/usr/share/sounds/sf2/TimGM6mb.sf2")

_APT_LINE: Final = "apt-get install -y fluidsynth timgm6mb-soundfont"
_TEMPO_BPM: Final = 120.0  # as in `to_midi`
_PEAK: Final = 0.7
_OVERTONES: Final = 12
_LONGEST: Final = 3600.0  # seconds
_RING: Final = 0.25  # seconds that a string sounds on after its note


def play_tune(
    tune: Tune,
    *,
    sr: int = 22050,
    sound: Literal["ours", "fluidsynth"] = "ours",
    tempo_bpm: float | None = None,
) -> NDArray[np.float32]:
    """Synthesise a tune, with its repeats; at most an hour."""
    if not 8000 <= sr <= 96000 or sound not in ("ours", "fluidsynth"):
        raise ParameterError(
            f"sr is {sr} and sound {sound!r}; need 8000 to 96000, and ours or fluidsynth"
        )
    midi = to_midi(tune, tempo_bpm)  # checks the tempo
    seconds = _whole_notes(tune) * _seconds_per_whole_note(tune, tempo_bpm)
    if seconds > _LONGEST:
        raise ParameterError(
            f"the tune, played out, lasts {seconds:,.0f} s; at most {_LONGEST:,.0f} s are played",
            advice=Advice("take fewer repeats or a higher ", Argument("tempo_bpm")),
        )
    y = _pluck(tune, sr, tempo_bpm) if sound == "ours" else _fluidsynth(midi, sr)
    peak = float(np.abs(y).max(initial=0.0))
    return (y * (_PEAK / peak if peak else 1.0)).astype(np.float32)


def event_onsets(tune: Tune, *, tempo_bpm: float | None = None) -> list[tuple[int, float]]:
    """Return what sounds from when, in seconds, with the repeats played.

    Each is the number of a note or chord among the tune's events (see `engrave`), or -1 for a
    silence; the last is the silence after the tune.

    >>> from otoscope.folk.abc import parse_tune
    >>> event_onsets(parse_tune("M:2/4\\nL:1/4\\nQ:60\\nK:C\\n|:Cz|D2:|"))[:4]
    [(0, 0.0), (-1, 1.0), (2, 2.0), (0, 4.0)]
    """
    places = (i for i, element in enumerate(tune.elements) if isinstance(element, EVENTS))
    numbers = {place: number for number, place in enumerate(places)}
    numbered = tuple(
        replace(element, line=numbers.get(i, -1)) for i, element in enumerate(tune.elements)
    )
    played = replace(tune, elements=numbered).unfolded
    seconds = _seconds_per_whole_note(tune, tempo_bpm)
    onsets = [
        (timed[0].line if isinstance(timed[0], Note | Chord) else -1, float(timed.onset) * seconds)
        for timed in played.timed_elements
        if timed[2] > 0
    ]
    return [*onsets, (-1, _whole_notes(tune) * seconds)]


def play_note(pitch: int, seconds: float, *, sr: int = 22050) -> NDArray[np.float32]:
    """Synthesise one note of the plucked string, in [-0.7, 0.7]."""
    y = _string(pitch, seconds, sr)
    scaled = y * (_PEAK / np.abs(y).max())
    return np.asarray(scaled, np.float32)


def _pluck(tune: Tune, sr: int, tempo_bpm: float | None) -> NDArray[np.float64]:
    """Add the sounds of the plucked strings."""
    seconds = _seconds_per_whole_note(tune, tempo_bpm)
    y = np.zeros(round((_whole_notes(tune) * seconds + _RING) * sr))
    strings = cache(partial(_string, sr=sr))  # few notes of a tune differ
    for note in tune.unfolded.notes:
        start = round(float(note.onset) * seconds * sr)
        string = strings(note.pitch, float(note.duration) * seconds)
        y[start : start + len(string)] += string[: len(y) - start]
    return y


def _whole_notes(tune: Tune) -> float:
    return float(sum((measure.duration for measure in tune.unfolded.measures), start=0))


def _seconds_per_whole_note(tune: Tune, tempo_bpm: float | None) -> float:
    return 240 / (tempo_bpm or tune.tempo_bpm or _TEMPO_BPM)


def _string(pitch: int, seconds: float, sr: int) -> NDArray[np.float64]:
    """Sum exp(-2 k t) sin(2 pi k f t) / k over overtones k."""
    hz = 440.0 * 2 ** ((pitch - 69) / 12)
    time = np.arange(round((seconds + _RING) * sr)) / sr
    k = np.arange(1, 1 + min(_OVERTONES, int(0.45 * sr / hz)))[:, None]
    y = (np.exp(-2.0 * k * time) * np.sin(2 * np.pi * k * hz * time) / k).sum(0)
    damped = np.clip((seconds + _RING - time) / _RING, 0, 1) ** 2
    return np.asarray(y * np.clip(time / 0.003, 0, 1) * damped)


def _fluidsynth(midi: bytes, sr: int) -> NDArray[np.float64]:
    if shutil.which("fluidsynth") is None:
        raise MissingExtra(f"fluidsynth is not installed; it comes with: {_APT_LINE}")
    if not SOUNDFONT.is_file():
        raise MissingExtra(f"{SOUNDFONT} is not there; it comes with: {_APT_LINE}")
    import soundfile

    with tempfile.TemporaryDirectory() as folder:
        source, wav = Path(folder) / "tune.mid", Path(folder) / "tune.wav"
        source.write_bytes(midi)
        flags = ["-ni", "-q", "-T", "wav", "-r", sr, "-F", wav]
        command = ["fluidsynth", *map(str, [*flags, SOUNDFONT, source])]
        finished = subprocess.run(
            command, capture_output=True, encoding="utf-8", errors="replace", check=False
        )
        if finished.returncode or not wav.exists():
            message = " ".join((finished.stdout + finished.stderr).split())
            raise ParameterError(
                f"fluidsynth failed, status {finished.returncode}: {message[-300:]}"
            )
        y, _ = soundfile.read(wav, always_2d=True)
    return np.asarray(y.mean(1))
