"""Instrumental lead with a voice's pitches: legato, gliding and with vibrato, by fluidsynth.

A detector must not succeed by hearing one sustained melody with vibrato over chords.
"""

from __future__ import annotations

import numpy as np

from otoscope.data.synthesis.score import Score
from otoscope.midi import midi_file

__all__ = ["INSTRUMENTS", "lead_midi"]

INSTRUMENTS = {
    "violin": 40, "viola": 41, "cello": 42, "trumpet": 56, "trombone": 57, "muted trumpet": 59,
    "soprano sax": 64, "alto sax": 65, "tenor sax": 66, "oboe": 68, "english horn": 69,
    "clarinet": 71, "flute": 73, "recorder": 74, "pan flute": 75, "whistle": 78, "ocarina": 79,
    "square lead": 80, "saw lead": 81, "calliope lead": 82, "harmonica": 22, "accordion": 21,
    "distortion guitar": 30, "fiddle": 110,
}  # fmt: skip
"""Programs of General MIDI, from 0; the choirs (52 to 54) are voices and left out."""

_TICKS = 480  # per quarter note
_CURVE = 10  # ticks between values of the pitch bend: about 12 ms
_RANGE = 2.0  # semitones of a full bend


def lead_midi(score: Score, program: int, rng: np.random.Generator) -> bytes:
    """Write the melody of a score as MIDI, with random vibrato, glides and loudness."""
    rate, depth = rng.uniform(4.5, 7.0), rng.uniform(0.0, 0.6)  # Hz, semitones
    glide = rng.uniform(0.0, 0.12)  # seconds
    events = [(0, bytes([0xC0, program])), (0, bytes([0xB0, 7, 100]))]
    for note in score.notes:
        start, end = (position * _TICKS // 4 for position in (note.start, note.end))
        pitch, step = note.pitch, int(rng.integers(-2, 3))
        events.append((start, bytes([0x90, pitch, int(rng.integers(70, 115))])))
        ticks = np.arange(start, end, _CURVE)
        age = (ticks - start) * 60 / score.tempo_bpm / _TICKS
        onset = np.clip((age - 0.15) / 0.25, 0, 1)
        bend = depth * onset * np.sin(2 * np.pi * rate * age)
        bend += step * np.exp(-age / max(glide / 3, 1e-3)) * (glide > 0.03)
        values = np.clip(8192 + np.round(bend / _RANGE * 8192), 0, 16383).astype(int)
        events += [
            (int(tick), bytes([0xE0, value & 0x7F, value >> 7]))
            for tick, value in zip(ticks, values.tolist(), strict=True)
        ]
        events.append((end, bytes([0x80, pitch, 0])))
    # At one tick notes end before others begin, and the bend is set first.
    order = {0xC0: 0, 0xB0: 0, 0x80: 1, 0xE0: 2, 0x90: 3}
    events.sort(key=lambda event: (event[0], order[event[1][0]]))
    return midi_file(events, ticks=_TICKS, tempo_bpm=score.tempo_bpm)
