"""musicnn: music taggers of Pons and Serra (2019) with musically motivated filters, 50 tags.

The weights are read from the checkpoints in the installed package ``musicnn`` (ISC); the network is
implemented here. The package itself requires TensorFlow 1; its checkpoints do not.
"""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from torch import Tensor, nn

from otoscope.errors import require_extra
from otoscope.foreign import refusing
from otoscope.models.listener import Listener
from otoscope.models.zoo.tf1_checkpoint import read_variables
from otoscope.signal import Compression, librosa_mel

__all__ = ["MusicTagger", "load_musicnn"]

INSTALL = "pip install --no-deps musicnn"
PATCH_FRAMES = 187  # 3 s, as in training

# Filters of the front end, (frames, mels): timbre in 40 % and 70 % of the bands, then rhythm.
_TIMBRE = ((7, 38), (7, 67))
_RHYTHM = ((128, 1), (64, 1), (32, 1))


class MusicTagger(nn.Module):
    """Network of musicnn, for log10(1 + 10,000 mel) of any length.

    Source: Pons and Serra (2019) :cite:`pons2019`.
    """

    def __init__(self, n_tags: int) -> None:
        super().__init__()
        self.norm = _norm(1)
        self.front = nn.ModuleList(
            [_convolution(1, 204, size) for size in _TIMBRE]
            + [_convolution(1, 51, size) for size in _RHYTHM]
        )
        self.middle = nn.ModuleList(
            [_convolution(1, 64, (7, width)) for width in (2 * 204 + 3 * 51, 64, 64)]
        )
        features = 2 * 204 + 3 * 51 + 3 * 64
        self.pooled_norm = _norm(2 * features, nn.BatchNorm1d)
        self.dense = nn.Sequential(
            nn.Linear(2 * features, 200), nn.ReLU(), _norm(200, nn.BatchNorm1d)
        )
        self.logits = nn.Linear(200, n_tags)
        self.probability = nn.Sigmoid()

    def forward(self, batch: Tensor) -> Tensor:
        """Compute tag probabilities [batch, tag] of excerpts [batch, 1, frame, mel]."""
        x = self.norm(batch)
        # Maximum over the bands of each filter: [batch, channel, frame]
        front = torch.cat([convolution(x).amax(3) for convolution in self.front], 1)
        dense = [self._across_channels(0, front)]
        for layer in (1, 2):
            dense.append(self._across_channels(layer, dense[-1]) + dense[-1])
        features = torch.cat([front, *dense], 1)
        pooled = torch.stack([features.amax(2), features.mean(2)], 2).flatten(1)
        probability: Tensor = self.probability(self.logits(self.dense(self.pooled_norm(pooled))))
        return probability

    def _across_channels(self, layer: int, x: Tensor) -> Tensor:
        """Convolve in time over all channels: [batch, channel, frame] to the same shape."""
        convolved: Tensor = self.middle[layer](x.mT[:, None])
        return convolved[..., 0]


def load_musicnn(data: Literal["MTT", "MSD"]) -> Listener:
    """Read a tagger trained on MagnaTagATune or the Million Song Dataset from the package.

    Sounds are padded with silence; the package mirrors them or not, depending on the version of
    librosa. The package also rounds energies to float16.
    """
    package = require_extra("musicnn", "models", command=INSTALL)
    tags: list[str] = getattr(import_module("musicnn.configuration"), f"{data}_LABELS")
    checkpoint = f"{Path(str(package.__file__)).parent / f'{data}_musicnn'}/"
    variables = read_variables(checkpoint)
    with torch.device("meta"):  # no memory and no random numbers before the weights
        network = MusicTagger(len(tags))
    with refusing(checkpoint, f"is not the checkpoint of musicnn 0.1.0: {INSTALL}"):
        network.load_state_dict(_state(network, variables), assign=True)
    front_end = librosa_mel(
        sr=16000, n_fft=512, hop_length=256, n_mels=96, compression=Compression("log10", 1e-4)
    )
    return Listener(
        network,
        front_end,
        mean=torch.zeros(96),
        std=torch.ones(96),
        patch_frames=PATCH_FRAMES,
        output_names=tags,
    ).eval()


def _norm(channels: int, kind: type[nn.Module] = nn.BatchNorm2d) -> nn.Module:
    return kind(channels, eps=1e-3)


def _convolution(channels_in: int, channels_out: int, size: tuple[int, int]) -> nn.Sequential:
    """Make convolution, ReLU and norm that keep the number of frames; even sizes look ahead."""
    before, after = (size[0] - 1) // 2, size[0] // 2
    return nn.Sequential(
        nn.ZeroPad2d((0, 0, before, after)),
        nn.Conv2d(channels_in, channels_out, size),
        nn.ReLU(),
        _norm(channels_out),
    )


def _state(network: nn.Module, variables: dict[str, np.ndarray]) -> dict[str, Tensor]:
    """Convert the variables; TensorFlow numbers the layers of each kind in call order."""
    state: dict[str, Tensor] = {}
    count = {"conv2d": 0, "dense": 0, "batch_normalization": 0}

    def take(ours: str, kind: str, **names: str) -> None:
        suffix = f"_{count[kind]}" if count[kind] else ""
        count[kind] += 1
        for our_name, their_name in names.items():
            values = torch.from_numpy(variables[f"{kind}{suffix}/{their_name}"].copy())
            if their_name == "kernel":  # (..., in, out) to (out, in, ...)
                values = values.movedim((-1, -2), (0, 1))
            state[f"{ours}.{our_name}"] = values.contiguous()

    for name, layer in network.named_modules():
        if isinstance(layer, nn.Conv2d):
            take(name, "conv2d", weight="kernel", bias="bias")
        elif isinstance(layer, nn.Linear):
            take(name, "dense", weight="kernel", bias="bias")
        elif isinstance(layer, nn.BatchNorm2d | nn.BatchNorm1d):
            take(
                name,
                "batch_normalization",
                weight="gamma",
                bias="beta",
                running_mean="moving_mean",
                running_var="moving_variance",
            )
            state[f"{name}.num_batches_tracked"] = torch.tensor(0)
    return state
