"""Tempo at constant pitch, and pitch at constant tempo."""

from __future__ import annotations

import math
from dataclasses import dataclass

from torch import Tensor

from otoscope.errors import ParameterError
from otoscope.intervene.base import RenderInput
from otoscope.intervene.registry import Modifier, register
from otoscope.intervene.sound import Chain, SoundIntervention
from otoscope.signal.stretch import DEFAULT_STRETCHER, check_stretcher, pitch_shift, stretch

__all__ = ["Pitch", "Tempo", "dilation_percent"]

_STRETCHER = Modifier(
    "--stretcher",
    f"Time stretcher of --tempo and --pitch: {DEFAULT_STRETCHER} (default), "
    "python-stretch or librosa. Repeatable: each stretcher is interrogated on its own.",
    field="stretcher",
)


@register(
    "--tempo",
    "Maximum tempo change, in percent; pitch is preserved.",
    theme="time",
    usual=6,
    variants=({"percent": -6}, {"stretcher": "librosa"}),
    modifiers=(_STRETCHER,),
)
@dataclass(frozen=True)
class Tempo(SoundIntervention):
    """Change the tempo at constant pitch.

    Parameters
    ----------
    percent : float
        Tempo change in percent, in [-50, 100]: +6 is 6 % faster, a dilation of -5.66 %.
    stretcher : {"otoscope", "python-stretch", "librosa"}
        Library that stretches. Its artefacts are a confound: interrogate with two, each with its
        placebo. python-stretch, the reference, comes with the extra ``horse``; without it a
        rendering raises MissingExtra.
    label_preserving : bool
        Claim that the right answer stays.

    References
    ----------
    Sturm (2016) :cite:`sturm2016horse`: changes of tempo by at most 6 % in both directions.

    Examples
    --------
    >>> import torch
    >>> Tempo(6, stretcher="librosa").render(torch.zeros(10600), 8000, duration=1.25).shape
    torch.Size([10000])
    """

    percent: float
    stretcher: str = DEFAULT_STRETCHER

    unit = "%"
    bounds = (-50.0, 100.0)
    is_proportional = True

    def __post_init__(self) -> None:
        super().__post_init__()
        check_stretcher(self.stretcher)

    @property
    def name(self) -> str:
        """Name, with the stretcher if it is not the default."""
        return f"tempo{_by(self.stretcher)}"

    def placebo(self) -> Chain:
        """Return the tempo change followed by its inverse, with the same stretcher."""
        undo = self.with_dose(dilation_percent(self.percent))
        return self | undo

    def input_length(self, n_samples: int, sr: float) -> int:
        """Return the number of samples that are played in the time of ``n_samples``."""
        return math.ceil(n_samples * self._rate)

    @property
    def time_ratio(self) -> float:
        """Factor of the tempo."""
        return self._rate

    @property
    def _rate(self) -> float:
        return 1 + self.percent / 100

    def _transform(self, source: RenderInput) -> Tensor:
        return stretch(source.y, sr=source.sr, rate=self._rate, stretcher=self.stretcher)


@register(
    "--pitch",
    "Maximum pitch change, in cents; tempo is preserved.",
    theme="time",
    usual=50,
    modifiers=(_STRETCHER,),
)
@dataclass(frozen=True)
class Pitch(SoundIntervention):
    """Change the pitch at constant tempo.

    Parameters
    ----------
    cents : float
        Pitch change in cents, in [-1200, 1200]: 100 is a semitone up.
    stretcher : {"otoscope", "python-stretch", "librosa"}
        As for `Tempo`.
    label_preserving : bool
        Claim that the right answer stays.

    Examples
    --------
    >>> Pitch(50).placebo() == Pitch(50) | Pitch(-50)
    True
    """

    cents: float
    stretcher: str = DEFAULT_STRETCHER

    unit = "cents"
    bounds = (-1200.0, 1200.0)
    is_proportional = True

    def __post_init__(self) -> None:
        super().__post_init__()
        check_stretcher(self.stretcher)

    @property
    def name(self) -> str:
        """Name, with the stretcher if it is not the default."""
        return f"pitch{_by(self.stretcher)}"

    @property
    def pitch_ratio(self) -> float:
        """Factor of all frequencies."""
        return float(2 ** (self.cents / 1200))

    def placebo(self) -> Chain:
        """Return the pitch change followed by its inverse, with the same stretcher."""
        return self | self.with_dose(-self.cents)

    def _transform(self, source: RenderInput) -> Tensor:
        return pitch_shift(source.y, sr=source.sr, cents=self.cents, stretcher=self.stretcher)


def dilation_percent(tempo_percent: float) -> float:
    """Convert a tempo change to a time dilation, or back: 100 (1 / (1 + p / 100) - 1).

    Parameters
    ----------
    tempo_percent : float
        Tempo change in percent, > -100; positive is faster.

    Returns
    -------
    float
        Dilation in percent; positive is longer, slower. The formula is its own inverse, so the
        result is also the tempo change that undoes ``tempo_percent``.

    Raises
    ------
    ParameterError
        If ``tempo_percent`` is not finite or not > -100.

    Examples
    --------
    >>> round(dilation_percent(6), 2), round(dilation_percent(dilation_percent(6)), 2)
    (-5.66, 6.0)
    """
    if not -100 < tempo_percent < math.inf:
        raise ParameterError(f"tempo_percent is {tempo_percent}, must be finite and > -100")
    return -100 * tempo_percent / (100 + tempo_percent)


def _by(stretcher: str) -> str:
    return "" if stretcher == DEFAULT_STRETCHER else f" by {stretcher}"
