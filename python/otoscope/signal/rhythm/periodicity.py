"""Rhythm as numbers: onset strength, its autocorrelation, and an autoregressive model of that.

Sounds are [..., sample], series [..., frame]. All is computed in float64 and on the sound's device.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Literal, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from otoscope.errors import ParameterError
from otoscope.signal.mel.frontend import FrontEnd, librosa_mel

__all__ = [
    "Autoregression",
    "RhythmFeatures",
    "autocorrelation",
    "autoregression",
    "onset_strength",
    "rises_db",
]

_TOP_DB = 80.0  # librosa's power_to_db: what is 80 dB below the loudest counts as silence


def onset_strength(y: Tensor, front_end: FrontEnd) -> Tensor:
    """Measure how much louder the bands become from frame to frame: the median over the bands.

    Parameters
    ----------
    y : Tensor [..., sample]
        Floating, at the front end's rate.
    front_end : FrontEnd
        A centred one of powers: `librosa_mel`.

    Returns
    -------
    Tensor [..., frame], float64
        Rises in dB, >= 0; at the beginning, a hop and half a frame's length are 0.

    Notes
    -----
    The numbers of ``librosa.onset.onset_strength(aggregate=np.median)``.

    Examples
    --------
    >>> onset_strength(torch.zeros(22050), librosa_mel(hop_length=1024)).shape
    torch.Size([22])
    """
    rise = _median(rises_db(y, front_end))
    n_frames = rise.shape[-1] + 1
    delay = 1 + front_end.n_fft // (2 * front_end.hop_length)
    return F.pad(rise, (delay, 0))[..., :n_frames]


def rises_db(y: Tensor, front_end: FrontEnd) -> Tensor:
    """Measure how much louder each band becomes from frame to frame.

    Parameters
    ----------
    y : Tensor [..., sample]
        Floating, at the front end's rate.
    front_end : FrontEnd
        One of powers: `librosa_mel`.

    Returns
    -------
    Tensor [..., frame - 1, mel], float64
        Rises in dB, 0 where a band becomes softer; levels 80 dB below a sound's loudest are equal.

    Examples
    --------
    >>> rises_db(torch.zeros(22050), librosa_mel(hop_length=1024)).shape
    torch.Size([21, 128])
    """
    level_db = 10 * front_end.mel(y.double()).clamp(min=1e-10).log10()
    level_db = level_db.maximum(level_db.amax((-2, -1), keepdim=True) - _TOP_DB)
    return level_db.diff(dim=-2).clamp(min=0)


def autocorrelation(series: Tensor, n_lags: int) -> Tensor:
    """Correlate series with themselves, relative to lag 0.

    Parameters
    ----------
    series : Tensor [..., frame]
        Real; its mean is left as it is.
    n_lags : int
        Lags wanted, at most as many as frames.

    Returns
    -------
    Tensor [..., n_lags], float64
        r(l) = sum_t x(t) x(t + l) / sum_t x(t)^2; 0 where the series is 0.

    Raises
    ------
    ParameterError
        If there are fewer frames than lags.

    Examples
    --------
    >>> autocorrelation(torch.tensor([1.0, 0.0, 1.0, 0.0]), 3).round(decimals=6) + 0.0
    tensor([1.0000, 0.0000, 0.5000], dtype=torch.float64)
    """
    n_frames = series.shape[-1]
    if not 1 <= n_lags <= n_frames:
        raise ParameterError(f"n_lags is {n_lags}, must be in [1, {n_frames}], the frames")
    power = torch.fft.rfft(series.double(), n=2 * n_frames).abs().square()
    products = torch.fft.irfft(power)[..., :n_lags]
    energy = products[..., :1]
    relative: Tensor = products / torch.where(energy > 0, energy, 1.0)
    return relative


class Autoregression(NamedTuple):
    """A least-squares fit x(t) = intercept + sum_k coefficients(k) x(t - k) + noise.

    Parameters
    ----------
    intercept : Tensor [...]
        The constant.
    coefficients : Tensor [..., order]
        Coefficients of lags 1, 2, ... order.
    noise : Tensor [...]
        Mean square of what is left, >= 0.

    Examples
    --------
    >>> autoregression(torch.tensor([8.0, 4.0, 2.0, 1.0]), 1).coefficients.round(decimals=6)
    tensor([0.5000], dtype=torch.float64)
    """

    intercept: Tensor
    coefficients: Tensor
    noise: Tensor


def autoregression(series: Tensor, order: int) -> Autoregression:
    """Predict each value of a series from those before it.

    Parameters
    ----------
    series : Tensor [..., time]
        Real; more than twice as long as the order.
    order : int
        Values looked back, >= 1.

    Returns
    -------
    Autoregression
        float64; of several fits equally good (a constant series), the smallest.

    Raises
    ------
    ParameterError
        If the series is too short for the order.

    Examples
    --------
    >>> autoregression(torch.zeros(2, 30), 12).coefficients.shape
    torch.Size([2, 12])
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
    """Thirteen numbers on the rhythm of a sound: called with sounds, it returns features.

    Parameters
    ----------
    sample_rate : int
        Samples a second of the sounds.
    n_fft, hop_length : int
        Samples of a frame and between frames.
    n_mels : int
        Bands whose rises are looked at.
    first_lag, last_lag : int
        Frames: the lags of the autocorrelation that are modelled; 5 to 89 are 0.23 to 4.13 s.
    order : int
        Order of the autoregression.
    lead : {"intercept", "noise"}
        What stands before the coefficients.

    Raises
    ------
    ParameterError
        If there are too few lags for the order.

    Notes
    -----
    Onset strength (`onset_strength`), its autocorrelation at the lags, less their mean; then an
    autoregression. The published features (``ballroom_rhythm.npz``) are described as coefficients
    and noise, but their first number takes either sign and is the intercept: the default here.

    References
    ----------
    B. L. Sturm, "The 'Horse' Inside", 2016: the features that its author published beside it.

    Examples
    --------
    >>> RhythmFeatures()(torch.zeros(2, 110250)).shape
    torch.Size([2, 13])
    """

    sample_rate: int = 22050
    n_fft: int = 2048
    hop_length: int = 1024
    n_mels: int = 128
    first_lag: int = 5
    last_lag: int = 89
    order: int = 12
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
        """The bands, as librosa has them."""
        return librosa_mel(
            sr=self.sample_rate, n_fft=self.n_fft, hop_length=self.hop_length, n_mels=self.n_mels
        )

    @property
    def min_samples(self) -> int:
        """The shortest sound whose frames reach the last lag."""
        return self.last_lag * self.hop_length

    def __call__(self, y: Tensor) -> Tensor:
        """Describe sounds: Tensor [..., sample] to [..., 1 + order].

        Parameters
        ----------
        y : Tensor [..., sample]
            Floating, at ``sample_rate``, at least ``min_samples`` long.

        Returns
        -------
        Tensor [..., 1 + order], float64
            The lead, then the coefficients of lags 1, 2, ...; a silent sound has zeros.

        Raises
        ------
        ParameterError
            If the sounds are too short.

        Examples
        --------
        >>> RhythmFeatures(lead="noise")(torch.zeros(110250)).any()
        tensor(False)
        """
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
    """Median over the last axis; of an even count, the mean of the middle two (torch's is less)."""
    n = x.shape[-1]
    return x.sort(-1).values[..., (n - 1) // 2 : n // 2 + 1].mean(-1)
