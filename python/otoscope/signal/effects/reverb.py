"""Reverberation of a synthetic room: exponentially decaying noise."""

from __future__ import annotations

import torch
from torch import Tensor

from otoscope.errors import ParameterError

__all__ = ["convolve", "decaying_noise"]


def decaying_noise(
    *, sr: float, rt60: float, direct_db: float, generator: torch.Generator
) -> Tensor:
    """Draw a room's impulse response: the direct sound, then white noise that decays.

    Parameters
    ----------
    sr : float
        Samples a second.
    rt60 : float
        Seconds in which the noise falls by 60 dB, > 0; there it ends.
    direct_db : float
        Energy of the direct sound over that of all that follows, dB.
    generator : torch.Generator
        On the CPU. Longer rooms draw the same noise and more.

    Returns
    -------
    Tensor [sample]
        float64, 1 first.

    Raises
    ------
    ParameterError
        If a number is not finite, or the room shorter than two samples.

    References
    ----------
    Moorer, "About this reverberation business", 1979: a concert hall sounds like decaying noise.

    Examples
    --------
    >>> room = decaying_noise(
    ...     sr=8000, rt60=0.5, direct_db=10.0, generator=torch.Generator().manual_seed(0)
    ... )
    >>> room.shape, round(float(room[1:].square().sum()), 6)
    (torch.Size([4000]), 0.1)
    """
    if not 2 <= rt60 * sr < float("inf") or not abs(direct_db) < float("inf"):
        raise ParameterError(
            f"rt60 is {rt60} s, direct_db {direct_db}, sr {sr}; "
            "all must be finite, and rt60 at least two samples"
        )
    seconds = torch.arange(round(rt60 * sr), dtype=torch.float64) / sr
    noise = torch.randn(len(seconds), generator=generator, dtype=torch.float64)
    room: Tensor = noise * 10 ** (-3 * seconds / rt60)
    room *= 10 ** (-direct_db / 20) / room[1:].norm()
    room[0] = 1
    return room


def convolve(y: Tensor, impulse: Tensor) -> Tensor:
    """Play a sound in a room.

    Parameters
    ----------
    y : Tensor [..., sample]
        Sound.
    impulse : Tensor [tap]
        The room's answer to a click.

    Returns
    -------
    Tensor [..., sample]
        sum_k impulse[k] y[n - k]; what sounds on after the end is cut.

    Examples
    --------
    >>> convolve(torch.tensor([1.0, 0.0, 0.0]), torch.tensor([1.0, 0.5])).round(decimals=6)
    tensor([1.0000, 0.5000, 0.0000])
    """
    from scipy.fft import next_fast_len

    n = y.shape[-1]
    size = next_fast_len(n + len(impulse) - 1, real=True)
    product = torch.fft.rfft(y.double(), size) * torch.fft.rfft(impulse.double(), size)
    wet: Tensor = torch.fft.irfft(product, size)
    return wet[..., :n].to(y)
