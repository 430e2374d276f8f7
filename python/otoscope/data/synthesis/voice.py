"""Synthesised singing of a score: harmonics of a gliding pitch, filtered by formants of vowels.

The glottal source is a sum of harmonics falling by 4 dB per octave (10 of a loud voice less 6 of
the lips' radiation); the vocal tract is a cascade of resonances, so that a vowel is given by its
frequencies. Curves (pitch, loudness, formants) are drawn 200 times per second and smoothed, which
makes glides between notes and vowels; consonants are dips of the voicing and bursts of noise.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy  # imports its modules lazily
from numpy.typing import NDArray

from otoscope.data.synthesis.score import Score, SungNote
from otoscope.data.synthesis.song import frame_truth

__all__ = ["FORMANTS", "sing"]

FORMANTS = {
    "a": (850.0, 1220.0, 2810.0),
    "e": (610.0, 2330.0, 2990.0),
    "i": (310.0, 2790.0, 3310.0),
    "o": (590.0, 920.0, 2710.0),
    "u": (370.0, 950.0, 2670.0),
}
"""First three formants in Hz: women's averages."""


@dataclass(frozen=True)
class _Consonant:
    seconds: float
    voicing: float  # level of the voice, relative to a vowel
    noise: float  # level of the noise, relative to a vowel
    band: tuple[float, float] = (1000.0, 4000.0)  # Hz


_CONSONANTS = {
    "k": _Consonant(0.055, 0.0, 0.20, (1200.0, 3500.0)),
    "s": _Consonant(0.090, 0.0, 0.25, (5000.0, 9500.0)),
    "t": _Consonant(0.050, 0.0, 0.20, (3000.0, 7500.0)),
    "n": _Consonant(0.060, 0.3, 0.0),
    "h": _Consonant(0.060, 0.2, 0.10, (800.0, 4000.0)),
    "m": _Consonant(0.070, 0.3, 0.0),
    "r": _Consonant(0.035, 0.4, 0.0),
}
_UPPER_FORMANTS = (3600.0, 4700.0)
_BANDWIDTHS = (90.0, 110.0, 150.0, 220.0, 300.0)
_CURVE_RATE = 200.0
_BREATH = 0.012


def sing(score: Score, *, sr: int, n_samples: int, rng: np.random.Generator) -> NDArray[np.float64]:
    """Sing a score with a random singer; exactly silent outside the phrases.

    Formants: Peterson and Barney (1952) :cite:`peterson1952`, Table II.
    """
    if not score.notes:
        return np.zeros(n_samples)
    n_curve = int(n_samples / sr * _CURVE_RATE) + 2
    time = np.arange(n_curve) / _CURVE_RATE
    pitch = _pitch(score, time, rng)
    voicing, formants = _articulation(score, time, tract_size=rng.uniform(0.92, 1.08))
    voicing *= 1 + 0.12 * _wander(rng, n_curve, seconds=0.15)

    sample_time = np.arange(n_samples) / sr
    frequency = 440.0 * 2 ** ((pitch - 69) / 12)
    phase = 2 * np.pi * np.cumsum(np.interp(sample_time, time, frequency)) / sr
    y = _harmonics(phase, sample_time, time, frequency, formants, sr) * np.interp(
        sample_time, time, voicing
    )
    level = np.sqrt(np.mean(np.square(y), where=y != 0)) if y.any() else 1.0
    y = y / level
    y += _BREATH * rng.standard_normal(n_samples) * np.interp(sample_time, time, voicing)
    for note in score.notes:
        _add_consonant(y, note, score.seconds(note.start), sr=sr, rng=rng)
    return y * frame_truth(score.phrases(), n_samples, sr)


def _pitch(
    score: Score, time: NDArray[np.float64], rng: np.random.Generator
) -> NDArray[np.float64]:
    """Draw the pitch in MIDI numbers: steps smoothed to glides, plus vibrato and random drift."""
    onsets = np.array([score.seconds(note.start) for note in score.notes])
    index = np.clip(np.searchsorted(onsets, time, side="right") - 1, 0, None)
    steps = np.array([note.pitch for note in score.notes], float)[index]
    age = time - onsets[index]  # vibrato sets in once a note is held
    depth = rng.uniform(0.25, 0.6) * np.clip((age - 0.15) / 0.25, 0, 1)
    rate = rng.uniform(5.0, 6.2) * (1 + 0.05 * _wander(rng, len(time), seconds=0.3))
    vibrato = depth * np.sin(2 * np.pi * np.cumsum(rate) / _CURVE_RATE)
    wander = 0.08 * _wander(rng, len(time), seconds=0.04)
    return np.asarray(_smooth(steps, 0.025) + vibrato + wander)


def _articulation(
    score: Score, time: NDArray[np.float64], *, tract_size: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Compute voicing [point] in [0, 1] and formants [point, 5] in Hz."""
    voicing = np.zeros(len(time))
    formants = np.tile((*FORMANTS["a"], *_UPPER_FORMANTS), (len(time), 1))
    for note in score.notes:
        start, end = score.seconds(note.start), score.seconds(note.end)
        consonant = _CONSONANTS.get(note.syllable[:-1])
        vowel_start = start + (consonant.seconds if consonant else 0.0)
        fade = np.clip((end - time) / 0.12, 0.35, 1.0)
        is_vowel = (vowel_start <= time) & (time < end)
        voicing[is_vowel] = fade[is_vowel]
        if consonant:
            voicing[(start <= time) & (time < vowel_start)] = consonant.voicing
        formants[start <= time, :3] = FORMANTS[note.syllable[-1]]
    return _smooth(voicing, 0.012), _smooth(formants, 0.020) / tract_size


def _harmonics(
    phase: NDArray[np.float64],
    sample_time: NDArray[np.float64],
    time: NDArray[np.float64],
    frequency: NDArray[np.float64],
    formants: NDArray[np.float64],
    sr: int,
) -> NDArray[np.float64]:
    """Sum sin(k phase) k^-0.67 through the tract, by sin(k+1) = 2 cos sin(k) - sin(k-1)."""
    y = np.zeros_like(phase)
    previous, current, twice_cos = np.zeros_like(phase), np.sin(phase), 2 * np.cos(phase)
    for k in range(1, int(0.48 * sr / frequency.min()) + 1):
        gain = _tract(k * frequency, formants) * k**-0.67
        gain[k * frequency > 0.48 * sr] = 0.0
        y += np.interp(sample_time, time, gain) * current
        previous, current = current, twice_cos * current - previous
    return y


def _tract(frequency: NDArray[np.float64], formants: NDArray[np.float64]) -> NDArray[np.float64]:
    """Compute the gain of the cascade at ``frequency`` [point]; each resonance is 1 at 0 Hz."""
    f, square = frequency[:, None], formants**2
    return np.asarray((square / np.hypot(square - f**2, f * np.array(_BANDWIDTHS))).prod(axis=1))


def _add_consonant(
    y: NDArray[np.float64], note: SungNote, start: float, *, sr: int, rng: np.random.Generator
) -> None:
    consonant = _CONSONANTS.get(note.syllable[:-1])
    first = int(start * sr)
    if consonant is None or consonant.noise == 0 or first >= len(y):
        return
    low, high = consonant.band
    high = min(high, 0.45 * sr)
    band = scipy.signal.butter(2, (min(low, 0.5 * high), high), "bandpass", fs=sr, output="sos")
    n = min(int(consonant.seconds * sr), len(y) - first)
    burst = scipy.signal.sosfilt(band, rng.standard_normal(n) * np.hanning(n))
    y[first : first + n] += consonant.noise * burst / (np.std(burst) + 1e-9)


def _smooth(curve: NDArray[np.float64], seconds: float) -> NDArray[np.float64]:
    width = seconds * _CURVE_RATE
    return np.asarray(scipy.ndimage.gaussian_filter1d(curve, width, axis=0, mode="nearest"))


def _wander(rng: np.random.Generator, n: int, *, seconds: float) -> NDArray[np.float64]:
    """Draw noise of unit variance, smoothed over ``seconds``."""
    noise = _smooth(rng.standard_normal(n), seconds)
    return np.asarray(noise / noise.std())
