"""Two genres, a high tone and a low one, and networks that are fooled at a known ratio."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from otoscope.data import load_genres, partition
from otoscope.models import Listener, save_bundle
from otoscope.models.genre import ConvDNN, FrameDNN
from otoscope.signal import magnitude_spectrum, write_audio

SR = 8000
BINS = {"high": 80, "low": 13}  # of 129, 31.25 Hz apart
SECONDS = 2.5
GAIN_DB = 40.0
"""A low tone counts as high if a high one is in it, this far below."""


def tone(label: str, number: int, seconds: float = SECONDS) -> Tensor:
    """A tone of a genre, each with a phase of its own."""
    time = np.arange(round(seconds * SR)) / SR
    y = 0.3 * np.sin(2 * np.pi * BINS[label] * SR / 256 * time + number)
    return torch.from_numpy(y).float()


def write_tones(folder: Path, n: int = 8) -> Path:
    """Write a folder of labelled folders, each sound by an artist of its own."""
    for label in BINS:
        (folder / label).mkdir(parents=True, exist_ok=True)
        for number in range(n):
            name = f"{label} {number} - {number:05d}.wav"
            write_audio(folder / label / name, tone(label, number), sr=SR)
    return folder


def save_planted(path: Path, corpus: Path | None = None, *, windows: bool = False) -> Path:
    """Save a network of frames that compares the two tones, or one of windows with any weights."""
    network: Any
    if windows:
        network = ConvDNN(2, n_bins=129, channels=2, hidden=4)
    else:
        network = FrameDNN(2, n_bins=129, hidden=2)
        with torch.no_grad():
            for parameter in network.parameters():
                parameter.zero_()
            for unit, (label, place) in enumerate(BINS.items()):
                gain = 10 ** (GAIN_DB / 20) if label == "high" else 1.0
                network.hidden1[0].weight[unit, place - 2 : place + 3] = 0.1 * gain
                network.hidden2[1].weight[unit, unit] = 1.0
                network.hidden3[1].weight[unit, unit] = 1.0
                network.logits[1].weight[unit, unit] = 1.0
    front_end = magnitude_spectrum(sample_rate=SR, n_fft=256, hop_length=128)
    model = Listener(network, front_end, patch_frames=100, output_names=list(BINS)).eval()
    card = {}
    if corpus is not None:
        card["partition"] = partition(load_genres(corpus)).digest
    save_bundle(path, model, card=card)
    return path
