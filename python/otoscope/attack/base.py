"""Settings that all attacks share.

An attack is an algorithm (`run` of a subclass) composed in `otoscope.attack.search`; this class
holds the settings, their checks and the calling conventions.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import KW_ONLY, dataclass, replace
from typing import ClassVar, TypeVar

import numpy as np
from torch import Tensor

from otoscope.attack.bounds import Bound
from otoscope.attack.classifier import check_differentiable
from otoscope.attack.objective import Aggregation, Goal, Outputs, UntargetedLoss
from otoscope.attack.result import AttackResult
from otoscope.attack.transforms import Transform
from otoscope.errors import ParameterError, require_integer
from otoscope.progress import Progress, silent
from otoscope.protocols import (
    ListeningModel,
    MemoryFormat,
    Model,
    Sound,
    SoundClassifier,
    check_memory_format,
)

__all__ = ["Attack"]

Self = TypeVar("Self", bound="Attack")


@dataclass(frozen=True, eq=False)
class Attack(ABC):
    """An attack on a model of sounds; see `WaveformPGD` and `MagnitudeAdversary`.

    Parameters
    ----------
    model : callable
        Sounds [batch, sample] -> [batch, output] or [batch, frame, output]. A module in train mode
        is in eval mode during the attack; a ListeningModel is pooled by a `SoundClassifier`.
    snr_db : float
        Minimum signal-to-noise ratio over all samples, dB, > 0.
    steps : int
        Maximum number of steps, >= 1.
    step : float
        Length of a step as a fraction of the bound's reach, > 0.
    restarts : int
        Maximum number of searches, >= 1: the first from the sound itself; the others, for sounds
        without success, from random points of the bound.
    confidence : float, optional
        Condition to stop. None: as soon as the prediction is the aim. A number in (0, 1]: when,
        besides, the probability of the target (untargeted: of the strongest class other than the
        label) is at least this. With labels per frame: when all frames are as aimed and the mean
        probability is at least this.
    outputs : {"logits", "probabilities"}, optional
        Kind of the model's outputs; default: its attribute ``outputs``, or logits.
    aggregation : {"soft", "hard"}
        How outputs per frame are pooled if a label is one of the whole sound; see `aggregate`.
    amplitude : float, optional
        Limit of the adversary's samples, plus and minus; None: no limit.
    segmental_snr_db : float, optional
        Minimum ratio in each segment of 25 ms as well.
    sr : float, optional
        Sample rate in hertz; default: the model's ``sample_rate``.
    transforms : sequence of callable
        Random transforms (sound [sample], generator) -> [sample] that the adversary must survive.
    draws : int
        Number of draws of the transforms per step, >= 1.
    masking : float
        Weight of the direction that lowers the difference's mean level above the masking threshold,
        relative to the direction of success; 0.5 is a good start. Sounds that succeed continue in
        this direction with decreasing steps, and the least audible candidate is kept.
    goal : Goal, optional
        Labels to reach; `targeted` sets it. None: leave ``y``.
    untargeted_loss : {"strongest_other", "cross_entropy"}
        Loss without a goal: reach the strongest other label, whose gradient does not vanish where
        the model is sure; or climb the cross-entropy with ``y``, as torchattacks does. For two
        labels both lead in the same direction.
    memory_format : {"contiguous", "channels_last", "auto"}
        Memory format of the model's 2-d convolutions, for a copy of them. "auto" times both on the
        first steps of a search of 100 or more and goes on with the faster one: results are then
        equal up to rounding, which depends on the machine and its load.
    seed : int
        Random seed of restarts and transforms, >= 0. Random numbers of a sound depend on its index,
        not on its batch. With a fixed ``memory_format`` the same seed gives the same result.

    Examples
    --------
    >>> import torch
    >>> from otoscope.attack import WaveformPGD
    >>> isinstance(WaveformPGD(torch.nn.Linear(100, 2)), Attack)
    True
    """

    needs_gradient: ClassVar[bool] = True
    """Whether the model must be differentiable."""

    model: Model
    _: KW_ONLY
    snr_db: float = 40.0
    steps: int = 100
    step: float = 0.1
    restarts: int = 1
    confidence: float | None = None
    outputs: Outputs | None = None
    aggregation: Aggregation = "soft"
    amplitude: float | None = 1.0
    segmental_snr_db: float | None = None
    sr: float | None = None
    transforms: Sequence[Transform] = ()
    draws: int = 1
    masking: float = 0.0
    goal: Goal | None = None
    untargeted_loss: UntargetedLoss = "strongest_other"
    memory_format: MemoryFormat = "contiguous"
    seed: int = 0

    def __post_init__(self) -> None:
        if isinstance(self.model, ListeningModel):
            object.__setattr__(self, "model", SoundClassifier(self.model))
        if self.needs_gradient:
            check_differentiable(self.model)
        for name, least in (("steps", 1), ("restarts", 1), ("draws", 1), ("seed", 0)):
            require_integer(name, getattr(self, name), least=least)
        if self.outputs not in (None, "logits", "probabilities"):
            raise ParameterError(
                f"outputs is {self.outputs!r}, must be 'logits', 'probabilities' or None"
            )
        if self.aggregation not in ("soft", "hard"):
            raise ParameterError(f"aggregation is {self.aggregation!r}, must be 'soft' or 'hard'")
        if self.untargeted_loss not in ("strongest_other", "cross_entropy"):
            raise ParameterError(
                f"untargeted_loss is {self.untargeted_loss!r}, must be 'strongest_other' or "
                "'cross_entropy'"
            )
        check_memory_format(self.memory_format)
        if not 0 < self.step < float("inf"):
            raise ParameterError(f"step is {self.step}, must be finite and > 0")
        if self.confidence is not None and not 0 < self.confidence <= 1:
            raise ParameterError(f"confidence is {self.confidence}, must be in (0, 1] or None")
        if not 0 <= self.masking < float("inf"):
            raise ParameterError(f"masking is {self.masking}, must be finite and >= 0")
        if self.sr is not None and not 0 < self.sr < float("inf"):
            raise ParameterError(f"sr is {self.sr}, must be hertz, > 0")
        if self.masking and self.sample_rate is None:
            raise ParameterError("masking needs the sample rate: sr=")
        if not callable(self.model):
            raise ParameterError(f"model is {type(self.model).__name__}, must be callable")
        self.bound  # noqa: B018  # checks its own settings

    def __call__(
        self, x: Tensor | Sound, y: int | Tensor | None = None, *, first_example: int = 0
    ) -> Tensor:
        """Make adversaries, in the convention of torchattacks; see `run`.

        Parameters
        ----------
        x : Tensor or array [sample] or [batch, sample], (y, sr), or file
            Sounds; see `run`.
        y : int or Tensor [batch] or [batch, frame], optional
            Labels of the sounds.
        first_example : int
            Index of the first sound among all that are attacked.

        Returns
        -------
        Tensor
            Adversaries, of the shape of ``x``; [sample] for (y, sr) and a file.

        Examples
        --------
        >>> import torch
        >>> from otoscope.attack import WaveformPGD
        >>> WaveformPGD(torch.nn.Linear(100, 2))(torch.rand(3, 100), 0).shape
        torch.Size([3, 100])
        """
        sounds = self.run(x, y, first_example=first_example).sound
        return sounds.view(x.shape) if isinstance(x, Tensor | np.ndarray) else sounds[0]

    def targeted(self: Self, label: int | str | Tensor | Goal) -> Self:
        """Return the same attack with a target.

        Parameters
        ----------
        label : int, str, Tensor [batch] or [batch, frame], or Goal
            Label that the model is to predict; 0 is a label. A model that names its outputs has
            labels by name.

        Returns
        -------
        Attack
            Copy with the goal.

        Examples
        --------
        >>> import torch
        >>> from otoscope.attack import WaveformPGD
        >>> WaveformPGD(torch.nn.Linear(100, 2)).targeted(0).goal.label
        0
        """
        if isinstance(label, str):
            label = self._label_of(label)
        goal = label if isinstance(label, Goal) else Goal("all_same", label=label)
        return replace(self, goal=goal)

    def _label_of(self, name: str) -> int:
        """Return the number of a label by its name."""
        model = self.model
        names = getattr(model, "label_names", None) or getattr(model, "output_names", None) or ()
        if name not in names:
            known = f"its labels are {', '.join(names)}" if names else "it names no labels"
            raise ParameterError(
                f"label is {name!r}, the model has none of this name: {known}; give its number, "
                "or set model.output_names = [...]"
            )
        index = list(names).index(name)
        return 1 if len(names) == 1 else index  # one output has two labels: without and with it

    @abstractmethod
    def run(
        self,
        x: Tensor | Sound,
        y: int | Tensor | None = None,
        *,
        first_example: int = 0,
        progress: Progress = silent,
    ) -> AttackResult:
        """Make adversaries and report how.

        Parameters
        ----------
        x : Tensor or array [sample] or [batch, sample], (y, sr), or file
            Sounds within the amplitude, none of them silent. A Tensor is float32 or float64;
            (y, sr) and a file are one sound, mixed to mono and resampled to the model's rate.
        y : int or Tensor [batch] or [batch, frame], optional
            Labels that an untargeted attack leads away from; default: the model's predictions.
        first_example : int
            Index of the first sound among all that are attacked: a list attacked in several
            batches gives the same adversaries as in one.
        progress : bool or callable
            True shows a bar over the steps of each search.

        Returns
        -------
        AttackResult
            Sounds and measures, always with a batch axis.

        Raises
        ------
        ParameterError
            If a sound is silent, not finite or beyond the amplitude; if a label is out of range; if
            the model gives no gradient, no outputs of the right shape, or outputs on another
            device.

        Examples
        --------
        >>> import torch
        >>> from otoscope.attack import WaveformPGD
        >>> model = torch.nn.Linear(100, 2)
        >>> result = WaveformPGD(model, snr_db=10.0).run(torch.rand(3, 100))
        >>> bool((result.snr_db >= 10 - 1e-3).all())
        True
        """

    @property
    def bound(self) -> Bound:
        """Bound on the difference."""
        rate = self.sample_rate
        return Bound(
            snr_db=self.snr_db,
            segmental_snr_db=self.segmental_snr_db,
            segment_length=512 if rate is None else max(1, round(0.025 * rate)),
            amplitude=self.amplitude,
        )

    @property
    def sample_rate(self) -> float | None:
        """Sample rate in hertz: ``sr``, or the model's."""
        return self.sr or getattr(self.model, "sample_rate", None)
