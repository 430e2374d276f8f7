"""Domains of the values of a patch: mel energies, log-mel values, and standardised values.

A front end yields ``mel`` (filter outputs, magnitude or power, >= 0) and ``log_mel`` (compressed);
a model takes ``values = (log_mel - mean) / std``, standardised per band. All are
[..., frame, mel].
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor

from otoscope.errors import ParameterError
from otoscope.signal.mel.pcen import PCEN

__all__ = ["Compression", "Domain", "read_compression"]


@dataclass(frozen=True)
class Compression:
    """Compression of mel energies, logarithmic or none.

    Parameters
    ----------
    kind : {"ln", "log10", "ln_plus", "db", "none"}
        "ln": ln(max(mel, amin)). "log10": log10(1 + mel / amin), smooth, and 0 in silence.
        "ln_plus": ln(mel + amin). "db": 10 log10(max(mel, amin) / ref), librosa's power_to_db.
        "none": the energies themselves.
        Of another base, for example log10(max(mel, amin)), the factor goes into mean and std.
    amin : float
        Smallest energy ("ln", "db"), energy that is added ("ln_plus"), or the energy at the bend of
        the curve ("log10"); > 0.
    ref : float or "max"
        Energy of 0 dB, or the largest energy of each spectrogram; kind "db" only.
    top_db : float, optional
        Largest distance of a value to the highest of its spectrogram; kind "db" only.

    Examples
    --------
    >>> round(Compression("ln", 1e-7).silence, 6)
    -16.118096
    >>> import torch
    >>> Compression("log10", 1e-4).compress(torch.zeros(2))
    tensor([0., 0.])
    >>> Compression("db", 1e-10, ref="max", top_db=80).compress(torch.tensor([[1.0, 2.0, 0.0]]))
    tensor([[ -3.0103,   0.0000, -80.0000]])
    """

    kind: Literal["ln", "log10", "ln_plus", "db", "none"] = "ln"
    amin: float = 1e-7
    ref: float | Literal["max"] = 1.0
    top_db: float | None = None

    def __post_init__(self) -> None:
        if self.kind not in (kinds := ("ln", "log10", "ln_plus", "db", "none")):
            raise ParameterError(f"kind is {self.kind!r}, must be one of {', '.join(kinds)}")
        if not self.amin > 0:
            raise ParameterError(f"amin is {self.amin}, must be > 0")
        if self.ref != "max" and (isinstance(self.ref, str) or not self.ref > 0):
            raise ParameterError(f"ref is {self.ref!r}, must be an energy > 0, or 'max'")
        if self.top_db is not None and not self.top_db >= 0:
            raise ParameterError(f"top_db is {self.top_db}, must be >= 0")
        if self.kind != "db" and (self.ref != 1.0 or self.top_db is not None):
            raise ParameterError(f"ref and top_db are of kind 'db', kind is {self.kind!r}")

    @property
    def is_relative(self) -> bool:
        """True if values depend on the loudest cell of their spectrogram."""
        return self.ref == "max" or self.top_db is not None

    @property
    def silence(self) -> float:
        """Value of digital silence; beside sound, see `at`."""
        if self.kind in ("log10", "none"):
            return 0.0
        if self.kind != "db":
            return math.log(self.amin)
        if self.ref == "max":
            return -self.top_db if self.top_db is not None else 0.0
        return 10 * math.log10(self.amin / self.ref)

    def at(self, peak: float) -> Compression:
        """Return the compression of a spectrogram whose largest energy is ``peak``."""
        if not self.is_relative:
            return self
        peak = max(self.amin, peak)
        ref = peak if self.ref == "max" else self.ref
        fall = 0.0 if self.top_db is None else peak * 10 ** (-self.top_db / 10)
        return Compression("db", max(self.amin, fall), ref)

    def compress(self, mel: Tensor) -> Tensor:
        """Compress energies [..., frame, mel], >= 0 (of any shape unless `is_relative`)."""
        if self.kind == "none":
            return mel
        if self.kind == "ln":
            return mel.clamp(min=self.amin).log()
        if self.kind == "ln_plus":
            return (mel + self.amin).log()
        if self.kind == "log10":
            return (1 + mel / self.amin).log10()
        level = 10 * mel.clamp(min=self.amin).log10()
        if self.ref == "max":
            values = level - level.amax((-2, -1), keepdim=True)
        else:
            values = level - 10 * math.log10(self.ref)
        if self.top_db is None:
            return values
        return torch.maximum(values, values.amax((-2, -1), keepdim=True) - self.top_db)

    def expand(self, log_mel: Tensor) -> Tensor:
        """Expand values to energies; silence becomes ``amin``, or 0 ("log10", "ln_plus").

        With ``ref="max"``, energies are relative to the largest.
        """
        if self.kind == "none":
            return log_mel.clamp(min=0)
        if self.kind == "ln":
            return log_mel.exp()
        if self.kind == "ln_plus":
            return (log_mel.exp() - self.amin).clamp(min=0)
        if self.kind == "db":
            return (1.0 if self.ref == "max" else self.ref) * 10 ** (log_mel / 10)
        return self.amin * (10**log_mel - 1).clamp(min=0)


def read_compression(settings: Mapping[str, Any]) -> Compression | PCEN:
    """Build the compression whose fields are given, as a document holds them."""
    return PCEN(**settings) if "time_constant" in settings else Compression(**settings)


@dataclass(frozen=True, eq=False)
class Domain:
    """Input domain of a model: compression and standardisation per mel band.

    Parameters
    ----------
    mean, std : Tensor [mel]
        Mean and standard deviation of the log-mel values of the training set; std > 0.
    compression : Compression or PCEN
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
    compression: Compression | PCEN = Compression()

    def __post_init__(self) -> None:
        if self.mean.ndim != 1 or self.mean.shape != self.std.shape:
            raise ParameterError(
                f"mean has shape {tuple(self.mean.shape)}, std {tuple(self.std.shape)}; "
                "both must be [mel]"
            )
        for name, values, is_right, needed in (
            ("mean", self.mean, self.mean.isfinite(), "be finite"),
            ("std", self.std, self.std > 0, "be > 0"),
        ):
            if not is_right.all():
                band = int((~is_right).nonzero()[0, 0])
                raise ParameterError(
                    f"{name} is {float(values[band]):g} in band {band}, must {needed} in every band"
                )

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
