"""The short-time transform and what is built on it, from their formulas, slow and plain.

Shapes: window [n_fft], signals [..., sample], spectra [..., frame, bin].
"""

from __future__ import annotations

from functools import cache
from typing import Any, TypeAlias

import numpy as np

Array: TypeAlias = np.ndarray[Any, Any]


def stft(y: Array, window: Array, hop_length: int) -> Array:
    """D[m, k] = sum over n of window[n] y[m hop + n] exp(-2 pi i k n / N), for k <= N / 2."""
    n_fft = len(window)
    starts = range(0, y.shape[-1] - n_fft + 1, hop_length)
    frames = np.stack([window * y[..., t : t + n_fft] for t in starts], -2)
    turns = (circle(n_fft)[-k * np.arange(n_fft) % n_fft] for k in range(n_fft // 2 + 1))
    return np.stack([(frames * turn).sum(-1) for turn in turns], -1)


def adjoint(D: Array, window: Array, hop_length: int) -> Array:
    """y[n] = sum over m, k of window[n'] Re(D[m, k] exp(2 pi i k n' / N)), with n' = n - m hop."""
    n_fft, bins = len(window), np.arange(D.shape[-1])
    turns = (circle(n_fft)[bins * n % n_fft] for n in range(n_fft))
    frames = np.stack([(D * turn).real.sum(-1) for turn in turns], -1)
    return overlap_add(window * frames, hop_length)


def istft_ls(D: Array, window: Array, hop_length: int) -> Array:
    """Overlap-add of window irfft(D), divided by W; 0 where W is nothing beside its maximum."""
    n_fft, count = len(window), D.shape[-2]
    y = adjoint(D * bin_weights(n_fft), window, hop_length) / n_fft
    endless = overlap(window, hop_length, 2 * n_fft // hop_length + 1)
    W = overlap(window, hop_length, count)
    reached = 1e-14 * endless.max() < W
    return np.where(reached, y / np.where(reached, W, 1), 0)


def project(D: Array, window: Array, hop_length: int) -> Array:
    """P = A istft_ls."""
    return stft(istft_ls(D, window, hop_length), window, hop_length)


def overlap(window: Array, hop_length: int, count: int) -> Array:
    """W[n] = sum over m < count of window[n - m hop]^2."""
    return overlap_add(np.stack([window**2] * count), hop_length)


def overlap_add(frames: Array, hop_length: int) -> Array:
    """Sum frames [..., frame, n_fft] where they start."""
    *batch, count, n_fft = frames.shape
    y = np.zeros((*batch, (count - 1) * hop_length + n_fft))
    for m in range(count):
        y[..., m * hop_length : m * hop_length + n_fft] += frames[..., m, :]
    return y


def bin_weights(n_fft: int) -> Array:
    """omega: for how many of the transform's N bins each of the first N / 2 + 1 stands."""
    return np.array([len({k, -k % n_fft}) for k in range(n_fft // 2 + 1)])


def product(C: Array, D: Array, weights: Array | float) -> float:
    """<C, D> = Re sum of weights conj(C) D."""
    return float((weights * C.conj() * D).real.sum())


@cache
def circle(n_fft: int) -> Array:
    """exp(2 pi i n / N) for each n < N; in double precision the angles would round."""
    angles = 2 * np.arccos(np.longdouble(-1)) * np.arange(n_fft) / n_fft
    roots: Array = np.exp(1j * angles).astype(complex)
    return roots


def replace_magnitude(D: Array, magnitude: Array) -> Array:
    """The magnitudes with the phases of D; the phase of 0 is 0."""
    phase: Array = np.where(D == 0, 1, D / np.where(D == 0, 1, np.abs(D)))
    return magnitude * phase


def griffin_lim_step(
    D: Array,
    window: Array,
    hop_length: int,
    magnitude: Array,
    momentum: float = 0.0,
    previous: Array | float = 0.0,
) -> tuple[Array, Array]:
    """Z = P(S phase(D + momentum (D - previous))), and the norm of |Z| - S in weights omega."""
    Z = project(replace_magnitude(D + momentum * (D - previous), magnitude), window, hop_length)
    apart = bin_weights(len(window)) * (np.abs(Z) - magnitude) ** 2
    return Z, np.sqrt(apart.sum((-2, -1)))


def magnitude_step(
    magnitude: Array,
    gradient: Array,
    D: Array,
    original: Array,
    window: Array,
    hop_length: int,
    step: float,
    radius: Array,
) -> tuple[Array, Array]:
    """Paper E, section III: gradient step, clip, C = P(. phase(D)), ball; Y and C."""
    clipped = np.maximum(magnitude - step * gradient, 0)
    C = project(replace_magnitude(D, clipped), window, hop_length)
    Z = np.abs(C)
    distance = np.sqrt(((Z - original) ** 2).sum((-2, -1)))
    nu = np.maximum(0, distance / radius - 1)[..., None, None]
    return (Z + nu * original) / (1 + nu), C
