"""What all attacks share: settings, the question put to the model, restarts and the record.

A search starts from the sound itself, then from random points of the bound. After each step the
sound is brought into the bound, last of all: so it always holds.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import KW_ONLY, dataclass, replace
from numbers import Integral
from typing import TypeVar

import torch
from torch import Tensor

from otoscope.attack.bounds import Bound
from otoscope.attack.goal import Goal, check_labels
from otoscope.attack.model import check_differentiable, gradient_of, hear, kind_of_outputs, unit
from otoscope.attack.objective import Aggregation, Objective, Outputs, aggregate, log_posterior
from otoscope.attack.result import AttackResult
from otoscope.attack.search import Answer, Question, Trial, search
from otoscope.attack.transforms import Transform
from otoscope.errors import ParameterError
from otoscope.protocols import ListeningModel, Model, SoundClassifier, evaluating
from otoscope.seeds import torch_generator
from otoscope.signal.masking import masking_threshold
from otoscope.signal.snr import segmental_snr_db, snr_db

__all__ = ["Attack"]

Self = TypeVar("Self", bound="Attack")


@dataclass(frozen=True, eq=False)
class Attack(ABC):
    """An attack on a model of sound; see `WaveformPGD` and `MagnitudeAdversary`.

    Parameters
    ----------
    model : callable
        Sound [batch, sample] -> [batch, output] or [batch, frame, output]. A module in train mode
        is put in eval mode for the while; a ListeningModel is pooled by a `SoundClassifier`.
    snr_db : float
        Least signal-to-noise ratio over all samples, dB, > 0.
    steps : int
        At most, >= 1.
    step : float
        Length of a step, > 0; as a fraction of the bound's reach.
    restarts : int
        Searches at most: the first from the sound itself, the others, for sounds without success,
        from random points of the bound.
    confidence : float, optional
        Stop when the model hears the target (untargeted: no longer the label) and its confidence
        in it (in the strongest other) is at least this, in (0, 1]. By default, as soon as it hears
        it. Where labels are a frame's: when it hears each, and the confidences' mean is so high.
    outputs : {"logits", "probabilities"}, optional
        What the model gives; default: its attribute ``outputs``, or logits.
    aggregation : {"soft", "hard"}
        How a model of frames is counted where a label is a whole sound's; see `aggregate`.
    amplitude : float, optional
        The adversary stays within plus and minus this; None: anywhere.
    segmental_snr_db : float, optional
        Least ratio in each segment of 25 ms as well.
    sr : float, optional
        Samples a second; default: the model's ``sample_rate``.
    transforms : sequence of callable
        (sound [sample], generator) -> [sample]: the attack is to succeed through them too.
    draws : int
        Draws of the transforms a step.
    masking : float
        Weight of the direction in which less of the difference is heard (dB above the masking
        threshold, on average), against the direction to success: 0.5 does. Sounds that succeed go
        on in it with ever shorter steps, and the one heard least is kept.
    goal : Goal, optional
        What to aim at; `targeted` sets it. None: away from ``y``.
    seed : int
        Of restarts and transforms, >= 0. A sound's draws depend on its index, not on its batch.

    Examples
    --------
    >>> from otoscope.attack import WaveformPGD
    >>> isinstance(WaveformPGD(torch.nn.Linear(100, 2)), Attack)
    True
    """

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
    seed: int = 0

    def __post_init__(self) -> None:
        if isinstance(self.model, ListeningModel):
            object.__setattr__(self, "model", SoundClassifier(self.model))
        check_differentiable(self.model)
        for name, least in (("steps", 1), ("restarts", 1), ("draws", 1), ("seed", 0)):
            value = getattr(self, name)
            if not isinstance(value, Integral) or value < least:
                raise ParameterError(f"{name} is {value}, must be an integer >= {least}")
        if self.outputs not in (None, "logits", "probabilities"):
            raise ParameterError(
                f"outputs is {self.outputs!r}, must be 'logits', 'probabilities' or None"
            )
        if self.aggregation not in ("soft", "hard"):
            raise ParameterError(f"aggregation is {self.aggregation!r}, must be 'soft' or 'hard'")
        if not 0 < self.step < float("inf"):
            raise ParameterError(f"step is {self.step}, must be finite and > 0")
        if self.confidence is not None and not 0 < self.confidence <= 1:
            raise ParameterError(f"confidence is {self.confidence}, must be in (0, 1] or None")
        if not 0 <= self.masking < float("inf"):
            raise ParameterError(f"masking is {self.masking}, must be finite and >= 0")
        if self.sr is not None and not 0 < self.sr < float("inf"):
            raise ParameterError(f"sr is {self.sr}, must be samples a second, > 0")
        if self.masking and self._rate is None:
            raise ParameterError("masking needs the samples a second: sr=")
        if not callable(self.model):
            raise ParameterError(f"model is {type(self.model).__name__}, must be callable")
        self.bound  # noqa: B018  # checks its own settings

    def __call__(
        self, x: Tensor, y: int | Tensor | None = None, *, first_example: int = 0
    ) -> Tensor:
        """Make adversaries; see `run`.

        Parameters
        ----------
        x : Tensor [sample] or [batch, sample]
            Sounds.
        y : int or Tensor [batch] or [batch, frame], optional
            Their labels.
        first_example : int
            Index of the first sound among all that are attacked.

        Returns
        -------
        Tensor
            Like ``x``.

        Examples
        --------
        >>> from otoscope.attack import WaveformPGD
        >>> WaveformPGD(torch.nn.Linear(100, 2))(torch.rand(3, 100), 0).shape
        torch.Size([3, 100])
        """
        return self.run(x, y, first_example=first_example).sound.view(x.shape)

    def targeted(self: Self, label: int | Tensor | Goal) -> Self:
        """Aim at a label.

        Parameters
        ----------
        label : int, Tensor [batch] or [batch, frame], or Goal
            What the model is to hear; 0 is a label.

        Returns
        -------
        Attack
            The same, aiming.

        Examples
        --------
        >>> from otoscope.attack import WaveformPGD
        >>> WaveformPGD(torch.nn.Linear(100, 2)).targeted(0).goal.label
        0
        """
        goal = label if isinstance(label, Goal) else Goal("all_same", label=label)
        return replace(self, goal=goal)

    def run(
        self, x: Tensor, y: int | Tensor | None = None, *, first_example: int = 0
    ) -> AttackResult:
        """Make adversaries and say how.

        Parameters
        ----------
        x : Tensor [sample] or [batch, sample]
            Sounds, float32 or float64, within the amplitude, none of them silent.
        y : int or Tensor [batch] or [batch, frame], optional
            Their labels: what an untargeted attack leads away from. Default: what the model hears.
        first_example : int
            Index of the first sound among all that are attacked: a list attacked in several
            batches gives the same adversaries as in one.

        Returns
        -------
        AttackResult
            Sounds and record, always with the axis of the batch.

        Raises
        ------
        ParameterError
            If a sound is silent, not finite or beyond the amplitude, a label is out of range, or
            the model gives no gradient, something else than outputs, or answers on another device.

        Examples
        --------
        >>> from otoscope.attack import WaveformPGD
        >>> model = torch.nn.Linear(100, 2)
        >>> result = WaveformPGD(model, snr_db=10.0).run(torch.rand(3, 100))
        >>> bool((result.snr_db >= 10 - 1e-3).all())
        True
        """
        sounds = self._checked(x)
        with evaluating(self.model), torch.enable_grad():
            objective = self._objective(sounds, y, first_example)
            threshold = None
            if self.masking and self._rate:
                threshold = masking_threshold(sounds, sr=self._rate)
            places = range(first_example, first_example + len(sounds))
            generators = tuple(torch_generator(self.seed, place) for place in places)
            question = Question(sounds, objective, generators, threshold)
            trial, before = self._solve(question)
        return AttackResult(
            original=sounds,
            sound=trial.sound,
            labels=objective.labels,
            targeted=objective.targeted,
            success=trial.success,
            iterations=trial.iterations,
            confidence=trial.history,
            confidence_before=before,
            confidence_after=trial.confidence,
            snr_db=snr_db(sounds, trial.sound),
            segmental_snr_db=segmental_snr_db(
                sounds, trial.sound, segment_length=self.bound.segment_length
            ),
            clipped=self._clipped(sounds),
            success_on_spectra=trial.success_on_spectra,
            magnitude_snr_db=trial.magnitude_snr_db,
            spectrum=trial.spectrum,
        )

    @property
    def bound(self) -> Bound:
        """What the difference may be."""
        return Bound(
            snr_db=self.snr_db,
            segmental_snr_db=self.segmental_snr_db,
            segment_length=512 if self._rate is None else max(1, round(0.025 * self._rate)),
            amplitude=self.amplitude,
        )

    @abstractmethod
    def _step(
        self, x: Tensor, sound: Tensor, gradient: Tensor, memory: Tensor, iteration: int
    ) -> tuple[Tensor, Tensor]:
        """Go one step within the bound: (sound, memory), Tensor [batch, sample] both."""

    @property
    def _rate(self) -> float | None:
        return self.sr or getattr(self.model, "sample_rate", None)

    def _solve(self, question: Question) -> tuple[Trial, Tensor]:
        """Search, again from elsewhere where there was no success; and confidence before."""
        trial = search(question, question.x, ask=self._ask, step=self._step, steps=self.steps)
        before = trial.history[:, 0].clone()
        for _ in range(1, self.restarts):
            left = (~trial.success).nonzero()[:, 0]
            if len(left) == 0:
                break
            rest = question[left]
            start = self.bound.draw(rest.x, rest.generators)
            again = search(rest, start, ask=self._ask, step=self._step, steps=self.steps)
            trial.take(left, again)
        return trial, before

    def _ask(self, question: Question, sound: Tensor) -> Answer:
        sound = sound.detach().requires_grad_()
        verdict = question.objective.judge(hear(self.model, sound))
        loss, success = verdict.loss, verdict.success
        for _ in range(self.draws if self.transforms else 0):
            drawn = question.objective.judge(hear(self.model, self._transformed(question, sound)))
            loss, success = loss + drawn.loss / self.draws, success & drawn.success
        gradient = gradient_of(loss, sound)
        excess = torch.zeros_like(sound[:, 0])
        if question.threshold is not None:
            excess = question.threshold.excess(sound - question.x)
            wanted = unit(gradient) * ~success[:, None]
            gradient = wanted + self.masking * unit(gradient_of(excess, sound))
        return Answer(verdict.confidence.to(sound.dtype), success, excess.detach(), gradient)

    def _length(self, iteration: int) -> float:
        """Length of a step; between success and silence the search settles by shorter steps."""
        return self.step / (1 + iteration / 10) if self.masking else self.step

    def _transformed(self, question: Question, sound: Tensor) -> Tensor:
        rows = []
        for row, draws in zip(sound, question.generators, strict=True):
            for transform in self.transforms:
                row = transform(row, draws)
            rows.append(row)
        return torch.stack(rows)

    def _objective(self, x: Tensor, y: int | Tensor | None, first_example: int) -> Objective:
        with torch.no_grad():
            values = hear(self.model, x)
        kind = kind_of_outputs(self.model, self.outputs, values)
        posterior = log_posterior(values, kind).exp()
        n_labels = posterior.shape[-1]
        if y is None:
            if self.goal is not None and self.goal.mode == "truth":
                raise ParameterError("a goal of 'truth' needs the true labels: y=")
            pooled = posterior if posterior.ndim == 2 else aggregate(posterior, self.aggregation)
            labels = pooled.argmax(-1)
        else:
            labels = torch.as_tensor(y, device=x.device)
            labels = labels.expand(len(x)) if labels.ndim == 0 else labels
            labels = check_labels("y", labels, n_labels=n_labels, n_sounds=len(x))
        if self.goal is not None:
            labels = self.goal.labels(labels, n_labels=n_labels, first_example=first_example)
        if labels.ndim == 2 and labels.shape != values.shape[:-1]:
            raise ParameterError(
                f"labels have shape {tuple(labels.shape)}, the model's frames are "
                f"{list(values.shape[:-1])}: one label a sound, or one a frame"
            )
        return Objective(labels, self.goal is not None, kind, self.aggregation, self.confidence)

    def _checked(self, x: Tensor) -> Tensor:
        if not isinstance(x, Tensor) or x.dtype not in (torch.float32, torch.float64):
            kind = x.dtype if isinstance(x, Tensor) else type(x).__name__
            raise ParameterError(f"x is {kind}, must be a Tensor of float32 or float64")
        if x.ndim not in (1, 2) or x.numel() == 0:
            raise ParameterError(
                f"x has shape {tuple(x.shape)}, must be [sample] or [batch, sample], not empty"
            )
        x = torch.atleast_2d(x.detach())
        bad = int((~x.isfinite()).sum())
        if bad:
            raise ParameterError(f"{bad} of {x.numel()} samples of x are NaN or infinite")
        silent = (x == 0).all(1).nonzero()[:, 0].tolist()
        if silent:
            raise ParameterError(
                f"sound {silent[0]} is silent: no signal-to-noise ratio is defined; leave it out"
            )
        peak = float(x.abs().max())
        if self.amplitude is not None and peak > self.amplitude:
            raise ParameterError(
                f"x peaks at {peak:.3f}, beyond the amplitude of {self.amplitude:g}; "
                "scale it, or pass amplitude=None"
            )
        return x

    def _clipped(self, x: Tensor) -> Tensor:
        end = 1.0 if self.amplitude is None else self.amplitude
        return (x.abs() >= end).sum(1)
