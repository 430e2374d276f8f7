"""Domains of the values of a patch: mel energies, log-mel values, and standardised values.

A front end yields ``mel`` (filter outputs, magnitude or power, >= 0) and ``log_mel`` (compressed);
a model takes ``values = (log_mel - mean) / std``, standardised per band. All are
[..., frame, mel].
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from torch import Tensor

from otoscope.errors import ParameterError

__all__ = ["Compression", "Domain"]


@dataclass(frozen=True)
class Compression:
    """Logarithmic compression of mel energies.

    Parameters
    ----------
    kind : {"ln", "log10"}
        "ln": ln(max(mel, amin)). "log10": log10(1 + mel / amin), smooth, and 0 in silence.
    amin : float
        Smallest energy ("ln") or the energy at the bend of the curve ("log10"), > 0.

    Examples
    --------
    >>> round(Compression("ln", 1e-7).silence, 6)
    -16.118096
    >>> import torch
    >>> Compression("log10", 1e-4).compress(torch.zeros(2))
    tensor([0., 0.])
    """

    kind: Literal["ln", "log10"] = "ln"
    amin: float = 1e-7

    def __post_init__(self) -> None:
        if self.kind not in ("ln", "log10"):
            raise ParameterError(f"kind is {self.kind!r}, must be 'ln' or 'log10'")
        if not self.amin > 0:
            raise ParameterError(f"amin is {self.amin}, must be > 0")

    @property
    def silence(self) -> float:
        """Log-mel value of digital silence."""
        return math.log(self.amin) if self.kind == "ln" else 0.0

    def compress(self, mel: Tensor) -> Tensor:
        """Compress energies, >= 0 and of any shape, to log-mel values."""
        if self.kind == "ln":
            return mel.clamp(min=self.amin).log()
        return (1 + mel / self.amin).log10()

    def expand(self, log_mel: Tensor) -> Tensor:
        """Expand log-mel values to energies; silence becomes ``amin`` ("ln") or 0 ("log10")."""
        if self.kind == "ln":
            return log_mel.exp()
        return self.amin * (10**log_mel - 1).clamp(min=0)


@dataclass(frozen=True, eq=False)
class Domain:
    """Input domain of a model: compression and standardisation per mel band.

    Parameters
    ----------
    mean, std : Tensor [mel]
        Mean and standard deviation of the log-mel values of the training set; std > 0.
    compression : Compression
        Compression from energies to log-mel values.

    Examples
    --------
    >>> import torch
    >>> domain = Domain(torch.ones(2), torch.full((2,), 2.0))
    >>> domain.values(torch.tensor([[3.0, 5.0]]))
    tensor([[1., 2.]])
    >>> domain.log_mel(torch.tensor([[1.0, 2.0]]))
    tensor([[3., 5.]])
    >>> domain.mel(torch.tensor([[-0.5, -0.5]]))
    tensor([[1., 1.]])
    >>> domain.from_mel(torch.ones(1, 2))
    tensor([[-0.5000, -0.5000]])
    """

    mean: Tensor
    std: Tensor
    compression: Compression = Compression()

    def __post_init__(self) -> None:
        if self.mean.ndim != 1 or self.mean.shape != self.std.shape:
            raise ParameterError(
                f"mean has shape {tuple(self.mean.shape)}, std {tuple(self.std.shape)}; "
                "both must be [mel]"
            )
        if not (bool(self.mean.isfinite().all()) and bool((self.std > 0).all())):
            raise ParameterError("mean must be finite and std > 0 in every band")

    @property
    def floor(self) -> Tensor:
        """Standardised value of digital silence: Tensor [mel]."""
        return (self.compression.silence - self.mean) / self.std

    def values(self, log_mel: Tensor) -> Tensor:
        """Standardise log-mel values [..., frame, mel]."""
        return (log_mel - self.mean.to(log_mel)) / self.std.to(log_mel)

    def log_mel(self, values: Tensor) -> Tensor:
        """Undo the standardisation of values [..., frame, mel]."""
        return values * self.std.to(values) + self.mean.to(values)

    def mel(self, values: Tensor) -> Tensor:
        """Convert standardised values [..., frame, mel] to energies, >= 0."""
        return self.compression.expand(self.log_mel(values))

    def from_mel(self, mel: Tensor) -> Tensor:
        """Convert energies [..., frame, mel], >= 0, to standardised values."""
        return self.values(self.compression.compress(mel))
