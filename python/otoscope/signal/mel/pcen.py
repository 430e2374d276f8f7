"""Per-channel energy normalisation (PCEN): an automatic gain control per band, then a root."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from otoscope.errors import ParameterError

__all__ = ["PCEN"]

_BLOCK = 64  # frames that are filtered by one product
_STEPS = 60  # of Newton's method


@dataclass(frozen=True, kw_only=True)
class PCEN:
    """Per-channel energy normalisation, in place of a logarithm, with the values of librosa.

    Each band is divided by its recent level M, and a root compresses the result:
    ``(mel / (eps + M)**gain + bias)**power - bias**power``.

    Parameters
    ----------
    gain : float
        Exponent of the level, in [0, 1].
    bias, power : float
        Bias and exponent of the root, > 0.
    time_constant : float
        Time constant of the level, in seconds.
    eps : float
        Smallest level, > 0.
    scale : float
        Factor of the energies before all this; librosa's documentation advises 2**31 for sounds in
        [-1, 1].
    frame_rate : float, optional
        Frames per second; a `FrontEnd` fills in its own.

    Raises
    ------
    ParameterError
        If a setting is out of range.

    References
    ----------
    Wang et al. (2017) :cite:`wang2017`, eq. 1 and 2.

    Examples
    --------
    >>> PCEN(frame_rate=100).compress(torch.zeros(3, 2)).sum()
    tensor(0.)
    """

    gain: float = 0.98
    bias: float = 2.0
    power: float = 0.5
    time_constant: float = 0.4
    eps: float = 1e-6
    scale: float = 1.0
    frame_rate: float | None = None

    def __post_init__(self) -> None:
        if not 0 <= self.gain <= 1:
            raise ParameterError(f"gain is {self.gain}, must be in [0, 1]")
        for name in ("bias", "power", "time_constant", "eps", "scale"):
            if not getattr(self, name) > 0:
                raise ParameterError(f"{name} is {getattr(self, name)}, must be > 0")

    @property
    def silence(self) -> float:
        """Value of digital silence, whatever was heard before."""
        return 0.0

    @property
    def smoothing(self) -> float:
        """Weight of the present frame in the level M."""
        if self.frame_rate is None:
            raise ParameterError("frame_rate is None; give the frames per second of the energies")
        frames = self.time_constant * self.frame_rate
        return (math.sqrt(1 + 4 * frames**2) - 1) / (2 * frames**2)

    def compress(self, mel: Tensor) -> Tensor:
        """Normalise energies [..., frame, mel], >= 0; differentiable."""
        mel = mel * self.scale
        level = self._level(mel)
        gain = (-self.gain * (math.log(self.eps) + (level / self.eps).log1p())).exp()
        root = (self.power * (mel * gain / self.bias).log1p()).expm1()
        normalised: Tensor = self.bias**self.power * root
        return normalised

    def expand(self, log_mel: Tensor) -> Tensor:
        """Recover energies from values [..., frame, mel], frame by frame by Newton's method."""
        b, values = self.smoothing, log_mel.double()
        root = (values.clamp(min=0) / self.bias**self.power).log1p()
        quotient = self.bias * (root / self.power).expm1()
        level, frames = torch.ones_like(values[..., 0, :]), []
        for q in quotient.unbind(-2):
            known = self.eps + (1 - b) * level
            # u - gain log(known + b exp(u)) rises and is concave: from below, no step goes too far
            u = q.log() + self.gain * known.log()
            for _ in range(_STEPS):
                total = known + b * u.exp()
                slope = 1 - self.gain * b * u.exp() / total
                u = torch.where(q > 0, u - (u - self.gain * total.log() - q.log()) / slope, u)
            energy = torch.where(q > 0, u.exp(), 0.0)
            level = (1 - b) * level + b * energy
            frames.append(energy)
        return (torch.stack(frames, -2) / self.scale).to(log_mel)

    def _level(self, mel: Tensor) -> Tensor:
        """Filter M[t] = (1 - b) M[t - 1] + b mel[t], M[-1] = 1, in blocks of frames."""
        b = self.smoothing
        t = torch.arange(_BLOCK, dtype=torch.float64)
        decay = ((1 - b) ** (t + 1)).to(mel)
        response = (b * (1 - b) ** (t[:, None] - t).clamp(min=0)).tril().to(mel)
        level, blocks = torch.ones_like(mel[..., :1, :]), []
        for block in mel.split(_BLOCK, -2):
            n = block.shape[-2]
            levels = response[:n, :n] @ block + decay[:n, None] * level
            blocks.append(levels)
            level = levels[..., -1:, :]
        return torch.cat(blocks, -2)
