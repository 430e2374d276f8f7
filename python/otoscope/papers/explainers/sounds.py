"""Sounds with planted events, 8 kHz: drums, a babble like speech, and what is planted in them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import scipy  # imports its modules lazily
from numpy.typing import NDArray

from otoscope.data.synthesis.drums import TIMBRES, draw_kit, drum
from otoscope.data.synthesis.styles import DRUMS, STYLES
from otoscope.data.synthesis.voice import FORMANTS
from otoscope.seeds import numpy_generator

__all__ = [
    "SECONDS",
    "SR",
    "Scene",
    "bell_in_babble",
    "drums_alone",
    "snare_in_drums",
    "strange_song",
]

SR = 8000
SECONDS = 3.0
_RMS = 0.05
_END_DB = -20.0  # where an event ends, below its loudest sample

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Scene:
    """A background, and what is planted in it.

    Parameters
    ----------
    background, event : ndarray [sample]
        Parts of the sound, which is their sum.
    truth : ndarray [sample], bool
        Where the event sounds.
    """

    background: Floats
    event: Floats
    truth: NDArray[np.bool_]


def drums_alone(song: int, clip: int, *, without: int | None = None) -> Floats:
    """Play a clip of a song: its kit, style and tempo are the song's; a drum may be left out."""
    rng = numpy_generator(song)
    kit = draw_kit(list(TIMBRES)[rng.integers(len(TIMBRES))], rng)
    style = STYLES[list(STYLES)[rng.integers(len(STYLES))]]
    tempo = float(rng.uniform(*style.tempo_bpm))
    if without is not None:
        kit = replace(
            kit, levels=tuple(0.0 if i == without else v for i, v in enumerate(kit.levels))
        )
    own = numpy_generator(song, 1 + clip)
    y = drum(style, kit, tempo_bpm=tempo, sr=SR, n_samples=round(SECONDS * SR), rng=own)
    return _levelled(y)


def snare_in_drums(song: int, clip: int, *, n_events: int) -> Scene:
    """Plant hits of a drum that the background lacks: the recipe of Bolaños et al. (2025)."""
    target = DRUMS.index("mid")
    rng = numpy_generator(song)
    timbre = list(TIMBRES)[rng.integers(len(TIMBRES))]
    kit = draw_kit(timbre, rng)
    own = numpy_generator(song, 1 + clip, 1)
    hit = TIMBRES[timbre][target](kit, SR, own)
    return _planted(drums_alone(song, clip, without=target), hit, own, n_events, level_db=6.0)


def bell_in_babble(song: int, clip: int, *, n_events: int) -> Scene:
    """Plant strokes of a bell in a voice of vowels and pauses."""
    rng = numpy_generator(song)
    pitch, tract = float(rng.uniform(90, 230)), float(rng.uniform(0.85, 1.15))
    kit = draw_kit("electronic", rng)
    own = numpy_generator(song, 1 + clip, 1)
    hit = TIMBRES["electronic"][DRUMS.index("bell")](kit, SR, own)
    return _planted(_levelled(_babble(pitch, tract, own)), hit, own, n_events, level_db=8.0)


def strange_song(seed: int, *, seconds: float, sr: int) -> tuple[Floats, Floats]:
    """Make voice and backing by means that no detector of ours was trained on.

    The voice is pulses through resonators, with vibrato; the backing is the drum machine of the
    dances and a square wave in fifths.
    """
    rng = numpy_generator(seed)
    n = round(seconds * sr)
    voice = np.zeros(n)
    pitch, tract = float(rng.uniform(170, 330)), float(rng.uniform(0.9, 1.1))
    at = int(rng.uniform(0.3, 1.0) * sr)
    while at < n:
        end = min(at + int(rng.uniform(0.8, 2.2) * sr), n)
        while at < end:
            length = min(int(rng.uniform(0.2, 0.5) * sr), end - at)
            f0 = pitch * 2 ** (rng.integers(-5, 6) / 12)
            voice[at : at + length] += _vowel(f0, tract, length, sr, rng, vibrato=0.03)
            at += length
        at += int(rng.uniform(0.6, 1.4) * sr)
    kit = draw_kit(list(TIMBRES)[rng.integers(len(TIMBRES))], rng)
    style = STYLES[list(STYLES)[rng.integers(len(STYLES))]]
    tempo = float(rng.uniform(*style.tempo_bpm))
    drums = drum(style, kit, tempo_bpm=tempo, sr=sr, n_samples=n, rng=rng)
    chord = np.repeat(rng.integers(-5, 6, int(seconds) + 1), sr)[:n]
    phase = np.cumsum(110 * 2 ** (chord / 12)) / sr
    square = np.sign(np.sin(2 * np.pi * phase)) + np.sign(np.sin(3 * np.pi * phase))
    low = scipy.signal.butter(2, 1500, fs=sr, output="sos")
    backing = _levelled(drums) + 0.4 * _levelled(scipy.signal.sosfilt(low, square))
    return 2 * _levelled(voice), backing


def _vowel(
    f0: float, tract: float, n: int, sr: int, rng: np.random.Generator, *, vibrato: float
) -> Floats:
    """Filter pulses of a pitch by the formants of a vowel, and fade it in and out."""
    time = np.arange(n) / sr
    pitch = f0 * (1 + vibrato * np.sin(2 * np.pi * 5.5 * time)) * (1 - 0.02 * rng.uniform() * time)
    pulses = np.diff(np.floor(np.cumsum(pitch) / sr), prepend=0.0)
    vowel = pulses + 0.02 * rng.standard_normal(n)
    for formant in FORMANTS[list(FORMANTS)[rng.integers(len(FORMANTS))]]:
        b, a = scipy.signal.iirpeak(min(formant * tract, 0.45 * sr), 8, fs=sr)
        vowel = 0.1 * vowel + scipy.signal.lfilter(b, a, vowel)
    fade = np.minimum(1, np.minimum(np.arange(n), np.arange(n)[::-1]) / (0.03 * sr))
    return np.asarray(vowel * fade)


def _babble(pitch: float, tract: float, rng: np.random.Generator) -> Floats:
    """Speak vowels of random length and pitch, with pauses between words."""
    y = np.zeros(round(SECONDS * SR))
    at = int(rng.uniform(0, 0.2) * SR)
    while at < len(y):
        n = min(int(rng.uniform(0.09, 0.25) * SR), len(y) - at)
        f0 = pitch * 2 ** rng.uniform(-0.3, 0.3)
        y[at : at + n] += _vowel(f0, tract, n, SR, rng, vibrato=0.0)
        at += n + int((rng.uniform(0.1, 0.4) if rng.random() < 0.25 else 0.02) * SR)
    return y


def _planted(
    background: Floats, hit: Floats, rng: np.random.Generator, n_events: int, *, level_db: float
) -> Scene:
    """Add copies of a hit at random times, at a peak relative to the background's."""
    loud = np.flatnonzero(np.abs(hit) > np.abs(hit).max() * 10 ** (_END_DB / 20))
    first, end = int(loud[0]), int(loud[-1]) + 1
    gain = np.abs(background).max() / np.abs(hit).max() * 10 ** ((level_db - 6.0) / 20)
    event, truth = np.zeros(len(background)), np.zeros(len(background), bool)
    for _ in range(n_events):
        at = int(rng.integers(len(background) - end))
        part = hit[: len(background) - at]
        event[at : at + len(part)] += gain * part
        truth[at + first : at + end] = True
    return Scene(background, event, truth)


def _levelled(y: Floats) -> Floats:
    return np.asarray(_RMS * y / (np.sqrt(np.mean(y**2)) or 1.0))


Plant = Callable[..., Scene]
