"""Windows and hops: what every operator on frames must know of them, found once and kept.

The overlap W[n] is the sum of window[n - m hop]^2 over all frames m. Away from the ends of a signal
it repeats with the hop, so one hop of it says everything.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.utils.weak import WeakIdKeyDictionary

from otoscope.errors import ParameterError

__all__ = ["Frames", "frames_of"]

REAL = {
    torch.float32: torch.float32,
    torch.float64: torch.float64,
    torch.complex64: torch.float32,
    torch.complex128: torch.float64,
}
FLOOR = 1e-14  # of the largest overlap; below it no window reaches a sample


class Frames(NamedTuple):
    """A window as kernels take it.

    Parameters
    ----------
    window : Tensor [n_fft]
        Of the data's real type, on its device.
    overlap : Tensor [hop_length + 1], float64
        Sums of squares of the window at each phase of the hop; then the floor under them.
    uncovered : int or None
        First sample that no window reaches, of those away from the ends.

    Examples
    --------
    >>> frames_of(torch.ones(4), 2, like=torch.zeros(1)).overlap[:2]
    tensor([2., 2.], dtype=torch.float64)
    """

    window: Tensor
    overlap: Tensor
    uncovered: int | None


# Window: its version, and frames by hop, type and device. An entry goes when its window does.
_known = WeakIdKeyDictionary()


def frames_of(window: Tensor, hop_length: int, *, like: Tensor) -> Frames:
    """Check a window and a hop, and bring the window to the data's type.

    Parameters
    ----------
    window : Tensor [n_fft]
        Real; a constant, without gradient.
    hop_length : int
        Samples between frames, >= 1.
    like : Tensor
        Data whose real type and device the window takes.

    Returns
    -------
    Frames
        Kept for the next call with the same window.

    Raises
    ------
    ParameterError
        If the hop is below 1, or the window is not real [n_fft] or wants a gradient.

    Examples
    --------
    >>> frames_of(torch.hann_window(8), 2, like=torch.zeros(1)).uncovered is None
    True
    """
    if isinstance(hop_length, float) or hop_length < 1:
        raise ParameterError(f"hop_length is {hop_length}, must be an integer >= 1")
    if window.ndim != 1 or len(window) < 2 or not window.is_floating_point():
        raise ParameterError(
            f"window is {window.dtype} {tuple(window.shape)}; it must be real [n_fft], n_fft >= 2"
        )
    if window.requires_grad:
        raise ParameterError("window requires a gradient, which is not given here: detach it")
    if type(window) is not Tensor or torch.compiler.is_compiling():
        return _measure(window, hop_length, like, traced=True)  # nothing to read, nothing to keep
    if window.is_inference():  # whether it has changed cannot be told; on a GPU, don't wait for it
        return _measure(window, hop_length, like, traced=window.is_cuda)
    if window not in _known or _known[window][0] != window._version:
        _known[window] = (window._version, {})
    frames: dict[tuple[object, ...], Frames] = _known[window][1]
    key = (hop_length, like.dtype, like.device)
    if key not in frames:
        frames[key] = _measure(window, hop_length, like, traced=False)
    return frames[key]


def _measure(window: Tensor, hop_length: int, like: Tensor, *, traced: bool) -> Frames:
    squares = window.detach().double() ** 2
    phases = F.pad(squares, (0, -len(window) % hop_length)).view(-1, hop_length).sum(0)
    floor = FLOOR * phases.amax(0, keepdim=True)
    uncovered = None
    if not traced and bool((phases <= floor).any()):
        uncovered = int((phases <= floor).nonzero()[0])
    return Frames(
        window.detach().to(like.device, REAL[like.dtype]).contiguous(),
        torch.cat([phases, floor]).to(like.device),
        uncovered,
    )
