"""Signal-to-noise ratios in the time domain, in float64.

Waveforms are [..., sample]; the noise is the difference of two waveforms of one shape.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from otoscope.errors import ParameterError, require_number
from otoscope.ops.library import require_tensor

__all__ = [
    "add_noise",
    "check_snr",
    "radius",
    "segment_energy",
    "segmental_snr_db",
    "snr_db",
]


def snr_db(y: Tensor, noisy: Tensor) -> Tensor:
    """Measure the signal-to-noise ratio over all samples.

    Parameters
    ----------
    y : Tensor [..., sample]
        Clean waveform.
    noisy : Tensor [..., sample]
        Waveform with noise.

    Returns
    -------
    Tensor [...], float64
        10 log10(sum y^2 / sum (noisy - y)^2), in dB; inf without noise.

    Raises
    ------
    ParameterError
        If the shapes differ, or a waveform is silent and its ratio undefined.

    Examples
    --------
    >>> snr_db(torch.ones(4), torch.full((4,), 1.1))
    tensor(20.0000, dtype=torch.float64)
    """
    signal, noise = _pair(y, noisy)
    energy = signal.square().sum(-1)
    _check_sounding(energy)
    return 10 * torch.log10(energy / noise.square().sum(-1))


def segmental_snr_db(y: Tensor, noisy: Tensor, *, segment_length: int) -> Tensor:
    """Measure the signal-to-noise ratio of the worst segment.

    Parameters
    ----------
    y : Tensor [..., sample]
        Clean waveform.
    noisy : Tensor [..., sample]
        Waveform with noise.
    segment_length : int
        Samples per segment, without overlap; usually 20 to 30 ms. The last segment may be shorter.

    Returns
    -------
    Tensor [...], float64
        Smallest ratio, in dB; inf without noise, -inf with noise in a segment of digital silence.

    Raises
    ------
    ParameterError
        If the shapes differ or ``segment_length`` is below 1.

    Examples
    --------
    >>> noisy = torch.tensor([1.0, 1.0, 1.0, 1.1])
    >>> segmental_snr_db(torch.ones(4), noisy, segment_length=1)
    tensor(20.0000, dtype=torch.float64)
    """
    signal, noise = (segment_energy(part, segment_length) for part in _pair(y, noisy))
    ratio = 10 * torch.log10(signal / noise)
    return torch.where(noise == 0, math.inf, ratio).amin(-1)


def segment_energy(y: Tensor, segment_length: int) -> Tensor:
    """Sum the squares of each segment [..., segment], float64; the last segment may be shorter."""
    if segment_length < 1:
        raise ParameterError(f"segment_length is {segment_length}, must be >= 1 sample")
    filled = F.pad(y.double().square(), (0, -y.shape[-1] % segment_length))
    energy: Tensor = filled.unflatten(-1, (-1, segment_length)).sum(-1)
    return energy


def radius(y: Tensor, snr_db: float) -> Tensor:
    """Compute ||y|| / 10^(snr_db / 20), the norm of noise at a ratio of ``snr_db``."""
    check_snr("snr_db", snr_db)
    norm: Tensor = y.double().norm(dim=-1)
    _check_sounding(norm)
    return norm / 10 ** (snr_db / 20)


def add_noise(y: Tensor, *, snr_db: float, generator: torch.Generator) -> Tensor:
    """Add white Gaussian noise at an exact signal-to-noise ratio; differentiable."""
    noise: Tensor = torch.randn(y.shape, generator=generator, dtype=y.dtype).to(y.device)
    level = radius(y.detach(), snr_db)[..., None].to(y)
    noisy: Tensor = y + noise / noise.norm(dim=-1, keepdim=True) * level
    return noisy


def check_snr(name: str, snr_db: float) -> None:
    """Check that the ratio called ``name`` is positive and finite."""
    require_number(name, snr_db)
    if not 0 < snr_db < math.inf:
        raise ParameterError(
            f"{name} is {snr_db}, must be finite and > 0 dB (30 to 60 are hard to hear)"
        )


def _pair(y: Tensor, noisy: Tensor) -> tuple[Tensor, Tensor]:
    require_tensor("y", y)
    require_tensor("noisy", noisy)
    if y.shape != noisy.shape or y.ndim == 0 or y.shape[-1] == 0:
        raise ParameterError(
            f"y and noisy have shapes {tuple(y.shape)} and {tuple(noisy.shape)}; "
            "must be equal, [..., sample], not empty"
        )
    return y.double(), noisy.double() - y.double()


def _check_sounding(energy: Tensor) -> None:
    silent = int((energy == 0).sum())
    if silent:
        raise ParameterError(
            f"{silent} of {energy.numel()} sounds are silent: "
            "their signal-to-noise ratio is not defined; leave them out"
        )
