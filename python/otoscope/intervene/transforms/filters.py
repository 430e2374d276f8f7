"""Changes of spectrum and level: random gentle equaliser, gain, high-pass and low-pass filters."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from otoscope.errors import ParameterError
from otoscope.intervene.base import RenderInput
from otoscope.intervene.registry import Modifier, register
from otoscope.intervene.sound import SoundIntervention
from otoscope.signal.filters import KNOTS_HZ, equalise, recursive_filter

__all__ = ["Equaliser", "Gain", "HighPass", "LowPass"]

# For each design the ratio of stop to pass edge of a high-pass, and the least attenuation in dB.
_DESIGNS = {"gentle": (0.5, 30.0), "steep": (0.95, 60.0)}
_STEEP = Modifier(
    "--steep",
    "Steep filters: 60 dB within 5 % of the cut-off (default: 30 dB within an octave).",
    field="design",
    value="steep",
)


@register("--eq", "Maximum gain of a random equaliser, in dB.", theme="spectrum", usual=6)
@dataclass(frozen=True)
class Equaliser(SoundIntervention):
    """Apply a smooth random gain over frequency, drawn for each item.

    Parameters
    ----------
    max_db : float
        Largest gain or attenuation in dB, in [0, 30]. One gain per octave from 20 Hz is drawn from
        a uniform distribution and interpolated smoothly; the seed sets the shape of the curve, the
        dose its size.
    label_preserving : bool
        Claim that the right answer stays.

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

    def _transform(self, source: RenderInput) -> Tensor:
        drawn = torch.rand(len(KNOTS_HZ), generator=source.generator(), dtype=torch.float64)
        return equalise(source.y, sr=source.sr, knots_db=self.max_db * (2 * drawn - 1))


@register("--gain", "Maximum gain change, in dB.", theme="spectrum", usual=12)
@dataclass(frozen=True)
class Gain(SoundIntervention):
    """Change the level.

    Parameters
    ----------
    db : float
        Gain in dB, in [-60, 60]. Samples may exceed 1; nothing is clipped.
    label_preserving : bool
        Claim that the right answer stays.

    Examples
    --------
    >>> Gain(-20).render(torch.ones(2), 8000)
    tensor([0.1000, 0.1000])
    """

    db: float

    name = "gain"
    unit = "dB"
    bounds = (-60.0, 60.0)
    is_proportional = True

    def _transform(self, source: RenderInput) -> Tensor:
        return source.y * 10 ** (self.db / 20)


@dataclass(frozen=True)
class _Pass(SoundIntervention):
    """A high-pass or low-pass filter of one of two designs."""

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
        """Name with the design, so that one interrogation can hold two designs."""
        steep, zero_phase = self.design == "steep", self.zero_phase
        return "steep " * steep + "zero-phase " * zero_phase + f"{self.passes}-pass"

    def _transform(self, source: RenderInput) -> Tensor:
        ratio, stop_db = _DESIGNS[self.design]
        stop_over_pass = ratio if self.passes == "high" else 1 / ratio
        pass_hz = self.hz if self.design == "steep" else self.hz / stop_over_pass
        upper, nyquist = max(pass_hz, stop_over_pass * pass_hz), source.sr / 2
        if upper >= nyquist:
            raise ParameterError(
                f"{self}: a sampling rate of {source.sr:g} Hz holds nothing above {nyquist:g} Hz; "
                f"ask for less than {self.hz * nyquist / upper:g} Hz, or leave it out"
            )
        return recursive_filter(
            source.y,
            sr=source.sr,
            stop_hz=stop_over_pass * pass_hz,
            pass_hz=pass_hz,
            stop_db=stop_db,
            zero_phase=self.zero_phase,
        )


@register(
    "--highpass",
    "Cut-off frequency of a high-pass filter, in Hz; 20 removes only inaudible content.",
    theme="spectrum",
    usual=20,
    variants=({"design": "steep"}, {"zero_phase": True}),
    modifiers=(_STEEP,),
)
@dataclass(frozen=True)
class HighPass(_Pass):
    """Apply a high-pass filter; at 20 Hz it removes inaudible content only.

    Parameters
    ----------
    hz : float
        Cut-off frequency in Hz, in [1, 20000]. The gentle design attenuates by 30 dB below ``hz``
        and passes above ``2 hz``; the steep one attenuates by 60 dB below ``0.95 hz`` and passes
        above ``hz``, and rings for a second or two at 20 Hz. The passband loses at most 1 dB.
    design : {"gentle", "steep"}
        Transition at 20 Hz: from 20 to 40 Hz, or from 19 to 20 Hz.
    zero_phase : bool
        Whether to filter forward and backward, each with half of the decibels.
    label_preserving : bool
        Claim that the right answer stays.

    Examples
    --------
    >>> rumble = torch.sin(6.2832 * 15 * torch.arange(80000) / 8000)
    >>> bool(HighPass(20).render(rumble, 8000)[8000:].abs().max() < 0.032)
    True
    """

    passes = "high"
    bounds = (1.0, 20000.0)


@register(
    "--lowpass",
    "Cut-off frequency of a low-pass filter, in Hz; without --steep it attenuates from half of it.",
    theme="spectrum",
    usual=4000,
    is_harmless=False,
    variants=({"design": "steep"},),
    modifiers=(_STEEP,),
)
@dataclass(frozen=True)
class LowPass(_Pass):
    """Apply a low-pass filter.

    Parameters
    ----------
    hz : float
        Cut-off frequency in Hz, in [20, 96000]. The gentle design attenuates by 30 dB above ``hz``
        and passes below ``hz / 2``; the steep one attenuates by 60 dB above ``hz / 0.95`` and
        passes below ``hz``.
    design : {"gentle", "steep"}
        As for `HighPass`.
    zero_phase : bool
        As for `HighPass`.
    label_preserving : bool
        Claim that the right answer stays.

    Examples
    --------
    >>> hiss = torch.sin(6.2832 * 3500 * torch.arange(8000) / 8000)
    >>> bool(LowPass(3000).render(hiss, 8000)[100:].abs().max() < 0.032)
    True
    """

    passes = "low"
    bounds = (20.0, 96000.0)
