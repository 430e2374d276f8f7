"""Sounds and changes of the experiment horse-predict."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy  # imports its modules lazily
import torch
from numpy.typing import NDArray
from torch import Tensor

from otoscope.data.synthesis.drums import TIMBRES, draw_kit, drum
from otoscope.data.synthesis.mixing import levelled
from otoscope.data.synthesis.styles import STYLES, DanceStyle
from otoscope.seeds import numpy_generator
from otoscope.signal.rhythm.spectral_periodicity import SpectralPeriodicity

__all__ = ["CHANGES", "PAIRS", "READINGS", "Labelled", "Reading", "dances"]

_SECONDS = 10.0
_KITS = 8  # artists per timbre
_BPM = 120.0
_PIECES = 36
_NEAR = 0.04  # relative error of a tempo that is right

Features = NDArray[np.float64]
Reader = Callable[[Features], NDArray[Any]]


@dataclass(frozen=True, eq=False)
class Labelled:
    """Sounds [item, sample] with labels, and the kit of each."""

    sounds: Tensor
    labels: Sequence[Any]
    groups: Sequence[str]


@dataclass(frozen=True)
class Reading:
    """Something that might be read from the feature: sounds, a reader, what is right.

    Kits of an odd seed are none of an even one.
    """

    sounds: Callable[[int, int, int], Labelled]
    reader: Callable[[Features, Sequence[Any]], Reader]
    right: Callable[[NDArray[Any], Sequence[Any]], NDArray[np.bool_]]


def dances(n: int, seed: int, sr: int, *, shift: int = 0) -> Labelled:
    """Play all styles at one tempo; shifted by 1, the same performances on kits of other timbre."""
    styles = list(STYLES)

    def piece(i: int, rng: np.random.Generator) -> tuple[DanceStyle, float]:
        return STYLES[styles[i % len(styles)]], _BPM

    return _played(n, seed, sr, piece, styles, shift=shift)


def _played(
    n: int,
    seed: int,
    sr: int,
    piece: Callable[[int, np.random.Generator], tuple[DanceStyle, float]],
    labels: Sequence[Any],
    *,
    timbres: Sequence[str] = tuple(TIMBRES),
    shift: int = 0,
) -> Labelled:
    """Play pieces on kits, in turn; labels are in turn, too."""
    sounds, groups = [], []
    for i in range(n):
        kit = (i // len(labels) + i) % _KITS  # a label has other kits in each turn
        style, bpm = piece(i, numpy_generator(seed, i))
        timbre = timbres[(kit + shift) % len(timbres)]
        y = drum(
            style,
            draw_kit(timbre, numpy_generator(seed, 1, kit, shift)),
            tempo_bpm=bpm,
            sr=sr,
            n_samples=round(_SECONDS * sr),
            rng=numpy_generator(seed, 2, i),
        )
        sounds.append(torch.from_numpy(levelled(y)))
        groups.append(f"kit {kit}")
    of_items = [labels[i % len(labels)] for i in range(n)]
    return Labelled(torch.stack(sounds), of_items, groups)


def _clicks(n: int, seed: int, sr: int) -> Labelled:
    """Play a drum on each beat, at tempi of 70 to 200 beats per minute."""
    beat = DanceStyle(4, (70, 200), 1, ("xxxx", "....", "....", "...."), "")
    tempi = [float(70 * (200 / 70) ** numpy_generator(seed, 3, i).random()) for i in range(n)]
    return _played(n, seed, sr, lambda i, rng: (beat, tempi[i]), tempi)


def _accents(n: int, seed: int, sr: int) -> Labelled:
    """Play bars of three or four beats, the first on another drum, at 90 to 180 bpm."""

    def piece(i: int, rng: np.random.Generator) -> tuple[DanceStyle, float]:
        meter = (3, 4)[i % 2]
        first, rest = "x" + "." * (meter - 1), "." + "x" * (meter - 1)
        style = DanceStyle(meter, (90, 180), 1, (first, "." * meter, rest, "." * meter), "")
        return style, float(rng.uniform(90, 180))

    return _played(n, seed, sr, piece, (3, 4))


def _kits(n: int, seed: int, sr: int) -> Labelled:
    """Play all styles at any tempo; the label is the kind of kit."""
    styles, timbres = list(STYLES), list(TIMBRES)

    def piece(i: int, rng: np.random.Generator) -> tuple[DanceStyle, float]:
        return STYLES[styles[int(rng.integers(len(styles)))]], float(rng.uniform(90, 180))

    parts = [
        _played(n // 2, 2 * seed + place, sr, piece, (name,), timbres=(name,))
        for place, name in enumerate(timbres)
    ]
    labels = [label for part in parts for label in part.labels]
    kits = [kit for part in parts for kit in part.groups]
    groups = [f"{label} {kit}" for label, kit in zip(labels, kits, strict=True)]
    return Labelled(torch.cat([part.sounds for part in parts]), labels, groups)


def _chords(n: int, seed: int, sr: int, *, is_mode: bool) -> Labelled:
    """Strike chords of twelve harmonics each half second.

    The label is their mode, major or minor, or after how many beats the root changes, 2 or 4.
    """
    sounds, labels, groups = [], [], []
    beat = round(60 / _BPM * sr)
    time = np.arange(beat) / sr
    envelope = np.exp(-4 * time) * np.minimum(1, time / 0.005)
    for i in range(n):
        rng = numpy_generator(seed, i)
        instrument = numpy_generator(seed, 1, i // 2 % _KITS)
        partials = instrument.uniform(0.2, 1, 12) / np.arange(1, 13)
        minor = bool(i % 2) if is_mode else bool(rng.integers(2))
        every = int(rng.choice([2, 4])) if is_mode else (2, 4)[i % 2]
        roots = rng.permutation(12)[:4]
        beats = []
        for number in range(round(_SECONDS * sr / beat)):
            notes = 48 + roots[number // every % 4] + np.array([0, 3 if minor else 4, 7])
            hz = 440 * 2 ** ((notes - 69) / 12)
            tones = [
                level * np.sin(2 * np.pi * harmonic * f * time)
                for f in hz
                for harmonic, level in enumerate(partials, 1)
            ]
            beats.append(np.sum(tones, axis=0) * envelope)
        sounds.append(torch.from_numpy(levelled(np.concatenate(beats))))
        labels.append(("minor" if minor else "major") if is_mode else every)
        groups.append(f"instrument {i // 2 % _KITS}")
    return Labelled(torch.stack(sounds), labels, groups)


def _linear(features: Features, labels: Sequence[Any]) -> Reader:
    from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    model = LinearDiscriminantAnalysis(solver="lsqr", shrinkage="auto")
    reader: Reader = make_pipeline(StandardScaler(), model).fit(features, labels).predict
    return reader


def _nearest(features: Features, labels: Sequence[Any]) -> Reader:
    from sklearn.neighbors import KNeighborsRegressor

    reader: Reader = KNeighborsRegressor(2, weights="distance").fit(features, labels).predict
    return reader


def _equal(answers: NDArray[Any], labels: Sequence[Any]) -> NDArray[np.bool_]:
    return np.asarray(answers == np.array(labels))


def _near(answers: NDArray[Any], labels: Sequence[Any]) -> NDArray[np.bool_]:
    return np.asarray(np.abs(np.log(answers / np.array(labels))) < np.log1p(_NEAR))


READINGS: Mapping[str, Reading] = {
    "tempo": Reading(_clicks, _nearest, _near),
    "meter": Reading(_accents, _linear, _equal),
    "pattern": Reading(dances, _linear, _equal),
    "kit": Reading(_kits, _linear, _equal),
    "mode": Reading(lambda n, seed, sr: _chords(n, seed, sr, is_mode=True), _linear, _equal),
    "changes": Reading(lambda n, seed, sr: _chords(n, seed, sr, is_mode=False), _linear, _equal),
}
"""What might be read."""


def _equalised(dances: Labelled, sr: int, seed: int) -> Tensor:
    """Change the balance of what is below and above 800 Hz by 12 dB, one way or the other."""
    sos = scipy.signal.butter(1, 800, fs=sr, output="sos")
    y = dances.sounds.numpy().astype(np.float64)
    bass = scipy.signal.sosfilt(sos, y)
    gain = np.where(np.arange(len(y)) % 2, 2.0, 0.5)[:, None]
    return torch.from_numpy((bass * gain + (y - bass) / gain).astype(np.float32))


def _reversed(dances: Labelled, sr: int, seed: int) -> Tensor:
    return dances.sounds.flip(-1)


def _halves(dances: Labelled, sr: int, seed: int) -> Tensor:
    return dances.sounds.roll(dances.sounds.shape[-1] // 2, -1)


def _metamer(dances: Labelled, sr: int, seed: int) -> Tensor:
    moved = Labelled(_halves(dances, sr, seed).flip(-1), dances.labels, dances.groups)
    return _equalised(moved, sr, seed)


def _shuffled(dances: Labelled, sr: int, seed: int) -> Tensor:
    """Shuffle pieces of 0.28 s."""
    pieces = dances.sounds.unflatten(-1, (_PIECES, -1))
    rows = [
        own[torch.from_numpy(numpy_generator(seed, i).permutation(_PIECES))]
        for i, own in enumerate(pieces)
    ]
    return torch.stack(rows).flatten(-2)


def _on_kits(n: int, seed: int, feature: SpectralPeriodicity) -> tuple[Tensor, Tensor]:
    """Compute the features of performances on kits of both timbres."""
    first, second = (
        feature(dances(n, seed, feature.sample_rate, shift=shift).sounds) for shift in (0, 1)
    )
    return first, second


def _homometric(n: int, seed: int, feature: SpectralPeriodicity) -> tuple[Tensor, Tensor]:
    """Compute the features of two patterns of four clicks in eight steps, at several tempi.

    {0, 1, 3, 4} and {0, 1, 2, 5} have the same intervals in a circle of eight (once 4, once 2,
    twice 1 and twice 3), and neither is the other turned or mirrored.
    """
    sr, rows = feature.sample_rate, []
    for pattern in ((0, 1, 3, 4), (0, 1, 2, 5)):
        features = []
        for i in range(n):
            rng = numpy_generator(seed, i)
            step = rng.uniform(0.15, 0.25)
            click = rng.normal(size=sr // 50) * np.linspace(1, 0, sr // 50)
            y = 1e-3 * rng.normal(size=round(_SECONDS * sr))
            for number in range(int(_SECONDS / step) - 1):
                if number % 8 in pattern:
                    start = round(number * step * sr)
                    y[start : start + len(click)] += click
            features.append(feature(torch.from_numpy(levelled(y))))
        rows.append(torch.stack(features))
    return rows[0], rows[1]


CHANGES: Mapping[str, Callable[[Labelled, int, int], Tensor]] = {
    "equaliser": _equalised,
    "reversal": _reversed,
    "halves": _halves,
    "shuffle": _shuffled,
    "metamer": _metamer,
}
"""Changes of sounds at a sample rate with a seed, by name."""

PAIRS: Mapping[str, Callable[[int, int, SpectralPeriodicity], tuple[Tensor, Tensor]]] = {
    "kit": _on_kits,
    "homometric": _homometric,
}
"""Functions of a number and a seed: features [item, lag] of pairs of sounds."""
