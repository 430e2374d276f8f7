"""Interventions: changes with a dose, which a right answer survives or should not.

An intervention is a frozen dataclass whose first field is its dose. A dose of 0 returns the item
bit by bit; all others lie in `bounds`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, field, fields, replace
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from otoscope.errors import ParameterError, require_number
from otoscope.intervene.answers import MOVES, Moves

if TYPE_CHECKING:
    from typing_extensions import Self

__all__ = ["Intervention", "RenderInput"]


@dataclass(frozen=True)
class Intervention(ABC):
    """A change of an item, with a dose and the claim whether it preserves the label.

    Parameters
    ----------
    label_preserving : bool
        True claims that the right answer stays the same (an irrelevant transformation, in Sturm's
        words). False makes the intervention a positive control: a system that attends to the task
        should change its answer.
    moves : {"same", "transposed", "scaled", "shifted"} or callable
        How a right output moves, for `interrogate_outputs`: it stays, pitches and keys are
        transposed, tempi and times are scaled, times are shifted, or a function of the output and
        the intervention returns the moved one.

    Examples
    --------
    >>> from otoscope.intervene import Tempo
    >>> print(Tempo(6), Tempo(6).bounds, Tempo(6).doses)
    tempo +6 % (-50.0, 100.0) (-6.0, -4.0, -2.0, 2.0, 4.0, 6.0)
    """

    label_preserving: bool = field(default=True, kw_only=True)
    moves: Moves = field(default="same", kw_only=True)

    def __post_init__(self) -> None:
        if self.moves not in MOVES and not callable(self.moves):
            raise ParameterError(
                f"{self.name}: moves is {self.moves!r}, must be {', '.join(MOVES)} or a function"
            )
        require_number(f"{self.name}: {self._dose_name()}", getattr(self, self._dose_name()))
        low, high = self.bounds
        if not (self.dose == 0 or low <= self.dose <= high):
            raise ParameterError(
                f"{self.name}: {self._dose_name()} is {self.dose:g}, "
                f"must be 0 (off) or in [{low:g}, {high:g}] {self.unit}".rstrip()
            )

    @property
    @abstractmethod
    def name(self) -> str:
        """Name in reports."""

    @property
    @abstractmethod
    def unit(self) -> str:
        """Unit of the dose; "" if it has none."""

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
        """Whether half the dose has about half the effect, so that a curve of doses makes sense.

        `doses` are then 1/3, 2/3 and 1 of the dose, with both signs where `bounds` allow them.
        """
        return False

    @property
    def pitch_ratio(self) -> float | None:
        """Factor of all frequencies; None if the pitch stays."""
        return None

    @property
    def time_ratio(self) -> float | None:
        """Factor of the tempo; None if the tempo stays."""
        return None

    @property
    def time_shift(self) -> float | None:
        """Seconds by which all events come later; None if they keep their times."""
        return None

    @property
    def dose(self) -> float:
        """The dose: the first field."""
        return float(getattr(self, self._dose_name()))

    @property
    def doses(self) -> tuple[float, ...]:
        """Doses of a curve up to this one, without 0."""
        if self.dose == 0 or not self.is_proportional:
            return (self.dose,)
        low, high = self.bounds
        largest = abs(self.dose)
        steps = [largest / 3, 2 * largest / 3, largest]
        both = [-step for step in reversed(steps)] + steps
        return tuple(dose for dose in both if low <= dose <= high)

    @property
    def settings(self) -> dict[str, Any]:
        """Everything that a rendering depends on besides sound and seed, for records."""
        claims = ("label_preserving", "moves")
        own = {f.name: getattr(self, f.name) for f in fields(self) if f.name not in claims}
        return {"intervention": type(self).__name__, **own, self._dose_name(): self.dose}

    def with_dose(self, dose: float) -> Self:
        """Return the same intervention with another dose.

        Parameters
        ----------
        dose : float
            0, or a dose in `bounds`.

        Returns
        -------
        Intervention
            Copy of this intervention.

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
        """Return an intervention with the artefacts of this one and without its change.

        Returns
        -------
        Intervention or None
            The change followed by its inverse; the intervention itself if it is a round trip; None
            if there is neither.

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
        """Apply the intervention to one item, a sound or its features at each dose.

        Parameters
        ----------
        y : Tensor
            Sound, or features of the item at each dose.
        sr : float
            Sampling rate, in Hz.
        duration : float, optional
            Duration of the result, in seconds.
        seed : int
            Seed of the item: see `item_seed`.

        Returns
        -------
        Tensor
            The changed item; at a dose of 0 the values of ``y``, bit by bit.

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
class RenderInput:
    """The part of a sound that one rendering takes (on the CPU), with its length and its seed."""

    y: Tensor
    sr: float
    n_samples: int
    seed: int

    @property
    def integer_sr(self) -> int:
        """Sampling rate as an integer, for audio files."""
        if self.sr != int(self.sr):
            raise ParameterError(f"sr is {self.sr}; files hold whole rates only")
        return int(self.sr)

    def generator(self) -> torch.Generator:
        """Make the generator of the item, on the CPU."""
        return torch.Generator().manual_seed(self.seed)
