"""A signal for magnitudes that have no phase: the algorithm of Griffin and Lim, with momentum."""

from __future__ import annotations

import torch
from torch import Tensor

from otoscope.signal.stft import istft, stft

__all__ = ["griffin_lim"]


def griffin_lim(
    S: Tensor,
    *,
    window: Tensor,
    hop_length: int,
    n_iter: int = 32,
    momentum: float = 0.0,
    seed: int = 0,
) -> Tensor:
    """Find a signal whose spectrum has nearly the given magnitudes.

    Parameters
    ----------
    S : Tensor [..., frame, bin]
        Magnitudes, >= 0.
    window : Tensor [n_fft]
        Window of the frames.
    hop_length : int
        Samples between frames.
    n_iter : int
        Projections, >= 0.
    momentum : float
        In [0, 1]; 0 is the original algorithm, whose residual never rises; 0.99 is faster.
    seed : int
        Of the random phases to start from.

    Returns
    -------
    Tensor [..., sample]
        All samples that the frames cover. The outermost, under the window's feet, are loosely
        determined: cut them, or begin and end in silence.

    References
    ----------
    Griffin and Lim, "Signal estimation from modified short-time Fourier transform", 1984.
    Perraudin, Balazs and Søndergaard, "A fast Griffin-Lim algorithm", 2013 (momentum).

    Examples
    --------
    >>> S = torch.ones(4, 9)
    >>> griffin_lim(S, window=torch.hann_window(16), hop_length=4).shape
    torch.Size([28])
    """
    generator = torch.Generator(S.device).manual_seed(seed)
    turns = torch.rand(S.shape, generator=generator, dtype=S.dtype, device=S.device)
    phase = torch.exp(2j * torch.pi * turns)
    previous = torch.zeros_like(phase)
    for _ in range(n_iter):
        y = istft(S * phase, window=window, hop_length=hop_length)
        projected = stft(y, window=window, hop_length=hop_length)
        ahead = projected + momentum * (projected - previous)
        phase = ahead / ahead.abs().clamp(min=torch.finfo(S.dtype).tiny)
        previous = projected
    return istft(S * phase, window=window, hop_length=hop_length)
