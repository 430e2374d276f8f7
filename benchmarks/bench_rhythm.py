"""Rhythm features, and answers of DeSPerF, in multiples of real time: a batch, and one by one.

The rivals have librosa's spectra and NumPy's and SciPy's matrices, as one would write it down. That
of the spectral periodicity holds all distances of a clip at once, ours those of a few frames.

    python benchmarks/bench_rhythm.py [--device cpu|cuda] [--quick]
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import librosa
import numpy as np
import scipy
import torch
from numpy.typing import NDArray
from torch import Tensor

from command import run
from otoscope import models
from otoscope.data import plan_dance, render_dance
from otoscope.signal.rhythm.periodicity import RhythmFeatures
from otoscope.signal.rhythm.scale_transform import ScaleTransform
from otoscope.signal.rhythm.spectral_periodicity import SpectralPeriodicity
from timing import Case, compare

SR, SECONDS = 22050, 10.0
Clip = NDArray[np.float64]


@dataclass(frozen=True)
class Sizes:
    """Sizes of a run."""

    clips: int
    repeats: int


SIZES = {"cpu": Sizes(32, 5), "cuda": Sizes(256, 5), "quick": Sizes(2, 1)}


def rhythm(y: Clip) -> Clip:
    """RhythmFeatures of one clip."""
    onset = librosa.onset.onset_strength(y=y, sr=SR, hop_length=1024, aggregate=np.median)
    r = librosa.autocorrelate(onset)
    x = r[5:90] / r[0]
    x = x - x.mean()
    rows = np.lib.stride_tricks.sliding_window_view(x, 13)
    past = np.column_stack([np.ones(len(rows)), rows[:, -2::-1]])
    return np.asarray(np.linalg.lstsq(past, rows[:, -1])[0])


def spectral_periodicity(y: Clip) -> Clip:
    """SpectralPeriodicity of one clip."""
    mel = librosa.feature.melspectrogram(y=y, sr=SR, n_fft=2048, hop_length=110, n_mels=40)
    mfcc = scipy.fft.dct(np.log(np.maximum(mel, 1e-10)), axis=0, norm="ortho")[:13].T
    distances = scipy.spatial.distance.cdist(mfcc, mfcc)
    steps = np.diff([np.diagonal(distances, lag).mean() for lag in range(1, 802)])
    return np.asarray((steps - steps.mean()) / steps.std())


def scale_transform(y: Clip) -> Clip:
    """ScaleTransform of one clip."""
    mel = librosa.feature.melspectrogram(y=y, sr=SR, n_fft=1024, hop_length=256, n_mels=40)
    rises = np.maximum(np.diff(librosa.power_to_db(mel)), 0).reshape(4, 10, -1).mean(1)
    lags = np.geomspace(0.06, 4.0, 300) * SR / 256
    features = []
    for onset in rises:
        r = librosa.autocorrelate(onset - onset.mean())
        along = np.interp(lags, np.arange(len(r)), r / r[0])
        features.append(np.abs(np.fft.rfft(along - along.mean()))[1:61])
    return np.concatenate(features)


SYSTEM = models.load("desperf-confounded").network


def answers(y: Clip) -> Clip:
    """Answers of DeSPerF to one clip, which is one segment."""
    x = (spectral_periodicity(y) - SYSTEM.mean.numpy()) / SYSTEM.std.numpy()
    *hidden, last = (
        layer for layer in SYSTEM.network.modules() if isinstance(layer, torch.nn.Linear)
    )
    for layer in hidden:
        x = np.maximum(layer.weight.detach().numpy() @ x + layer.bias.detach().numpy(), 0)
    logits = last.weight.detach().numpy() @ x + last.bias.detach().numpy()
    return np.asarray(scipy.special.softmax(logits))


FEATURES: dict[str, tuple[Callable[[Tensor], Tensor], Callable[[Clip], Clip]]] = {
    "rhythm, 13 numbers": (RhythmFeatures(), rhythm),
    "spectral periodicity, 800": (SpectralPeriodicity(), spectral_periodicity),
    "scale transform, 240": (ScaleTransform(), scale_transform),
    "DeSPerF, 8 answers": (torch.no_grad()(SYSTEM), answers),
}
"""Ours, and the rival."""


def cases(device: str, sizes: Sizes) -> Iterator[Case]:
    """Describe the same dances with all features; the rivals work on the CPU in any case."""
    clips = [render_dance(clip).astype(np.float64) for clip in plan_dance(sizes.clips)]
    sounds = torch.from_numpy(np.stack(clips)).to(device)

    for name, (ours, rival) in FEATURES.items():

        def one_by_one(rival: Callable[[Clip], Clip] = rival) -> Any:
            return [rival(clip) for clip in clips]

        def batch(ours: Callable[[Tensor], Tensor] = ours) -> Tensor:
            return ours(sounds)

        timings = compare(
            {"ours": batch, "librosa": one_by_one}, device=device, repeats=sizes.repeats, warmup=1
        )
        result, oracle = batch().cpu().numpy(), np.stack(one_by_one())
        facts = {
            "clips": sizes.clips,
            "seconds": SECONDS,
            "threads": torch.get_num_threads(),
            "times_real_time": sizes.clips * SECONDS / timings["ours"].median_s,
            "largest_difference": float(np.abs(result - oracle).max()),
        }
        yield Case(f"{name}, {sizes.clips} clips of {SECONDS:g} s", facts, timings)


def main() -> None:
    """Measure, and write the results."""
    run("rhythm", __doc__, cases, SIZES)


if __name__ == "__main__":
    main()
