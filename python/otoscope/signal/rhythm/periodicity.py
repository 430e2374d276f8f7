"""Rhythm features: onset strength, its autocorrelation, and an autoregressive model of the latter.

Waveforms are [..., sample], series [..., frame]. Results are float64 on the device of the input.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Literal, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from otoscope.errors import ParameterError
from otoscope.signal.mel.frontend import FrontEnd
from otoscope.signal.mel.presets import librosa_mel

__all__ = [
    "Autoregression",
    "RhythmFeatures",
    "autocorrelation",
    "autoregression",
    "onset_strength",
    "rises_db",
]

_TOP_DB = 80.0  # as in librosa.power_to_db


def onset_strength(
    y: Tensor, front_end: FrontEnd, *, aggregate: Literal["median", "mean"] = "median"
) -> Tensor:
    """Compute the onset strength [..., frame]: median or mean over bands of the rises in dB.

    Equals ``librosa.onset.onset_strength(aggregate=np.median)``, or librosa's default, the mean;
    the front end is `librosa_mel`. The first hop and half a frame are 0.
    """
    rises = rises_db(y, front_end)
    rise = _median(rises) if aggregate == "median" else rises.mean(-1)
    n_frames = rise.shape[-1] + 1
    delay = 1 + front_end.n_fft // (2 * front_end.hop_length)
    return F.pad(rise, (delay, 0))[..., :n_frames]


def rises_db(y: Tensor, front_end: FrontEnd) -> Tensor:
    """Compute the rise of each mel power from frame to frame [..., frame - 1, mel], in dB, >= 0.

    Levels more than 80 dB below the maximum of a waveform count as equal.
    """
    level_db = 10 * front_end.mel(y.double()).clamp(min=1e-10).log10()
    level_db = level_db.maximum(level_db.amax((-2, -1), keepdim=True) - _TOP_DB)
    return level_db.diff(dim=-2).clamp(min=0)


def autocorrelation(series: Tensor, n_lags: int) -> Tensor:
    """Compute sum_t x(t) x(t + l) / sum_t x(t)^2 for l < n_lags; 0 for a series of zeros."""
    n_frames = series.shape[-1]
    if not 1 <= n_lags <= n_frames:
        raise ParameterError(f"n_lags is {n_lags}, must be in [1, {n_frames}], the frames")
    power = torch.fft.rfft(series.double(), n=2 * n_frames).abs().square()
    products = torch.fft.irfft(power)[..., :n_lags]
    energy = products[..., :1]
    relative: Tensor = products / torch.where(energy > 0, energy, 1.0)
    return relative


class Autoregression(NamedTuple):
    """Least-squares fit x(t) = intercept + sum_k coefficients[k - 1] x(t - k) + noise."""

    intercept: Tensor  # [...]
    coefficients: Tensor  # [..., order], of lags 1, 2, ...
    noise: Tensor  # [...], mean square of the residual


def autoregression(series: Tensor, order: int) -> Autoregression:
    """Fit an autoregressive model to series [..., time], longer than twice the order.

    Of several equally good fits, as for a constant series, the result is the smallest.
    """
    if not 1 <= order < series.shape[-1] / 2:
        raise ParameterError(
            f"order is {order}: must be >= 1 and below half the series' {series.shape[-1]} values"
        )
    windows = series.double().unfold(-1, order + 1, 1)  # [..., row, x(t - order) ... x(t)]
    past, present = windows[..., :order].flip(-1), windows[..., order:]
    rows = torch.cat([torch.ones_like(present), past], -1)
    fit = torch.linalg.pinv(rows) @ present  # pinv: a silent sound has no unique fit
    noise = (present - rows @ fit).square().mean((-2, -1))
    return Autoregression(fit[..., 0, 0], fit[..., 1:, 0], noise)


@dataclass(frozen=True)
class RhythmFeatures:
    """Thirteen rhythm features: the autoregression of the autocorrelation of onset strength.

    The published features (``ballroom_rhythm.npz``; B. L. Sturm, "The 'Horse' Inside", 2016) are
    described as coefficients and noise; but their first number takes either sign and is the
    intercept: the default of ``lead``.
    """

    sample_rate: int = 22050  # Hz
    n_fft: int = 2048
    hop_length: int = 1024
    n_mels: int = 128
    first_lag: int = 5  # frames; 5 to 89 are 0.23 to 4.13 s
    last_lag: int = 89
    order: int = 12  # of the autoregression
    lead: Literal["intercept", "noise"] = "intercept"

    def __post_init__(self) -> None:
        if self.lead not in ("intercept", "noise"):
            raise ParameterError(f"lead is {self.lead!r}, must be 'intercept' or 'noise'")
        n_lags = self.last_lag - self.first_lag + 1
        if self.first_lag < 0 or not 1 <= self.order < n_lags / 2:
            raise ParameterError(
                f"lags {self.first_lag} to {self.last_lag} are too few for order {self.order}: "
                "need 0 <= first_lag, and more than twice as many lags as the order"
            )

    @cached_property
    def front_end(self) -> FrontEnd:
        """Mel front end, as in librosa."""
        return librosa_mel(
            sr=self.sample_rate, n_fft=self.n_fft, hop_length=self.hop_length, n_mels=self.n_mels
        )

    @property
    def min_samples(self) -> int:
        """Smallest length of a waveform whose frames reach the last lag."""
        return self.last_lag * self.hop_length

    def __call__(self, y: Tensor) -> Tensor:
        """Compute features [..., 1 + order]: the lead, then the coefficients; zeros for silence."""
        if y.shape[-1] < self.min_samples:
            raise ParameterError(
                f"y has {y.shape[-1]} samples; lag {self.last_lag} needs {self.min_samples} "
                f"({self.min_samples / self.sample_rate:.2f} s)"
            )
        onsets = onset_strength(y, self.front_end)
        lags = autocorrelation(onsets, self.last_lag + 1)[..., self.first_lag :]
        fit = autoregression(lags - lags.mean(-1, keepdim=True), self.order)
        lead = fit.intercept if self.lead == "intercept" else fit.noise
        return torch.cat([lead[..., None], fit.coefficients], -1)


def _median(x: Tensor) -> Tensor:
    """Compute the median over the last axis; mean of the middle two, where torch takes one."""
    n = x.shape[-1]
    return x.sort(-1).values[..., (n - 1) // 2 : n // 2 + 1].mean(-1)
