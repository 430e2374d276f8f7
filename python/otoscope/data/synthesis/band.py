"""Synthesised accompaniment of a score: drums, bass, chords, and a melody instrument.

The melody instrument has the pitches of a voice without being one: a voice detector must not
succeed by detecting sustained tones.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import scipy  # imports its modules lazily
from numpy.typing import NDArray

from otoscope.data.synthesis.score import CHORDS, Score

__all__ = ["accompany"]

_DRUMS = (  # kick, snare, hi-hat: sixteenths of a bar
    ("x.......x.......", "....x.......x...", "x.x.x.x.x.x.x.x."),
    ("x.....x.x.......", "....x.......x..x", "x.x.x.x.x.x.x.x."),
    ("x..x..x...x.....", "....x.......x...", "xxxxxxxxxxxxxxxx"),
    ("x...x...x...x...", "....x.......x...", "..x...x...x...x."),
    ("x.........x.....", "........x.......", "x...x...x...x..."),
)
_BASS = ("x.......x.......", "x...x...x...x...", "x.....x.x.....x.", "x.x.x.x.x.x.x.x.")
_CHORDS = ("x.......x.......", "x...x...x...x...", "x..x..x.x..x..x.", "..x...x...x...x.")
_MELODY = ("x...x.x.x...x...", "x.x.x...x.....x.", "x.......x...x...", "....x..x..x.x...")


def accompany(
    score: Score, *, sr: int, n_samples: int, rng: np.random.Generator
) -> NDArray[np.float64]:
    """Play the chords of a score; in 70 % of songs, a melody instrument plays as well.

    The guitar and the bass are plucked strings after Karplus and Strong (1983) :cite:`karplus1983`.
    """
    y = np.zeros(n_samples)
    drums, drum_level = _DRUMS[rng.integers(len(_DRUMS))], rng.uniform(0.2, 0.8)
    for pattern, drum in zip(drums, (_kick, _snare, _hat), strict=True):
        for start, _, _ in _hits(score, pattern):
            _add(y, start, sr, drum_level * drum(sr, rng))

    for start, seconds, chord in _hits(score, _BASS[rng.integers(len(_BASS))]):
        _add(y, start, sr, 0.8 * _pluck(36 + chord[0], seconds, sr, rng))

    instrument = (_pluck, _keys, _reed)[rng.integers(3)]
    for start, seconds, chord in _hits(score, _CHORDS[rng.integers(len(_CHORDS))]):
        for tone in chord:
            _add(y, start, sr, 0.3 * instrument(55 + (tone + 5) % 12, seconds, sr, rng))

    if rng.random() < 0.7:
        instrument = (_keys, _reed, _reed)[rng.integers(3)]
        for start, seconds, chord in _hits(score, _MELODY[rng.integers(len(_MELODY))]):
            tone = chord[rng.integers(3)]
            _add(y, start, sr, 0.5 * instrument(62 + (tone - 2) % 12, seconds, sr, rng))
    return y


def _hits(score: Score, pattern: str) -> Iterator[tuple[float, float, tuple[int, ...]]]:
    """Yield start, seconds until the next hit, and pitch classes for each hit of each bar."""
    steps = [step for step, mark in enumerate(pattern) if mark == "x"]
    for bar, name in enumerate(score.chords):
        chord = tuple((tone + score.key) % 12 for tone in CHORDS[name])
        for step, following in zip(steps, [*steps[1:], 16 + steps[0]], strict=True):
            yield score.seconds(16 * bar + step), score.seconds(following - step), chord


def _add(y: NDArray[np.float64], start: float, sr: int, sound: NDArray[np.float64]) -> None:
    first = int(start * sr)
    n = max(0, min(len(sound), len(y) - first))
    y[first : first + n] += sound[:n]


def _pluck(pitch: int, seconds: float, sr: int, rng: np.random.Generator) -> NDArray[np.float64]:
    """Synthesise a plucked string: noise in a delay line of one period that averages neighbours."""
    period = round(sr / _hz(pitch) - 0.5)
    excitation = np.zeros(int(seconds * sr))
    burst = rng.uniform(-1, 1, period)[: len(excitation)]
    excitation[: len(burst)] = burst
    feedback = np.zeros(period + 2)
    feedback[0], feedback[period:] = 1.0, -0.498
    return np.asarray(scipy.signal.lfilter([1.0], feedback, excitation)) * _gate(
        len(excitation), sr
    )


def _keys(pitch: int, seconds: float, sr: int, rng: np.random.Generator) -> NDArray[np.float64]:
    """Synthesise a struck key: decaying harmonics, the higher the faster."""
    time = np.arange(int(seconds * sr)) / sr
    y = np.zeros_like(time)
    for k in range(1, 7):
        phase = 2 * np.pi * k * _hz(pitch) * time + rng.uniform(0, 2 * np.pi)
        y += np.exp(-time * (1.5 + 1.5 * k)) * np.sin(phase) / k
    return y * _gate(len(time), sr)


def _reed(pitch: int, seconds: float, sr: int, rng: np.random.Generator) -> NDArray[np.float64]:
    """Synthesise a reed: steady harmonics, constant pitch and spectrum."""
    time = np.arange(int(seconds * sr)) / sr
    y = np.zeros_like(time)
    for k in range(1, 1 + int(min(0.45 * sr, 5000) / _hz(pitch))):
        phase = 2 * np.pi * k * _hz(pitch) * time + rng.uniform(0, 2 * np.pi)
        y += np.sin(phase) * (1.0 if k % 2 else 0.4) * k**-1.5
    return 0.5 * y * _gate(len(time), sr)


def _kick(sr: int, rng: np.random.Generator) -> NDArray[np.float64]:
    time = np.arange(int(0.3 * sr)) / sr
    phase = 2 * np.pi * (48 * time + 4.5 * (1 - np.exp(-time / 0.03)))
    return np.sin(phase) * np.exp(-time / 0.09) * rng.uniform(0.9, 1.1)


def _snare(sr: int, rng: np.random.Generator) -> NDArray[np.float64]:
    time = np.arange(int(0.25 * sr)) / sr
    noise = rng.standard_normal(len(time)) * np.exp(-time / 0.06)
    return 0.25 * noise + 0.4 * np.sin(2 * np.pi * 185 * time) * np.exp(-time / 0.04)


def _hat(sr: int, rng: np.random.Generator) -> NDArray[np.float64]:
    time = np.arange(int(0.1 * sr)) / sr
    noise = rng.standard_normal(len(time)) * np.exp(-time / 0.02)
    high = scipy.signal.butter(2, 0.3 * sr, "highpass", fs=sr, output="sos")
    return 0.25 * np.asarray(scipy.signal.sosfilt(high, noise))


def _gate(n: int, sr: int) -> NDArray[np.float64]:
    """Fade in over 5 ms and out over 30 ms, against clicks."""
    index = np.arange(n)
    return np.clip(np.minimum(index / (0.005 * sr), (n - index) / (0.030 * sr)), 0, 1)


def _hz(pitch: int) -> float:
    return float(440.0 * 2 ** ((pitch - 69) / 12))
