"""Mel filterbanks [bin, mel], float64, and their centre frequencies.

``fmin`` and ``fmax`` are the lower edge of the first and the upper edge of the last filter, in Hz.
HTK's mel scale is 1127 ln(1 + f / 700). A filter that is narrower than the distance of two bins may
hold none: its band has the same value for every sound. `mel_filters` warns of such bands.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from functools import partial
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from otoscope.errors import ParameterError

__all__ = [
    "EmptyFilters",
    "bin_filters",
    "bin_hz",
    "kaldi_filters",
    "librosa_filters",
    "mel_centres",
    "mel_filters",
    "svd2015_filters",
]

_KNEE_HZ, _KNEE_MEL = 1000.0, 15.0  # Slaney's scale is linear below, logarithmic above
_LOG_STEP = np.log(6.4) / 27  # of a mel above
_LISTED = 8  # empty filters that a message names


class EmptyFilters(UserWarning):
    """Warning that some mel filters hold no bin, so that their bands never change."""


def mel_filters(
    kind: str,
    sr: float,
    n_fft: int,
    *,
    n_mels: int,
    fmin: float,
    fmax: float,
    norm: Literal["slaney"] | None = "slaney",
) -> Tensor:
    """Build the filters of a kind, and warn of those without any bin.

    ``norm`` is that of the kinds "slaney" and "htk": equal area, or None for unit height.
    """
    own = {"norm": norm} if kind in ("slaney", "htk") else {}
    filters = _KINDS[kind](sr, n_fft, n_mels=n_mels, fmin=fmin, fmax=fmax, **own)
    if empty := _empty(filters.numpy(), n_fft):
        warnings.warn(empty, EmptyFilters, stacklevel=4)
    return filters


def mel_centres(n_mels: int, *, fmin: float, fmax: float, htk: bool = True) -> Tensor:
    """Compute the centre frequencies of mel filters, in Hz, on HTK's or Slaney's mel scale."""
    return torch.from_numpy(_edges(n_mels, fmin, fmax, htk=htk)[1:-1]).float()


def svd2015_filters(sr: float, n_fft: int, *, n_mels: int, fmin: float, fmax: float) -> Tensor:
    """Build the filters of Schlueter and Grill (2015): the slopes are Hz over a number of bins.

    A filter rises over the bins [left, top) as (f - left_hz) / (top - left), falls over [top,
    right) as (right_hz - f) / (right - top), and sums to 1. Usual triangles divide by Hz; a weight
    differs by at most 0.18. Sizes and range: "Exploring data augmentation for improved singing
    voice detection with neural networks", ISMIR 2015, section 3.1. A filter without any bin has no
    sum to be divided by, and is an error.
    """
    f = bin_hz(sr, n_fft)
    hz = _edges(n_mels, fmin, fmax, htk=True)
    bins = np.searchsorted(f, hz)
    filters = np.zeros((len(f), n_mels))
    for mel in range(n_mels):
        left, top, right = bins[mel : mel + 3]
        if top > left:
            filters[left:top, mel] = (f[left:top] - hz[mel]) / (top - left)
        if right > top:
            filters[top:right, mel] = (hz[mel + 2] - f[top:right]) / (right - top)
    if empty := _empty(filters, n_fft):
        raise ParameterError(empty)
    return torch.from_numpy(filters / filters.sum(0))


def librosa_filters(
    sr: float,
    n_fft: int,
    *,
    n_mels: int,
    fmin: float,
    fmax: float,
    htk: bool = False,
    norm: Literal["slaney"] | None = "slaney",
) -> Tensor:
    """Build librosa's filters, of equal area or of unit height, on Slaney's or HTK's mel scale."""
    hz = _edges(n_mels, fmin, fmax, htk=htk)
    left, top, right = hz[:-2], hz[1:-1], hz[2:]
    f = bin_hz(sr, n_fft)[:, None]
    sides = np.minimum((f - left) / (top - left), (right - f) / (right - top))
    return torch.from_numpy(np.maximum(sides, 0) * (2 / (right - left) if norm else 1))


def kaldi_filters(sr: float, n_fft: int, *, n_mels: int, fmin: float, fmax: float) -> Tensor:
    """Build Kaldi's filters: triangles of unit height, linear in mel, 0 at the Nyquist bin."""
    points = np.linspace(_htk_mel(fmin), _htk_mel(fmax), n_mels + 2)
    left, top, right = points[:-2], points[1:-1], points[2:]
    mel = _htk_mel(bin_hz(sr, n_fft))[:, None]
    sides = np.minimum((mel - left) / (top - left), (right - mel) / (right - top))
    return torch.from_numpy(np.maximum(sides, 0))


def bin_filters(sr: float, n_fft: int, *, n_mels: int, fmin: float, fmax: float) -> Tensor:
    """Build filters that are the bins of the transform: a spectrum that is not filtered."""
    n_bins = n_fft // 2 + 1
    if n_mels != n_bins or fmin != 0 or fmax != sr / 2:
        raise ParameterError(
            f"n_mels is {n_mels}, fmin {fmin} and fmax {fmax}; filters 'bins' are the {n_bins} "
            f"bins from 0 to {sr / 2} Hz"
        )
    return torch.eye(n_bins, dtype=torch.float64)


_KINDS: dict[str, Callable[..., Tensor]] = {
    "svd2015": svd2015_filters,
    "slaney": librosa_filters,
    "htk": partial(librosa_filters, htk=True),
    "kaldi": kaldi_filters,
    "bins": bin_filters,
}


def _empty(filters: np.ndarray, n_fft: int) -> str:
    """Name the filters [bin, mel] that are 0 at every bin, with the remedy; "" if there is none."""
    empty = np.flatnonzero(~filters.any(0)).tolist()
    if not empty:
        return ""
    names = ", ".join(map(str, empty[:_LISTED])) + ", ..." * (len(empty) > _LISTED)
    which = f"filter {names}" if len(empty) == 1 else f"each of the {len(empty)} filters {names}"
    return (
        f"{which} of {filters.shape[1]} holds no bin, so that its band never changes: use fewer "
        f"mels than {filters.shape[1]} or a longer transform than {n_fft}"
    )


def bin_hz(sr: float, n_fft: int) -> np.ndarray:
    """Return the frequencies of the bins; of an odd transform the last is below sr / 2."""
    return np.linspace(0, n_fft // 2 * sr / n_fft, n_fft // 2 + 1)


def _edges(n_mels: int, fmin: float, fmax: float, *, htk: bool) -> np.ndarray:
    """Space the edges of the filters evenly on a mel scale: ndarray [n_mels + 2], in Hz."""
    mel, hz = (_htk_mel, _htk_hz) if htk else (_slaney_mel, _slaney_hz)
    return hz(np.linspace(mel(fmin), mel(fmax), n_mels + 2))


def _slaney_mel(hz: float) -> np.ndarray:
    log = _KNEE_MEL + np.log(max(hz, _KNEE_HZ) / _KNEE_HZ) / _LOG_STEP
    return np.asarray(log if hz >= _KNEE_HZ else hz * _KNEE_MEL / _KNEE_HZ)


def _slaney_hz(mel: np.ndarray) -> np.ndarray:
    log = _KNEE_HZ * np.exp(_LOG_STEP * (np.maximum(mel, _KNEE_MEL) - _KNEE_MEL))
    return np.asarray(np.where(mel >= _KNEE_MEL, log, mel * _KNEE_HZ / _KNEE_MEL))


def _htk_mel(hz: np.ndarray | float) -> np.ndarray:
    return np.asarray(1127 * np.log1p(np.asarray(hz) / 700))


def _htk_hz(mel: np.ndarray) -> np.ndarray:
    return np.asarray(700 * np.expm1(mel / 1127))
