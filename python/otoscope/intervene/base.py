"""Interventions: changes of a stated size that a right answer survives, or should not.

An intervention is a frozen dataclass whose first field is its dose. A dose of 0 switches it off,
whatever the unit: the sound then comes back bit by bit. All others lie in `bounds`.

The analysed duration is fixed. A rendering begins where the sound begins and is as long as asked
for; one that plays faster takes more of the sound, one that plays slower less. Nothing is padded:
silence would be a cue of its own.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from bisect import bisect_right
from collections.abc import Iterable
from dataclasses import dataclass, field, fields, replace
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from otoscope.errors import ParameterError
from otoscope.intervene.source import Source, check_sound

if TYPE_CHECKING:
    from typing_extensions import Self

    from otoscope.intervene.chain import Chain

__all__ = ["Intervention", "SoundIntervention", "longest_duration"]


@dataclass(frozen=True)
class Intervention(ABC):
    """What is done, how much of it, and whether a right answer should survive it.

    Parameters
    ----------
    irrelevant : bool
        True claims that the right answer stays; False makes it a positive control: a system that
        attends to the task should change its answer.

    Examples
    --------
    >>> from otoscope.intervene import Tempo
    >>> print(Tempo(6), Tempo(6).bounds, Tempo(6).doses)
    tempo +6 % (-50.0, 100.0) (-6.0, -4.0, -2.0, 2.0, 4.0, 6.0)
    """

    irrelevant: bool = field(default=True, kw_only=True)

    def __post_init__(self) -> None:
        low, high = self.bounds
        if not (self.dose == 0 or low <= self.dose <= high):
            raise ParameterError(
                f"{self.name}: {self._dose_name()} is {self.dose:g}, "
                f"must be 0 (off) or in [{low:g}, {high:g}] {self.unit}".rstrip()
            )

    @property
    @abstractmethod
    def name(self) -> str:
        """What it is called in reports."""

    @property
    @abstractmethod
    def unit(self) -> str:
        """The dose's unit; "" if it has none."""

    @property
    @abstractmethod
    def bounds(self) -> tuple[float, float]:
        """Least and greatest dose, other than 0."""

    @property
    def is_random(self) -> bool:
        """Whether a rendering depends on the seed."""
        return False

    @property
    def is_proportional(self) -> bool:
        """Whether half the dose is about half the change."""
        return False

    @property
    def dose(self) -> float:
        """How much: the first field."""
        return float(getattr(self, self._dose_name()))

    @property
    def doses(self) -> tuple[float, ...]:
        """Up to this one, for a curve: without 0, of both signs where there are two."""
        if self.dose == 0 or not self.is_proportional:
            return (self.dose,)
        low, high = self.bounds
        most = abs(self.dose)
        steps = [most / 3, 2 * most / 3, most]
        both = [-step for step in reversed(steps)] + steps
        return tuple(dose for dose in both if low <= dose <= high)

    @property
    def settings(self) -> dict[str, Any]:
        """All that a rendering depends on besides sound and seed, for records."""
        own = {f.name: getattr(self, f.name) for f in fields(self) if f.name != "irrelevant"}
        return {"intervention": type(self).__name__, **own, self._dose_name(): self.dose}

    def with_dose(self, dose: float) -> Self:
        """Give the same intervention with another dose.

        Parameters
        ----------
        dose : float
            0, or in `bounds`.

        Returns
        -------
        Intervention
            Of the same class and settings.

        Raises
        ------
        ParameterError
            If the dose is out of bounds.

        Examples
        --------
        >>> from otoscope.intervene import Tempo
        >>> print(Tempo(6, stretcher="librosa").with_dose(-4))
        tempo by librosa -4 %
        """
        changed: dict[str, Any] = {self._dose_name(): dose}
        return replace(self, **changed)

    def placebo(self) -> Intervention | None:
        """Give an intervention with the artefacts of this one, and without its change.

        Returns
        -------
        Intervention or None
            There and back, where there is a way back; a round trip is its own placebo.

        Examples
        --------
        >>> from otoscope.intervene import CodecRoundTrip, Gain, Pitch
        >>> print(Pitch(50).placebo(), CodecRoundTrip(64).placebo(), Gain(3).placebo(), sep=", ")
        pitch +50 cents | pitch -50 cents, mp3 64 kbit/s, None
        """
        return None

    @abstractmethod
    def render(
        self, y: Tensor, sr: float, *, duration: float | None = None, seed: int = 0
    ) -> Tensor:
        """Apply it to one item.

        Parameters
        ----------
        y : Tensor
            A sound, or the item's features at each dose.
        sr : float
            Samples a second.
        duration : float, optional
            Seconds of the result.
        seed : int
            Of this item: see `item_seed`.

        Returns
        -------
        Tensor
            At a dose of 0 what ``y`` holds, bit by bit.

        Raises
        ------
        ParameterError
            If ``y`` is not what this intervention acts on.

        Examples
        --------
        >>> from otoscope.intervene import Gain
        >>> Gain(-20).render(torch.ones(4), 8000, duration=3 / 8000)
        tensor([0.1000, 0.1000, 0.1000])
        """

    def __str__(self) -> str:
        """Name and dose: "tempo +6 %"."""
        shown = float(f"{self.dose:.5g}")  # 16000, not 1.6e+04
        dose = f"{shown:+g}" if shown and self.bounds[0] < 0 else f"{shown:g}"
        return f"{self.name} {dose} {self.unit}".rstrip()

    @classmethod
    def _dose_name(cls) -> str:
        return next(f.name for f in fields(cls) if not f.kw_only)


@dataclass(frozen=True)
class SoundIntervention(Intervention):
    """An intervention on sound; subclasses say how in ``_changed``."""

    def needed(self, n_samples: int, sr: float) -> int:
        """Count the samples of the sound that a rendering takes.

        Parameters
        ----------
        n_samples : int
            Of the rendering, >= 0.
        sr : float
            Samples a second.

        Returns
        -------
        int
            Never falls as ``n_samples`` grows.

        Examples
        --------
        >>> from otoscope.intervene import Crop, Tempo
        >>> Tempo(6).needed(100, 8000), Crop(1).needed(100, 8000)
        (106, 8100)
        """
        return self._needed(n_samples, sr)

    def take(self, y: Tensor, sr: float, *, duration: float | None = None, seed: int = 0) -> Source:
        """Take what a rendering needs of a sound; arguments and errors are those of `render`.

        Parameters
        ----------
        y : Tensor [sample] or [channel, sample]
            Sound.
        sr : float
            Samples a second.
        duration : float, optional
            Seconds of the rendering.
        seed : int
            Of this item.

        Returns
        -------
        Source
            The beginning of ``y``.

        Raises
        ------
        ParameterError
            If ``y`` is no sound, or too short: then it names the longest duration.

        Examples
        --------
        >>> from otoscope.intervene import Crop
        >>> source = Crop(1.0).take(torch.zeros(10), 4, duration=1.0)
        >>> source.y.shape, source.n_samples
        (torch.Size([8]), 4)
        """
        check_sound(y, sr)
        if duration is not None and not 0 < duration < math.inf:
            raise ParameterError(f"duration is {duration} s, must be > 0")
        whole = y.shape[-1]
        n = self._longest(whole, sr) if duration is None else round(duration * sr)
        if n < 1:
            raise ParameterError(
                f"{self}: y has {whole / sr:g} s, duration is {duration} s: no sample would be left"
            )
        needed = self.needed(n, sr)
        if needed > whole:
            raise ParameterError(
                f"{self}: y has {whole / sr:.6g} s, and {n / sr:.6g} s of the rendering take "
                f"{needed / sr:.6g} s: analyse at most {self._longest(whole, sr) / sr:.6g} s"
            )
        return Source(y.detach()[..., :needed].cpu(), sr, n, seed)

    def render(
        self, y: Tensor, sr: float, *, duration: float | None = None, seed: int = 0
    ) -> Tensor:
        """Apply it to one sound.

        Parameters
        ----------
        y : Tensor [sample] or [channel, sample]
            float32 or float64, finite, about -1 to 1. What is drawn, is drawn once for all
            channels; noise for each.
        sr : float
            Samples a second.
        duration : float, optional
            Seconds of the result. Default: the longest that ``y`` gives, at most its own.
        seed : int
            Of this item: see `item_seed`. It sets what is drawn, the dose how much of that.

        Returns
        -------
        Tensor [round(duration * sr)] or [channel, round(duration * sr)]
            With the type and on the device of ``y``; computed on the CPU, not differentiable. At
            a dose of 0 the beginning of ``y``, bit by bit.

        Raises
        ------
        ParameterError
            If ``y`` is no sound or shorter than what is needed, or what is asked for cannot be
            had at this ``sr``.

        Examples
        --------
        >>> from otoscope.intervene import Tempo
        >>> Tempo(6, stretcher="librosa").render(torch.zeros(10600), 8000, duration=1.25).shape
        torch.Size([10000])
        """
        source = self.take(y, sr, duration=duration, seed=seed)
        return self.rendered(source).to(y, copy=True)

    @torch.no_grad()
    def rendered(self, source: Source) -> Tensor:
        """Apply it to what was taken of a sound.

        Parameters
        ----------
        source : Source
            With as many samples as are needed.

        Returns
        -------
        Tensor [n_samples] or [channel, n_samples]
            On the CPU; at a dose of 0 a view of the source.

        Examples
        --------
        >>> from otoscope.intervene import Gain
        >>> Gain(-20).rendered(Source(torch.ones(3), sr=8000, n_samples=2, seed=0))
        tensor([0.1000, 0.1000])
        """
        changed = self._changed(source) if self.dose else source.y
        return changed[..., : source.n_samples]

    def __or__(self, after: SoundIntervention) -> Chain:
        """This, then another."""
        from otoscope.intervene.chain import Chain

        return Chain((self, after))

    @abstractmethod
    def _changed(self, source: Source) -> Tensor:
        """The sound at a dose that is not 0: at least as many samples as were asked for."""

    def _needed(self, n_samples: int, sr: float) -> int:
        """`needed`; an intervention that takes more or less than it gives says so here."""
        return n_samples

    def _longest(self, whole: int, sr: float) -> int:
        """The most samples of a rendering, at most ``whole``, that so many give."""
        return bisect_right(range(whole + 1), whole, key=lambda n: self.needed(n, sr)) - 1


def longest_duration(
    interventions: Iterable[SoundIntervention], n_samples: int, sr: float
) -> float:
    """Find how long an excerpt all of some interventions can render.

    Parameters
    ----------
    interventions : iterable of SoundIntervention
        With the greatest doses of each.
    n_samples : int
        Of the shortest sound.
    sr : float
        Samples a second.

    Returns
    -------
    float
        Seconds, at most the sound's.

    Examples
    --------
    >>> from otoscope.intervene import Gain, Tempo
    >>> round(longest_duration([Tempo(6), Tempo(-6), Gain(3)], 80000, 8000), 3)
    9.434
    """
    return min((i._longest(n_samples, sr) for i in interventions), default=n_samples) / sr
