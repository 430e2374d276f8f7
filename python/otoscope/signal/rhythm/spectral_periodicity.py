"""Spectral periodicity: how much a sound's timbre differs from itself some time later.

Sounds are [..., sample], features [..., lag]. All is computed in float64, one sound after another
in blocks of frames: memory does not grow with the length of a sound or the size of a batch.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from otoscope.errors import ParameterError
from otoscope.signal.mel.frontend import FrontEnd, librosa_mel

__all__ = ["SpectralPeriodicity", "lag_distances"]

_BLOCK = 256  # frames whose distances are held at once
_ROUNDING = 1e-12  # of differences of distances; what varies less is constant


@dataclass(frozen=True)
class SpectralPeriodicity:
    """Mean distance of MFCCs at each lag, differentiated: called with sounds, returns features.

    Parameters
    ----------
    sample_rate : int
        Samples a second of the sounds.
    n_fft, hop_length : int
        Samples of a frame and between frames: 93 and 5 ms.
    n_mels, n_mfcc : int
        Bands, and coefficients of their cosine transform that are kept, the first included.
    max_lag : float
        Seconds.
    distance : {"euclidean", "cosine"}
        Between the coefficients of two frames.
    norm : {"standard", "max"}
        Features of mean 0 and deviation 1 over the lags, or of largest magnitude 1.

    Raises
    ------
    ParameterError
        If a setting is out of range.

    Notes
    -----
    No number here is known to be the paper's.

    References
    ----------
    A. Pikrakis, "A deep learning approach to rhythm modelling with applications", 2013; B. L.
    Sturm, "The 'Horse' Inside", 2016, which takes a system of such features apart.

    Examples
    --------
    >>> SpectralPeriodicity()(torch.rand(2, 110250)).shape
    torch.Size([2, 800])
    """

    sample_rate: int = 22050
    n_fft: int = 2048
    hop_length: int = 110
    n_mels: int = 40
    n_mfcc: int = 13
    max_lag: float = 4.0
    distance: Literal["euclidean", "cosine"] = "euclidean"
    norm: Literal["standard", "max"] = "standard"

    def __post_init__(self) -> None:
        if self.distance not in ("euclidean", "cosine"):
            raise ParameterError(f"distance is {self.distance!r}, must be 'euclidean' or 'cosine'")
        if self.norm not in ("standard", "max"):
            raise ParameterError(f"norm is {self.norm!r}, must be 'standard' or 'max'")
        if not 1 <= self.n_mfcc <= self.n_mels:
            raise ParameterError(f"n_mfcc is {self.n_mfcc}, must be in [1, {self.n_mels}], n_mels")
        if self.n_lags < 3:
            raise ParameterError(
                f"max_lag is {self.max_lag} s: must reach over at least 3 hops of "
                f"{self.hop_length / self.sample_rate:.4f} s"
            )

    @cached_property
    def front_end(self) -> FrontEnd:
        """The bands, as librosa has them, of raw frames: `mfcc` pads."""
        centred = librosa_mel(
            sr=self.sample_rate, n_fft=self.n_fft, hop_length=self.hop_length, n_mels=self.n_mels
        )
        return replace(centred, centred=False)

    @cached_property
    def cosines(self) -> Tensor:
        """The orthonormal cosine transform (DCT-II): Tensor [mel, mfcc], float64."""
        mel = torch.arange(self.n_mels, dtype=torch.float64)[:, None] + 0.5
        basis = torch.cos(math.pi / self.n_mels * mel * torch.arange(self.n_mfcc))
        unit: Tensor = basis / basis.norm(dim=0)
        return unit

    @property
    def n_lags(self) -> int:
        """The longest lag, in frames."""
        return int(self.max_lag * self.sample_rate / self.hop_length)

    @property
    def min_samples(self) -> int:
        """The shortest sound whose frames reach the last lag."""
        return self.n_lags * self.hop_length

    def mfcc(self, y: Tensor) -> Tensor:
        """Transform sounds: Tensor [..., sample] to [..., frame, mfcc], float64.

        Parameters
        ----------
        y : Tensor [..., sample]
            Floating, at ``sample_rate``.

        Returns
        -------
        Tensor [..., frame, mfcc]
            Cosine transform of the natural logarithms of mel powers; frame i lies around sample
            i * hop_length.

        Examples
        --------
        >>> SpectralPeriodicity().mfcc(torch.zeros(1100)).shape
        torch.Size([11, 13])
        """
        n_frames = y.shape[-1] // self.hop_length + 1
        padded = F.pad(y.double(), (self.n_fft // 2, self.n_fft // 2))
        parts = []
        for start in range(0, n_frames, _BLOCK):
            last = min(start + _BLOCK, n_frames) - 1
            part = padded[..., start * self.hop_length : last * self.hop_length + self.n_fft]
            parts.append(self.front_end.log_mel(part) @ self.cosines.to(y.device))
        return torch.cat(parts, -2)

    def __call__(self, y: Tensor) -> Tensor:
        """Describe sounds: Tensor [..., sample] to [..., lag].

        Parameters
        ----------
        y : Tensor [..., sample]
            Floating, at ``sample_rate``, at least ``min_samples`` long.

        Returns
        -------
        Tensor [..., lag], float64
            Feature l is how much farther apart frames are at a lag of l + 1 than of l, l >= 1;
            zeros for a sound that does not change.

        Raises
        ------
        ParameterError
            If the sounds are too short.

        Examples
        --------
        >>> SpectralPeriodicity(max_lag=1.0)(torch.rand(44100)).mean().abs() < 1e-9
        tensor(True)
        """
        if y.shape[-1] < self.min_samples:
            raise ParameterError(
                f"y has {y.shape[-1]} samples; a lag of {self.max_lag} s needs {self.min_samples}"
            )
        sounds = y.reshape(-1, y.shape[-1])
        features = y.new_empty(len(sounds), self.n_lags - 1, dtype=torch.float64)
        for sound, feature in zip(sounds, features, strict=True):
            distances = lag_distances(self.mfcc(sound), self.n_lags, metric=self.distance)
            feature.copy_(distances[1:].diff())
        return _normalised(features, self.norm).reshape(*y.shape[:-1], -1)


def lag_distances(
    frames: Tensor, max_lag: int, *, metric: Literal["euclidean", "cosine"] = "euclidean"
) -> Tensor:
    """Average the diagonals of the matrix of distances between frames.

    Parameters
    ----------
    frames : Tensor [frame, feature]
        Floating; more than ``max_lag`` frames.
    max_lag : int
        Frames.
    metric : {"euclidean", "cosine"}
        Norm of the difference, or 1 less the cosine of the angle (of a frame of zeros: 1/2).

    Returns
    -------
    Tensor [1 + max_lag]
        d(l): mean over t of the distance of frames t and t + l.

    Raises
    ------
    ParameterError
        If there are too few frames.

    Examples
    --------
    >>> lag_distances(torch.tensor([[0.0], [1.0], [0.0], [1.0]]), 2)
    tensor([0., 1., 0.])
    """
    n_frames = len(frames)
    if not 0 <= max_lag < n_frames:
        raise ParameterError(f"max_lag is {max_lag}, must be in [0, {n_frames - 1}]")
    if metric == "cosine":
        frames = F.normalize(frames, dim=-1)
    later = F.pad(frames, (0, 0, 0, max_lag))
    lag = torch.arange(max_lag + 1, device=frames.device)
    total = frames.new_zeros(max_lag + 1)
    for start in range(0, n_frames, _BLOCK):
        block = frames[start : start + _BLOCK]
        reach = later[start : start + len(block) + max_lag]
        # Exact differences: the shortcut by products loses what is small where frames are equal.
        distance = torch.cdist(block, reach, compute_mode="donot_use_mm_for_euclid_dist")
        # Row t of the view is distance[t, t : t + max_lag + 1]: its columns are lags.
        by_lag = distance.as_strided((len(block), max_lag + 1), (len(reach) + 1, 1))
        if metric == "cosine":
            by_lag = by_lag.square() / 2
        time = torch.arange(start, start + len(block), device=frames.device)[:, None]
        total += by_lag.where(time + lag < n_frames, 0.0).sum(0)
    return total / (n_frames - lag)


def _normalised(features: Tensor, norm: str) -> Tensor:
    """Scale rows; one that is constant becomes zeros."""
    if norm == "standard":
        features = features - features.mean(-1, keepdim=True)
        scale = features.square().mean(-1, keepdim=True).sqrt()
    else:
        scale = features.abs().amax(-1, keepdim=True)
    return torch.where(scale > _ROUNDING, features / scale, 0.0)
