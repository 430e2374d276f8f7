"""Spectra that some signal has: the short-time transform A, its inverse, and the projection P.

    A y [frame, bin] = rfft(window * y[frame hop ... frame hop + n_fft])
    istft_ls(C)[n]   = sum over frames of window * irfft(C), divided by W[n] = sum of window^2
    P                = A istft_ls

P is the orthogonal projection onto the spectra of signals, in the product that weighs DC and
Nyquist once and every other bin twice. Conventions: raw frames, no centring, spectra
[..., frame, bin].
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from otoscope.errors import ParameterError
from otoscope.ops import _stft_kernels  # noqa: F401 - registers the operators
from otoscope.ops.bins import turned
from otoscope.ops.frames import REAL, Frames, frames_of
from otoscope.ops.library import require_device, share_memory

__all__ = ["griffin_lim_step", "istft_ls", "magnitude_step", "project", "stft"]

_REAL = (torch.float32, torch.float64)
_COMPLEX = (torch.complex64, torch.complex128)


def stft(y: Tensor, *, window: Tensor, hop_length: int) -> Tensor:
    """Transform a signal to complex spectra.

    Parameters
    ----------
    y : Tensor [..., sample]
        float32 or float64; at least ``len(window)`` samples.
    window : Tensor [n_fft]
        Analysis window, as long as the transform; a constant. Powers of two from 256 to 8192 run
        on this package's kernels, other sizes on torch.fft.
    hop_length : int
        Samples between frames, >= 1.

    Returns
    -------
    Tensor [..., frame, bin]
        Complex, not normalised; frame = (sample - n_fft) // hop_length + 1,
        bin = n_fft // 2 + 1. Differentiable in ``y``, twice.

    Raises
    ------
    ParameterError
        If the signal is shorter than the window or of another type, or the hop is below 1.

    Examples
    --------
    >>> stft(torch.ones(2, 4), window=torch.ones(4), hop_length=1).shape
    torch.Size([2, 1, 3])
    """
    if y.dtype not in _REAL:
        raise ParameterError(f"y is {y.dtype}, must be float32 or float64")
    frames = frames_of(window, hop_length, like=y)
    if y.ndim == 0 or y.shape[-1] < len(window):
        raise ParameterError(
            f"y has shape {tuple(y.shape)}; one frame needs {len(window)} samples in the last axis"
        )
    D: Tensor = torch.ops.otoscope.stft(_flat(y, 1), frames.window, hop_length)
    return D.reshape(*y.shape[:-1], *D.shape[-2:])


def istft_ls(spectrum: Tensor, *, window: Tensor, hop_length: int) -> Tensor:
    """Find the signal whose spectrum is nearest: the inverse by least squares.

    Parameters
    ----------
    spectrum : Tensor [..., frame, bin]
        complex64 or complex128, bin = n_fft // 2 + 1. Of DC and Nyquist the real part counts.
    window : Tensor [n_fft]
        The window of the analysis.
    hop_length : int
        Samples between frames, >= 1.

    Returns
    -------
    Tensor [..., sample]
        All (frame - 1) * hop_length + n_fft samples that the frames cover; 0 where W is below
        1e-14 of its maximum (at the ends). Differentiable, twice.

    Raises
    ------
    ParameterError
        If the shapes do not fit, or no window reaches some sample (NOLA is violated); the message
        names the first.

    References
    ----------
    Griffin and Lim, "Signal estimation from modified short-time Fourier transform", 1984, eq. 6.

    Examples
    --------
    >>> w = torch.hann_window(8)
    >>> istft_ls(stft(torch.ones(16), window=w, hop_length=2), window=w, hop_length=2)[4]
    tensor(1.)
    """
    frames = _invertible("spectrum", spectrum, window, hop_length)
    y: Tensor = torch.ops.otoscope.istft(
        _flat(spectrum, 2), frames.window, frames.overlap, hop_length
    )
    return y.reshape(*spectrum.shape[:-2], y.shape[-1])


def project(
    spectrum: Tensor,
    *,
    window: Tensor,
    hop_length: int,
    magnitude: Tensor | None = None,
    momentum: float = 0.0,
    previous: Tensor | None = None,
    out: Tensor | None = None,
) -> Tensor:
    """Project onto the spectra that some signal has, in one pass: P C.

    With ``magnitude`` the spectrum's magnitudes are replaced first and its phases kept, which is a
    step of Griffin and Lim; with ``momentum`` the phases are those of
    spectrum + momentum * (spectrum - previous), the fast variant.

    Parameters
    ----------
    spectrum : Tensor [..., frame, bin]
        complex64 or complex128, bin = n_fft // 2 + 1.
    window : Tensor [n_fft]
        The window of the analysis.
    hop_length : int
        Samples between frames, >= 1.
    magnitude : Tensor [..., frame, bin], optional
        Magnitudes to put in place, real, >= 0. Where the spectrum is 0 (below 1e-19 in
        complex64) its phase counts as 0; above 1e19 in complex64 it has none that can be found.
    momentum : float
        >= 0; needs ``magnitude`` and ``previous``.
    previous : Tensor [..., frame, bin], optional
        The spectrum before this one.
    out : Tensor [..., frame, bin], optional
        Contiguous buffer for the result, none of the inputs. No gradient flows through it.

    Returns
    -------
    Tensor [..., frame, bin]
        ``out`` if it was given. Differentiable, twice.

    Raises
    ------
    ParameterError
        If shapes, types or devices do not fit, or NOLA is violated.

    Notes
    -----
    P is linear, idempotent, and self-adjoint with weights 1 at DC and Nyquist and 2 elsewhere.
    Under torch.compile a window's numbers cannot be read: NOLA is not checked, and samples that no
    window reaches are 0. So it is for windows of inference mode on a GPU.

    References
    ----------
    Griffin and Lim, "Signal estimation from modified short-time Fourier transform", 1984.
    Perraudin, Balazs and Søndergaard, "A fast Griffin-Lim algorithm", 2013 (momentum).

    Examples
    --------
    >>> w, C = torch.hann_window(8), torch.ones(3, 5, dtype=torch.complex64)
    >>> once = project(C, window=w, hop_length=2)
    >>> torch.allclose(project(once, window=w, hop_length=2), once, atol=1e-6)
    True
    """
    frames = _invertible("spectrum", spectrum, window, hop_length)
    before, target = _checked_step(spectrum, magnitude, momentum, previous)
    if out is not None:
        _check_out(out, spectrum, magnitude, previous)
        torch.ops.otoscope.project_out(
            _flat(spectrum, 2), target, before, momentum, *frames[:2], hop_length, _flat(out, 2)
        )
        return out
    flat = _flat(spectrum, 2)
    if target is not None and _wants_gradient(flat, target, before):
        flat, target, before = turned(flat, target, before, momentum), None, None
    D: Tensor = torch.ops.otoscope.project(flat, target, before, momentum, *frames[:2], hop_length)
    return D.reshape(spectrum.shape)


@torch.no_grad()
def griffin_lim_step(
    spectrum: Tensor,
    *,
    window: Tensor,
    hop_length: int,
    magnitude: Tensor,
    momentum: float = 0.0,
    previous: Tensor | None = None,
    out: Tensor | None = None,
) -> tuple[Tensor, Tensor]:
    """Take a step of Griffin and Lim and measure how far it is from its goal.

    Parameters
    ----------
    spectrum, window, hop_length, magnitude, momentum, previous, out
        As in `project`.

    Returns
    -------
    spectrum : Tensor [..., frame, bin]
        Z = P(magnitude * phase of the spectrum); ``out`` if it was given.
    residual : Tensor [...], float64
        Norm of abs(Z) - magnitude, with weights 1 at DC and Nyquist and 2 elsewhere, summed in
        float64. Without momentum it never rises from step to step.

    Raises
    ------
    ParameterError
        As `project` does.

    Notes
    -----
    Not differentiable; take `project` for that.

    Examples
    --------
    >>> w, S = torch.hann_window(8), torch.ones(3, 5)
    >>> Z, residual = griffin_lim_step(S.to(torch.complex64), window=w, hop_length=2, magnitude=S)
    >>> Z.shape, residual.shape
    (torch.Size([3, 5]), torch.Size([]))
    """
    frames = _invertible("spectrum", spectrum, window, hop_length)
    before, target = _checked_step(spectrum, magnitude, momentum, previous)
    assert target is not None  # noqa: S101 - for mypy: magnitude is given
    result = torch.empty_like(spectrum, memory_format=torch.contiguous_format)
    if out is not None:
        _check_out(out, spectrum, magnitude, previous)
        result = out
    residual: Tensor = torch.ops.otoscope.griffin_lim_step(
        _flat(spectrum, 2), target, before, momentum, *frames[:2], hop_length, _flat(result, 2)
    )
    return result, residual.reshape(spectrum.shape[:-2])


@torch.no_grad()
def magnitude_step(  # noqa: PLR0913 - the paper's step has these quantities
    magnitude: Tensor,
    gradient: Tensor,
    spectrum: Tensor,
    original: Tensor,
    *,
    window: Tensor,
    hop_length: int,
    step: float,
    radius: Tensor,
) -> tuple[Tensor, Tensor]:
    """Take one step of the adversary on magnitudes: gradient, clip, projection, ball.

    Parameters
    ----------
    magnitude : Tensor [..., frame, bin]
        Y, the present magnitudes; float32 or float64.
    gradient : Tensor [..., frame, bin]
        Of what is minimised, with respect to Y.
    spectrum : Tensor [..., frame, bin]
        Complex; its phase is the running phase.
    original : Tensor [..., frame, bin]
        X, the centre of the ball.
    window : Tensor [n_fft]
        The window of the analysis.
    hop_length : int
        Samples between frames, >= 1.
    step : float
        mu, the length of the gradient step.
    radius : Tensor [...]
        e >= 0 for each example: the largest Frobenius norm of Y - X.

    Returns
    -------
    magnitude : Tensor [..., frame, bin]
        Y = (Z + nu X) / (1 + nu), with Z = abs(C) and nu = max(0, norm(Z - X) / e - 1).
    spectrum : Tensor [..., frame, bin]
        C = P(max(Y - mu gradient, 0) * the running phase).

    Raises
    ------
    ParameterError
        If shapes, types or devices do not fit, or NOLA is violated.

    Notes
    -----
    Not differentiable. The norm is summed in float64 in a fixed order.

    References
    ----------
    Kereliuk, Sturm and Larsen, "Deep learning and music adversaries", 2015, section III.

    Examples
    --------
    >>> w, X = torch.hann_window(8), torch.ones(3, 5)
    >>> Y, C = magnitude_step(
    ...     X, torch.ones(3, 5), X.to(torch.complex64), X,
    ...     window=w, hop_length=2, step=0.1, radius=torch.tensor(0.5),
    ... )
    >>> bool((Y - X).norm() <= 0.5001)
    True
    """
    frames = _invertible("spectrum", spectrum, window, hop_length)
    for name, part in (("magnitude", magnitude), ("gradient", gradient), ("original", original)):
        _check_like(name, part, spectrum, REAL[spectrum.dtype])
    require_device("radius", radius, spectrum.device)
    if radius.shape != spectrum.shape[:-2]:
        raise ParameterError(
            f"radius has shape {tuple(radius.shape)}, must be {tuple(spectrum.shape[:-2])}: "
            "one number an example"
        )
    Y, C = torch.ops.otoscope.magnitude_step(
        *(_flat(part, 2) for part in (magnitude, gradient, spectrum, original)),
        *frames[:2],
        hop_length,
        step,
        radius.double().reshape(-1),
    )
    return Y.reshape(spectrum.shape), C.reshape(spectrum.shape)


def _flat(values: Tensor, kept: int) -> Tensor:
    """Leading axes as one batch axis, contiguous."""
    if values.ndim == kept + 1 and values.is_contiguous():
        return values
    lead, last = values.shape[: values.ndim - kept], values.shape[values.ndim - kept :]
    return values.reshape(math.prod(lead), *last).contiguous()


def _invertible(name: str, spectrum: Tensor, window: Tensor, hop_length: int) -> Frames:
    if spectrum.dtype not in _COMPLEX:
        raise ParameterError(f"{name} is {spectrum.dtype}, must be complex64 or complex128")
    frames = frames_of(window, hop_length, like=spectrum)
    if spectrum.ndim < 2 or spectrum.shape[-1] != len(window) // 2 + 1 or not spectrum.shape[-2]:
        raise ParameterError(
            f"{name} has shape {tuple(spectrum.shape)}; a window of {len(window)} samples needs "
            f"[..., frame, {len(window) // 2 + 1}], with one frame or more"
        )
    if frames.uncovered is not None:
        raise ParameterError(
            f"no window reaches sample {frames.uncovered} and every {hop_length}th after it (NOLA "
            f"is violated): a window of {len(window)} samples needs a smaller hop_length"
        )
    return frames


def _checked_step(
    spectrum: Tensor, magnitude: Tensor | None, momentum: float, previous: Tensor | None
) -> tuple[Tensor | None, Tensor | None]:
    """What a step remembers and aims at, with one batch axis."""
    if not momentum >= 0 or (momentum > 0 and (previous is None or magnitude is None)):
        raise ParameterError(
            f"momentum is {momentum}; it must be >= 0, and above 0 it needs magnitude= and "
            "previous=, the spectrum before this one"
        )
    if magnitude is not None:
        _check_like("magnitude", magnitude, spectrum, REAL[spectrum.dtype])
    if previous is not None:
        _check_like("previous", previous, spectrum, spectrum.dtype)
    return (
        _flat(previous, 2) if previous is not None and momentum > 0 else None,
        None if magnitude is None else _flat(magnitude, 2),
    )


def _check_like(name: str, part: Tensor, spectrum: Tensor, dtype: torch.dtype) -> None:
    if part.shape != spectrum.shape or part.dtype != dtype:
        raise ParameterError(
            f"{name} is {part.dtype} {tuple(part.shape)}; it must be {dtype} "
            f"{tuple(spectrum.shape)}, like the spectrum"
        )
    require_device(name, part, spectrum.device)


def _check_out(out: Tensor, *inputs: Tensor | None) -> None:
    spectrum = inputs[0]
    assert spectrum is not None  # noqa: S101 - for mypy: the first is the spectrum
    _check_like("out", out, spectrum, spectrum.dtype)
    if not out.is_contiguous():
        raise ParameterError(f"out has strides {out.stride()}; it must be contiguous")
    traced = torch.compiler.is_compiling()  # then nothing has an address yet
    if not traced and any(t is not None and share_memory(t, out) for t in inputs):
        raise ParameterError("out is one of the inputs: neighbouring frames are read from them")
    if _wants_gradient(*inputs):
        raise ParameterError("out= gives no gradient: leave it out, or use torch.no_grad()")


def _wants_gradient(*inputs: Tensor | None) -> bool:
    return torch.is_grad_enabled() and any(t is not None and t.requires_grad for t in inputs)
