"""Universal perturbation: one difference that fools a model with many sounds."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import Literal

import torch
from torch import Tensor

from otoscope.attack.bounds import Region
from otoscope.attack.problem import Problem, pose
from otoscope.attack.result import AttackResult
from otoscope.attack.search import Response, SearchState, respond, summarise
from otoscope.attack.strong.base import StrongAttack
from otoscope.attack.strong.losses import Loss, LossObjective
from otoscope.errors import ParameterError
from otoscope.progress import Progress, silent, tracked
from otoscope.protocols import Sound, differentiating, evaluating

__all__ = ["Universal", "UniversalResult"]

_AT_ONCE = 8  # sounds of one forward and backward pass


@dataclass(frozen=True, eq=False, repr=False, kw_only=True)
class UniversalResult(AttackResult):
    """Adversaries that differ from their sounds by one waveform.

    Parameters
    ----------
    direction : Tensor [sample]
        The waveform, in units of the reach of each sound's bound: norm at most 1 for "l2", samples
        within -1 and 1 for "linf".

    Examples
    --------
    >>> import torch
    >>> result = Universal(torch.nn.Linear(100, 2), steps=5).run(torch.rand(3, 100))
    >>> result.direction.shape
    torch.Size([100])
    """

    direction: Tensor


@dataclass(frozen=True, eq=False)
class Universal(StrongAttack):
    """Projected gradient descent on one difference for all sounds of a batch.

    Settings that are not listed are those of every attack: see `otoscope.attack.base.Attack`;
    ``restarts`` do not apply.

    Parameters
    ----------
    level : {"relative", "fixed"}
        "relative": the difference has the ratio ``snr_db`` to each sound, so it is louder with loud
        sounds. "fixed": it is the same everywhere, with the ratio ``snr_db`` to the quietest sound.

    References
    ----------
    Moosavi-Dezfooli et al. (2017) :cite:`moosavi2017`.

    Notes
    -----
    The paper moves the difference to the boundary of one sound after another; here a step follows
    the gradient of the sum of losses of all sounds that are not fooled yet, with momentum 0.9. The
    difference that fools most sounds is kept. Amplitude and segments bound each sound by itself.

    Examples
    --------
    >>> attack = Universal(torch.nn.Linear(100, 2), snr_db=10.0, steps=5)
    >>> attack.run(torch.rand(3, 100)).success.shape
    torch.Size([3])
    """

    loss: Loss = "margin"
    level: Literal["relative", "fixed"] = "relative"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.level not in ("relative", "fixed"):
            raise ParameterError(f"level is {self.level!r}, must be 'relative' or 'fixed'")
        if self.restarts > 1:
            raise ParameterError(f"restarts is {self.restarts}, Universal has none: change seed=")

    def run(
        self,
        x: Tensor | Sound,
        y: int | Tensor | None = None,
        *,
        first_example: int = 0,
        progress: Progress = silent,
    ) -> UniversalResult:
        """Make adversaries; see `otoscope.attack.base.Attack.run`."""
        with differentiating(self.model), torch.enable_grad():
            problem = pose(self, x, y, first_example)
            problem.first.clear()  # it holds a graph, which this search does not use
            problem = replace(problem, objective=LossObjective.of(problem.objective, self.loss))
            state, direction = self._descended(problem, progress)
        result = summarise(self, problem, state)
        measures = {field.name: getattr(result, field.name) for field in fields(AttackResult)}
        return UniversalResult(**measures, direction=direction)

    def transferred(
        self,
        direction: Tensor,
        x: Tensor | Sound,
        y: int | Tensor | None = None,
        *,
        first_example: int = 0,
    ) -> UniversalResult:
        """Try a difference on sounds, such as those that it was not made from.

        Parameters
        ----------
        direction : Tensor [sample]
            Direction of a result.
        x, y, first_example
            See `otoscope.attack.base.Attack.run`; sounds as long as the direction.

        Returns
        -------
        UniversalResult
            The sounds with the difference, after one step; those that have the aim already are
            left as they are.

        Raises
        ------
        ParameterError
            If the sounds have another length than the direction.
        """
        with evaluating(self.model), torch.no_grad():
            problem = pose(self, x, y, first_example)
            problem.first.clear()
            if problem.x.shape[1] != len(direction):
                raise ParameterError(
                    f"the sound has {problem.x.shape[1]} samples, the difference {len(direction)}"
                )
            before = self._respond(problem, problem.x, differentiates=False)
            sound = self.apply(direction.to(problem.x), problem.x)
            response = self._respond(problem, sound, differentiates=False)
            state = SearchState.at(problem.x, steps=1)
            state.history[:, 0], state.history[:, 1] = before.confidence, response.confidence
            _store(state, sound, response, 1)
            _leave(state, problem.x, before)
            result = summarise(self, problem, state)
        measures = {field.name: getattr(result, field.name) for field in fields(AttackResult)}
        return UniversalResult(**measures, direction=direction)

    def apply(self, direction: Tensor, x: Tensor) -> Tensor:
        """Add a difference to sounds, such as those that it was not made from.

        Parameters
        ----------
        direction : Tensor [sample]
            Direction of a result.
        x : Tensor [batch, sample]
            Sounds, none of them silent.

        Returns
        -------
        Tensor [batch, sample]
            Sounds within the bound.
        """
        region = Region(self.bound, x)
        return region.place_(x + self._reach(region) * direction)

    def search_from(self, problem: Problem, start: Tensor, progress: Progress) -> SearchState:
        """Search for one difference, from none: all sounds take part in it."""
        return self._descended(problem, progress)[0]

    def _descended(self, problem: Problem, progress: Progress) -> tuple[SearchState, Tensor]:
        x, region = problem.x, Region(self.bound, problem.x)
        reach = self._reach(region)
        direction, memory = torch.zeros_like(x[0]), torch.zeros_like(x[0])
        states = SearchState.at(x, steps=self.steps)
        best, best_score = direction, (-1, -torch.inf)
        before: Response | None = None
        for iteration in tracked(progress, range(self.steps + 1), "steps"):
            sound = region.place_(x + reach * direction)
            response = self._respond(problem, sound)
            before = before or response
            states.history[:, iteration] = response.confidence
            score = (int(response.success.sum()), float(response.confidence.sum()))
            if score > best_score:
                best, best_score = direction, score
                _store(states, sound, response, iteration)
            if iteration == self.steps or bool(response.success.all()):
                break
            slope = (response.gradient * reach * ~response.success[:, None]).sum(0)
            direction, memory = self._stepped(direction, slope, memory)
        if before:
            _leave(states, x, before)
        return states, best

    def _respond(self, problem: Problem, sound: Tensor, *, differentiates: bool = True) -> Response:
        parts = torch.arange(len(sound), device=sound.device).split(_AT_ONCE)
        responses = [
            respond(self.model, problem[rows], sound[rows], differentiates=differentiates)
            for rows in parts
        ]
        joined = {
            name: torch.cat([getattr(response, name) for response in responses])
            for name in ("confidence", "success", "gradient", "loss")
        }
        excess = [response.excess for response in responses if isinstance(response.excess, Tensor)]
        return Response(**joined, excess=torch.cat(excess) if excess else 0.0)

    def _stepped(self, direction: Tensor, slope: Tensor, memory: Tensor) -> tuple[Tensor, Tensor]:
        is_l2 = self.norm == "l2"
        memory = 0.9 * memory + slope / slope.norm(p=2 if is_l2 else 1).clamp(min=1e-30)
        if is_l2:
            moved = direction - self.step * memory / memory.norm().clamp(min=1e-30)
            return moved / moved.norm().clamp(min=1), memory
        return (direction - self.step * memory.sign()).clamp(-1, 1), memory

    def _reach(self, region: Region) -> Tensor:
        """Level of the difference for each sound, [batch, 1]."""
        if self.level == "relative":
            return region.reach
        return region.reach.amin().expand_as(region.reach)


def _store(state: SearchState, sound: Tensor, response: Response, iteration: int) -> None:
    state.sound.copy_(sound)
    state.score, state.success = response.score, response.success.clone()
    state.confidence = response.confidence.clone()
    state.iterations.fill_(iteration)


def _leave(state: SearchState, x: Tensor, before: Response) -> None:
    """Leave the sounds that have the aim without a difference as they are."""
    state.confidence_before = before.confidence.clone()
    has_aim = before.success
    state.iterations[has_aim] = 0
    state.sound[has_aim] = x[has_aim]
    state.success[has_aim] = True
    state.confidence[has_aim] = before.confidence[has_aim]
