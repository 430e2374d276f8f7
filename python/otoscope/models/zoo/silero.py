"""Silero VAD: probability of speech per 32 ms of sound at 16 kHz.

The weights are the initializers of an ONNX file in the installed package ``silero-vad`` (MIT), read
without running its graph; the network, a spectrum with four convolutions per chunk and an LSTM over
chunks, is implemented here. (The package's safetensors file holds the weights of another version.)
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from otoscope.models.waveform import WaveformListener
from otoscope.models.zoo.weights import fill, package_file, read_onnx, renamed

__all__ = ["SileroVAD", "load_silero"]

INSTALL = "pip install silero-vad==6.2.3"
SECONDS = 3.2  # 100 chunks

_CHUNK, _CONTEXT, _AHEAD = 512, 64, 64  # samples; those ahead are mirrored
_BINS = 129

# Names of layers in the ONNX file, and here.
_LAYERS = {
    "model.stft.forward_basis_buffer": "stft.weight",
    **{f"model.encoder.{i}.reparam_conv": f"encoder.{2 * i}" for i in range(4)},
    **{
        f"model.decoder.rnn.{a}_{b}": f"lstm.{a}_{b}_l0"
        for a in ("weight", "bias")
        for b in ("ih", "hh")
    },
    "model.decoder.decoder.2": "leave.1",
}


class SileroVAD(nn.Module):
    """Network of Silero VAD 6 for sounds at 16 kHz of any length; 309,633 weights."""

    def __init__(self) -> None:
        super().__init__()
        self.stft = nn.Conv1d(1, 2 * _BINS, 256, stride=128, bias=False)
        self.encoder = nn.Sequential(
            *(nn.Conv1d(_BINS, 128, 3, padding=1), nn.ReLU()),
            *(nn.Conv1d(128, 64, 3, stride=2, padding=1), nn.ReLU()),
            *(nn.Conv1d(64, 64, 3, stride=2, padding=1), nn.ReLU()),
            *(nn.Conv1d(64, 128, 3, padding=1), nn.ReLU()),
        )
        self.lstm = nn.LSTM(128, 128, batch_first=True)
        self.leave = nn.Sequential(nn.ReLU(), nn.Conv1d(128, 1, 1), nn.Sigmoid())

    def frames(self, sounds: Tensor) -> Tensor:
        """Compute probabilities [batch, chunk] of sounds [batch, sample]; a last part is filled."""
        padded = F.pad(sounds, (_CONTEXT, -sounds.shape[-1] % _CHUNK))
        chunks = padded.unfold(-1, _CONTEXT + _CHUNK, _CHUNK)
        mirrored = F.pad(chunks.flatten(0, 1), (0, _AHEAD), mode="reflect")
        parts = self.stft(mirrored[:, None]).unflatten(1, (2, _BINS))
        # The gradient of this norm is 0 in silence; that of a square root would be infinite.
        features = self.encoder(torch.linalg.vector_norm(parts, dim=1))
        hidden, _ = self.lstm(features.flatten(1).unflatten(0, chunks.shape[:2]))
        probability: Tensor = self.leave(hidden.mT)
        return probability[:, 0]

    def forward(self, sounds: Tensor) -> Tensor:
        """Compute the mean probability [batch, 1] of speech over the chunks of sounds."""
        return self.frames(sounds).mean(1, keepdim=True)


def load_silero() -> WaveformListener:
    """Read the detector from the installed package; each excerpt begins without memory.

    The package's own probabilities of a sound, chunk by chunk, agree to 1e-5.
    """
    path = package_file("silero_vad", "data/silero_vad_16k_op15.onnx", command=INSTALL)
    weights = read_onnx(path, command=INSTALL)
    with torch.device("meta"):  # no memory and no random numbers before the weights
        network = SileroVAD()
    return WaveformListener(
        fill(network, renamed(weights, _LAYERS), path, command=INSTALL),
        sample_rate=16000,
        seconds=SECONDS,
        output_names=["speech"],
    ).eval()
