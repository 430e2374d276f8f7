"""Auditory masking: below which level a sound hides what is added to it.

A psychoacoustic model in the manner of MPEG-1, as Qin et al. (2019) use it: tonal maskers, each
with a two-slope spreading function over critical bands, and the threshold in quiet.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from otoscope.errors import ParameterError
from otoscope.signal.stft import hann, stft

__all__ = ["MaskingThreshold", "bark", "masking_threshold", "threshold_in_quiet"]

_FULL_SCALE_DB = 96.0  # the loudest bin of a sound is set to this
_SILENCE = 1e-20  # power below which the logarithm stops


@dataclass(frozen=True, eq=False)
class MaskingThreshold:
    """The level that what is added to each sound of a batch may have, unheard.

    Parameters
    ----------
    level_db : Tensor [batch, frame, bin]
        Sound pressure, on a scale where the loudest bin of the sound has 96 dB.
    gain_db : Tensor [batch]
        From a bin's power to that scale.
    n_fft, hop_length : int
        Samples of a frame and between frames.

    Examples
    --------
    >>> y = torch.sin(torch.arange(4096.0))[None]
    >>> masking_threshold(y, sr=16000).excess(torch.zeros(1, 4096))
    tensor([0.])
    """

    level_db: Tensor
    gain_db: Tensor
    n_fft: int
    hop_length: int

    def excess(self, difference: Tensor) -> Tensor:
        """Measure how far a difference rises above the threshold.

        Parameters
        ----------
        difference : Tensor [batch, sample]
            What is added to the sounds.

        Returns
        -------
        Tensor [batch]
            mean of max(0, level - threshold) over bins and frames, dB; differentiable.

        References
        ----------
        Qin et al., ICML 2019, section 4 (the hinge loss of imperceptibility).

        Examples
        --------
        >>> y = torch.sin(torch.arange(4096.0))[None]
        >>> bool(masking_threshold(y, sr=16000).excess(y.flip(1) * torch.rand(4096)) > 0)
        True
        """
        power_db = _power_db(difference, self.n_fft, self.hop_length)
        return (power_db + self.gain_db[:, None, None] - self.level_db).relu().mean((1, 2))

    def __getitem__(self, examples: Tensor) -> MaskingThreshold:
        return MaskingThreshold(
            self.level_db[examples], self.gain_db[examples], self.n_fft, self.hop_length
        )


def masking_threshold(
    y: Tensor, *, sr: float, n_fft: int = 2048, hop_length: int = 512
) -> MaskingThreshold:
    """Compute what each sound masks.

    Parameters
    ----------
    y : Tensor [batch, sample]
        Sounds, not silent.
    sr : float
        Samples a second.
    n_fft, hop_length : int
        Samples of a frame and between frames.

    Returns
    -------
    MaskingThreshold
        One a sound.

    Raises
    ------
    ParameterError
        If the sounds are not [batch, sample], one is silent, or ``sr`` is not positive.

    Notes
    -----
    Frames are raw; the ends are filled with silence so that each sample is seen by n_fft /
    hop_length of them. Maskers are local maxima above the threshold in quiet that are the strongest
    within half a Bark.

    References
    ----------
    Qin et al., "Imperceptible, robust, and targeted adversarial examples for automatic speech
    recognition", ICML 2019, section 4 and appendix B. Lin and Abdulla, "Audio watermark", 2015,
    chapter 3.

    Examples
    --------
    >>> masking_threshold(torch.sin(torch.arange(4096.0))[None], sr=16000).level_db.shape
    torch.Size([1, 11, 1025])
    """
    if y.ndim != 2 or not sr > 0:
        raise ParameterError(
            f"y has shape {tuple(y.shape)} and sr is {sr}; must be [batch, sample] and > 0"
        )
    if bool((y == 0).all(1).any()):
        raise ParameterError("a sound is silent and masks nothing; leave it out")
    power_db = _power_db(y.detach(), n_fft, hop_length)
    gain_db = _FULL_SCALE_DB - power_db.amax((1, 2))
    hz = torch.arange(n_fft // 2 + 1, device=y.device, dtype=y.dtype) * (sr / n_fft)
    quiet, z = threshold_in_quiet(hz), bark(hz)
    frames = (power_db + gain_db[:, None, None]).flatten(0, 1)
    level = torch.stack([_threshold(frame, quiet, z) for frame in frames])
    return MaskingThreshold(level.view(power_db.shape), gain_db, n_fft, hop_length)


def bark(hz: Tensor) -> Tensor:
    """Count critical bands up to a frequency (Zwicker's formula).

    Parameters
    ----------
    hz : Tensor
        Frequencies, Hz.

    Returns
    -------
    Tensor
        Bark.

    Examples
    --------
    >>> bark(torch.tensor(1000.0))
    tensor(8.5105)
    """
    return 13 * torch.atan(0.00076 * hz) + 3.5 * torch.atan((hz / 7500) ** 2)


def threshold_in_quiet(hz: Tensor) -> Tensor:
    """Sound pressure of the softest tone that is heard (Terhardt's formula).

    Parameters
    ----------
    hz : Tensor
        Frequencies, Hz; below 20 Hz the value at 20.

    Returns
    -------
    Tensor
        dB.

    Examples
    --------
    >>> threshold_in_quiet(torch.tensor(1000.0))
    tensor(3.3691)
    """
    khz = hz.clamp(min=20) / 1000
    return 3.64 * khz**-0.8 - 6.5 * torch.exp(-0.6 * (khz - 3.3) ** 2) + 1e-3 * khz**4


def _power_db(y: Tensor, n_fft: int, hop_length: int) -> Tensor:
    """Power of each bin, 10 log10 |S / n_fft|^2: Tensor [batch, frame, bin]."""
    lead = n_fft - hop_length
    filled = F.pad(y, (lead, lead + -y.shape[-1] % hop_length))
    S = stft(filled, window=hann(n_fft), hop_length=hop_length) / n_fft
    return 10 * torch.log10(S.real.square() + S.imag.square() + _SILENCE)


def _threshold(p: Tensor, quiet: Tensor, z: Tensor) -> Tensor:
    """Global threshold of a frame whose levels are p, all Tensor [bin], dB."""
    maskers, level = _maskers(p, quiet, z)
    away = z - z[maskers][:, None]  # [masker, bin]
    upward = -27 + 0.37 * (level - 40).clamp(min=0)
    spread = torch.where(away > 0, upward[:, None] * away, 27 * away)
    offset = -6.025 - 0.275 * z[maskers]
    masked = level[:, None] + offset[:, None] + spread
    return 10 * torch.log10(10 ** (quiet / 10) + (10 ** (masked / 10)).sum(0))


def _maskers(p: Tensor, quiet: Tensor, z: Tensor) -> tuple[Tensor, Tensor]:
    """Bins of the tonal maskers, and their levels with those of both neighbours added."""
    inner = p[1:-1]
    is_peak = (inner > p[:-2]) & (inner > p[2:])
    at = is_peak.nonzero()[:, 0] + 1
    power = 10 ** (p / 10)
    level = 10 * torch.log10(power[at - 1] + power[at] + power[at + 1])
    heard = level > quiet[at]
    at, level = at[heard], level[heard]
    near = (z[at] - z[at][:, None]).abs() < 0.5
    strongest = ~(near & (level > level[:, None])).any(1)
    return at[strongest], level[strongest]
