"""Random transforms that an adversary must survive (expectation over transformation).

A transform is a differentiable callable (sound [sample], generator) -> [sample]. It is drawn at
each step, for each sound from the sound's own generator.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from numbers import Integral
from typing import TypeAlias

import torch
import torch.nn.functional as F
from torch import Tensor

from otoscope.errors import ParameterError, require_number
from otoscope.signal.audio.codecs import mp3
from otoscope.signal.snr import add_noise, check_snr

__all__ = ["Mp3Coding", "RandomGain", "RandomNoise", "RandomShift", "Transform"]

Transform: TypeAlias = Callable[[Tensor, torch.Generator], Tensor]


@dataclass(frozen=True)
class RandomGain:
    """Scale by a random gain.

    Parameters
    ----------
    gain_db : float
        Maximum gain in dB, >= 0: the gain is uniform in -gain_db..gain_db.

    Examples
    --------
    >>> RandomGain(0.0)(torch.ones(2), torch.Generator())
    tensor([1., 1.])
    """

    gain_db: float

    def __post_init__(self) -> None:
        require_number("gain_db", self.gain_db)
        if not 0 <= self.gain_db < float("inf"):
            raise ParameterError(f"gain_db is {self.gain_db}, must be finite and >= 0 dB")

    def __call__(self, sound: Tensor, generator: torch.Generator) -> Tensor:
        """Transform a sound: Tensor [sample] to [sample]."""
        drawn = (2 * float(torch.rand(1, generator=generator)) - 1) * self.gain_db
        return sound * 10 ** (drawn / 20)


@dataclass(frozen=True)
class RandomShift:
    """Shift in time by a random number of samples: crop one end, pad the other with silence.

    Parameters
    ----------
    samples : int
        Maximum shift, >= 0 and less than the length: the shift is uniform in -samples..samples.

    Examples
    --------
    >>> RandomShift(0)(torch.ones(2), torch.Generator())
    tensor([1., 1.])
    """

    samples: int

    def __post_init__(self) -> None:
        if not isinstance(self.samples, Integral) or self.samples < 0:
            raise ParameterError(f"samples is {self.samples}, must be an integer >= 0")

    def __call__(self, sound: Tensor, generator: torch.Generator) -> Tensor:
        """Transform a sound: Tensor [sample] to [sample]."""
        if self.samples >= len(sound):
            raise ParameterError(
                f"samples is {self.samples}, the sound has {len(sound)}: the shift must be shorter"
            )
        by = int(torch.randint(-self.samples, self.samples + 1, (1,), generator=generator))
        return F.pad(sound, (by, -by))


@dataclass(frozen=True)
class RandomNoise:
    """Add white noise.

    Parameters
    ----------
    snr_db : float
        Signal-to-noise ratio of each draw, exact, dB, > 0.

    Examples
    --------
    >>> RandomNoise(20.0)(torch.ones(2), torch.Generator()).shape
    torch.Size([2])
    """

    snr_db: float

    def __post_init__(self) -> None:
        check_snr("snr_db", self.snr_db)

    def __call__(self, sound: Tensor, generator: torch.Generator) -> Tensor:
        """Transform a sound: Tensor [sample] to [sample]."""
        return add_noise(sound, snr_db=self.snr_db, generator=generator)


@dataclass(frozen=True)
class Mp3Coding:
    """Encode as MP3 and decode; the gradient passes through the kept coefficients.

    Parameters
    ----------
    sr : int
        Sample rate in hertz.
    bitrate : int
        Bit rate in kbit/s.

    Examples
    --------
    >>> Mp3Coding(16000, bitrate=64)(torch.zeros(4000), torch.Generator()).shape
    torch.Size([4000])
    """

    sr: int
    bitrate: int = 128

    def __call__(self, sound: Tensor, generator: torch.Generator) -> Tensor:
        """Transform a sound: Tensor [sample] to [sample]."""
        return mp3(sound, sr=self.sr, bitrate=self.bitrate)
