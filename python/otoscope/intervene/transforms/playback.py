"""Changes of playback: polarity inversion, leading silence, crop, room reverberation."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch.nn.functional as F
from torch import Tensor

from otoscope.errors import ParameterError
from otoscope.intervene.base import RenderInput
from otoscope.intervene.registry import register
from otoscope.intervene.sound import SoundIntervention
from otoscope.signal.filters import convolve, decaying_noise

__all__ = ["Crop", "LeadingSilence", "Polarity", "Reverb"]


@register("--polarity", "Invert the polarity of the waveform.", theme="playback", usual=1)
@dataclass(frozen=True)
class Polarity(SoundIntervention):
    """Invert the polarity of the waveform: multiply all samples by -1.

    Parameters
    ----------
    inverted : float
        1 to invert, 0 to leave the sound as it is.
    label_preserving : bool
        Claim that the right answer stays.

    Examples
    --------
    >>> import torch
    >>> Polarity().render(torch.tensor([0.5, -0.25]), 8000)
    tensor([-0.5000,  0.2500])
    """

    inverted: float = 1

    name = "polarity"
    unit = ""
    bounds = (1.0, 1.0)

    def __str__(self) -> str:
        """Name, without a dose."""
        return self.name if self.inverted else "polarity kept"

    def _transform(self, source: RenderInput) -> Tensor:
        return -source.y


@register("--silence", "Maximum leading silence, in seconds.", theme="playback", usual=0.5)
@dataclass(frozen=True)
class LeadingSilence(SoundIntervention):
    """Prepend digital silence; the excerpt keeps its duration and ends earlier in the sound.

    Parameters
    ----------
    seconds : float
        Silence in seconds, in [0, 3600], rounded to a sample; shorter than the excerpt.
    label_preserving : bool
        Claim that the right answer stays.

    Examples
    --------
    >>> import torch
    >>> LeadingSilence(0.5).render(torch.ones(4), 4)
    tensor([0., 0., 1., 1.])
    """

    seconds: float

    name = "leading silence"
    unit = "s"
    bounds = (0.0, 3600.0)
    is_proportional = True

    @property
    def time_shift(self) -> float:
        """Seconds by which all events come later."""
        return self.seconds

    def input_length(self, n_samples: int, sr: float) -> int:
        """Return the number of samples that follow the silence."""
        return max(0, n_samples - round(self.seconds * sr))

    def _transform(self, source: RenderInput) -> Tensor:
        if source.y.shape[-1] == 0:
            raise ParameterError(
                f"{self}: nothing of the sound would be left in {source.n_samples / source.sr:g} s"
            )
        return F.pad(source.y, (round(self.seconds * source.sr), 0))


@register("--crop", "Maximum shift of the beginning, in seconds.", theme="playback", usual=0.5)
@dataclass(frozen=True)
class Crop(SoundIntervention):
    """Begin later; the excerpt keeps its duration and ends later in the sound.

    Parameters
    ----------
    seconds : float
        Shift in seconds, in [0, 3600], rounded to a sample.
    label_preserving : bool
        Claim that the right answer stays.

    Examples
    --------
    >>> import torch
    >>> Crop(0.25).render(torch.arange(8.0), 4, duration=1.5)
    tensor([1., 2., 3., 4., 5., 6.])
    """

    seconds: float

    name = "crop"
    unit = "s"
    bounds = (0.0, 3600.0)
    is_proportional = True

    @property
    def time_shift(self) -> float:
        """Seconds by which all events come later: less than 0."""
        return -self.seconds

    def input_length(self, n_samples: int, sr: float) -> int:
        """Return the number of samples, with those that are cut off."""
        return n_samples + round(self.seconds * sr)

    def _transform(self, source: RenderInput) -> Tensor:
        return source.y[..., round(self.seconds * source.sr) :]


@register("--reverb", "Maximum reverberation time, in seconds.", theme="playback", usual=0.3)
@dataclass(frozen=True)
class Reverb(SoundIntervention):
    """Convolve with a random room impulse response; the direct sound stays as it is.

    Parameters
    ----------
    seconds : float
        Reverberation time RT60 in seconds, in [0.02, 10].
    direct_db : float
        Ratio of direct to reverberant energy, in dB.
    label_preserving : bool
        Claim that the right answer stays.

    Notes
    -----
    The room acts on the excerpt alone: earlier sound does not reverberate into it.

    Examples
    --------
    >>> import torch
    >>> Reverb(0.3).render(torch.ones(8000), 8000, seed=3).shape
    torch.Size([8000])
    """

    seconds: float
    direct_db: float = 6.0

    name = "reverb"
    unit = "s"
    bounds = (0.02, 10.0)
    is_random = True
    is_proportional = True

    def __post_init__(self) -> None:
        super().__post_init__()
        if not math.isfinite(self.direct_db):
            raise ParameterError(f"direct_db is {self.direct_db}, must be finite")

    def _transform(self, source: RenderInput) -> Tensor:
        room = decaying_noise(
            sr=source.sr,
            rt60=self.seconds,
            direct_db=self.direct_db,
            generator=source.generator(),
        )
        return convolve(source.y, room)
