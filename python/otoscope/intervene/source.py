"""What an intervention is given of a sound."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from otoscope.errors import ParameterError

__all__ = ["Source", "check_sound"]


@dataclass(frozen=True)
class Source:
    """As much of a sound as a rendering takes, and what is to be made of it.

    Parameters
    ----------
    y : Tensor [sample] or [channel, sample]
        float32 or float64, finite, on the CPU.
    sr : float
        Samples a second.
    n_samples : int
        Of the rendering.
    seed : int
        Of the item.

    Examples
    --------
    >>> Source(torch.zeros(8000), sr=8000.0, n_samples=8000, seed=3).whole_sr
    8000
    """

    y: Tensor
    sr: float
    n_samples: int
    seed: int

    @property
    def whole_sr(self) -> int:
        """The same rate, for what has whole numbers only: files."""
        if self.sr != int(self.sr):
            raise ParameterError(f"sr is {self.sr}; files hold whole rates only")
        return int(self.sr)

    def generator(self) -> torch.Generator:
        """Make the item's generator, on the CPU, at its beginning."""
        return torch.Generator().manual_seed(self.seed)


def check_sound(y: Tensor, sr: float) -> None:
    """Refuse what is no sound.

    Parameters
    ----------
    y : Tensor
        To be float32 or float64 [sample] or [channel, sample], finite.
    sr : float
        To be > 0.

    Raises
    ------
    ParameterError
        If one is not.

    Examples
    --------
    >>> check_sound(torch.zeros(2, 100), 8000)
    """
    if y.ndim not in (1, 2) or y.dtype not in (torch.float32, torch.float64) or y.numel() == 0:
        raise ParameterError(
            f"y is {y.dtype} {tuple(y.shape)}, must be float32 or float64, "
            "[sample] or [channel, sample], not empty"
        )
    if y.ndim == 2 and y.shape[0] > y.shape[1]:
        raise ParameterError(
            f"y has {y.shape[0]} channels of {y.shape[1]} samples; for [sample, channel] pass y.T"
        )
    if bad := int((~y.isfinite()).sum()):
        raise ParameterError(f"{bad} of {y.numel()} samples of y are NaN or infinite")
    if not 0 < sr < float("inf"):
        raise ParameterError(f"sr is {sr}, must be > 0")
