"""Phase reconstruction: Griffin and Lim's algorithm, the fast one and ADMM.

Each algorithm alternates between spectra with the given magnitudes and consistent spectra, which
are the spectra of some signal. Arguments are those of ``librosa.griffinlim``; magnitudes are
[..., frame, bin].
"""

from __future__ import annotations

from dataclasses import dataclass
from numbers import Integral, Real
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from otoscope import ops
from otoscope.errors import ParameterError, require_integer
from otoscope.ops.frames import replace_magnitude
from otoscope.ops.library import require_tensor
from otoscope.signal.stft import get_window, istft, n_frames, stft

__all__ = ["Projection", "griffin_lim"]

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
    rng: Source | torch.Generator = None,
    algorithm: Literal["fast", "plain", "admm"] = "fast",
) -> Tensor:
    """Reconstruct a signal from a magnitude spectrogram.

    Parameters
    ----------
    S : Tensor [..., frame, bin]
        Magnitudes, >= 0, float32 or float64.
    n_iter : int
        Number of iterations, >= 0.
    hop_length : int, optional
        Samples between frames. Default: ``win_length // 4``.
    win_length : int, optional
        Window length in samples. Default: ``n_fft``.
    n_fft : int, optional
        Frame length in samples. Default: 2 * (bin - 1); an odd length must be given.
    window : str, float, tuple or Tensor [win_length]
        Window specification of ``scipy.signal.get_window``, or window values.
    center : bool
        If True, frame i is centred at sample i * hop_length; otherwise frame i starts there.
    length : int, optional
        Samples of the result; must lead to the number of frames in ``S``. Default: the smallest
        such length.
    pad_mode : {"constant", "reflect", "edge", "replicate", "circular"}
        Padding at both ends of a centred signal.
    momentum : float
        Momentum of the fast algorithm, in [0, 1]; 0 gives the plain algorithm.
    init : "random", None or Tensor [..., frame, bin]
        Initial phases: random, all 0, or those of a complex spectrum.
    random_state : int, numpy.random.RandomState, numpy.random.Generator or None
        Source of the initial phases; an int gives the phases of librosa 0.11, None different phases
        in each call.
    rng : torch.Generator on the device of ``S``, or as ``random_state``
        Source of the initial phases; replaces ``random_state``. librosa's next version has this
        name.
    algorithm : {"fast", "plain", "admm"}
        Fast Griffin-Lim; plain Griffin-Lim, whose residual never rises with raw frames or padding
        by zeros; or the alternating direction method of multipliers, about as good as "fast".

    Returns
    -------
    Tensor [..., sample]
        Signal; not differentiable. If not centred, the samples near both ends, where the windows
        are almost 0, are poorly determined: discard them, or use magnitudes that start and end in
        silence.

    Raises
    ------
    ParameterError
        If ``S`` is not finite and >= 0, an argument is unknown or out of range, shapes do not
        match, or no window covers some sample between the ends.

    Notes
    -----
    Differences from librosa: the result is reproducible unless ``random_state`` is None; magnitudes
    must be real, initial phases are given by ``init``; momentum above 1 is an error; the padding
    modes "symmetric" and "linear_ramp" are not supported; one centred frame needs ``length``.

    ADMM iterates X = S exp(i arg(Z - U)), Y = X + U, Z = (rho Y + P Y) / (1 + rho), U = Y - Z with
    rho = 0.1, where P is the projection onto consistent spectra; rho = 1 is the plain algorithm.

    References
    ----------
    Griffin and Lim (1984) :cite:`griffin1984`. Perraudin et al. (2013) :cite:`perraudin2013`.
    Masuyama et al. (2019) :cite:`masuyama2019`.

    Examples
    --------
    >>> S = torch.ones(5, 9)
    >>> griffin_lim(S).shape, griffin_lim(S, center=False, hop_length=2).shape
    (torch.Size([16]), torch.Size([24]))
    """
    _check_magnitudes(S)
    S = S.contiguous()
    require_integer("n_iter", n_iter, least=0)
    if not isinstance(momentum, Real) or not 0 <= momentum <= 1:
        raise ParameterError(f"momentum is {momentum!r}, must be in [0, 1]")
    if algorithm not in ("fast", "plain", "admm"):
        raise ParameterError(f"algorithm is {algorithm!r}, must be fast, plain or admm")
    n_fft = 2 * (S.shape[-1] - 1) if n_fft is None else n_fft
    for name, value in (("n_fft", n_fft), ("win_length", win_length)):
        if value is not None:
            require_integer(name, value, least=1)
    if hop_length is None:
        hop_length = (n_fft if win_length is None else win_length) // 4
    require_integer("hop_length", hop_length, least=1)
    P = Projection(
        window=get_window(window, n_fft=n_fft, win_length=win_length),
        hop_length=hop_length,
        center=center,
        pad_mode=pad_mode,
        length=_signal_length(
            length, S.shape[-2], n_fft=n_fft, hop_length=hop_length, center=center
        ),
    )
    C = _initial_spectrum(S, init, random_state if rng is None else rng)
    if algorithm == "admm":
        return P.inverse(_admm(P, S, C, n_iter))
    return P.inverse(_alternate(P, S, C, n_iter, momentum if algorithm == "fast" else 0.0))


def _alternate(P: Projection, S: Tensor, C: Tensor, n_iter: int, momentum: float) -> Tensor:
    """Project ``n_iter`` times with momentum; return S with the extrapolated phases of C."""
    before, spare = torch.empty_like(C), torch.empty_like(C)
    for step in range(n_iter):
        # Initial phases have no projection to extrapolate from.
        ahead = momentum if step > 1 else 0.0
        P(C, magnitude=S, momentum=ahead, previous=before if ahead else None, out=spare)
        before, C, spare = C, spare, before
    return replace_magnitude(C, S, before if n_iter > 1 else None, momentum)


def _admm(P: Projection, S: Tensor, C: Tensor, n_iter: int) -> Tensor:
    """Iterate X = S exp(i arg(Z - U)); Z - U = P Y + (P Y - Y) (1 - rho) / (1 + rho)."""
    X = Y = replace_magnitude(C, S, None, 0.0)
    projected = torch.empty_like(Y)
    for _ in range(n_iter):
        P(Y, out=projected)
        X = replace_magnitude(projected, S, Y, (1 - RHO) / (1 + RHO))
        Y = X + (Y - projected) / (1 + RHO)
    return X


def _check_magnitudes(S: Tensor) -> None:
    require_tensor("S", S)
    if S.ndim < 2 or S.dtype not in (torch.float32, torch.float64) or 0 in S.shape[-2:]:
        raise ParameterError(
            f"S is {S.dtype} {tuple(S.shape)}; it must be float32 or float64 [..., frame, bin] "
            "(for a complex spectrum D pass S=D.abs(), init=D)"
        )
    if not bool(((S >= 0) & S.isfinite()).all()):
        raise ParameterError(
            f"S has values from {float(S.min())} to {float(S.max())}; magnitudes are finite, >= 0"
        )


def _signal_length(
    length: int | None, count: int, *, n_fft: int, hop_length: int, center: bool
) -> int:
    """Check the length of a signal with ``count`` frames; by default, the smallest length."""
    padding = 2 * (n_fft // 2) if center else 0
    fewest = (count - 1) * hop_length + n_fft - padding
    length = fewest if length is None else length
    is_integer = isinstance(length, Integral) and length >= 1
    if not is_integer or n_frames(length + padding, n_fft=n_fft, hop_length=hop_length) != count:
        raise ParameterError(
            f"length is {length!r}; with {count} frames in S it must be {max(1, fewest)} to "
            f"{fewest + hop_length - 1}"
        )
    return length


def _initial_spectrum(
    S: Tensor, init: str | Tensor | None, source: Source | torch.Generator
) -> Tensor:
    """Build the complex spectrum with the initial phases."""
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
    if not isinstance(init, str) or init != "random":
        raise ParameterError(f"init is {init!r}, must be 'random', None or a complex Tensor")
    if isinstance(source, torch.Generator):
        cycles = torch.rand(S.shape, generator=source, dtype=S.dtype, device=S.device)
        return torch.exp(2j * torch.pi * cycles)
    if source is None or (isinstance(source, int | np.integer) and 0 <= source < 2**32):
        source = np.random.RandomState(None if source is None else int(source))
    if not isinstance(source, np.random.RandomState | np.random.Generator):
        raise ParameterError(
            f"random_state or rng is {source!r}; it must be an integer from 0 to 2^32 - 1, a "
            "generator of NumPy or torch, or None"
        )
    cycles = torch.from_numpy(source.random(S.mT.shape)).mT  # librosa's order of axes
    return torch.exp(2j * torch.pi * cycles).to(S.device, dtype).contiguous()


@dataclass(frozen=True, kw_only=True)
class Projection:
    """Projection onto the consistent spectra of a signal of known length.

    P = stft(istft(spectrum) cut to the signal and padded again). Away from the ends P equals the
    projection of raw frames, which `otoscope.ops.project` computes in one pass; frames that see
    padding are computed again. With padding by zeros P is orthogonal as well.
    """

    window: Tensor  # [n_fft]
    hop_length: int
    center: bool
    pad_mode: str  # as in `stft`
    length: int  # samples of the signal

    def __call__(
        self,
        C: Tensor,
        *,
        out: Tensor,
        magnitude: Tensor | None = None,
        momentum: float = 0.0,
        previous: Tensor | None = None,
    ) -> Tensor:
        """Project into ``out``; the arguments are those of `otoscope.ops.project`."""
        n_fft, hop, count = len(self.window), self.hop_length, C.shape[-2]
        padded = -(-(n_fft - n_fft // 2) // hop)  # frames at an end that see padding
        seen = padded + -(-n_fft // hop)  # frames that these depend on
        if self.center and (count <= 2 * seen or self.pad_mode == "circular"):
            return out.copy_(self._at_length(self.length, C, magnitude, previous, momentum))
        ops.project(
            C,
            window=self.window,
            hop_length=hop,
            magnitude=magnitude,
            momentum=momentum,
            previous=previous,
            out=out,
        )
        if self.center:
            length = self.length - (count - 2 * seen) * hop
            S = None if magnitude is None else _ends(magnitude, seen)
            before = None if previous is None else _ends(previous, seen)
            again = self._at_length(length, _ends(C, seen), S, before, momentum)
            for end in slice(padded), slice(-padded, None):
                out[..., end, :] = again[..., end, :]
        return out

    def inverse(self, C: Tensor, *, length: int | None = None) -> Tensor:
        """Compute the least-squares signal of a spectrum; default: of this projection's length."""
        return istft(
            C,
            window=self.window,
            hop_length=self.hop_length,
            center=self.center,
            length=self.length if length is None else length,
        )

    def _at_length(
        self,
        length: int,
        C: Tensor,
        magnitude: Tensor | None,
        previous: Tensor | None,
        momentum: float,
    ) -> Tensor:
        """Project through the samples of a signal of another length."""
        if magnitude is not None:
            C = replace_magnitude(C, magnitude, previous, momentum)
        return stft(
            self.inverse(C, length=length),
            window=self.window,
            hop_length=self.hop_length,
            center=self.center,
            pad_mode=self.pad_mode,
        )


def _ends(part: Tensor, count: int) -> Tensor:
    """Join the outermost ``count`` frames of both ends."""
    return torch.cat([part[..., :count, :], part[..., -count:, :]], -2)
