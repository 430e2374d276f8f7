"""Compute the STFT A, its least-squares inverse, and the projection P onto spectra of signals.

    A y [frame, bin] = rfft(window * y[frame hop ... frame hop + n_fft])
    istft_ls(C)[n]   = sum over frames of window * irfft(C), divided by W[n] = sum of window^2
    P                = A istft_ls

P is the orthogonal projection onto the spectra that some signal has, in the inner product that
counts DC and Nyquist once and every other bin twice. Frames are not centred; spectra are
[..., frame, bin].
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from otoscope.errors import ParameterError
from otoscope.ops._stft_operators import residual_of
from otoscope.ops.frames import REAL, frames_of, replace_magnitude
from otoscope.ops.library import call_constant, require_device, require_tensor, share_memory

__all__ = ["griffin_lim_step", "istft_ls", "magnitude_step", "project", "stft"]

_REAL = (torch.float32, torch.float64)
_COMPLEX = (torch.complex64, torch.complex128)


def stft(y: Tensor, *, window: Tensor, hop_length: int) -> Tensor:
    """Compute the short-time Fourier transform of a signal.

    Parameters
    ----------
    y : Tensor [..., sample]
        Signal, float32 or float64, at least ``len(window)`` samples.
    window : Tensor [n_fft]
        Analysis window, a constant. Its length is the length of the transform: powers of two from
        256 to 8192 run on this package's kernels, other lengths on torch.fft.
    hop_length : int
        Hop between frames in samples, >= 1.

    Returns
    -------
    Tensor [..., frame, bin]
        Complex spectrum, not normalised; there are (sample - n_fft) // hop_length + 1 frames and
        n_fft // 2 + 1 bins. Differentiable in ``y``, twice.

    Raises
    ------
    ParameterError
        If the signal is shorter than the window or has another type, or the hop is below 1.

    Examples
    --------
    >>> stft(torch.ones(2, 4), window=torch.ones(4), hop_length=1).shape
    torch.Size([2, 1, 3])
    """
    require_tensor("y", y)
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
    """Invert a spectrum by least squares: return the signal whose STFT is nearest to it.

    Parameters
    ----------
    spectrum : Tensor [..., frame, bin]
        Complex spectrum, complex64 or complex128, with n_fft // 2 + 1 bins. The imaginary parts of
        DC and Nyquist are ignored.
    window : Tensor [n_fft]
        Analysis window.
    hop_length : int
        Hop between frames in samples, >= 1.

    Returns
    -------
    Tensor [..., sample]
        All (frame - 1) * hop_length + n_fft samples that the frames cover; 0 where W is below
        1e-14 of its maximum (at the ends). Differentiable, twice.

    Raises
    ------
    ParameterError
        If the shapes do not fit, or no window reaches some sample (NOLA is violated); the message
        names the first such sample.

    References
    ----------
    Griffin and Lim (1984) :cite:`griffin1984`, eq. 6.

    Examples
    --------
    >>> w = torch.hann_window(8)
    >>> istft_ls(stft(torch.ones(16), window=w, hop_length=2), window=w, hop_length=2)[4]
    tensor(1.)
    """
    layout = _invertible(spectrum, window, hop_length)
    y: Tensor = torch.ops.otoscope.istft(_flat(spectrum, 2), *layout)
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
    """Project a spectrum onto the spectra that some signal has, in one pass.

    With ``magnitude``, the magnitude of the spectrum is replaced first and its phase kept: a step
    of the Griffin-Lim algorithm. With ``momentum``, the phase is that of
    spectrum + momentum * (spectrum - previous): the fast Griffin-Lim algorithm.

    Parameters
    ----------
    spectrum : Tensor [..., frame, bin]
        Complex spectrum, complex64 or complex128, with n_fft // 2 + 1 bins.
    window : Tensor [n_fft]
        Analysis window.
    hop_length : int
        Hop between frames in samples, >= 1.
    magnitude : Tensor [..., frame, bin], optional
        New magnitude, real, >= 0. The phase of a spectrum of 0 (below 1e-19 in complex64) is 0;
        the phase of a spectrum above 1e19 in complex64 overflows.
    momentum : float
        Extrapolation of the phase, >= 0; needs ``magnitude`` and ``previous``.
    previous : Tensor [..., frame, bin], optional
        Spectrum of the step before.
    out : Tensor [..., frame, bin], optional
        Contiguous buffer for the result, which shares no memory with the inputs; without gradient.

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
    Under torch.compile, and for windows of inference mode on a GPU, the numbers of a window cannot
    be read: NOLA is not checked, and samples that no window reaches are 0.

    References
    ----------
    Griffin and Lim (1984) :cite:`griffin1984`. Perraudin et al. (2013) :cite:`perraudin2013`
    (momentum).

    Examples
    --------
    >>> w, C = torch.hann_window(8), torch.ones(3, 5, dtype=torch.complex64)
    >>> once = project(C, window=w, hop_length=2)
    >>> torch.allclose(project(once, window=w, hop_length=2), once, atol=1e-6)
    True
    """
    layout = _invertible(spectrum, window, hop_length)
    flat_previous, target = _checked_step(spectrum, magnitude, momentum, previous)
    flat = _flat(spectrum, 2)
    if out is not None:
        _check_out(out, spectrum, magnitude, previous)
        step = (flat, target, flat_previous, momentum, *layout)
        if torch.compiler.is_compiling():  # inductor knows no complex buffers
            return out.copy_(torch.ops.otoscope.project(*step).reshape(spectrum.shape))
        call_constant(torch.ops.otoscope.project_out, *step, _flat(out, 2))
        return out
    if target is not None and _needs_gradient(flat, target, flat_previous):
        flat = replace_magnitude(flat, target, flat_previous, momentum)
        target, flat_previous = None, None
    D: Tensor = torch.ops.otoscope.project(flat, target, flat_previous, momentum, *layout)
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
    """Take a step of the Griffin-Lim algorithm and measure the distance to the magnitude.

    Parameters
    ----------
    spectrum, window, hop_length, magnitude, momentum, previous, out
        See `project`.

    Returns
    -------
    spectrum : Tensor [..., frame, bin]
        Z = P(magnitude * phase of the spectrum); ``out`` if it was given.
    residual : Tensor [...], float64
        Norm of abs(Z) - magnitude, with weights 1 at DC and Nyquist and 2 elsewhere, summed in
        float64. Without momentum, the residual never rises from step to step.

    Raises
    ------
    ParameterError
        If shapes, types or devices do not fit, or NOLA is violated.

    Notes
    -----
    Not differentiable; `project` is.

    Examples
    --------
    >>> w, S = torch.hann_window(8), torch.ones(3, 5)
    >>> Z, residual = griffin_lim_step(S.to(torch.complex64), window=w, hop_length=2, magnitude=S)
    >>> Z.shape, residual.shape
    (torch.Size([3, 5]), torch.Size([]))
    """
    layout = _invertible(spectrum, window, hop_length)
    flat_previous, target = _checked_step(spectrum, magnitude, momentum, previous)
    assert target is not None  # noqa: S101 - for mypy
    if out is not None:
        _check_out(out, spectrum, magnitude, previous)
    step = (_flat(spectrum, 2), target, flat_previous, momentum, *layout)
    if torch.compiler.is_compiling():  # inductor knows no complex buffers
        D = torch.ops.otoscope.project(*step)
        result = D.reshape(spectrum.shape) if out is None else out.copy_(D.reshape(out.shape))
        residual = residual_of(D, target, layout[0])
    else:
        result = spectrum.new_empty(spectrum.shape) if out is None else out
        residual = call_constant(torch.ops.otoscope.griffin_lim_step, *step, _flat(result, 2))
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
    """Take one step of the magnitude adversary: gradient step, clipping, projection, ball.

    Parameters
    ----------
    magnitude : Tensor [..., frame, bin]
        Current magnitude Y, float32 or float64.
    gradient : Tensor [..., frame, bin]
        Gradient of the loss with respect to Y.
    spectrum : Tensor [..., frame, bin]
        Complex spectrum of the step before; its phase is used.
    original : Tensor [..., frame, bin]
        Centre X of the ball.
    window : Tensor [n_fft]
        Analysis window.
    hop_length : int
        Hop between frames in samples, >= 1.
    step : float
        Step size mu.
    radius : Tensor [...]
        Radius e of the ball for each example, >= 0: the largest Frobenius norm of Y - X.

    Returns
    -------
    magnitude : Tensor [..., frame, bin]
        Y = (Z + nu X) / (1 + nu), with Z = abs(C) and nu = max(0, norm(Z - X) / e - 1).
    spectrum : Tensor [..., frame, bin]
        C = P(max(Y - mu gradient, 0) * phase of the spectrum).

    Raises
    ------
    ParameterError
        If shapes, types or devices do not fit, or NOLA is violated.

    Notes
    -----
    Not differentiable. The norm is summed in float64 in a fixed order.

    References
    ----------
    Kereliuk et al. (2015) :cite:`kereliuk2015`, section IV.

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
    layout = _invertible(spectrum, window, hop_length)
    for name, part in (("magnitude", magnitude), ("gradient", gradient), ("original", original)):
        _check_like(name, part, spectrum, REAL[spectrum.dtype])
    require_device("radius", radius, spectrum.device)
    if radius.shape != spectrum.shape[:-2]:
        raise ParameterError(
            f"radius has shape {tuple(radius.shape)}, must be {tuple(spectrum.shape[:-2])}: "
            "one number per example"
        )
    Y, C = call_constant(
        torch.ops.otoscope.magnitude_step,
        *(_flat(part, 2) for part in (magnitude, gradient, spectrum, original)),
        *layout,
        step,
        radius.double().reshape(-1),
    )
    return Y.reshape(spectrum.shape), C.reshape(spectrum.shape)


def _flat(values: Tensor, kept: int) -> Tensor:
    """Merge the leading axes to one batch axis; contiguous."""
    if values.ndim == kept + 1 and values.is_contiguous():
        return values
    lead, last = values.shape[: values.ndim - kept], values.shape[values.ndim - kept :]
    return values.reshape(math.prod(lead), *last).contiguous()


def _invertible(spectrum: Tensor, window: Tensor, hop_length: int) -> tuple[Tensor, Tensor, int]:
    """Check an invertible spectrum; return window, overlap and hop as the operators take them."""
    require_tensor("spectrum", spectrum)
    if spectrum.dtype not in _COMPLEX:
        raise ParameterError(f"spectrum is {spectrum.dtype}, must be complex64 or complex128")
    frames = frames_of(window, hop_length, like=spectrum)
    if spectrum.ndim < 2 or spectrum.shape[-1] != len(window) // 2 + 1 or not spectrum.shape[-2]:
        raise ParameterError(
            f"spectrum has shape {tuple(spectrum.shape)}; a window of {len(window)} samples needs "
            f"[..., frame, {len(window) // 2 + 1}], with one frame or more"
        )
    if frames.uncovered is not None:
        raise ParameterError(
            f"no window reaches sample {frames.uncovered} and every {hop_length}th after it (NOLA "
            f"is violated): a window of {len(window)} samples needs a smaller hop_length"
        )
    return frames.window, frames.overlap, hop_length


def _checked_step(
    spectrum: Tensor, magnitude: Tensor | None, momentum: float, previous: Tensor | None
) -> tuple[Tensor | None, Tensor | None]:
    """Check the arguments of a step; return ``previous`` and ``magnitude`` with one batch axis."""
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
    if any(t is not None and share_memory(t, out) for t in inputs):
        raise ParameterError(
            "out shares memory with an input, of which the operator still reads neighbouring frames"
        )
    if _needs_gradient(*inputs):
        raise ParameterError("out= gives no gradient: leave it out, or use torch.no_grad()")


def _needs_gradient(*inputs: Tensor | None) -> bool:
    return torch.is_grad_enabled() and any(t is not None and t.requires_grad for t in inputs)
