"""Auto-PGD: projected gradient descent that chooses its own steps (Croce and Hein, 2020)."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields, replace

import torch
from torch import Tensor

from otoscope.attack.bounds import Region
from otoscope.attack.classifier import unit
from otoscope.attack.problem import Problem
from otoscope.attack.search import SearchState, Watch, respond
from otoscope.attack.strong.base import StrongAttack, each_target
from otoscope.attack.strong.losses import LossObjective
from otoscope.errors import require_integer
from otoscope.progress import Progress, silent, tracked

__all__ = ["APGD", "checkpoints"]

_MOMENTUM, _RHO = 0.75, 0.75  # alpha and rho of the paper


@dataclass(frozen=True, eq=False)
class APGD(StrongAttack):
    """Auto-PGD: the step is halved, and the search goes back to the best point, when it stalls.

    Settings that are not listed are those of every attack: see `otoscope.attack.base.Attack`, and
    `otoscope.attack.strong.base.StrongAttack` for ``norm`` and ``loss``.

    Parameters
    ----------
    step : float
        Length of the first step as a fraction of the bound's reach, > 0; the paper's is 2.
    n_targets : int
        Number of labels, >= 0, that an attack without a goal leads to, one after another,
        strongest first: the paper's APGD-DLR-T has 9. 0: the loss of the label to leave.
    random_start : bool
        Start the first search at a random point of the bound as well, as the paper does; from the
        sound itself, "dlr" fools fewer sounds.

    References
    ----------
    Croce and Hein (2020) :cite:`croce2020`, algorithm 1.

    Notes
    -----
    A search of N steps has checkpoints w_j = ceil(p_j N), see `checkpoints`. At each, the step is
    halved and the search continues from the best point if (1) fewer than 75 % of the steps since
    the last checkpoint lowered the loss, or (2) the step was not halved at the last checkpoint and
    the best loss is still the same. The check comes as soon as the loss of point w_j is known. A
    sound that succeeds leaves the search, before the first step if it has the aim already.

    Examples
    --------
    >>> import torch
    >>> attack = APGD(torch.nn.Linear(100, 4), snr_db=20.0, loss="dlr")
    >>> attack(torch.rand(2, 100), torch.tensor([0, 1])).shape
    torch.Size([2, 100])
    """

    step: float = 2.0
    n_targets: int = 0
    random_start: bool = True

    def __post_init__(self) -> None:
        super().__post_init__()
        require_integer("n_targets", self.n_targets, least=0)

    def solve(self, problem: Problem, progress: Progress = silent) -> SearchState:
        """Search from random points, or from the sounds; see `StrongAttack.solve`."""
        if not self.random_start:
            return super().solve(problem, progress)
        problem = replace(problem, objective=LossObjective.of(problem.objective, self.loss))
        state = SearchState.at(problem.x, steps=self.steps)
        response = respond(self.model, problem, problem.x, differentiates=False)
        state.update(torch.arange(len(problem.x), device=problem.x.device), 0, problem.x, response)
        state.confidence_before = response.confidence
        for _ in range(self.restarts):
            failed = (~state.success).nonzero()[:, 0]
            if len(failed) == 0:
                break
            rest = problem[failed]
            start = self.bound.draw(rest.x, rest.generators)
            state.merge(failed, self.search_from(rest, start, progress))
        state.history[:, 0] = state.confidence_before
        is_changed = (state.sound != problem.x).any(1)
        state.iterations.clamp_(min=is_changed.long())  # a random point alone may succeed
        return state

    def search_from(self, problem: Problem, start: Tensor, progress: Progress) -> SearchState:
        """Search once from sounds [batch, sample] within the bound."""
        if not self.n_targets or problem.objective.targeted:
            return self._search_once(problem, start, progress)

        def search_towards(part: Problem, rows: Tensor) -> SearchState:
            return self._search_once(part, start[rows], progress)

        return each_target(self, problem, self.n_targets, search_towards, stops=True)

    def _search_once(self, problem: Problem, start: Tensor, progress: Progress) -> SearchState:
        state = SearchState.at(start, steps=self.steps)
        active = torch.arange(len(start), device=start.device)
        region, watch = Region(self.bound, problem.x), Watch(problem, self.steps)
        path = _Path.at(start, self.step * region.reach)
        marks = checkpoints(self.steps)
        for iteration in tracked(progress, range(self.steps + 1), "steps"):
            is_last, finite = iteration == self.steps, not watch.defers
            response = respond(
                self.model, problem, path.sound, differentiates=not is_last, finite=finite
            )
            state.update(active, iteration, path.sound, response, watch.is_done)
            path.record(response.loss, response.gradient)
            rows = watch.rows(iteration, response)
            if is_last or rows == []:
                break
            if rows is not None and len(rows) < len(active):
                at = torch.tensor(rows, device=active.device)
                active, problem, path = active[at], problem[at], path[at]
                region = Region(self.bound, problem.x)
            if iteration in marks:
                path.check(iteration - marks[iteration])
            path.advance(region, is_first=iteration == 0)
        return state


def checkpoints(steps: int) -> dict[int, int]:
    """List the checkpoints of a search, each with the one before it.

    Parameters
    ----------
    steps : int
        Number of steps N.

    Returns
    -------
    dict of int to int
        w_j = ceil(p_j N) < N for j >= 1, with w_(j-1): p_0 = 0, p_1 = 0.22,
        p_(j+1) = p_j + max(p_j - p_(j-1) - 0.03, 0.06).

    Examples
    --------
    >>> list(checkpoints(100))
    [22, 41, 57, 70, 80, 87, 93, 99]
    """
    marks, last, before, at = dict[int, int](), 0, 0, 22  # p in hundredths, which are exact
    while (mark := -(-at * steps // 100)) < steps:
        if mark > last:
            marks[mark], last = last, mark
        before, at = at, at + max(at - before - 3, 6)
    return marks


@dataclass(eq=False)
class _Path:
    """Points of searches, one row per sound, with what decides their steps."""

    sound: Tensor  # [batch, sample]
    previous: Tensor  # [batch, sample], the point before
    gradient: Tensor  # [batch, sample], at ``sound``
    loss: Tensor  # [batch], at ``sound``
    best: Tensor  # [batch, sample]
    best_gradient: Tensor  # [batch, sample]
    best_loss: Tensor  # [batch]
    length: Tensor  # [batch, 1], of the next step
    n_lowered: Tensor  # [batch], steps since the last checkpoint that lowered the loss
    was_halved: Tensor  # [batch], bool, at the last checkpoint
    loss_then: Tensor  # [batch], best loss at the last checkpoint

    @classmethod
    def at(cls, start: Tensor, length: Tensor) -> _Path:
        """Start at sounds whose loss is not known yet."""
        highest, sound = torch.full_like(start[:, 0], math.inf), start.clone()
        return cls(
            sound=sound,
            previous=sound,
            gradient=sound,
            loss=highest,
            best=sound,
            best_gradient=sound,
            best_loss=highest,
            length=length,
            n_lowered=torch.zeros_like(highest),
            was_halved=torch.zeros_like(highest, dtype=torch.bool),
            loss_then=highest,
        )

    def __getitem__(self, rows: Tensor) -> _Path:
        return _Path(*(getattr(self, field.name)[rows] for field in fields(self)))

    def record(self, loss: Tensor, gradient: Tensor) -> None:
        """Store loss and gradient at the point."""
        loss = loss.to(self.sound)
        self.n_lowered = self.n_lowered + ((loss < self.loss) & self.loss.isfinite())
        is_best = loss < self.best_loss
        self.loss, self.gradient = loss, gradient
        self.best = torch.where(is_best[:, None], self.sound, self.best)
        self.best_gradient = torch.where(is_best[:, None], gradient, self.best_gradient)
        self.best_loss = torch.minimum(loss, self.best_loss)
        self.loss_then = torch.where(self.loss_then.isinf(), self.best_loss, self.loss_then)

    def check(self, n_steps: int) -> None:
        """Halve the step and go back to the best point where the last ``n_steps`` stalled."""
        lowers_rarely = self.n_lowered < _RHO * n_steps
        stands_still = ~self.was_halved & (self.best_loss >= self.loss_then)
        halves = lowers_rarely | stands_still
        self.length = torch.where(halves[:, None], self.length / 2, self.length)
        self.sound = torch.where(halves[:, None], self.best, self.sound)
        self.gradient = torch.where(halves[:, None], self.best_gradient, self.gradient)
        self.loss = torch.where(halves, self.best_loss, self.loss)
        self.n_lowered, self.was_halved = torch.zeros_like(self.n_lowered), halves
        self.loss_then = self.best_loss

    def advance(self, region: Region, *, is_first: bool) -> None:
        """Take a step: z = P(x - length g); x <- P(x + 0.75 (z - x) + 0.25 (x - previous))."""
        direction = unit(self.gradient) if region.bound.norm == "l2" else self.gradient.sign()
        z = region.place_(self.sound - self.length * direction)
        if not is_first:
            moved = (z - self.sound) * _MOMENTUM + (self.sound - self.previous) * (1 - _MOMENTUM)
            z = region.place_(self.sound + moved)
        self.previous, self.sound = self.sound, z
