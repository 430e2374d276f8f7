"""Noise at a stated level."""

from __future__ import annotations

import torch
from torch import Tensor

from otoscope.signal.snr import radius

__all__ = ["add_noise"]


def add_noise(y: Tensor, *, snr_db: float, generator: torch.Generator) -> Tensor:
    """Add white Gaussian noise of an exact level.

    Parameters
    ----------
    y : Tensor [..., sample]
        Sound, not silent.
    snr_db : float
        Signal-to-noise ratio over all samples, dB, > 0.
    generator : torch.Generator
        On the CPU.

    Returns
    -------
    Tensor [..., sample]
        Differentiable; the level follows the sound.

    Raises
    ------
    ParameterError
        If ``snr_db`` is not positive and finite, or a sound is silent.

    Examples
    --------
    >>> y = torch.ones(100)
    >>> noisy = add_noise(y, snr_db=20.0, generator=torch.Generator().manual_seed(0))
    >>> round(float((noisy - y).square().mean()), 6)
    0.01
    """
    noise: Tensor = torch.randn(y.shape, generator=generator, dtype=y.dtype).to(y.device)
    level = radius(y.detach(), snr_db)[..., None].to(y)
    noisy: Tensor = y + noise / noise.norm(dim=-1, keepdim=True) * level
    return noisy
