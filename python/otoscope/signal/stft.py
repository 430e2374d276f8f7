"""Short-time Fourier transform and its least-squares inverse.

Spectra are [..., frame, bin] with bin = n_fft // 2 + 1. Without ``center`` there are
(sample - n_fft) // hop_length + 1 frames; with ``center`` the signal is first padded by n_fft // 2
at both ends, so that frame i is centred at sample i * hop_length. `otoscope.ops` does the work.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, from_numpy

from otoscope import ops
from otoscope.errors import ParameterError

__all__ = ["PADDINGS", "get_window", "hann", "istft", "n_frames", "stft"]

PADDINGS = {
    "constant": "constant",
    "reflect": "reflect",
    "edge": "replicate",
    "replicate": "replicate",
    "circular": "circular",
}


def n_frames(n_samples: int, *, n_fft: int, hop_length: int) -> int:
    """Count the whole frames in a signal; 0 for a signal shorter than one frame."""
    return max(0, (n_samples - n_fft) // hop_length + 1)


def get_window(
    window: str | float | tuple[Any, ...] | Tensor, *, n_fft: int, win_length: int | None = None
) -> Tensor:
    """Create a window [n_fft], centred and padded with zeros if ``win_length`` is smaller.

    ``window`` is a Tensor [win_length] or a specification of ``scipy.signal.get_window``.
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
    """Return the float64 Hann window [n_fft] on the CPU, cached: do not write to it.

    The same tensor is returned for one size, so that results derived from it can be cached as well.
    """
    with torch.inference_mode(False):  # the cache must not hold inference tensors
        return torch.hann_window(n_fft, periodic=periodic, dtype=torch.float64)


def stft(
    y: Tensor,
    *,
    window: Tensor,
    hop_length: int,
    center: bool = False,
    pad_mode: str = "constant",
) -> Tensor:
    """Compute the short-time Fourier transform.

    Parameters
    ----------
    y : Tensor [..., sample]
        Signal, float32 or float64; at least ``len(window)`` samples if not centred.
    window : Tensor [n_fft]
        Analysis window, not differentiated. `get_window` pads a window shorter than the frame.
    hop_length : int
        Samples between frames, >= 1.
    center : bool
        If True, frame i is centred at sample i * hop_length; otherwise frame i starts there.
    pad_mode : {"constant", "reflect", "edge", "replicate", "circular"}
        Padding of a centred signal: zeros, the mirrored signal, its outermost sample (named "edge"
        in librosa, "replicate" in torch), or its other end.

    Returns
    -------
    Tensor [..., frame, bin]
        Complex spectrum, not normalised; differentiable.

    Raises
    ------
    ParameterError
        If the signal is too short or not floating, the hop below 1, or the padding unknown.

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
    """Invert a short-time Fourier transform by least squares.

    Parameters
    ----------
    D : Tensor [..., frame, bin]
        Complex spectrum, bin = n_fft // 2 + 1.
    window : Tensor [n_fft]
        Analysis window.
    hop_length : int
        Samples between frames, >= 1.
    center : bool
        Whether the frames are centred; if so, the padding is removed.
    length : int, optional
        Samples of the result, padded with zeros or truncated. Default: all samples that the frames
        cover, without the padding.

    Returns
    -------
    Tensor [..., sample]
        y[n] = sum_m w[n - mH] irfft(D_m)[n - mH] / sum_m w[n - mH]^2 with H = hop_length; 0 where
        no window reaches. Differentiable.

    Raises
    ------
    ParameterError
        If ``D`` is not complex with len(window) // 2 + 1 bins, or no window covers some sample
        between the ends.

    References
    ----------
    Griffin and Lim (1984) :cite:`griffin1984`, eq. 6.

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
    if pad_mode not in PADDINGS:
        raise ParameterError(f"pad_mode is {pad_mode!r}, must be one of {', '.join(PADDINGS)}")
    mode = PADDINGS[pad_mode]
    needed = {"constant": 0, "replicate": 1, "reflect": count + 1, "circular": count}[mode]
    if y.shape[-1] < needed:
        raise ParameterError(
            f"y has {y.shape[-1]} samples; pad_mode {pad_mode!r} by {count} needs {needed}"
        )
    flat = y.reshape(-1, y.shape[-1])
    return F.pad(flat, (count, count), mode).reshape(*y.shape[:-1], -1)
