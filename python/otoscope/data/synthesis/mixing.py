"""Mixing of a clip: an artist's tone and room, and the common level of a corpus."""

from __future__ import annotations

import numpy as np
import scipy  # imports its modules lazily
from numpy.typing import NDArray

__all__ = ["levelled", "mixed"]

_RMS = 0.05
_PEAK = 8.0  # largest peak over level, by a limiter: drums reach the common level unclipped


def mixed(y: NDArray[np.float64], sr: int, rng: np.random.Generator) -> NDArray[np.float64]:
    """Tilt the spectrum by up to 6 dB at each end and add reverberation."""
    bass = scipy.signal.sosfilt(scipy.signal.butter(1, 800, fs=sr, output="sos"), y)
    gain = 10 ** (rng.uniform(-6, 6) / 20)
    tilted = bass * gain + (y - bass) / gain
    seconds, wet = rng.uniform(0.1, 0.5), rng.uniform(0.0, 0.1)
    time = np.arange(int(seconds * sr)) / sr
    tail = rng.standard_normal(len(time)) * np.exp(-6.9 * time / seconds)
    echo = scipy.signal.oaconvolve(tilted, tail)[: len(y)]
    return np.asarray(tilted + wet * echo)


def levelled(y: NDArray[np.float64]) -> NDArray[np.float32]:
    """Bring a sound to a root mean square of 0.05: the level must not reveal the class."""
    y = np.tanh(y / (_PEAK * _rms(y)))
    return np.asarray(_RMS / _rms(y) * y, np.float32)


def _rms(y: NDArray[np.float64]) -> float:
    return float(np.sqrt(np.mean(np.square(y))))
