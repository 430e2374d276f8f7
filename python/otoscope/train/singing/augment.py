"""Augmentation of linear magnitude spectrograms, after Schlueter and Grill (2015).

Excerpts are [batch, frame, bin]. Time stretching and pitch shifting are one affine transform of
each excerpt, evaluated with cubic splines; it also cuts the excerpt to its final size.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy  # imports its modules lazily
import torch
from numpy.typing import NDArray
from torch import Tensor

from otoscope.errors import ParameterError

__all__ = ["Augmentation", "filter_gains", "stretch_and_shift"]


@dataclass(frozen=True)
class Augmentation:
    """Ranges of the random changes of a training excerpt.

    Parameters
    ----------
    stretch, shift : float
        Largest relative change of the duration and of all frequencies, in [0, 1).
    filter_db : float
        Largest gain of the Gaussian filter, in dB.
    filter_hz : (float, float)
        Range of its centre frequency in Hz, drawn uniformly on a logarithmic scale.
    filter_semitones : (float, float)
        Range of its standard deviation.
    gain_db : float
        Largest change of the level, in dB. Not in the paper: generated corpora all peak at one
        level.

    Examples
    --------
    >>> Augmentation(gain_db=0.0).stretch
    0.3
    """

    stretch: float = 0.3
    shift: float = 0.3
    filter_db: float = 10.0
    filter_hz: tuple[float, float] = (150.0, 8000.0)
    filter_semitones: tuple[float, float] = (5.0, 7.0)
    gain_db: float = 10.0

    def __post_init__(self) -> None:
        for name in ("stretch", "shift"):
            if not 0 <= getattr(self, name) < 1:
                raise ParameterError(f"{name} is {getattr(self, name)}, must be in [0, 1)")

    def frames(self, n_frames: int) -> int:
        """Return the number of frames from which any stretch makes an excerpt of ``n_frames``.

        It is odd, so that the middle is a frame: 165 for 115, where the paper has 164.
        """
        return int(n_frames / (1 - self.stretch)) | 1

    def __call__(
        self, magnitudes: Tensor, rng: np.random.Generator, *, n_frames: int, bin_hz: Tensor
    ) -> Tensor:
        """Change excerpts [batch, frame, bin] at random; return [batch, n_frames, len(bin_hz)].

        ``bin_hz`` are the frequencies of the lowest bins, which are kept.
        """
        n = len(magnitudes)
        stretch, shift = (1 + rng.uniform(-r, r, n) for r in (self.stretch, self.shift))
        changed = stretch_and_shift(
            magnitudes, stretch, shift, n_frames=n_frames, n_bins=len(bin_hz)
        )
        low, high = np.log2(self.filter_hz)
        gains = filter_gains(
            bin_hz,
            centre_hz=2 ** rng.uniform(low, high, n),
            semitones=rng.uniform(*self.filter_semitones, n),
            gain_db=rng.uniform(-self.filter_db, self.filter_db, n),
        )
        level = 10 ** (rng.uniform(-self.gain_db, self.gain_db, n) / 20)
        return changed * (gains * torch.from_numpy(level).to(gains)[:, None])[:, None]


def stretch_and_shift(
    magnitudes: Tensor,
    stretch: NDArray[np.float64],
    shift: NDArray[np.float64],
    *,
    n_frames: int,
    n_bins: int,
) -> Tensor:
    """Stretch and shift excerpts [batch, frame, bin] around their middle frames.

    Output frame t and bin k of an excerpt are the input at frame
    ``(frames - 1) / 2 + (t - (n_frames - 1) / 2) / stretch`` and bin ``k / shift``: 0 beyond the
    last bin, and never negative. Interpolation is by cubic splines, mirrored at the ends, as in
    ``scipy.ndimage.affine_transform`` with order 3.
    """
    frames = magnitudes.shape[1]
    coefficients = magnitudes.numpy()
    for axis in (1, 2):
        coefficients = scipy.ndimage.spline_filter1d(
            coefficients, order=3, axis=axis, output=np.float32
        )
    frame = (frames - 1) / 2 + (np.arange(n_frames) - (n_frames - 1) / 2) / stretch[:, None]
    at_frames = _spline(torch.from_numpy(coefficients), frame, axis=1)
    at_bins = _spline(at_frames, np.arange(n_bins) / shift[:, None], axis=2)
    return at_bins.clamp(min=0)


def _spline(coefficients: Tensor, position: NDArray[np.float64], *, axis: int) -> Tensor:
    """Evaluate cubic splines along an axis at positions [batch, place]; 0 outside."""
    n = coefficients.shape[axis]
    first = np.floor(position)
    t = position - first
    inside = (position >= 0) & (position <= n - 1)
    weights = (
        (1 - t) ** 3 / 6,
        (4 - 6 * t**2 + 3 * t**3) / 6,
        (1 + 3 * t + 3 * t**2 - 3 * t**3) / 6,
        t**3 / 6,
    )
    shape = list(coefficients.shape)
    shape[axis] = position.shape[1]
    total = coefficients.new_zeros(shape)
    for offset, weight in zip((-1, 0, 1, 2), weights, strict=True):
        index = np.abs(first.astype(np.int64) + offset)  # mirrored at 0
        index = np.where(index > n - 1, 2 * (n - 1) - index, index).clip(0, n - 1)
        where = torch.from_numpy(index)
        factor = torch.from_numpy((weight * inside).astype(np.float32))
        if axis == 1:
            wide, factor = where[:, :, None].expand(shape), factor[:, :, None]
        else:
            wide, factor = where[:, None].expand(shape), factor[:, None]
        total.addcmul_(coefficients.gather(axis, wide), factor)
    return total


def filter_gains(
    bin_hz: Tensor,
    *,
    centre_hz: NDArray[np.float64],
    semitones: NDArray[np.float64],
    gain_db: NDArray[np.float64],
) -> Tensor:
    """Return the gains [batch, bin] of filters that are Gaussian in dB over the pitch."""
    pitch = 12 * torch.log2(bin_hz.double().clamp(min=1e-3))
    centre, width, height = (
        torch.from_numpy(np.asarray(values, np.float64))[:, None]
        for values in (12 * np.log2(centre_hz), semitones, gain_db)
    )
    db = height * torch.exp(-0.5 * ((pitch - centre) / width) ** 2)
    gains: Tensor = (10 ** (db / 20)).float()
    return gains
