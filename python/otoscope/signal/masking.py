"""Psychoacoustic masking thresholds: the level below which an addition to a sound is inaudible.

The model follows MPEG-1 psychoacoustic model 1 as Qin et al. use it: tonal maskers, a two-slope
spreading function over critical bands, and the threshold in quiet. Sources: Qin et al. (2019)
:cite:`qin2019`, section 4 and appendix B; Lin and Abdulla (2015) :cite:`lin2015`, chapter 3.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
import torch.nn.functional as F
from torch import Tensor

from otoscope.errors import ParameterError
from otoscope.signal.stft import hann, stft

__all__ = [
    "MaskingThreshold",
    "bark",
    "masking_threshold",
    "noise_to_mask_db",
    "threshold_in_quiet",
]

_FULL_SCALE_DB = 96.0  # level of the loudest bin of a sound
_SILENCE = 1e-20  # added to powers, for the logarithm


@dataclass(frozen=True, eq=False)
class MaskingThreshold:
    """Masking thresholds of a batch of sounds; the loudest bin of each sound has 96 dB."""

    level_db: Tensor  # sound pressure level [batch, frame, bin]
    gain_db: Tensor  # [batch], from the power of a bin to that scale
    band: Tensor  # number of the critical band of each bin
    n_fft: int
    hop_length: int

    def excess(self, difference: Tensor) -> Tensor:
        """Average max(0, level - threshold), in dB, of an added signal [batch, sample].

        Differentiable; the hinge loss of Qin et al. (2019), section 4.
        """
        power_db = _power_db(difference, self.n_fft, self.hop_length)
        return (power_db + self.gain_db[:, None, None] - self.level_db).relu().mean((1, 2))

    def noise_to_mask_db(self, difference: Tensor) -> Tensor:
        """Measure the noise-to-mask ratio [batch], in dB, of an added signal [batch, sample].

        It is the mean, over frames and critical bands, of the band's power of the signal over the
        lowest threshold in the band (Brandenburg 1987 :cite:`brandenburg1987`); -inf without one.
        """
        power_db = _power_db(difference, self.n_fft, self.hop_length)
        power = 10 ** ((power_db + self.gain_db[:, None, None]) / 10)
        bands = self.band.expand_as(power)
        shape = (*power.shape[:2], int(self.band.max()) + 1)
        noise = power.new_zeros(shape).scatter_add(2, bands, power)
        lowest = power.new_full(shape, torch.inf).scatter_reduce(2, bands, self.level_db, "amin")
        ratio_db = 10 * torch.log10((noise / 10 ** (lowest / 10)).mean((1, 2)))
        return ratio_db.where(difference.any(1), -torch.inf)

    def __getitem__(self, examples: Tensor) -> MaskingThreshold:
        return replace(self, level_db=self.level_db[examples], gain_db=self.gain_db[examples])


def masking_threshold(
    y: Tensor, *, sr: float, n_fft: int = 2048, hop_length: int = 512
) -> MaskingThreshold:
    """Compute the masking threshold of each sound of a batch [batch, sample]; silence is refused.

    Frames are raw; zeros at both ends let n_fft / hop_length frames see each sample. Maskers are
    local maxima above the threshold in quiet that are the strongest within half a Bark.
    """
    if y.ndim != 2 or not sr > 0:
        raise ParameterError(
            f"y has shape {tuple(y.shape)} and sr is {sr}; must be [batch, sample] and > 0"
        )
    if bool((y == 0).all(1).any()):
        raise ParameterError("y holds a sound that is silent and masks nothing; leave it out")
    power_db = _power_db(y.detach(), n_fft, hop_length)
    gain_db = _FULL_SCALE_DB - power_db.amax((1, 2))
    hz = torch.arange(n_fft // 2 + 1, device=y.device, dtype=y.dtype) * (sr / n_fft)
    quiet, z = threshold_in_quiet(hz), bark(hz)
    frames = (power_db + gain_db[:, None, None]).flatten(0, 1)
    level = torch.stack([_threshold(frame, quiet, z) for frame in frames])
    return MaskingThreshold(
        level.view(power_db.shape), gain_db, z.floor().long(), n_fft, hop_length
    )


def noise_to_mask_db(y: Tensor, changed: Tensor, *, sr: float) -> float:
    """Measure the noise-to-mask ratio of a change of a sound [sample], in dB, in float64."""
    original, other = (sound.double().cpu()[None] for sound in (y, changed))
    return float(masking_threshold(original, sr=sr).noise_to_mask_db(other - original))


def bark(hz: Tensor) -> Tensor:
    """Convert Hz to Bark (Zwicker's formula)."""
    return 13 * torch.atan(0.00076 * hz) + 3.5 * torch.atan((hz / 7500) ** 2)


def threshold_in_quiet(hz: Tensor) -> Tensor:
    """Compute the threshold in quiet in dB (Terhardt's formula), constant below 20 Hz."""
    khz = hz.clamp(min=20) / 1000
    return 3.64 * khz**-0.8 - 6.5 * torch.exp(-0.6 * (khz - 3.3) ** 2) + 1e-3 * khz**4


def _power_db(y: Tensor, n_fft: int, hop_length: int) -> Tensor:
    """Compute 10 log10 |S / n_fft|^2: Tensor [batch, frame, bin]."""
    lead = n_fft - hop_length
    filled = F.pad(y, (lead, lead + -y.shape[-1] % hop_length))
    S = stft(filled, window=hann(n_fft), hop_length=hop_length) / n_fft
    return 10 * torch.log10(S.real.square() + S.imag.square() + _SILENCE)


def _threshold(p: Tensor, quiet: Tensor, z: Tensor) -> Tensor:
    """Compute the global threshold of a frame with levels ``p``, all Tensor [bin] in dB."""
    maskers, level = _maskers(p, quiet, z)
    away = z - z[maskers][:, None]  # [masker, bin]
    upward = -27 + 0.37 * (level - 40).clamp(min=0)
    spread = torch.where(away > 0, upward[:, None] * away, 27 * away)
    offset = -6.025 - 0.275 * z[maskers]
    masked = level[:, None] + offset[:, None] + spread
    return 10 * torch.log10(10 ** (quiet / 10) + (10 ** (masked / 10)).sum(0))


def _maskers(p: Tensor, quiet: Tensor, z: Tensor) -> tuple[Tensor, Tensor]:
    """Select the bins of tonal maskers, with levels that include both neighbouring bins."""
    inner = p[1:-1]
    is_peak = (inner > p[:-2]) & (inner > p[2:])
    peak = is_peak.nonzero()[:, 0] + 1
    power = 10 ** (p / 10)
    level = 10 * torch.log10(power[peak - 1] + power[peak] + power[peak + 1])
    audible = level > quiet[peak]
    peak, level = peak[audible], level[audible]
    near = (z[peak] - z[peak][:, None]).abs() < 0.5
    strongest = ~(near & (level > level[:, None])).any(1)
    return peak[strongest], level[strongest]
