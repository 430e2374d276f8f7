"""Where a sound is heard: noise around it, walls behind it."""

from __future__ import annotations

import math
from dataclasses import dataclass

from torch import Tensor

from otoscope.errors import ParameterError
from otoscope.intervene.base import SoundIntervention
from otoscope.intervene.source import Source
from otoscope.signal.effects.noise import add_noise
from otoscope.signal.effects.reverb import convolve, decaying_noise

__all__ = ["Noise", "Reverb"]


@dataclass(frozen=True)
class Noise(SoundIntervention):
    """Add white noise, for each channel another.

    Parameters
    ----------
    snr_db : float
        In [1, 120] dB, exact over the excerpt, which must not be silent. The seed sets the noise,
        the dose its level.
    irrelevant : bool
        Claims that the right answer stays.

    Examples
    --------
    >>> import torch
    >>> noisy = Noise(20).render(torch.ones(100), 8000, seed=3)
    >>> round(float((noisy - 1).square().mean()), 6)
    0.01
    """

    snr_db: float

    name = "noise"
    unit = "dB SNR"
    bounds = (1.0, 120.0)
    is_random = True

    def _changed(self, source: Source) -> Tensor:
        return add_noise(source.y, snr_db=self.snr_db, generator=source.generator())


@dataclass(frozen=True)
class Reverb(SoundIntervention):
    """Play in a room made up for each item; the direct sound stays as it is.

    Parameters
    ----------
    seconds : float
        In [0.02, 10]: the time in which the room falls by 60 dB.
    direct_db : float
        Energy of the room's direct sound over all that follows, dB.
    irrelevant : bool
        Claims that the right answer stays.

    Notes
    -----
    It acts on the excerpt alone: what sounded before is not heard in it.

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

    def _changed(self, source: Source) -> Tensor:
        room = decaying_noise(
            sr=source.sr,
            rt60=self.seconds,
            direct_db=self.direct_db,
            generator=source.generator(),
        )
        return convolve(source.y, room)
