"""Occlude a log-mel picture: half of ten temporal segments give way to the mean of the excerpt.

    python examples/occlude.py out/occlusion.png

The picture shows the log-mel of a synthesised tone with vibrato over noise, and four of the 1,024
coalitions that an exact explanation asks about.
"""

from __future__ import annotations

import sys
from pathlib import Path

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import torch
from torch import Tensor

from otoscope import ops
from otoscope.records import replacing

FRAMES, MELS, FRAME_RATE = 115, 80, 70.0


def log_mel(seed: int = 0) -> Tensor:
    """Draw eight harmonics with vibrato over noise: Tensor [frame, mel], natural logarithm."""
    time = torch.arange(FRAMES) / FRAME_RATE
    pitch_hz = 220 * 2 ** (0.5 / 12 * torch.sin(2 * torch.pi * 5.5 * time))
    mel = torch.arange(MELS) * 2840 / MELS
    band_hz = 700 * (torch.exp(mel / 1127) - 1)
    noise = torch.rand(FRAMES, MELS, generator=torch.Generator().manual_seed(seed))
    power = 1e-3 * noise
    for harmonic in range(1, 9):
        distance = (band_hz - harmonic * pitch_hz[:, None]) / 40
        power = power + torch.exp(-(distance**2)) / harmonic
    return power.log()


def main(path: Path) -> None:
    """Write the picture."""
    patch = log_mel()
    blocks = torch.arange(FRAMES).div(11, rounding_mode="floor").clamp(max=9)
    segment = ops.SegmentMap(blocks[:, None].expand(FRAMES, MELS))
    keep = ops.coalitions(10, "bernoulli", 4, seed=1)
    occluded = ops.occlude(patch, float(patch.mean()), segment, keep)
    figure, axes = plt.subplots(1, 5, figsize=(12, 3), sharey=True, layout="constrained")
    titles = ["the excerpt", *(f"{int(row.sum())} of 10 stay" for row in keep.unpack())]
    for axis, picture, title in zip(axes, [patch, *occluded], titles, strict=True):
        axis.imshow(
            picture.T, origin="lower", aspect="auto", extent=(0, FRAMES / FRAME_RATE, 0, MELS)
        )
        axis.set(title=title, xlabel="time (s)")
    axes[0].set_ylabel("mel band")
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as draft:
        figure.savefig(draft, dpi=120, format="png")
    print(f"wrote {path}")


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "out/occlusion.png"))
