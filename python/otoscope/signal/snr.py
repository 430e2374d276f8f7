"""Signal-to-noise ratios in the time domain, exact, in float64.

``y`` is a sound [..., sample], the noise is what another sound of the same shape differs by.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from otoscope.errors import ParameterError

__all__ = ["check_snr", "radius", "segment_energy", "segmental_snr_db", "snr_db"]


def snr_db(y: Tensor, noisy: Tensor) -> Tensor:
    """Measure the signal-to-noise ratio over all samples.

    Parameters
    ----------
    y : Tensor [..., sample]
        The sound.
    noisy : Tensor [..., sample]
        The sound with something added.

    Returns
    -------
    Tensor [...]
        10 log10(sum y^2 / sum (noisy - y)^2), dB, float64; inf where nothing was added.

    Raises
    ------
    ParameterError
        If the shapes differ or a sound is silent: its ratio is not defined.

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
        The sound.
    noisy : Tensor [..., sample]
        The sound with something added.
    segment_length : int
        Samples of a segment, 20 to 30 ms for hearing. Segments lie side by side; the last may be
        shorter.

    Returns
    -------
    Tensor [...]
        The least ratio, dB, float64; inf where nothing was added, -inf where something was added
        to a segment of digital silence.

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
    """Sum the squares of each segment.

    Parameters
    ----------
    y : Tensor [..., sample]
        A sound.
    segment_length : int
        Samples of a segment; the last may be shorter.

    Returns
    -------
    Tensor [..., segment]
        Energies, float64.

    Examples
    --------
    >>> segment_energy(torch.ones(5), 2)
    tensor([2., 2., 1.], dtype=torch.float64)
    """
    if segment_length < 1:
        raise ParameterError(f"segment_length is {segment_length}, must be >= 1 sample")
    filled = F.pad(y.double().square(), (0, -y.shape[-1] % segment_length))
    energy: Tensor = filled.unflatten(-1, (-1, segment_length)).sum(-1)
    return energy


def radius(y: Tensor, snr_db: float) -> Tensor:
    """Give the radius of the ball of noises at least ``snr_db`` below a sound.

    Parameters
    ----------
    y : Tensor [..., sample]
        The sound.
    snr_db : float
        Least signal-to-noise ratio, dB.

    Returns
    -------
    Tensor [...]
        ||y|| / 10^(snr_db / 20), float64.

    Raises
    ------
    ParameterError
        If ``snr_db`` is not positive and finite, or a sound is silent.

    Examples
    --------
    >>> radius(torch.ones(100), 20.0)
    tensor(1., dtype=torch.float64)
    """
    check_snr("snr_db", snr_db)
    norm: Tensor = y.double().norm(dim=-1)
    _check_sounding(norm)
    return norm / 10 ** (snr_db / 20)


def check_snr(name: str, snr_db: float) -> None:
    """Refuse a ratio that bounds nothing.

    Parameters
    ----------
    name : str
        What the caller calls it.
    snr_db : float
        dB.

    Raises
    ------
    ParameterError
        If it is not finite and above 0.

    Examples
    --------
    >>> check_snr("snr_db", 40.0)
    """
    if not 0 < snr_db < math.inf:
        raise ParameterError(
            f"{name} is {snr_db}, must be finite and > 0 dB (30 to 60 are hard to hear)"
        )


def _pair(y: Tensor, noisy: Tensor) -> tuple[Tensor, Tensor]:
    if y.shape != noisy.shape or y.ndim == 0 or y.shape[-1] == 0:
        raise ParameterError(
            f"the sounds have shapes {tuple(y.shape)} and {tuple(noisy.shape)}; "
            "they must be the same [..., sample], not empty"
        )
    return y.double(), noisy.double() - y.double()


def _check_sounding(energy: Tensor) -> None:
    silent = int((energy == 0).sum())
    if silent:
        raise ParameterError(
            f"{silent} of {energy.numel()} sounds are silent: "
            "their signal-to-noise ratio is not defined; leave them out"
        )
