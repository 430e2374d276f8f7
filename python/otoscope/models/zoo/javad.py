"""JaVAD: speech detectors on log-mel spectrograms, of three sizes.

The weights are read from the installed package ``javad`` (MIT) as plain tensors; the network is
implemented here. Each excerpt is standardised by itself, and convolutions are followed by products
of all frames with each other: an output depends on the whole excerpt.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from otoscope.errors import ParameterError
from otoscope.models.listener import Listener
from otoscope.models.zoo.weights import fill, package_file, read_pickled, renamed
from otoscope.signal import Compression, FrontEnd

__all__ = ["SIZES", "JaVAD", "WholeFrames", "load_javad"]

INSTALL = "pip install javad==0.2.0"

_TINY = 1e-10  # added to the variance of an excerpt, in dB^2: that of digital silence is 0
_HEADS = 4


@dataclass(frozen=True)
class _Size:
    """Input of a network, its width, and what else differs."""

    n_mels: int
    n_frames: int
    n_state: int
    stride: int  # of the first convolution, along frames
    threshold: float
    is_deep: bool = False  # one more convolution, and two transformer blocks


SIZES = {
    "tiny": _Size(64, 64, 256, stride=1, threshold=0.5),
    "balanced": _Size(80, 192, 320, stride=3, threshold=0.5),
    "precise": _Size(80, 384, 320, stride=2, threshold=0.5768, is_deep=True),
}
"""Networks of the package by name, with the package's thresholds."""


class WholeFrames(FrontEnd):
    """Front end without the frame that is centred behind the last sample."""

    def n_samples(self, n_frames: int) -> int:
        """Compute the number of samples that gives a number of frames."""
        return n_frames * self.hop_length

    def spectrum(self, y: Tensor) -> Tensor:
        """Compute the complex spectrum [..., frame, bin] of waveforms [..., sample]."""
        return super().spectrum(y)[..., : y.shape[-1] // self.hop_length, :]


class _Aligned(nn.Module):
    """Convolve, and add to each band its products with all bands, summed over frames."""

    def __init__(self, channels: tuple[int, int], kernel: tuple[int, int], n_mels: int) -> None:
        super().__init__()
        padding = (kernel[0] // 2, kernel[1] // 2)
        stride = (1, padding[1])
        self.conv = nn.Conv2d(*channels, kernel, stride, padding)
        self.bn = nn.BatchNorm2d(channels[1])
        self.bn2 = nn.BatchNorm2d(channels[1])
        self.alignment = nn.Parameter(torch.empty(channels[1], n_mels, n_mels))

    def forward(self, x: Tensor) -> Tensor:
        """Transform a Tensor [batch, channel, mel, frame]."""
        x = self.bn(self.conv(x)).relu()
        products = x @ x.mT / math.sqrt(x.shape[-1])
        summed = (products * self.alignment).sum(-1, keepdim=True)
        aligned: Tensor = self.bn2(x + summed)
        return aligned


class JaVAD(nn.Module):
    """Network of JaVAD for excerpts in dB; 0.6, 0.9 and 7.1 million weights."""

    def __init__(self, size: str) -> None:
        super().__init__()
        layout = SIZES[size]
        state, first, last = layout.n_state, 128, 512 if layout.is_deep else 256
        self.threshold = layout.threshold
        self.conv1 = nn.Sequential(
            nn.Conv2d(1, first, (3, 7), (1, layout.stride), (1, 3)),
            nn.ReLU(),
            nn.BatchNorm2d(first),
        )
        self.conv2: nn.Module = nn.Identity()
        if layout.is_deep:
            self.conv2 = _Aligned((first, 256), (3, 7), layout.n_mels)
            first = 256
        self.pool = nn.AvgPool2d(2)
        self.conv3 = _Aligned((first, last), (3, 3), layout.n_mels // 2)
        self.register_buffer("positional_embedding", torch.empty(last, state))
        self.blocks = nn.Sequential(
            *(
                nn.TransformerEncoderLayer(
                    *(state, _HEADS, 4 * state, 0.0, "gelu"), batch_first=True, norm_first=True
                )
                for _ in range(2 * layout.is_deep)
            )
        )
        self.ln_post = nn.LayerNorm(state)
        self.collapsing_weights = nn.Parameter(torch.empty(state, 1))
        self.head = nn.Sequential(
            nn.Linear(last, state), nn.ReLU(), nn.Linear(state, layout.n_frames)
        )

    def frames(self, batch: Tensor) -> Tensor:
        """Estimate speech [batch, frame], about 0 or 1, in excerpts [batch, 1, frame, mel] in dB.

        These are regressions on 0 and 1, not probabilities; the package compares them with
        ``threshold``.
        """
        deviation = (batch.var((1, 2, 3), keepdim=True) + _TINY).sqrt()
        x = ((batch - batch.mean((1, 2, 3), keepdim=True)) / deviation).mT
        x = self.pool(self.conv3(self.pool(self.conv2(self.conv1(x)))))
        x = self.blocks(x.flatten(2) + self.positional_embedding)
        estimate: Tensor = self.head((self.ln_post(x) @ self.collapsing_weights).flatten(1))
        return estimate

    def forward(self, batch: Tensor) -> Tensor:
        """Compute the confidence [batch, 1] that excerpts hold speech.

        It is the logistic function of 4 times the distance of the mean estimate to the threshold:
        0.5 at the threshold, and there with the slope of the mean.
        """
        mean = self.frames(batch).mean(1, keepdim=True)
        return (4 * (mean - self.threshold)).sigmoid()


def load_javad(size: str) -> Listener:
    """Read a detector from the installed package.

    The package standardises a whole recording; here each excerpt is one. The package's estimates
    for a recording of that length agree to 1e-5.
    """
    if size not in SIZES:
        raise ParameterError(f"size is {size!r}, must be one of {', '.join(SIZES)}")
    path = package_file("javad", f"assets/{size}.pt", command=INSTALL)
    weights = read_pickled(path, command=INSTALL)["state_dict"]
    with torch.device("meta"):  # no memory and no random numbers before the weights
        network = JaVAD(size)
    layout = SIZES[size]
    front_end = WholeFrames(
        sample_rate=16000,
        n_fft=400,
        hop_length=160,
        n_mels=layout.n_mels,
        fmin=0.0,
        fmax=8000.0,
        filters="slaney",
        window="hann",
        power=2.0,
        centred=True,
        pad_mode="reflect",
        compression=Compression("db", 1e-10, top_db=80.0),
    )
    return Listener(
        fill(network, _state(weights), path, command=INSTALL),
        front_end,
        patch_frames=layout.n_frames,
        output_names=["speech"],
        per_excerpt=True,
    ).eval()


def _state(weights: dict[str, Tensor]) -> dict[str, Tensor]:
    """Rename the weights; join queries, keys (without a bias) and values of the transformer."""
    kept = {name: values for name, values in weights.items() if ".alignment.bn." not in name}
    state = renamed(kept, {"classification_head.0": "head.0", "classification_head.3": "head.2"})
    names = {
        "attn.out": "self_attn.out_proj",
        "attn_ln": "norm1",
        "mlp.0": "linear1",
        "mlp.2": "linear2",
        "mlp_ln": "norm2",
    }
    for block in {name.split(".attn.")[0] for name in state if ".attn." in name}:
        state = renamed(state, {f"{block}.{a}.": f"{block}.{b}." for a, b in names.items()})
        parts = [state.pop(f"{block}.attn.{part}.weight") for part in ("query", "key", "value")]
        query, value = (state.pop(f"{block}.attn.{part}.bias") for part in ("query", "value"))
        state[f"{block}.self_attn.in_proj_weight"] = torch.cat(parts)
        state[f"{block}.self_attn.in_proj_bias"] = torch.cat([query, 0 * query, value])
    return renamed(
        state, {f"{conv}.alignment.weights": f"{conv}.alignment" for conv in ("conv2", "conv3")}
    )
