"""The search for adversaries, composed of a model, a problem, a bound and a step.

Each iteration evaluates the candidates, keeps the best one of each sound, and takes a step; a sound
stops when it succeeds. `WaveformPGD` and `MagnitudeAdversary` differ in the step only. What the
host must know of the device, it reads from time to time: see `Watch`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from otoscope.attack.base import Attack
from otoscope.attack.classifier import (
    backpropagate,
    gradient_not_finite,
    gradient_of,
    predict,
    unit,
)
from otoscope.attack.kernels import keep_best_
from otoscope.attack.problem import Problem
from otoscope.attack.result import AttackResult
from otoscope.progress import Progress, silent, tracked
from otoscope.protocols import FormatTrial, Model, in_channels_last
from otoscope.protocols.calls import outputs_not_finite
from otoscope.signal.snr import segmental_snr_db, snr_db

__all__ = ["Response", "SearchState", "Step", "Watch", "respond", "search", "summarise"]

_STEPS_PER_LOOK = 8
_WITHOUT_QUEUE = ("cpu",)  # devices that are looked at after each step


class Step(Protocol):
    """A step of the search around some sounds: from a point of their bound to another one."""

    def __call__(
        self, sound: Tensor, gradient: Tensor, memory: Tensor, iteration: int
    ) -> tuple[Tensor, Tensor]:
        """Return the next sound and memory, in the memory of the arguments.

        All tensors are [batch, sample]; memory starts at 0.
        """
        ...


@dataclass(frozen=True, eq=False)
class Response:
    """Evaluation of candidates, and the gradient to descend.

    Parameters
    ----------
    confidence : Tensor [batch]
        Confidence in the aim.
    success : Tensor [batch], bool
        Whether the model predicts the aim.
    excess : Tensor [batch] or float
        Mean level of the difference above the masking threshold, dB; 0.0 without masking.
    gradient : Tensor [batch, sample]
        Gradient of the loss.
    loss : Tensor [batch]
        Loss; with transforms the sum of those of the sound and of the mean draw.
    counts : Tensor [batch, 3], int64, optional
        Numbers of outputs, of outputs that are not finite, and of such parts of the gradient; None
        if they were checked.
    """

    confidence: Tensor
    success: Tensor
    excess: Tensor | float
    gradient: Tensor
    loss: Tensor
    counts: Tensor | None = None

    @property
    def score(self) -> Tensor:
        """Rank of each candidate, Tensor [batch].

        Success: 1 + 1 / (1 + excess), in (1, 2], higher if less is audible. No success: the
        confidence, in [0, 1]. Any success beats any failure.
        """
        return torch.where(self.success, 1 + 1 / (1 + self.excess), self.confidence)

    @property
    def is_done(self) -> Tensor:
        """Success with nothing left to improve: Tensor [batch], bool."""
        if isinstance(self.excess, Tensor):
            return self.success & (self.excess == 0)
        return self.success


@dataclass(eq=False)
class SearchState:
    """Best candidates of a search so far.

    Parameters
    ----------
    sound : Tensor [batch, sample]
        Best candidate of each sound.
    score, confidence : Tensor [batch]
        Score and confidence of the best candidates.
    success : Tensor [batch], bool
        Success of the best candidates.
    iterations : Tensor [batch], int64
        Number of steps taken.
    history : Tensor [batch, iteration]
        Confidence of the candidate of each step; NaN after the stop.
    confidence_before : Tensor [batch]
        Confidence for the original sounds.
    success_on_spectra, magnitude_snr_db : Tensor [batch], optional
        Measures of the published method; see `AttackResult`.
    spectrum : Tensor [batch, frame, bin], optional
        Spectra that these measures are of.
    """

    sound: Tensor
    score: Tensor
    confidence: Tensor
    success: Tensor
    iterations: Tensor
    history: Tensor
    confidence_before: Tensor
    success_on_spectra: Tensor | None = None
    magnitude_snr_db: Tensor | None = None
    spectrum: Tensor | None = None

    @classmethod
    def at(cls, start: Tensor, *, steps: int) -> SearchState:
        """Start from sounds [batch, sample] that are not evaluated yet."""
        lowest = torch.full_like(start[:, 0], -torch.inf)
        return cls(
            sound=start.clone(),
            score=lowest,
            confidence=lowest.clone(),
            success=torch.zeros_like(lowest, dtype=torch.bool),
            iterations=torch.zeros_like(lowest, dtype=torch.int64),
            history=start.new_full((len(start), steps + 1), torch.nan),
            confidence_before=lowest.clone(),
        )

    def update(
        self,
        rows: Tensor,
        iteration: int,
        sound: Tensor,
        response: Response,
        ignored: Tensor | None = None,
    ) -> None:
        """Keep those candidates of some sounds that are better than the best so far.

        ``ignored`` [row], bool: candidates that change nothing.
        """
        best = (self.sound, self.score, self.confidence, self.success)
        candidates = (sound, response.score, response.confidence, response.success)
        log = (self.history, self.iterations)
        keep_best_(best, log, rows, candidates, iteration, ignored=ignored)

    def merge(self, rows: Tensor, other: SearchState) -> None:
        """Keep what another search of some of the sounds did better."""
        better = other.score > self.score[rows]
        at = rows[better]
        for name in ("sound", "score", "confidence", "success", "iterations", "history"):
            getattr(self, name)[at] = getattr(other, name)[better]


class Watch:
    """Sounds of a search that are done, and numbers that are not finite, for the host to look at.

    A look waits until the device has done all that is queued. On the CPU there is one after each
    step. Elsewhere there is one after 0, 1, 2, 4, 8, 16, 24 ... and all steps: until then, sounds
    that are done stay in the batch and change nothing, and gradients that are not finite move
    nothing. So adversaries do not depend on when a search looks. With random transforms it looks
    after each step, since a sound that is done draws no more numbers.

    Between looks a search waits for the device where the model does, where ``memory_format="auto"``
    times a pass, and in projections onto bounds of segments or at the amplitude: see `Region`.

    Parameters
    ----------
    problem : Problem
        Sounds of the search.
    steps : int
        Number of steps of the search.
    """

    def __init__(self, problem: Problem, steps: int) -> None:
        has_queue = problem.x.device.type not in _WITHOUT_QUEUE
        self._every = _STEPS_PER_LOOK if has_queue and not problem.transforms else 1
        self._steps = steps
        self.is_done: Tensor | None = None
        """Which rows were done before the next step: [row], bool; None if none was."""
        self._counts: Tensor | None = None  # [3]; see `_count`

    @property
    def defers(self) -> bool:
        """Whether numbers that are not finite are refused at looks, not by `respond`."""
        return self._every > 1

    def rows(self, iteration: int, response: Response) -> list[int] | None:
        """Note a response; after a look return the rows that go on, else None.

        Raises
        ------
        ParameterError
            If outputs or gradients of sounds that were not done are NaN or infinite.
        """
        is_done = response.is_done
        if response.counts is not None:
            self._count(response.counts)
        self.is_done = is_done if self.is_done is None else self.is_done | is_done
        if not self._is_due(iteration):
            return None
        flags = self.is_done if self._counts is None else torch.cat((self.is_done, self._counts))
        numbers = _read(flags)
        if self._counts is not None:
            n_outputs, n_bad_outputs, n_bad_slopes = numbers[len(is_done) :]
            if n_bad_outputs:
                raise outputs_not_finite(n_bad_outputs, n_outputs)
            if n_bad_slopes:
                raise gradient_not_finite()
        self.is_done = self._counts = None
        return [row for row in range(len(is_done)) if not numbers[row]]

    def _count(self, counts: Tensor) -> None:
        """Add up the counts [row, 3] of sounds that were not done; keep the first bad ones."""
        if self.is_done is not None:
            counts = counts * ~self.is_done[:, None]
        counts = counts.sum(0)
        if self._counts is not None:
            counts = torch.where(self._counts[1:].any(), self._counts, counts)
        self._counts = counts

    def _is_due(self, iteration: int) -> bool:
        is_early = iteration < self._every and iteration & (iteration - 1) == 0  # 1, 2, 4
        return is_early or iteration % self._every == 0 or iteration == self._steps


def _read(flags: Tensor) -> list[int]:
    """Read numbers from the device: the only place where a search waits for it."""
    numbers: list[int] = flags.tolist()
    return numbers


def search(
    attack: Attack,
    problem: Problem,
    make_step: Callable[[Tensor], Step],
    *,
    progress: Progress = silent,
) -> SearchState:
    """Search from the sounds themselves; restart failures from random points of the bound.

    ``make_step`` makes the step around sounds [batch, sample]: once, and again when some of them
    leave the search. The model is in eval mode, its weights constant.
    """
    trial: FormatTrial[Model] = FormatTrial(
        attack.model,
        in_channels_last(attack.model) if attack.memory_format != "contiguous" else None,
        problem.x,
        memory_format=attack.memory_format,
        n_passes=attack.steps + 1,
    )
    state = _descend(trial, problem, problem.x, make_step, attack.steps, progress)
    state.confidence_before = state.history[:, 0].clone()
    for _ in range(1, attack.restarts):
        failed = (~state.success).nonzero()[:, 0]
        if len(failed) == 0:
            break
        rest = problem[failed]
        start = attack.bound.draw(rest.x, rest.generators)
        state.merge(failed, _descend(trial, rest, start, make_step, attack.steps, progress))
    return state


def _descend(
    trial: FormatTrial[Model],
    problem: Problem,
    start: Tensor,
    make_step: Callable[[Tensor], Step],
    steps: int,
    progress: Progress,
) -> SearchState:
    sound, memory = start.clone(), torch.zeros_like(start)
    state, step = SearchState.at(start, steps=steps), make_step(problem.x)
    watch = Watch(problem, steps)
    active = torch.arange(len(start), device=start.device)
    for iteration in tracked(progress, range(steps + 1), "steps"):
        with trial.timed(len(sound)) as model:
            first = problem.first.pop() if start is problem.x and problem.first else None
            response = respond(
                model,
                problem,
                sound,
                differentiates=iteration < steps,
                first=first,
                finite=not watch.defers,
            )
        state.update(active, iteration, sound, response, watch.is_done)
        gradient, rows = response.gradient, watch.rows(iteration, response)
        if iteration == steps or rows == []:
            break
        if rows is not None and len(rows) < len(sound):
            at = torch.tensor(rows, device=sound.device)
            active, problem = active[at], problem[at]
            sound, memory, gradient = sound[at], memory[at], gradient[at]
            step = make_step(problem.x)
        sound, memory = step(sound, gradient, memory, iteration)
    return state


def respond(
    model: Model,
    problem: Problem,
    sound: Tensor,
    *,
    differentiates: bool = True,
    first: tuple[Tensor, Tensor] | None = None,
    finite: bool = True,
) -> Response:
    """Evaluate candidates [batch, sample] and differentiate the loss, or leave gradients at 0.

    ``first`` are the same sounds as a leaf, and the outputs for them: see `Problem`. ``finite``:
    refuse outputs and gradients that are not; else they are counted, and such gradients become 0.
    """
    if first is None:
        sound = sound.detach().requires_grad_()
        outputs = predict(model, sound, finite=finite)
    else:
        sound, outputs = first
    assessment, slope = problem.objective.assess_with_slope(outputs)
    loss, success = assessment.loss, assessment.success
    parts, slopes = [outputs], [slope]
    for _ in range(problem.draws if problem.transforms else 0):
        parts.append(predict(model, problem.transformed(sound), finite=finite))
        drawn, slope = problem.objective.assess_with_slope(parts[-1])
        loss, success = loss + drawn.loss / problem.draws, success & drawn.success
        slopes.append(slope / problem.draws)
    gradient = torch.zeros_like(sound)
    if differentiates:
        gradient = backpropagate(parts, slopes, sound, finite=finite)
    confidence = assessment.confidence.to(sound.dtype)
    excess: Tensor | float = 0.0
    if problem.threshold is not None:
        excess = problem.threshold.excess(sound - problem.x)
        if differentiates:
            to_success = unit(gradient) * ~success[:, None]
            to_silence = unit(gradient_of(excess, sound, finite=finite))
            gradient = to_success + problem.masking * to_silence
        excess = excess.detach()
    if finite:
        return Response(confidence, success, excess, gradient, loss)
    is_bad = ~gradient.isfinite()
    n_bad_outputs = (~outputs.detach().isfinite()).flatten(1).sum(1)
    n_outputs = torch.full_like(n_bad_outputs, outputs[0].numel())
    counts = torch.stack((n_outputs, n_bad_outputs, is_bad.sum(1)), 1)
    gradient = gradient.masked_fill(is_bad, 0)
    return Response(confidence, success, excess, gradient, loss, counts)


def summarise(attack: Attack, problem: Problem, state: SearchState) -> AttackResult:
    """Measure the best candidates of a search."""
    x, full_scale = problem.x, 1.0 if attack.amplitude is None else attack.amplitude
    return AttackResult(
        original=x,
        sound=state.sound,
        labels=problem.objective.labels,
        targeted=problem.objective.targeted,
        success=state.success,
        iterations=state.iterations,
        confidence=state.history,
        confidence_before=state.confidence_before,
        confidence_after=state.confidence,
        snr_db=snr_db(x, state.sound),
        segmental_snr_db=segmental_snr_db(
            x, state.sound, segment_length=attack.bound.segment_length
        ),
        clipped=(x.abs() >= full_scale).sum(1),
        success_on_spectra=state.success_on_spectra,
        magnitude_snr_db=state.magnitude_snr_db,
        spectrum=state.spectrum,
        sr=attack.sample_rate,
        label_names=tuple(getattr(attack.model, "label_names", ())),
    )
