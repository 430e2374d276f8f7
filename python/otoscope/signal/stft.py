"""The package's one short-time Fourier transform and its least-squares inverse.

Spectra are [..., frame, bin] with bin = n_fft // 2 + 1. Frames are raw, n = (sample - n_fft) //
hop_length + 1; with ``center`` the signal is padded first by n_fft // 2 at both ends, so that frame
i lies around sample i * hop_length. The work is done by `otoscope.ops`.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, from_numpy

from otoscope import ops
from otoscope.errors import ParameterError

__all__ = ["get_window", "hann", "istft", "n_frames", "stft"]

_PADDINGS = {
    "constant": "constant",
    "reflect": "reflect",
    "edge": "replicate",
    "replicate": "replicate",
    "circular": "circular",
}


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


def get_window(
    window: str | float | tuple[Any, ...] | Tensor, *, n_fft: int, win_length: int | None = None
) -> Tensor:
    """Make the window of a frame.

    Parameters
    ----------
    window : str, float, tuple or Tensor [win_length]
        What ``scipy.signal.get_window`` takes (periodic), or the values.
    n_fft : int
        Samples of a frame.
    win_length : int, optional
        Samples of the window, at most ``n_fft``: zeros fill the frame up on both sides. Default:
        ``n_fft``.

    Returns
    -------
    Tensor [n_fft]
        float64 if made from a name.

    Raises
    ------
    ParameterError
        If there is no such window, or it is longer than the frame or not ``win_length`` long.

    Examples
    --------
    >>> get_window("hann", n_fft=6, win_length=4)
    tensor([0.0000, 0.0000, 0.5000, 1.0000, 0.5000, 0.0000], dtype=torch.float64)
    """
    win_length = n_fft if win_length is None else win_length
    if not 1 <= win_length <= n_fft:
        raise ParameterError(f"win_length is {win_length}, must be 1 to n_fft, {n_fft}")
    if isinstance(window, Tensor):
        taper = window
        if taper.shape != (win_length,):
            raise ParameterError(
                f"window has shape {tuple(taper.shape)}, must be [{win_length}] (win_length)"
            )
    else:
        from scipy.signal import get_window as by_name

        try:
            taper = from_numpy(by_name(window, win_length))
        except (TypeError, ValueError) as err:
            raise ParameterError(
                f"window is {window!r}, must be a Tensor or what scipy's get_window takes: {err}"
            ) from err
    before = (n_fft - win_length) // 2
    return F.pad(taper, (before, n_fft - win_length - before))


@lru_cache
def hann(n_fft: int, *, periodic: bool = True) -> Tensor:
    """Give the Hann window: one tensor for one size, so that what is known of it is kept.

    Parameters
    ----------
    n_fft : int
        Samples of a frame.
    periodic : bool
        False: symmetric, 0 at both ends.

    Returns
    -------
    Tensor [n_fft]
        float64, on the CPU; shared: not to be written to.

    Examples
    --------
    >>> hann(4) is hann(4)
    True
    """
    with torch.inference_mode(False):  # a tensor of inference could not be kept for gradients
        return torch.hann_window(n_fft, periodic=periodic, dtype=torch.float64)


def stft(
    y: Tensor,
    *,
    window: Tensor,
    hop_length: int,
    center: bool = False,
    pad_mode: str = "constant",
) -> Tensor:
    """Transform a signal to complex spectra.

    Parameters
    ----------
    y : Tensor [..., sample]
        float32 or float64; at least ``len(window)`` samples if not centred.
    window : Tensor [n_fft]
        Analysis window, as long as the transform; a constant. `get_window` fills a shorter one up.
    hop_length : int
        Samples between frames, >= 1.
    center : bool
        True: frame i lies around sample i * hop_length.
    pad_mode : {"constant", "reflect", "edge", "replicate", "circular"}
        What lies beyond the ends if centred: silence, the signal mirrored, its outermost sample
        (librosa's word, then torch's), or its other end.

    Returns
    -------
    Tensor [..., frame, bin]
        Complex, not normalised. Differentiable.

    Raises
    ------
    ParameterError
        If the signal is too short or of another type, the hop is below 1, or there is no such
        padding.

    Examples
    --------
    >>> import torch
    >>> stft(torch.ones(2, 4), window=torch.ones(4), hop_length=1).shape
    torch.Size([2, 1, 3])
    >>> stft(torch.ones(2, 4), window=torch.ones(4), hop_length=1, center=True).shape
    torch.Size([2, 5, 3])
    """
    if center and y.ndim > 0:
        y = _padded(y, len(window) // 2, pad_mode)
    return ops.stft(y, window=window, hop_length=hop_length)


def istft(
    D: Tensor,
    *,
    window: Tensor,
    hop_length: int,
    center: bool = False,
    length: int | None = None,
) -> Tensor:
    """Invert complex spectra by least squares.

    Parameters
    ----------
    D : Tensor [..., frame, bin]
        Complex spectra, bin = n_fft // 2 + 1.
    window : Tensor [n_fft]
        The window of the analysis.
    hop_length : int
        Samples between frames, >= 1.
    center : bool
        As in the analysis: the padding is cut.
    length : int, optional
        Samples of the result: longer is filled with zeros, shorter is cut. Default: all that
        the frames cover, less the padding at both ends.

    Returns
    -------
    Tensor [..., sample]
        y[n] = sum_m w[n-mH] irfft(D_m)[n-mH] / sum_m w[n-mH]^2; 0 where no window reaches.
        Differentiable.

    Raises
    ------
    ParameterError
        If ``D`` is not complex with len(window) // 2 + 1 bins, or between the ends there are
        samples that no window reaches.

    References
    ----------
    Griffin and Lim, "Signal estimation from modified short-time Fourier transform", 1984, eq. 6.

    Examples
    --------
    >>> import torch
    >>> w = torch.hann_window(8)
    >>> D = stft(torch.ones(16), window=w, hop_length=2, center=True)
    >>> istft(D, window=w, hop_length=2, center=True)[:2]
    tensor([1., 1.])
    """
    if length is not None and length < 0:
        raise ParameterError(f"length is {length}, must be >= 0")
    y = ops.istft_ls(D, window=window, hop_length=hop_length)
    padding = len(window) // 2 if center else 0
    if length is None:
        return y[..., padding : y.shape[-1] - padding]
    y = y[..., padding : padding + length]
    return F.pad(y, (0, length - y.shape[-1]))


def _padded(y: Tensor, count: int, pad_mode: str) -> Tensor:
    """Pad both ends of [..., sample]."""
    if pad_mode not in _PADDINGS:
        raise ParameterError(f"pad_mode is {pad_mode!r}, must be one of {', '.join(_PADDINGS)}")
    mode = _PADDINGS[pad_mode]
    needed = {"constant": 0, "replicate": 1, "reflect": count + 1, "circular": count}[mode]
    if y.shape[-1] < needed:
        raise ParameterError(
            f"y has {y.shape[-1]} samples; pad_mode {pad_mode!r} by {count} needs {needed}"
        )
    flat = y.reshape(-1, y.shape[-1])
    return F.pad(flat, (count, count), mode).reshape(*y.shape[:-1], -1)
