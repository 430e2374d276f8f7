"""Stems that are two tones, and a detector that hears one of them: what it rests on is known.

The voice is a tone of 3 kHz, the band one of 200 Hz. The detector takes the mean level above 2 kHz:
every frame counts alike, and a frame of voice raises its answer.
"""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor, nn

from otoscope.models import Listener
from otoscope.signal import librosa_mel
from otoscope.signal.audio.files import write_audio

__all__ = ["SR", "HighBands", "detector", "stems", "write_detector", "write_songs"]

SR = 8000


class HighBands(nn.Module):
    """Probability from the mean level of the upper bands; nan_below makes occlusion fail."""

    def __init__(self, *, bias: float = 16.0, nan_below: float | None = None) -> None:
        super().__init__()
        self.bias, self.nan_below = bias, nan_below

    def forward(self, batch: Tensor) -> Tensor:
        """Map [batch, 1, frame, mel] to [batch, 1]."""
        level = batch[:, 0, :, 6:].mean((1, 2))
        p = torch.sigmoid(level + self.bias)[:, None]
        if self.nan_below is not None:
            p = torch.where(level[:, None] < self.nan_below, torch.nan, p)
        return p


def detector(*, bias: float = 16.0, nan_below: float | None = None) -> Listener:
    front_end = librosa_mel(sr=SR, n_fft=256, hop_length=80, n_mels=8)
    network = HighBands(bias=bias, nan_below=nan_below)
    return Listener(network, front_end, patch_frames=50, output_names=["singing"]).eval()


def stems(seconds: float = 2.0, *, seed: int = 0) -> tuple[Tensor, Tensor]:
    """Make the voice and the band of a song."""
    time = torch.arange(round(seconds * SR)) / SR
    level = 0.2 + 0.1 * torch.rand((), generator=torch.Generator().manual_seed(seed))
    return level * torch.sin(6.2832 * 3000 * time), 0.3 * torch.sin(6.2832 * 200 * time)


def write_songs(folder: Path, n: int) -> Path:
    """Write songs in the layout of ``otoscope corpus singing``, without a manifest."""
    for i in range(n):
        place = folder / f"song-{i}"
        place.mkdir(parents=True)
        for name, y in zip(("voice", "backing"), stems(seed=i), strict=True):
            write_audio(place / f"{name}.wav", y, sr=SR)
    return folder


def write_detector(folder: Path, arguments: str = "") -> str:
    """Write a module that makes the detector; return its name for the command line."""
    path = folder / "detector.py"
    path.write_text(
        f"from tests.support.tones import detector\nmake = lambda: detector({arguments})\n"
    )
    return f"{path}:make"
