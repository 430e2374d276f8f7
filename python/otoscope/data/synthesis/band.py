"""Synthesised accompaniment of a score: drums, bass, chords, and a melody instrument.

The melody instrument has the pitches of a voice without being one: a voice detector must not
succeed by detecting sustained tones.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import scipy  # imports its modules lazily
from numpy.typing import NDArray

from otoscope.data.synthesis.score import CHORDS, Score

__all__ = ["BandStyle", "accompany"]

T = TypeVar("T")


@dataclass(frozen=True)
class BandStyle:
    """Patterns and instruments from which a band draws one of each part per song.

    Parameters
    ----------
    drums : tuple of (str, str, str)
        Patterns of kick, snare and hi-hat.
    bass, chords, melody : tuple of str
        Patterns of the bass, of the chords, and of a melody instrument.
    accompanying, leading : tuple of str
        Instruments of the chords and of the melody: "pluck", "keys", "reed".
    lead : float
        Probability that a melody instrument plays.
    drum_level : (float, float)
        Range of the drums' level.
    """

    drums: tuple[tuple[str, str, str], ...] = (
        ("x.......x.......", "....x.......x...", "x.x.x.x.x.x.x.x."),
        ("x.....x.x.......", "....x.......x..x", "x.x.x.x.x.x.x.x."),
        ("x..x..x...x.....", "....x.......x...", "xxxxxxxxxxxxxxxx"),
        ("x...x...x...x...", "....x.......x...", "..x...x...x...x."),
        ("x.........x.....", "........x.......", "x...x...x...x..."),
    )
    bass: tuple[str, ...] = (
        "x.......x.......", "x...x...x...x...", "x.....x.x.....x.", "x.x.x.x.x.x.x.x.",
    )  # fmt: skip
    chords: tuple[str, ...] = (
        "x.......x.......", "x...x...x...x...", "x..x..x.x..x..x.", "..x...x...x...x.",
    )  # fmt: skip
    melody: tuple[str, ...] = (
        "x...x.x.x...x...", "x.x.x...x.....x.", "x.......x...x...", "....x..x..x.x...",
    )  # fmt: skip
    accompanying: tuple[str, ...] = ("pluck", "keys", "reed")
    leading: tuple[str, ...] = ("keys", "reed", "reed")
    lead: float = 0.7
    drum_level: tuple[float, float] = (0.2, 0.8)


_DEFAULT = BandStyle()


def accompany(
    score: Score,
    *,
    sr: int,
    n_samples: int,
    rng: np.random.Generator,
    style: BandStyle = _DEFAULT,
) -> NDArray[np.float64]:
    """Play the chords of a score; in 70 % of songs, a melody instrument plays as well.

    The guitar and the bass are plucked strings after Karplus and Strong (1983) :cite:`karplus1983`.
    """

    def draw(choices: tuple[T, ...]) -> T:
        return choices[rng.integers(len(choices))]

    y = np.zeros(n_samples)
    drums, drum_level = draw(style.drums), rng.uniform(*style.drum_level)
    for pattern, drum in zip(drums, (_kick, _snare, _hat), strict=True):
        for start, _, _ in _hits(score, pattern):
            _add(y, start, sr, drum_level * drum(sr, rng))

    for start, seconds, chord in _hits(score, draw(style.bass)):
        _add(y, start, sr, 0.8 * _pluck(36 + chord[0], seconds, sr, rng))

    instrument = _INSTRUMENTS[draw(style.accompanying)]
    for start, seconds, chord in _hits(score, draw(style.chords)):
        for tone in chord:
            _add(y, start, sr, 0.3 * instrument(55 + (tone + 5) % 12, seconds, sr, rng))

    if rng.random() < style.lead:
        instrument = _INSTRUMENTS[draw(style.leading)]
        for start, seconds, chord in _hits(score, draw(style.melody)):
            tone = chord[rng.integers(3)]
            _add(y, start, sr, 0.5 * instrument(62 + (tone - 2) % 12, seconds, sr, rng))
    return y


def _hits(score: Score, pattern: str) -> Iterator[tuple[float, float, tuple[int, ...]]]:
    """Yield start, seconds until the next hit, and pitch classes for each hit of each bar."""
    if not (steps := [step for step, mark in enumerate(pattern) if mark == "x"]):
        return
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


_INSTRUMENTS = {"pluck": _pluck, "keys": _keys, "reed": _reed}
