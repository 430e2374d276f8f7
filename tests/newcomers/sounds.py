"""Sounds of which it is known what the newcomers' models hear: a whistle, not a hum."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from otoscope.signal import write_audio

SR = 8000
SECONDS, WHISTLE_SECONDS = 0.5, 0.1
WHISTLE_HZ, HUM_HZ = 2000.0, 500.0

Samples = NDArray[np.float64]


def tone(hz: float, start: float, *, seed: int = 0) -> Samples:
    """Make faint noise with a tone of 0.1 s that begins at ``start`` seconds."""
    t = np.arange(round(SECONDS * SR)) / SR
    during = (t >= start) & (t < start + WHISTLE_SECONDS)
    noise = np.random.default_rng(seed).standard_normal(len(t))
    sound: Samples = 0.05 * np.sin(2 * np.pi * hz * t) * during + 0.0005 * noise
    return sound


def whistle_and_hum(start: float) -> Samples:
    """Make a sound with a whistle from ``start`` on, and a hum two tenths before or after."""
    elsewhere = start + 0.2 if start < 0.25 else start - 0.2
    return tone(WHISTLE_HZ, start) + tone(HUM_HZ, elsewhere, seed=1)


def corpus(n: int = 60) -> list[tuple[Samples, bool]]:
    """Make sounds with a whistle and with a hum in turn, and whether it is the whistle."""
    starts = np.random.default_rng(0).uniform(0.05, 0.35, n)
    return [
        (tone(HUM_HZ if i % 2 else WHISTLE_HZ, start, seed=i), i % 2 == 0)
        for i, start in enumerate(starts)
    ]


def write_corpus(folder: Path, other: str) -> None:
    """Write the corpus: a folder per class, "whistle" and the name of the other."""
    for label in ("whistle", other):
        (folder / label).mkdir(parents=True)
    for i, (y, is_whistle) in enumerate(corpus()):
        path = folder / ("whistle" if is_whistle else other) / f"{i}.wav"
        write_audio(path, torch.from_numpy(y), sr=SR)
