"""Interventions on the spectrum: a random gentle equaliser, and what lies below hearing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from otoscope.errors import ParameterError
from otoscope.intervene.base import SoundIntervention
from otoscope.intervene.source import Source
from otoscope.signal.effects.equaliser import KNOTS_HZ, equalise
from otoscope.signal.effects.iir import recursive_filter

__all__ = ["Equaliser", "HighPass", "LowPass"]

# Of a high-pass, the stopped edge over the passed one; and the least attenuation beyond it, dB.
_DESIGNS = {"gentle": (0.5, 30.0), "steep": (0.95, 60.0)}


@dataclass(frozen=True)
class Equaliser(SoundIntervention):
    """Apply a smooth gain over frequency, drawn for each item.

    Parameters
    ----------
    max_db : float
        In [0, 30]: no gain is beyond this. One is drawn evenly for each octave from 20 Hz, and
        they are joined smoothly; the seed sets the shape of the curve, the dose its size.
    irrelevant : bool
        Claims that the right answer stays.

    Examples
    --------
    >>> Equaliser(6).render(torch.zeros(2, 8000), 8000, seed=1).shape
    torch.Size([2, 8000])
    """

    max_db: float

    name = "equaliser"
    unit = "dB"
    bounds = (0.0, 30.0)
    is_random = True
    is_proportional = True

    def _changed(self, source: Source) -> Tensor:
        drawn = torch.rand(len(KNOTS_HZ), generator=source.generator(), dtype=torch.float64)
        return equalise(source.y, sr=source.sr, knots_db=self.max_db * (2 * drawn - 1))


@dataclass(frozen=True)
class _Pass(SoundIntervention):
    """What a high-pass and a low-pass share: designs, and which of two edges is named."""

    hz: float
    design: str = "gentle"
    zero_phase: bool = False

    unit = "Hz"
    passes: ClassVar[str]

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.design not in _DESIGNS:
            raise ParameterError(f"design is {self.design!r}, must be one of {', '.join(_DESIGNS)}")

    @property
    def name(self) -> str:
        """With what tells it from others: two designs may be asked about at once."""
        steep, zero_phase = self.design == "steep", self.zero_phase
        return "steep " * steep + "zero-phase " * zero_phase + f"{self.passes}-pass"

    def _changed(self, source: Source) -> Tensor:
        ratio, stop_db = _DESIGNS[self.design]
        stop_over_pass = ratio if self.passes == "high" else 1 / ratio
        pass_hz = self.hz if self.design == "steep" else self.hz / stop_over_pass
        upper, most = max(pass_hz, stop_over_pass * pass_hz), source.sr / 2
        if upper >= most:
            raise ParameterError(
                f"{self}: {source.sr:g} samples a second hold nothing above {most:g} Hz; ask for "
                f"less than {self.hz * most / upper:g} Hz, or leave it out"
            )
        return recursive_filter(
            source.y,
            sr=source.sr,
            stop_hz=stop_over_pass * pass_hz,
            pass_hz=pass_hz,
            stop_db=stop_db,
            zero_phase=self.zero_phase,
        )


@dataclass(frozen=True)
class HighPass(_Pass):
    """Take away what lies below a frequency: below hearing, nobody should miss it.

    Parameters
    ----------
    hz : float
        In [1, 20000]. The gentle design stops (30 dB) below ``hz`` and passes above ``2 hz``; the
        steep one stops (60 dB) below ``0.95 hz`` and passes above ``hz``, and rings for a second
        or two at 20 Hz. What passes loses at most 1 dB, at the edge.
    design : {"gentle", "steep"}
        At 20 Hz: 20 to 40 Hz, or 19 to 20 Hz.
    zero_phase : bool
        Filter forward and backward, each by half of the decibels.
    irrelevant : bool
        Claims that the right answer stays.

    Examples
    --------
    >>> rumble = torch.sin(6.2832 * 15 * torch.arange(80000) / 8000)
    >>> bool(HighPass(20).render(rumble, 8000)[8000:].abs().max() < 0.032)
    True
    """

    passes = "high"
    bounds = (1.0, 20000.0)


@dataclass(frozen=True)
class LowPass(_Pass):
    """Take away what lies above a frequency.

    Parameters
    ----------
    hz : float
        In [20, 96000]. The gentle design stops (30 dB) above ``hz`` and passes below ``hz / 2``;
        the steep one stops (60 dB) above ``hz / 0.95`` and passes below ``hz``.
    design : {"gentle", "steep"}
        As for `HighPass`.
    zero_phase : bool
        As for `HighPass`.
    irrelevant : bool
        Claims that the right answer stays.

    Examples
    --------
    >>> hiss = torch.sin(6.2832 * 3500 * torch.arange(8000) / 8000)
    >>> bool(LowPass(3000).render(hiss, 8000)[100:].abs().max() < 0.032)
    True
    """

    passes = "low"
    bounds = (20.0, 96000.0)
