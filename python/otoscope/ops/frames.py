"""Prepare windows for the operators on frames, weigh bins, and replace magnitudes.

The overlap W[n] is the sum of window[n - m hop]^2 over all frames m. Away from the ends of a signal
it repeats with the hop, so one value per phase n % hop describes it: for a window of four ones and
hop 2, W is 1 1 2 2 2 2 ... 1 1, and 2 2 is stored.
"""

from __future__ import annotations

from numbers import Integral
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.utils.weak import WeakIdKeyDictionary

from otoscope.errors import ParameterError
from otoscope.ops.library import has_numbers, in_forward_mode, require_tensor

__all__ = ["Frames", "bin_weights", "frames_of", "replace_magnitude"]

REAL = {
    torch.float32: torch.float32,
    torch.float64: torch.float64,
    torch.complex64: torch.float32,
    torch.complex128: torch.float64,
}
FLOOR = 1e-14  # fraction of the largest overlap below which no window reaches a sample


class Frames(NamedTuple):
    """A window as the kernels take it: with the real type and on the device of the data."""

    window: Tensor  # [n_fft]
    overlap: Tensor  # [hop_length + 1], float64; W of each phase, then its lower limit
    uncovered: int | None  # first phase that no window reaches


# Window: its version, and its Frames by hop, type and device. An entry goes when its window does.
_cache = WeakIdKeyDictionary()


def frames_of(window: Tensor, hop_length: int, *, like: Tensor) -> Frames:
    """Check a window and a hop; convert the window to the type and device of ``like``, once."""
    if not isinstance(hop_length, Integral | torch.SymInt) or hop_length < 1:
        raise ParameterError(f"hop_length is {hop_length}, must be an integer >= 1")
    require_tensor("window", window)
    if window.ndim != 1 or len(window) < 2 or not window.is_floating_point():
        raise ParameterError(
            f"window is {window.dtype} {tuple(window.shape)}; it must be real [n_fft], n_fft >= 2"
        )
    if window.requires_grad:
        raise ParameterError(
            "window requires a gradient, but the operators have none for it: detach it"
        )
    if type(window) is not Tensor or not has_numbers(window):
        return _measure(window, hop_length, like, traced=True)  # its numbers cannot be read
    if in_forward_mode():  # the window may have a tangent, which the operators refuse
        return _measure(window, hop_length, like, traced=False)
    if window.is_inference():  # has no version to compare; on a GPU, do not wait for its numbers
        return _measure(window, hop_length, like, traced=window.is_cuda)
    if window not in _cache or _cache[window][0] != window._version:
        _cache[window] = (window._version, {})
    frames: dict[tuple[object, ...], Frames] = _cache[window][1]
    key = (hop_length, like.dtype, like.device)
    if key not in frames:
        frames[key] = _measure(window, hop_length, like, traced=False)
    return frames[key]


def bin_weights(window: Tensor) -> Tensor:
    """Count how often each bin of a one-sided spectrum occurs in the two-sided spectrum.

    Parameters
    ----------
    window : Tensor [n_fft]
        Analysis window; determines size, type and device.

    Returns
    -------
    Tensor [bin]
        1 at DC and, where n_fft is even, at Nyquist; 2 elsewhere.

    Examples
    --------
    >>> bin_weights(torch.ones(4)), bin_weights(torch.ones(5))
    (tensor([1., 2., 1.]), tensor([1., 2., 2.]))
    """
    weights = window.new_full((len(window) // 2 + 1,), 2.0)
    weights[0] = 1
    if len(window) % 2 == 0:
        weights[-1] = 1
    return weights


def replace_magnitude(
    D: Tensor, magnitude: Tensor, previous: Tensor | None = None, momentum: float = 0.0
) -> Tensor:
    """Replace the magnitude of a spectrum and keep its phase.

    Parameters
    ----------
    D : Tensor [..., bin]
        Complex spectrum.
    magnitude : Tensor [..., bin]
        New magnitude, real, >= 0.
    previous : Tensor [..., bin], optional
        Spectrum before ``D``; by default there is no momentum.
    momentum : float
        Extrapolation of the phase, >= 0: the phase is that of D + momentum * (D - previous).

    Returns
    -------
    Tensor [..., bin]
        Complex spectrum; the phase of 0 is 0. Differentiable.

    Examples
    --------
    >>> replace_magnitude(torch.tensor([2j, 0j]), torch.tensor([3.0, 4.0]))
    tensor([0.+3.j, 4.+0.j])
    """
    extrapolated = D if previous is None else D + momentum * (D - previous)
    square = extrapolated.real**2 + extrapolated.imag**2
    is_silent = square < torch.finfo(square.dtype).tiny  # False for NaN, which the result keeps
    unit = torch.where(is_silent, 1, extrapolated * torch.where(is_silent, 1, square).rsqrt())
    return magnitude * unit


def _measure(window: Tensor, hop_length: int, like: Tensor, *, traced: bool) -> Frames:
    squares = window.double() ** 2
    phases = F.pad(squares, (0, -len(window) % hop_length)).view(-1, hop_length).sum(0)
    floor = FLOOR * phases.amax(0, keepdim=True)
    uncovered = None
    if not traced and bool((phases <= floor).any()):
        uncovered = int((phases <= floor).nonzero()[0])
    constant = window if in_forward_mode() else window.detach()
    return Frames(
        constant.to(like.device, REAL[like.dtype]).contiguous(),
        torch.cat([phases, floor]).to(like.device),
        uncovered,
    )
