"""Which part of a sound is heard: beginning later, or after a silence."""

from __future__ import annotations

from dataclasses import dataclass

import torch.nn.functional as F
from torch import Tensor

from otoscope.errors import ParameterError
from otoscope.intervene.base import SoundIntervention
from otoscope.intervene.source import Source

__all__ = ["Crop", "LeadingSilence"]


@dataclass(frozen=True)
class Crop(SoundIntervention):
    """Begin later: the excerpt is as long, and takes more of the sound's end.

    Parameters
    ----------
    seconds : float
        In [0, 3600], to the nearest sample.
    irrelevant : bool
        Claims that the right answer stays.

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

    def _needed(self, n_samples: int, sr: float) -> int:
        return n_samples + round(self.seconds * sr)

    def _changed(self, source: Source) -> Tensor:
        return source.y[..., round(self.seconds * source.sr) :]


@dataclass(frozen=True)
class LeadingSilence(SoundIntervention):
    """Begin with digital silence: the excerpt is as long, and ends earlier in the sound.

    Parameters
    ----------
    seconds : float
        In [0, 3600], to the nearest sample, shorter than the excerpt.
    irrelevant : bool
        Claims that the right answer stays.

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

    def _needed(self, n_samples: int, sr: float) -> int:
        return max(0, n_samples - round(self.seconds * sr))

    def _changed(self, source: Source) -> Tensor:
        if source.y.shape[-1] == 0:
            raise ParameterError(
                f"{self}: nothing of the sound would be left in {source.n_samples / source.sr:g} s"
            )
        return F.pad(source.y, (round(self.seconds * source.sr), 0))
