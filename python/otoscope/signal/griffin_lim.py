"""A signal for magnitudes that have no phase: Griffin and Lim's algorithm and two faster ones.

Each alternates between spectra with the wanted magnitudes and spectra that some signal has.
Names and meanings are those of ``librosa.griffinlim``; magnitudes are [..., frame, bin] here.
"""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from otoscope.errors import ParameterError
from otoscope.ops.frames import replace_magnitude
from otoscope.signal.projection import Projection
from otoscope.signal.stft import get_window, n_frames

__all__ = ["griffin_lim"]

RHO = 0.1  # penalty of ADMM

Source = int | np.random.RandomState | np.random.Generator | None


@torch.no_grad()
def griffin_lim(  # noqa: PLR0913 - librosa's arguments
    S: Tensor,
    *,
    n_iter: int = 32,
    hop_length: int | None = None,
    win_length: int | None = None,
    n_fft: int | None = None,
    window: str | float | tuple[Any, ...] | Tensor = "hann",
    center: bool = True,
    length: int | None = None,
    pad_mode: str = "constant",
    momentum: float = 0.99,
    init: Literal["random"] | Tensor | None = "random",
    random_state: Source = 0,
    rng: torch.Generator | None = None,
    algorithm: Literal["fast", "plain", "admm"] = "fast",
) -> Tensor:
    """Find a signal whose spectrum has nearly the given magnitudes.

    Parameters
    ----------
    S : Tensor [..., frame, bin]
        Magnitudes, >= 0, float32 or float64.
    n_iter : int
        Projections, >= 0.
    hop_length : int, optional
        Samples between frames. Default: a quarter of ``win_length``.
    win_length : int, optional
        Samples of the window. Default: ``n_fft``.
    n_fft : int, optional
        Samples of a frame. Default: 2 * (bin - 1); an odd one must be given.
    window : str, float, tuple or Tensor [win_length]
        As `otoscope.signal.stft.get_window` takes it.
    center : bool
        True: frame i lies around sample i * hop_length. False: it begins there.
    length : int, optional
        Samples of the result; as many as give the frames of ``S``. Default: the fewest of these.
    pad_mode : {"constant", "reflect", "edge", "replicate", "circular"}
        What lies beyond the ends if centred.
    momentum : float
        In [0, 1], of the fast algorithm; at 0 it is the plain one.
    init : "random", None or Tensor [..., frame, bin]
        Phases to start from: drawn, all 0, or those of a complex spectrum.
    random_state : int, numpy.random.RandomState, numpy.random.Generator or None
        Draws the phases that librosa 0.11 would draw. None: others at each call.
    rng : torch.Generator, optional
        Draws the phases instead, on the device of ``S``.
    algorithm : {"fast", "plain", "admm"}
        With momentum; without it, where the residual of raw frames, or of zeros for padding, never
        rises; or the alternating direction method of multipliers, about as good as the fast one.

    Returns
    -------
    Tensor [..., sample]
        Not differentiable. The outermost samples of frames that are not centred, under the
        window's feet, are loosely determined: cut them, or begin and end in silence.

    Raises
    ------
    ParameterError
        If ``S`` is not finite and >= 0, an argument is out of its range or unknown, shapes do not
        fit, or between the ends there are samples that no window reaches.

    Notes
    -----
    Differences from librosa: a call repeats unless ``random_state`` is None; magnitudes must be
    real, phases to start from come as ``init``; momentum above 1 is refused, not warned of;
    padding by "symmetric" and "linear_ramp" is not known; one centred frame, which owns no sample,
    needs ``length``.

    ADMM alternates X = magnitudes of S, phases of Z - U; Z = (rho Y + P Y) / (1 + rho); U = Y - Z;
    where Y = X + U and rho = 0.1; at rho = 1 that is the plain algorithm.

    References
    ----------
    Griffin and Lim, "Signal estimation from modified short-time Fourier transform", 1984.
    Perraudin, Balazs and Søndergaard, "A fast Griffin-Lim algorithm", 2013.
    Masuyama, Yatabe and Oikawa, "Griffin-Lim like phase recovery via alternating direction method
    of multipliers", 2019.

    Examples
    --------
    >>> S = torch.ones(5, 9)
    >>> griffin_lim(S).shape, griffin_lim(S, center=False, hop_length=2).shape
    (torch.Size([16]), torch.Size([24]))
    """
    _check_magnitudes(S)
    S = S.contiguous()
    if n_iter < 0 or not 0 <= momentum <= 1:
        raise ParameterError(
            f"n_iter is {n_iter}, momentum {momentum}; must be n_iter >= 0, momentum in [0, 1]"
        )
    if algorithm not in ("fast", "plain", "admm"):
        raise ParameterError(f"algorithm is {algorithm!r}, must be fast, plain or admm")
    n_fft = 2 * (S.shape[-1] - 1) if n_fft is None else n_fft
    if hop_length is None:
        hop_length = (n_fft if win_length is None else win_length) // 4
    if hop_length < 1:
        raise ParameterError(f"hop_length is {hop_length}, must be >= 1")
    P = Projection(
        window=get_window(window, n_fft=n_fft, win_length=win_length),
        hop_length=hop_length,
        center=center,
        pad_mode=pad_mode,
        length=_fitting(length, S.shape[-2], n_fft=n_fft, hop_length=hop_length, center=center),
    )
    C = _first(S, init, random_state if rng is None else rng)
    if algorithm == "admm":
        return P.inverse(_admm(P, S, C, n_iter))
    return P.inverse(_alternate(P, S, C, n_iter, momentum if algorithm == "fast" else 0.0))


def _alternate(P: Projection, S: Tensor, C: Tensor, n_iter: int, momentum: float) -> Tensor:
    """Project, n_iter times, what has the magnitudes S and the phases of C, carried on ahead."""
    before, spare = torch.empty_like(C), torch.empty_like(C)
    for step in range(n_iter):
        ahead = momentum if step > 1 else 0.0  # the first phases were not projected
        P(C, magnitude=S, momentum=ahead, previous=before if ahead else None, out=spare)
        before, C, spare = C, spare, before
    return replace_magnitude(C, S, before if n_iter > 1 else None, momentum)


def _admm(P: Projection, S: Tensor, C: Tensor, n_iter: int) -> Tensor:
    """Z - U = P Y + (P Y - Y) (1 - rho) / (1 + rho), and U = (Y - P Y) / (1 + rho)."""
    X = Y = replace_magnitude(C, S, None, 0.0)
    projected = torch.empty_like(Y)
    for _ in range(n_iter):
        P(Y, out=projected)
        X = replace_magnitude(projected, S, Y, (1 - RHO) / (1 + RHO))
        Y = X + (Y - projected) / (1 + RHO)
    return X


def _check_magnitudes(S: Tensor) -> None:
    if S.ndim < 2 or S.dtype not in (torch.float32, torch.float64) or 0 in S.shape[-2:]:
        raise ParameterError(
            f"S is {S.dtype} {tuple(S.shape)}; it must be float32 or float64 [..., frame, bin] "
            "(of a complex spectrum D: S=D.abs(), init=D)"
        )
    if not bool(((S >= 0) & S.isfinite()).all()):
        raise ParameterError(
            f"S has values from {float(S.min())} to {float(S.max())}; magnitudes are finite, >= 0"
        )


def _fitting(length: int | None, count: int, *, n_fft: int, hop_length: int, center: bool) -> int:
    """Samples of a signal that has ``count`` frames."""
    padding = 2 * (n_fft // 2) if center else 0
    fewest = (count - 1) * hop_length + n_fft - padding
    length = fewest if length is None else length
    if length < 1 or n_frames(length + padding, n_fft=n_fft, hop_length=hop_length) != count:
        raise ParameterError(
            f"length is {length}; with {count} frames in S it must be {max(1, fewest)} to "
            f"{fewest + hop_length - 1}"
        )
    return length


def _first(S: Tensor, init: str | Tensor | None, source: Source | torch.Generator) -> Tensor:
    """A spectrum with the phases to start from."""
    dtype = S.dtype.to_complex()
    if init is None:
        return S.to(dtype)
    if isinstance(init, Tensor):
        if init.shape != S.shape or not init.is_complex() or not bool(init.isfinite().all()):
            raise ParameterError(
                f"init is {init.dtype} {tuple(init.shape)}, must be complex {tuple(S.shape)} "
                "and finite"
            )
        return init.to(dtype, copy=True, memory_format=torch.contiguous_format)
    if init != "random":
        raise ParameterError(f"init is {init!r}, must be 'random', None or a complex Tensor")
    if isinstance(source, torch.Generator):
        turns = torch.rand(S.shape, generator=source, dtype=S.dtype, device=S.device)
        return torch.exp(2j * torch.pi * turns)
    if source is None or isinstance(source, int | np.integer):
        source = np.random.RandomState(source)
    turns = torch.from_numpy(source.random(S.mT.shape)).mT  # librosa's order of axes
    return torch.exp(2j * torch.pi * turns).to(S.device, dtype).contiguous()
