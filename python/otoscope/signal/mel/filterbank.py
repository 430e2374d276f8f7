"""Mel filterbanks [bin, mel], float64, and their centre frequencies.

``fmin`` and ``fmax`` are the lower edge of the first and the upper edge of the last filter, in Hz.
HTK's mel scale is 1127 ln(1 + f / 700).
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from otoscope.errors import ParameterError

__all__ = ["kaldi_filters", "librosa_filters", "mel_centres", "svd2015_filters"]


def mel_centres(n_mels: int, *, fmin: float, fmax: float, htk: bool = True) -> Tensor:
    """Compute the centre frequencies of mel filters, in Hz, on HTK's or Slaney's mel scale."""
    if htk:
        hz = _htk_hz(np.linspace(_htk_mel(fmin), _htk_mel(fmax), n_mels + 2))
    else:
        import librosa

        hz = librosa.mel_frequencies(n_mels + 2, fmin=fmin, fmax=fmax)
    return torch.from_numpy(hz[1:-1]).float()


def svd2015_filters(sr: float, n_fft: int, *, n_mels: int, fmin: float, fmax: float) -> Tensor:
    """Build the filters of Schlueter and Grill (2015): the slopes are Hz over a number of bins.

    A filter rises over the bins [left, top) as (f - left_hz) / (top - left), falls over [top,
    right) as (right_hz - f) / (right - top), and sums to 1. Usual triangles divide by Hz; a weight
    differs by at most 0.18. Sizes and range: "Exploring data augmentation for improved singing
    voice detection with neural networks", ISMIR 2015, section 3.1. A filter without any bin is an
    error.
    """
    f = np.linspace(0, sr / 2, n_fft // 2 + 1)
    hz = _htk_hz(np.linspace(_htk_mel(fmin), _htk_mel(fmax), n_mels + 2))
    bins = np.searchsorted(f, hz)
    filters = np.zeros((len(f), n_mels))
    for mel in range(n_mels):
        left, top, right = bins[mel : mel + 3]
        if top > left:
            filters[left:top, mel] = (f[left:top] - hz[mel]) / (top - left)
        if right > top:
            filters[top:right, mel] = (hz[mel + 2] - f[top:right]) / (right - top)
    empty = np.flatnonzero(filters.sum(0) == 0)
    if len(empty):
        raise ParameterError(
            f"filter {empty[0]} of {n_mels} holds no bin: use fewer mels than {n_mels} "
            f"or a longer transform than {n_fft}"
        )
    return torch.from_numpy(filters / filters.sum(0))


def librosa_filters(
    sr: float, n_fft: int, *, n_mels: int, fmin: float, fmax: float, htk: bool = False
) -> Tensor:
    """Build librosa's filters of equal area (norm "slaney"), on Slaney's or HTK's mel scale."""
    import librosa

    filters = librosa.filters.mel(
        sr=sr, n_fft=n_fft, n_mels=n_mels, fmin=fmin, fmax=fmax, htk=htk, dtype=np.float64
    )
    return torch.from_numpy(filters.T.copy())


def kaldi_filters(sr: float, n_fft: int, *, n_mels: int, fmin: float, fmax: float) -> Tensor:
    """Build Kaldi's filters: triangles of unit height, linear in mel, 0 at the Nyquist bin."""
    points = np.linspace(_htk_mel(fmin), _htk_mel(fmax), n_mels + 2)
    left, top, right = points[:-2], points[1:-1], points[2:]
    mel = _htk_mel(np.linspace(0, sr / 2, n_fft // 2 + 1))[:, None]
    sides = np.minimum((mel - left) / (top - left), (right - mel) / (right - top))
    filters = np.maximum(sides, 0)
    filters[-1] = 0
    return torch.from_numpy(filters)


def _htk_mel(hz: np.ndarray | float) -> np.ndarray:
    return np.asarray(1127 * np.log1p(np.asarray(hz) / 700))


def _htk_hz(mel: np.ndarray) -> np.ndarray:
    return np.asarray(700 * np.expm1(mel / 1127))
