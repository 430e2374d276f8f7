"""Spectral periodicity: the distance of a sound's timbre to itself at each lag.

Waveforms are [..., sample], features [..., lag], float64. Waveforms are processed one by one in
blocks of frames: memory does not grow with the length or the number of waveforms.
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
from otoscope.signal.mel.frontend import FrontEnd
from otoscope.signal.mel.presets import librosa_mel

__all__ = ["SpectralPeriodicity", "lag_distances"]

_BLOCK = 256  # frames whose distances are in memory at once
_ROUNDING = 1e-12  # rounding error of distances; features that vary less are constant


@dataclass(frozen=True)
class SpectralPeriodicity:
    """Mean distance of MFCCs at each lag, differentiated over the lag.

    No default is known to be the paper's: A. Pikrakis, "A deep learning approach to rhythm
    modelling with applications", 2013. B. L. Sturm, "The 'Horse' Inside", 2016, examines a system
    of such features.
    """

    sample_rate: int = 22050  # Hz
    n_fft: int = 2048  # 93 ms
    hop_length: int = 110  # 5 ms
    n_mels: int = 40
    n_mfcc: int = 13  # including coefficient 0
    max_lag: float = 4.0  # s
    distance: Literal["euclidean", "cosine"] = "euclidean"
    norm: Literal["standard", "max"] = "standard"  # mean 0 and deviation 1, or maximum 1

    def __post_init__(self) -> None:
        if self.distance not in ("euclidean", "cosine"):
            raise ParameterError(f"distance is {self.distance!r}, must be 'euclidean' or 'cosine'")
        if self.norm not in ("standard", "max"):
            raise ParameterError(f"norm is {self.norm!r}, must be 'standard' or 'max'")
        if not 1 <= self.n_mfcc <= self.n_mels:
            raise ParameterError(f"n_mfcc is {self.n_mfcc}, must be in [1, {self.n_mels}], n_mels")
        if self.n_lags < 3:
            raise ParameterError(
                f"max_lag is {self.max_lag} s: must be at least 3 hops of "
                f"{self.hop_length / self.sample_rate:.4f} s"
            )

    @cached_property
    def front_end(self) -> FrontEnd:
        """Mel front end, as in librosa, of raw frames: `mfcc` pads."""
        centred = librosa_mel(
            sr=self.sample_rate, n_fft=self.n_fft, hop_length=self.hop_length, n_mels=self.n_mels
        )
        return replace(centred, centred=False)

    @cached_property
    def cosines(self) -> Tensor:
        """Orthonormal DCT-II: Tensor [mel, mfcc], float64."""
        mel = torch.arange(self.n_mels, dtype=torch.float64)[:, None] + 0.5
        basis = torch.cos(math.pi / self.n_mels * mel * torch.arange(self.n_mfcc))
        unit: Tensor = basis / basis.norm(dim=0)
        return unit

    @property
    def n_lags(self) -> int:
        """Longest lag, in frames."""
        return int(self.max_lag * self.sample_rate / self.hop_length)

    @property
    def min_samples(self) -> int:
        """Smallest length of a waveform whose frames reach the last lag."""
        return self.n_lags * self.hop_length

    def mfcc(self, y: Tensor) -> Tensor:
        """Compute MFCCs [..., frame, mfcc]; frame i is centred at sample i * hop_length."""
        n_frames = y.shape[-1] // self.hop_length + 1
        padded = F.pad(y.double(), (self.n_fft // 2, self.n_fft // 2))
        parts = []
        for start in range(0, n_frames, _BLOCK):
            last = min(start + _BLOCK, n_frames) - 1
            part = padded[..., start * self.hop_length : last * self.hop_length + self.n_fft]
            parts.append(self.front_end.log_mel(part) @ self.cosines.to(y.device))
        return torch.cat(parts, -2)

    def __call__(self, y: Tensor) -> Tensor:
        """Compute features [..., n_lags - 1]: d(l + 1) - d(l) for l >= 1; 0 if constant."""
        if y.shape[-1] < self.min_samples:
            raise ParameterError(
                f"y has {y.shape[-1]} samples; a lag of {self.max_lag} s needs {self.min_samples}"
            )
        sounds = y.reshape(-1, y.shape[-1])
        features = y.new_zeros(0, self.n_lags - 1, dtype=torch.float64)
        if len(sounds):
            features = torch.stack(
                [
                    lag_distances(self.mfcc(sound), self.n_lags, metric=self.distance)[1:].diff()
                    for sound in sounds
                ]
            )
        return _normalised(features, self.norm).reshape(*y.shape[:-1], self.n_lags - 1)


def lag_distances(
    frames: Tensor, max_lag: int, *, metric: Literal["euclidean", "cosine"] = "euclidean"
) -> Tensor:
    """Average the distances of frames t and t + l over t, for each lag l: Tensor [1 + max_lag].

    The cosine distance of a frame of zeros to another frame is 1/2.
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
        # Exact differences: by matrix products, small distances of nearly equal frames are lost.
        distance = torch.cdist(block, reach, compute_mode="donot_use_mm_for_euclid_dist")
        # Row t of the view is distance[t, t : t + max_lag + 1]: its columns are lags.
        by_lag = distance.as_strided((len(block), max_lag + 1), (len(reach) + 1, 1))
        if metric == "cosine":
            by_lag = by_lag.square() / 2
        time = torch.arange(start, start + len(block), device=frames.device)[:, None]
        total = total + by_lag.where(time + lag < n_frames, 0.0).sum(0)
    return total / (n_frames - lag)


def _normalised(features: Tensor, norm: str) -> Tensor:
    """Normalise each row; a constant row becomes zeros."""
    if norm == "standard":
        features = features - features.mean(-1, keepdim=True)
        scale = features.square().mean(-1, keepdim=True).sqrt()
    else:
        scale = features.abs().amax(-1, keepdim=True)
    varies = scale > _ROUNDING
    return torch.where(varies, features / scale.where(varies, 1.0), 0.0)
