"""Settings and conventions that the strong attacks share."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal

import torch
from torch import Tensor

from otoscope.attack.base import Attack
from otoscope.attack.bounds import Bound
from otoscope.attack.classifier import predict
from otoscope.attack.evaluation import round_to_16_bits
from otoscope.attack.problem import Problem, pose
from otoscope.attack.result import AttackResult
from otoscope.attack.search import SearchState, respond, summarise
from otoscope.attack.strong.losses import Loss, LossObjective, check_loss, targets_of
from otoscope.errors import ParameterError
from otoscope.progress import Progress, silent
from otoscope.protocols import Model, Sound, differentiating, evaluating

__all__ = ["StrongAttack", "each_target", "nearer"]


@dataclass(frozen=True, eq=False)
class StrongAttack(Attack):
    """An attack whose searches choose their own steps; see `APGD`, `FABT` and `Square`.

    Settings that are not listed are those of every attack: see `otoscope.attack.base.Attack`;
    ``masking``, ``untargeted_loss`` and ``memory_format`` do not apply.

    Parameters
    ----------
    norm : {"l2", "linf"}
        Norm of the bound; see `WaveformPGD`.
    loss : {"auto", "ce", "dlr", "margin"}
        Loss to descend; see `otoscope.attack.strong.losses.LossObjective`.

    Raises
    ------
    ParameterError
        If a setting is out of range, or has no meaning for the attack.

    Examples
    --------
    >>> import torch
    >>> from otoscope.attack.strong import APGD
    >>> isinstance(APGD(torch.nn.Linear(100, 2)), StrongAttack)
    True
    """

    norm: Literal["l2", "linf"] = "l2"
    loss: Loss = "auto"

    def __post_init__(self) -> None:
        super().__post_init__()
        check_loss(self.loss)
        for name, usual, remedy in (
            ("masking", 0.0, "use WaveformPGD"),
            ("untargeted_loss", "strongest_other", "pass loss= instead"),
            ("memory_format", "contiguous", "use WaveformPGD"),
        ):
            if (value := getattr(self, name)) != usual:
                raise ParameterError(
                    f"{name} is {value!r}, {type(self).__name__} has none: {remedy}"
                )

    @property
    def bound(self) -> Bound:
        """Bound on the difference."""
        return replace(super().bound, norm=self.norm)

    def run(
        self,
        x: Tensor | Sound,
        y: int | Tensor | None = None,
        *,
        first_example: int = 0,
        progress: Progress = silent,
    ) -> AttackResult:
        """Make adversaries; see `otoscope.attack.base.Attack.run`."""
        mode = differentiating if self.needs_gradient else evaluating
        with mode(self.model), torch.set_grad_enabled(self.needs_gradient):
            problem = pose(self, x, y, first_example)
            problem.first.clear()  # it holds a graph, which this search does not use
            state = self.solve(problem, progress)
        return summarise(self, problem, state)

    def solve(self, problem: Problem, progress: Progress = silent) -> SearchState:
        """Search from the sounds; restart failures from random points of the bound.

        The model is in eval mode, and gradients are enabled if they are needed.
        """
        problem = replace(problem, objective=LossObjective.of(problem.objective, self.loss))
        state = self.search_from(problem, problem.x, progress)
        state.confidence_before = state.history[:, 0].clone()
        for _ in range(1, self.restarts):
            failed = (~state.success).nonzero()[:, 0]
            if len(failed) == 0:
                break
            rest = problem[failed]
            start = self.bound.draw(rest.x, rest.generators)
            state.merge(failed, self.search_from(rest, start, progress))
        return state

    @abstractmethod
    def search_from(self, problem: Problem, start: Tensor, progress: Progress) -> SearchState:
        """Search once from sounds [batch, sample] within the bound."""


def each_target(
    attack: StrongAttack,
    problem: Problem,
    n_targets: int,
    search_towards: Callable[[Problem, Tensor], SearchState],
    *,
    stops: bool,
) -> SearchState:
    """Search towards one label after another, strongest first, and keep what was best.

    ``search_towards`` takes a problem with targets and the rows, [row], that it has of ``problem``.
    ``stops``: a sound that is fooled is left out of the searches that follow.
    """
    objective = LossObjective.of(problem.objective, attack.loss)
    with torch.no_grad():
        targets = targets_of(objective, predict(attack.model, problem.x), n_targets)
    rows = torch.arange(len(problem.x), device=problem.x.device)
    parts = [replace(problem, objective=replace(objective, towards=t)) for t in targets]
    state = search_towards(parts[0], rows)
    for part in parts[1:]:
        at = (~state.success).nonzero()[:, 0] if stops else rows
        if len(at):
            state.merge(at, search_towards(part[at], at))
    return state


def nearer(
    model: Model,
    problem: Problem,
    sound: Tensor,
    *,
    halvings: int = 10,
    in_16_bits: bool = False,
) -> tuple[Tensor, Tensor]:
    """Move adversaries towards their sounds, as long as they succeed.

    Parameters
    ----------
    model : callable
        The model.
    problem : Problem
        Sounds [batch, sample] and what success is.
    sound : Tensor [batch, sample]
        Adversaries that succeed.
    halvings : int
        Number of times that the part of the way is halved in which success begins.
    in_16_bits : bool
        Round the adversaries to 16 bits.

    Returns
    -------
    sound : Tensor [batch, sample]
        Adversaries x + t (sound - x), t in (0, 1].
    confidence : Tensor [batch]
        Confidence in the aim.
    """
    difference = sound - problem.x
    low, high = torch.zeros_like(sound[:, :1]), 2 * torch.ones_like(sound[:, :1])
    nearest = sound
    with torch.no_grad():
        confidence = respond(model, problem, sound, differentiates=False).confidence
        for _ in range(halvings + 1):  # the first is the sound itself
            middle = (low + high) / 2
            candidate = problem.x + middle * difference
            candidate = round_to_16_bits(candidate) if in_16_bits else candidate
            response = respond(model, problem, candidate, differentiates=False)
            succeeds = response.success[:, None]
            nearest = torch.where(succeeds, candidate, nearest)
            confidence = torch.where(response.success, response.confidence, confidence)
            low = torch.where(succeeds, low, middle).clamp(max=0.999)
            high = torch.where(succeeds, middle, high).clamp(max=1.0)
    return nearest, confidence
