"""The package's one short-time Fourier transform and its least-squares inverse.

Frames are raw: no centring, no padding, n = (sample - n_fft) // hop_length + 1; spectra are
[..., frame, bin] with bin = n_fft // 2 + 1. The inverse weighs overlapping frames by the window
(Griffin and Lim 1984, eq. 6), so it gives the signal whose spectrum is nearest to the given one.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from otoscope.errors import ParameterError

__all__ = ["istft", "n_frames", "stft"]


def n_frames(n_samples: int, *, n_fft: int, hop_length: int) -> int:
    """Count the whole frames in a signal.

    Parameters
    ----------
    n_samples, n_fft, hop_length : int
        Samples of the signal, of a frame and between frames.

    Returns
    -------
    int
        Frames; 0 for a signal shorter than one frame.

    Examples
    --------
    >>> n_frames(44100, n_fft=1024, hop_length=315)
    137
    """
    return max(0, (n_samples - n_fft) // hop_length + 1)


def stft(y: Tensor, *, window: Tensor, hop_length: int) -> Tensor:
    """Transform a signal to complex spectra.

    Parameters
    ----------
    y : Tensor [..., sample]
        Floating; at least ``len(window)`` samples.
    window : Tensor [n_fft]
        Analysis window, as long as the transform.
    hop_length : int
        Samples between frames, >= 1.

    Returns
    -------
    Tensor [..., frame, bin]
        Complex, not normalised. Differentiable.

    Raises
    ------
    ParameterError
        If the signal is shorter than the window, or the hop is below 1.

    Examples
    --------
    >>> import torch
    >>> stft(torch.ones(2, 4), window=torch.ones(4), hop_length=1).shape
    torch.Size([2, 1, 3])
    """
    if hop_length < 1:
        raise ParameterError(f"hop_length is {hop_length}, must be >= 1")
    if y.ndim == 0 or y.shape[-1] < len(window):
        raise ParameterError(
            f"y has shape {tuple(y.shape)}; one frame needs {len(window)} samples in the last axis"
        )
    frames = y.unfold(-1, len(window), hop_length)
    D: Tensor = torch.fft.rfft(frames * window.to(y))
    return D


def istft(D: Tensor, *, window: Tensor, hop_length: int, length: int | None = None) -> Tensor:
    """Invert complex spectra by least squares.

    Parameters
    ----------
    D : Tensor [..., frame, bin]
        Complex spectra, bin = n_fft // 2 + 1.
    window : Tensor [n_fft]
        The window of the analysis.
    hop_length : int
        Samples between frames, >= 1.
    length : int, optional
        Samples of the result: longer is filled with zeros, shorter is cut. Default: all that
        the frames cover.

    Returns
    -------
    Tensor [..., sample]
        y[n] = sum_m w[n-mH] irfft(D_m)[n-mH] / sum_m w[n-mH]^2; 0 where no window reaches.

    Raises
    ------
    ParameterError
        If ``D`` is not complex with len(window) // 2 + 1 bins.

    References
    ----------
    Griffin and Lim, "Signal estimation from modified short-time Fourier transform", 1984, eq. 6.

    Examples
    --------
    >>> import torch
    >>> w = torch.hann_window(8)
    >>> istft(stft(torch.ones(16), window=w, hop_length=2), window=w, hop_length=2)[4]
    tensor(1.)
    """
    n_fft = len(window)
    if D.ndim < 2 or not D.is_complex() or D.shape[-1] != n_fft // 2 + 1:
        raise ParameterError(
            f"D has shape {tuple(D.shape)} and dtype {D.dtype}; a window of {n_fft} needs "
            f"complex [frame, {n_fft // 2 + 1}]"
        )
    frames = torch.fft.irfft(D, n=n_fft)
    window = window.to(frames)
    weight = _overlap_add((window**2).expand(D.shape[-2], -1), hop_length)
    reached = weight > 1e-14 * weight.max()
    total = _overlap_add(frames * window, hop_length)
    y = torch.where(reached, total / torch.where(reached, weight, 1), 0)
    return y if length is None else F.pad(y, (0, length - y.shape[-1]))


def _overlap_add(frames: Tensor, hop_length: int) -> Tensor:
    """Sum frames [..., frame, n_fft] at their places: [..., sample]."""
    *batch, count, n_fft = frames.shape
    n_samples = (count - 1) * hop_length + n_fft
    columns = frames.reshape(-1, count, n_fft).mT
    y = F.fold(columns, (1, n_samples), kernel_size=(1, n_fft), stride=(1, hop_length))
    return y.reshape(*batch, n_samples)
