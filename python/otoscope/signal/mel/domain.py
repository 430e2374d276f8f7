"""Domains of a patch's values: from mel energies to a model's standardised input, and back.

Three domains, in this order: ``mel`` (linear energies of the filters, magnitude or power as the
front end has it, >= 0), ``log_mel`` (compressed), and the model's ``values``, standardised band by
band: ``values = (log_mel - mean) / std``. All are [..., frame, mel].
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
    """The logarithm between mel energies and log-mel values.

    Parameters
    ----------
    kind : {"ln", "log10"}
        ``ln``: ln(max(mel, amin)). ``log10``: log10(1 + mel / amin), smooth and 0 in silence.
    amin : float
        Smallest energy (``ln``), or the energy where the curve bends (``log10``); > 0.

    Examples
    --------
    >>> round(Compression("ln", 1e-7).silence, 6)
    -16.118096
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
        """The log-mel value of digital silence."""
        return math.log(self.amin) if self.kind == "ln" else 0.0

    def compress(self, mel: Tensor) -> Tensor:
        """Turn energies into log-mel values.

        Parameters
        ----------
        mel : Tensor
            Any shape, >= 0.

        Returns
        -------
        Tensor
            Of the same shape.

        Examples
        --------
        >>> import torch
        >>> Compression("log10", 1e-4).compress(torch.zeros(2))
        tensor([0., 0.])
        """
        if self.kind == "ln":
            return mel.clamp(min=self.amin).log()
        return (1 + mel / self.amin).log10()

    def expand(self, log_mel: Tensor) -> Tensor:
        """Turn log-mel values into energies.

        Parameters
        ----------
        log_mel : Tensor
            Any shape.

        Returns
        -------
        Tensor
            Of the same shape, >= 0; silence becomes ``amin`` (ln) or 0 (log10).

        Examples
        --------
        >>> import torch
        >>> Compression().expand(torch.zeros(2))
        tensor([1., 1.])
        """
        if self.kind == "ln":
            return log_mel.exp()
        return self.amin * (10**log_mel - 1).clamp(min=0)


@dataclass(frozen=True, eq=False)
class Domain:
    """A model's input domain: the compression and the normalisation of each mel band.

    Parameters
    ----------
    mean, std : Tensor [mel]
        Mean and standard deviation of the log-mel values over the training set; std > 0.
    compression : Compression
        Between energies and log-mel values.

    Examples
    --------
    >>> import torch
    >>> domain = Domain(torch.zeros(3), torch.full((3,), 2.0))
    >>> domain.values(torch.tensor([[2.0, 4.0, 6.0]]))
    tensor([[1., 2., 3.]])
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
        """The value of digital silence in each band: Tensor [mel], standardised."""
        return (self.compression.silence - self.mean) / self.std

    def values(self, log_mel: Tensor) -> Tensor:
        """Standardise log-mel values.

        Parameters
        ----------
        log_mel : Tensor [..., frame, mel]
            As the front end gives them.

        Returns
        -------
        Tensor [..., frame, mel]
            The model's values.

        Examples
        --------
        >>> import torch
        >>> domain = Domain(torch.ones(2), torch.full((2,), 2.0))
        >>> domain.values(torch.tensor([[3.0, 5.0]]))
        tensor([[1., 2.]])
        """
        return (log_mel - self.mean.to(log_mel)) / self.std.to(log_mel)

    def log_mel(self, values: Tensor) -> Tensor:
        """Undo the standardisation.

        Parameters
        ----------
        values : Tensor [..., frame, mel]
            The model's values.

        Returns
        -------
        Tensor [..., frame, mel]
            Log-mel values.

        Examples
        --------
        >>> import torch
        >>> domain = Domain(torch.ones(2), torch.full((2,), 2.0))
        >>> domain.log_mel(torch.tensor([[1.0, 2.0]]))
        tensor([[3., 5.]])
        """
        return values * self.std.to(values) + self.mean.to(values)

    def mel(self, values: Tensor) -> Tensor:
        """Turn the model's values into linear energies.

        Parameters
        ----------
        values : Tensor [..., frame, mel]
            The model's values.

        Returns
        -------
        Tensor [..., frame, mel]
            Energies of the filters, magnitude or power as the front end has it, >= 0.

        Examples
        --------
        >>> import torch
        >>> domain = Domain(torch.ones(2), torch.full((2,), 2.0))
        >>> domain.mel(torch.tensor([[-0.5, -0.5]]))
        tensor([[1., 1.]])
        """
        return self.compression.expand(self.log_mel(values))

    def from_mel(self, mel: Tensor) -> Tensor:
        """Turn linear energies into the model's values.

        Parameters
        ----------
        mel : Tensor [..., frame, mel]
            Energies of the filters, >= 0.

        Returns
        -------
        Tensor [..., frame, mel]
            The model's values.

        Examples
        --------
        >>> import torch
        >>> domain = Domain(torch.ones(2), torch.full((2,), 2.0))
        >>> domain.from_mel(torch.ones(1, 2))
        tensor([[-0.5000, -0.5000]])
        """
        return self.values(self.compression.compress(mel))
