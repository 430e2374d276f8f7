"""Tempo-invariant rhythm features: the scale transform of the autocorrelation of onset strength.

A change of tempo stretches an autocorrelation, which shifts it on a logarithmic axis of lags; the
magnitude of a Fourier transform is invariant to a shift. Waveforms are [..., sample]; float64.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from otoscope.errors import ParameterError
from otoscope.signal.mel.frontend import FrontEnd
from otoscope.signal.mel.presets import librosa_mel
from otoscope.signal.rhythm.periodicity import autocorrelation, rises_db

__all__ = ["ScaleTransform"]


@dataclass(frozen=True)
class ScaleTransform:
    """Scale-transform features [..., n_bands * n_scales], nearly invariant to tempo.

    The invariance is not exact, since a stretch moves parts over the ends of the axis. Source:
    Holzapfel and Stylianou (2011) :cite:`holzapfel2011`, who use one onset strength instead of one
    per group of bands.
    """

    sample_rate: int = 22050  # Hz
    n_fft: int = 1024
    hop_length: int = 256
    n_mels: int = 40
    n_bands: int = 4  # groups of adjacent mel bands, which are averaged
    min_lag: float = 0.06  # s
    max_lag: float = 4.0  # s
    n_lags: int = 300  # points of the logarithmic axis
    n_scales: int = 60  # magnitudes kept, at most n_lags / 2

    def __post_init__(self) -> None:
        if not 0 < self.min_lag < self.max_lag:
            raise ParameterError(
                f"min_lag is {self.min_lag} s, max_lag {self.max_lag} s; need 0 < min_lag < max_lag"
            )
        if not 1 <= self.n_bands <= self.n_mels or self.n_mels % self.n_bands:
            raise ParameterError(f"n_bands is {self.n_bands}, must divide {self.n_mels}, n_mels")
        if not 1 <= self.n_scales <= self.n_lags // 2:
            raise ParameterError(
                f"n_scales is {self.n_scales}, must be in [1, {self.n_lags // 2}], half of n_lags"
            )

    @cached_property
    def front_end(self) -> FrontEnd:
        """Mel front end, as in librosa."""
        return librosa_mel(
            sr=self.sample_rate, n_fft=self.n_fft, hop_length=self.hop_length, n_mels=self.n_mels
        )

    @property
    def lags(self) -> Tensor:
        """Logarithmic axis of lags: Tensor [n_lags], float64, in frames."""
        frames = torch.tensor([self.min_lag, self.max_lag]) * self.sample_rate / self.hop_length
        low, high = frames.double().log2().tolist()
        return torch.logspace(low, high, self.n_lags, base=2, dtype=torch.float64)

    @property
    def min_samples(self) -> int:
        """Smallest length of a waveform whose frames reach the last lag."""
        return (int(self.lags[-1]) + 2) * self.hop_length

    def __call__(self, y: Tensor) -> Tensor:
        """Compute magnitudes [..., n_bands * n_scales], band after band; zeros for silence."""
        if y.shape[-1] < self.min_samples:
            raise ParameterError(
                f"y has {y.shape[-1]} samples; a lag of {self.max_lag} s needs {self.min_samples}"
            )
        rises = rises_db(y, self.front_end).unflatten(-1, (self.n_bands, -1))
        onset = rises.mean(-1).mT  # [..., band, frame]
        lags = self.lags.to(y.device)
        before = lags.floor().long()
        r = autocorrelation(onset - onset.mean(-1, keepdim=True), int(before[-1]) + 2)
        along = torch.lerp(r[..., before], r[..., before + 1], lags - before)
        scales: Tensor = torch.fft.rfft(along - along.mean(-1, keepdim=True)).abs()
        return scales[..., 1 : self.n_scales + 1].flatten(-2)
