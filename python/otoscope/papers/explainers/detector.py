"""Small detectors of planted events: log-odds of a sound, trained on scenes of other songs."""

from __future__ import annotations

from pathlib import Path

import torch
import torch.nn.functional as F
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from otoscope.papers.explainers.sounds import SR, Plant
from otoscope.progress import Progress, tracked
from otoscope.records import replacing
from otoscope.seeds import item_seed
from otoscope.signal.mel.presets import librosa_mel

__all__ = ["Detector", "trained_detector"]

_BANDS = 40
_BATCH = 16


class Detector(nn.Module):
    """Log-odds [batch, 1] that an event is in sounds [batch, 1, sample, 1]."""

    def __init__(self) -> None:
        super().__init__()
        self.front_end = librosa_mel(sr=SR, n_fft=512, hop_length=80, n_mels=_BANDS)
        self.layers = nn.Sequential(
            nn.Conv1d(_BANDS, 32, 5, padding=2),
            nn.ReLU(),
            nn.Conv1d(32, 32, 5, padding=2),
            nn.ReLU(),
            nn.Conv1d(32, 1, 5, padding=2),
        )

    def forward(self, batch: Tensor) -> Tensor:
        """Pool the log-odds of all frames: one loud frame is enough."""
        values = self.front_end.log_mel(batch[:, 0, :, 0])
        frames = self.layers((values.mT + 6) / 4)
        pooled: Tensor = frames.logsumexp(-1) - torch.tensor(frames.shape[-1]).log()
        return pooled


def trained_detector(
    plant: Plant, path: Path, *, n_clips: int, seed: int, progress: Progress
) -> tuple[Detector, float]:
    """Read a detector, or train and write it; also return its accuracy on held-out scenes."""
    network = Detector()
    if not path.is_file():
        _train(network, plant, n_clips, seed, progress)
        path.parent.mkdir(parents=True, exist_ok=True)
        with replacing(path) as draft:
            save_file(network.state_dict(), draft)
    network.load_state_dict(load_file(path))
    network.eval().requires_grad_(False)
    batch, labels = _scenes(plant, item_seed(seed, "held out"), 40)
    with torch.no_grad():
        right = (network(batch)[:, 0] > 0) == labels.bool()
    return network, float(right.float().mean())


def _train(network: Detector, plant: Plant, n_clips: int, seed: int, progress: Progress) -> None:
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in network.parameters():
            scale = parameter[0].numel() ** -0.5
            parameter.uniform_(-scale, scale, generator=generator)
    batch, labels = _scenes(plant, item_seed(seed, "training"), n_clips)
    optimiser = torch.optim.Adam(network.parameters(), lr=3e-3)
    for _ in tracked(progress, range(12), "training of a detector"):
        for rows in torch.randperm(n_clips, generator=generator).split(_BATCH):
            loss = F.binary_cross_entropy_with_logits(network(batch[rows])[:, 0], labels[rows])
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()


def _scenes(plant: Plant, seed: int, n: int) -> tuple[Tensor, Tensor]:
    """Return sounds [batch, 1, sample, 1] of as many songs, every second with an event."""
    sounds, labels = [], []
    for i in range(n):
        scene = plant(item_seed(seed, i), 0, n_events=1 + i // 2 % 2)
        sounds.append(scene.background + scene.event * (i % 2))
        labels.append(float(i % 2))
    batch = torch.stack([torch.from_numpy(y) for y in sounds]).float()
    return batch[:, None, :, None], torch.tensor(labels)
