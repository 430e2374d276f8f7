"""Drum machine: renders patterns of hits in two timbres, with a random tuning per kit.

All hits of a drum share one waveform up to a level, so that a clip of 10 s takes milliseconds.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import scipy  # imports its modules lazily
from numpy.typing import NDArray

from otoscope.data.synthesis.styles import DRUMS, DanceStyle
from otoscope.errors import ParameterError

__all__ = ["TIMBRES", "Kit", "draw_kit", "drum"]

_LOUDNESS = {".": 0.0, "o": 0.5, "x": 1.0}


@dataclass(frozen=True)
class Kit:
    """Drum kit and manner of playing."""

    timbre: str  # one of TIMBRES
    tuning: float  # factor on all frequencies
    ring: float  # factor on all durations
    levels: tuple[float, ...]  # levels of the drums, in the order of DRUMS
    late: float  # delay of off-beat steps, in steps


def draw_kit(timbre: str, rng: np.random.Generator) -> Kit:
    """Draw a kit: tuning within 4 semitones, ring 0.6 to 1.6, drum levels within 9 dB."""
    if timbre not in TIMBRES:
        raise ParameterError(f"timbre is {timbre!r}, must be one of {', '.join(TIMBRES)}")
    return Kit(
        timbre=timbre,
        tuning=float(2 ** (rng.uniform(-4, 4) / 12)),
        ring=float(rng.uniform(0.6, 1.6)),
        levels=tuple(float(level) for level in 10 ** (rng.uniform(-9, 0, len(DRUMS)) / 20)),
        late=float(rng.uniform(0, 0.12)),
    )


def drum(
    style: DanceStyle,
    kit: Kit,
    *,
    tempo_bpm: float,
    sr: int,
    n_samples: int,
    rng: np.random.Generator,
) -> NDArray[np.float64]:
    """Play the patterns of a style repeatedly, from a random step.

    6 % of the hits are left out and 3 % of the empty steps filled; levels and timing vary. Random
    choices do not depend on the tempo.
    """
    noise_rng, phase_rng, *hit_rngs = rng.spawn(6)
    pattern = np.array([[_LOUDNESS[mark] for mark in row] for row in style.patterns])
    step_seconds = 60 / (tempo_bpm * style.steps)
    n_steps = pattern.shape[1]
    first = int(phase_rng.integers(n_steps))
    rounds = int(n_samples / sr / (n_steps * step_seconds)) + 3
    loudness = _play(np.tile(pattern, rounds), hit_rngs[0], hit_rngs[1])
    step = np.arange(loudness.shape[1])
    late = np.where(step % style.steps, kit.late, 0.0)[:, None]
    onset = step[:, None] + late + 0.04 * (hit_rngs[2].random((len(step), len(DRUMS))) - 0.5)
    start = np.round((onset - first) * step_seconds * sr).astype(int)

    y = np.zeros(n_samples)
    for index, voice in enumerate(TIMBRES[kit.timbre]):
        sound = kit.levels[index] * voice(kit, sr, noise_rng)
        for hit in np.flatnonzero(loudness[index]):
            _add(y, start[hit, index], loudness[index, hit] * sound)
    return y


def _play(
    pattern: NDArray[np.float64], chance_rng: np.random.Generator, level_rng: np.random.Generator
) -> NDArray[np.float64]:
    """Drop, add and shade hits, drawn step by step: a longer pattern has the same start."""
    chance, shade = (rng.random(pattern.T.shape).T for rng in (chance_rng, level_rng))
    kept = np.where(chance < 0.06, 0.0, pattern)
    added = np.where((chance > 0.97) & (pattern == 0), 0.3, 0.0)
    return np.asarray((kept + added) * (0.7 + 0.3 * shade))


def _add(y: NDArray[np.float64], start: int, sound: NDArray[np.float64]) -> None:
    sound = sound[max(0, -start) :]  # a hit before the start: keep its tail only
    start = max(0, start)
    n = max(0, min(len(sound), len(y) - start))
    y[start : start + n] += sound[:n]


Voice = Callable[[Kit, int, np.random.Generator], NDArray[np.float64]]


def _membrane(hz: float, seconds: float, drop: float) -> Voice:
    """Synthesise a drum skin: a decaying tone whose pitch falls by the factor ``drop``."""

    def voice(kit: Kit, sr: int, rng: np.random.Generator) -> NDArray[np.float64]:
        time, envelope = _decay(seconds * kit.ring, sr)
        pitch = kit.tuning * hz * (1 + (drop - 1) * np.exp(-time / 0.03))
        return np.asarray(np.sin(2 * np.pi * np.cumsum(pitch) / sr) * envelope)

    return voice


def _noise(low_hz: float, high_hz: float, seconds: float) -> Voice:
    """Synthesise a shaker, snare or clap: band-pass noise."""

    def voice(kit: Kit, sr: int, rng: np.random.Generator) -> NDArray[np.float64]:
        time, envelope = _decay(seconds * kit.ring, sr)
        band = [
            min(kit.tuning * hz, 0.45 * sr * part) for hz, part in ((low_hz, 0.7), (high_hz, 1))
        ]
        sos = scipy.signal.butter(2, band, "bandpass", fs=sr, output="sos")
        noise = scipy.signal.sosfilt(sos, rng.standard_normal(len(time)))
        return np.asarray(noise / np.std(noise) * 0.3 * envelope)

    return voice


def _partials(hz: tuple[float, ...], seconds: float) -> Voice:
    """Synthesise metal or wood: inharmonic tones."""

    def voice(kit: Kit, sr: int, rng: np.random.Generator) -> NDArray[np.float64]:
        time, envelope = _decay(seconds * kit.ring, sr)
        audible = [kit.tuning * f for f in hz if kit.tuning * f < 0.45 * sr]
        tones = [np.sin(2 * np.pi * f * time + rng.uniform(0, 2 * np.pi)) for f in audible]
        return np.asarray(np.sum(tones, axis=0) / max(1, len(audible)) * envelope)

    return voice


def _decay(seconds: float, sr: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return times, and an envelope that rises in 2 ms and falls by 60 dB."""
    time = np.arange(int(seconds * sr)) / sr
    return time, np.exp(-6.9 * time / seconds) * np.minimum(1, time / 0.002)


TIMBRES: dict[str, tuple[Voice, ...]] = {
    "acoustic": (
        _membrane(58, 0.35, 2.0),
        _noise(180, 4000, 0.18),
        _noise(6000, 10000, 0.09),
        _partials((2450, 2590, 5100), 0.12),
    ),
    "electronic": (
        _membrane(46, 0.60, 4.0),
        _noise(900, 2200, 0.12),
        _partials((4310, 5270, 6140, 7930, 8840), 0.07),
        _partials((562, 845, 1690, 2535), 0.22),
    ),
}
"""Voices of the drums, by the name of the kit's timbre."""
