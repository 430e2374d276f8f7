"""Louder, softer, upside down: what no listener should judge by."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from otoscope.intervene.base import SoundIntervention
from otoscope.intervene.source import Source

__all__ = ["Gain", "Polarity"]


@dataclass(frozen=True)
class Gain(SoundIntervention):
    """Play louder or softer.

    Parameters
    ----------
    db : float
        In [-60, 60]. Samples may pass 1; nothing is clipped.
    irrelevant : bool
        Claims that the right answer stays.

    Examples
    --------
    >>> import torch
    >>> Gain(-20).render(torch.ones(2), 8000)
    tensor([0.1000, 0.1000])
    """

    db: float

    name = "gain"
    unit = "dB"
    bounds = (-60.0, 60.0)
    is_proportional = True

    def _changed(self, source: Source) -> Tensor:
        return source.y * 10 ** (self.db / 20)


@dataclass(frozen=True)
class Polarity(SoundIntervention):
    """Turn the waveform upside down.

    Parameters
    ----------
    turned : float
        1, or 0 for not.
    irrelevant : bool
        Claims that the right answer stays.

    Examples
    --------
    >>> import torch
    >>> Polarity().render(torch.tensor([0.5, -0.25]), 8000)
    tensor([-0.5000,  0.2500])
    """

    turned: float = 1

    name = "polarity"
    unit = ""
    bounds = (1.0, 1.0)

    def __str__(self) -> str:
        """Name, without a dose."""
        return self.name if self.turned else "polarity kept"

    def _changed(self, source: Source) -> Tensor:
        return -source.y
