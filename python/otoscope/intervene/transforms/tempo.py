"""Tempo without pitch, pitch without tempo."""

from __future__ import annotations

import math
from dataclasses import dataclass

from torch import Tensor

from otoscope.errors import ParameterError
from otoscope.intervene.base import SoundIntervention
from otoscope.intervene.chain import Chain
from otoscope.intervene.source import Source
from otoscope.signal.effects.stretch import check_stretcher, pitch_shift, stretch

__all__ = ["Pitch", "Tempo", "dilation_percent"]

_USUAL = "python-stretch"


@dataclass(frozen=True)
class Tempo(SoundIntervention):
    """Play faster or slower at the same pitch.

    Parameters
    ----------
    percent : float
        In [-50, 100]: +6 is 6 % faster, a dilation of -5.66 %.
    stretcher : {"python-stretch", "librosa"}
        Artefacts are a confound: ask both at once, each with its placebo. python-stretch comes with
        the extra ``horse``; without it a rendering raises MissingExtra.
    irrelevant : bool
        Claims that the right answer stays.

    References
    ----------
    Sturm, "The 'Horse' Inside", 2016: changes of tempo by at most 6 % in both directions.

    Examples
    --------
    >>> import torch
    >>> Tempo(6, stretcher="librosa").render(torch.zeros(10600), 8000, duration=1.25).shape
    torch.Size([10000])
    """

    percent: float
    stretcher: str = _USUAL

    unit = "%"
    bounds = (-50.0, 100.0)
    is_proportional = True

    def __post_init__(self) -> None:
        super().__post_init__()
        check_stretcher(self.stretcher)

    @property
    def name(self) -> str:
        """Tempo, and by whom if not by the usual stretcher."""
        return f"tempo{_by(self.stretcher)}"

    def placebo(self) -> Chain:
        """Give the way there and back, by the same stretcher."""
        undo = self.with_dose(dilation_percent(self.percent))
        return self | undo

    def _needed(self, n_samples: int, sr: float) -> int:
        return math.ceil(n_samples * self._rate)

    @property
    def _rate(self) -> float:
        return 1 + self.percent / 100

    def _changed(self, source: Source) -> Tensor:
        return stretch(source.y, sr=source.sr, rate=self._rate, stretcher=self.stretcher)


@dataclass(frozen=True)
class Pitch(SoundIntervention):
    """Move all frequencies by a ratio at the same tempo.

    Parameters
    ----------
    cents : float
        In [-1200, 1200]: 100 is a semitone up.
    stretcher : {"python-stretch", "librosa"}
        As in `Tempo`.
    irrelevant : bool
        Claims that the right answer stays.

    Examples
    --------
    >>> Pitch(50).placebo() == Pitch(50) | Pitch(-50)
    True
    """

    cents: float
    stretcher: str = _USUAL

    unit = "cents"
    bounds = (-1200.0, 1200.0)
    is_proportional = True

    def __post_init__(self) -> None:
        super().__post_init__()
        check_stretcher(self.stretcher)

    @property
    def name(self) -> str:
        """Pitch, and by whom if not by the usual stretcher."""
        return f"pitch{_by(self.stretcher)}"

    def placebo(self) -> Chain:
        """Give the way there and back, by the same stretcher."""
        return self | self.with_dose(-self.cents)

    def _changed(self, source: Source) -> Tensor:
        return pitch_shift(source.y, sr=source.sr, cents=self.cents, stretcher=self.stretcher)


def dilation_percent(tempo_percent: float) -> float:
    """Convert a change of tempo to one of duration, or back: 100 (1 / (1 + p / 100) - 1).

    Parameters
    ----------
    tempo_percent : float
        Above -100; above 0 is faster.

    Returns
    -------
    float
        Above 0 is longer, slower. The formula is its own inverse, so this is also the change of
        tempo that undoes one.

    Raises
    ------
    ParameterError
        If there is no such tempo.

    Examples
    --------
    >>> round(dilation_percent(6), 2), round(dilation_percent(dilation_percent(6)), 2)
    (-5.66, 6.0)
    """
    if not -100 < tempo_percent < math.inf:
        raise ParameterError(f"tempo_percent is {tempo_percent}, must be finite and > -100")
    return -100 * tempo_percent / (100 + tempo_percent)


def _by(stretcher: str) -> str:
    return "" if stretcher == _USUAL else f" by {stretcher}"
