"""Fast adaptive boundary attack with targets, for the Euclidean norm (Croce and Hein, 2020)."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from otoscope.attack.classifier import gradient_of, predict
from otoscope.attack.problem import Problem
from otoscope.attack.search import Response, SearchState, respond
from otoscope.attack.strong.base import StrongAttack, each_target, nearer
from otoscope.attack.strong.losses import Loss, LossObjective
from otoscope.errors import ParameterError, require_integer
from otoscope.progress import Progress, tracked
from otoscope.signal.snr import radius

__all__ = ["FABT", "NearestAttack", "NearestResponse", "to_hyperplane"]

_ALPHA, _ETA, _BETA = 0.1, 1.05, 0.9  # alpha_max, eta and beta of the paper


@dataclass(frozen=True, eq=False)
class NearestAttack(StrongAttack):
    """An attack that looks for the nearest adversary, and keeps it if it is within the bound.

    Settings that are not listed are those of every attack: see `otoscope.attack.base.Attack`.

    Raises
    ------
    ParameterError
        If there are settings that a search for the nearest adversary lacks: transforms, a bound on
        segments or on single samples.

    Examples
    --------
    >>> import torch
    >>> isinstance(FABT(torch.nn.Linear(100, 2)), NearestAttack)
    True
    """

    loss: Loss = "margin"

    def __post_init__(self) -> None:
        super().__post_init__()
        extra = {
            "transforms": bool(self.transforms),
            "segmental_snr_db": self.segmental_snr_db is not None,
            "norm='linf'": self.norm != "l2",
            f"loss={self.loss!r}": self.loss != "margin",
        }
        if any(extra.values()):
            names = ", ".join(name for name, is_set in extra.items() if is_set)
            raise ParameterError(
                f"{type(self).__name__} looks for the nearest adversary, and has no {names}: "
                "use APGD"
            )

    def shortfall(self, problem: Problem, sound: Tensor) -> Tensor:
        """Return what each candidate lacks to success, [batch]; see `LossObjective.shortfall`."""
        objective = LossObjective.of(problem.objective, self.loss)
        return objective.shortfall(predict(self.model, sound))

    def kept(self, problem: Problem, sound: Tensor, response: Response) -> NearestResponse:
        """Rank candidates by their distance; those beyond the bound are no success."""
        distance = (sound - problem.x).double().norm(dim=1) / radius(problem.x, self.snr_db)
        return NearestResponse(
            response.confidence,
            response.success & (distance <= 1),
            distance.to(sound),
            response.gradient,
            response.loss,
        )

    def draw_back(self, problem: Problem, state: SearchState, sound: Tensor) -> None:
        """Try the last points on the bound: the aim may be there, if not the confidence."""
        if bool(state.success.all()):
            return
        difference = sound - problem.x
        distance = difference.double().norm(dim=1) / radius(problem.x, self.snr_db)
        scale = (distance * (1 + 1e-5)).clamp(min=1).to(sound)
        candidate = problem.x + difference / scale[:, None]
        with torch.no_grad():
            response = respond(self.model, problem, candidate, differentiates=False)
        rows = torch.arange(len(sound), device=sound.device)
        state.update(rows, self.steps, candidate, self.kept(problem, candidate, response))

    def finish(self, problem: Problem, state: SearchState) -> SearchState:
        """Move the adversaries to the boundary, by bisection of their way."""
        is_changed = (state.sound != problem.x).any(1)
        state.iterations[state.success & ~is_changed] = 0
        rows = (state.success & is_changed).nonzero()[:, 0]
        if len(rows):
            part = problem[rows]
            state.sound[rows], state.confidence[rows] = nearer(self.model, part, state.sound[rows])
        return state


@dataclass(frozen=True, eq=False)
class NearestResponse(Response):
    """Evaluation of candidates; ``excess`` is their distance in units of the bound's radius."""

    excess: Tensor

    @property
    def score(self) -> Tensor:
        """Rank of each candidate: the nearest success, else the highest confidence within 1."""
        return super().score.masked_fill(self.excess > 1, -1.0)


@dataclass(frozen=True, eq=False)
class FABT(NearestAttack):
    """Fast adaptive boundary attack with targets: steps between the sound and linear boundaries.

    Settings that are not listed are those of every attack: see `otoscope.attack.base.Attack`;
    ``step`` has no effect.

    Parameters
    ----------
    n_targets : int
        Number of labels, >= 1, that an attack without a goal leads to, one after another, strongest
        first; the paper's is 9.

    References
    ----------
    Croce and Hein (2020) :cite:`croce2020fab`, algorithm 1; :cite:`croce2020`, section 5 (targets).

    Notes
    -----
    A step projects both the point and the sound onto the linearised boundary within the amplitude,
    goes beyond it by 5 %, and weighs both; a point that succeeds is drawn back towards the sound.
    The result is the nearest adversary seen, moved to the boundary; one that is beyond the bound
    is no success. With a goal, the boundary is that with the strongest other label; with a
    confidence, it is where the label has that confidence. Labels per frame have a boundary each,
    and their steps seldom cross all: `CarliniWagner` finds more.

    Examples
    --------
    >>> attack = FABT(torch.nn.Linear(100, 4), snr_db=20.0, steps=10)
    >>> attack(torch.rand(2, 100), torch.tensor([0, 1])).shape
    torch.Size([2, 100])
    """

    n_targets: int = 9

    def __post_init__(self) -> None:
        super().__post_init__()
        require_integer("n_targets", self.n_targets, least=1)

    def search_from(self, problem: Problem, start: Tensor, progress: Progress) -> SearchState:
        """Search once from sounds [batch, sample]."""
        if problem.objective.targeted:
            return self.finish(problem, self._search_once(problem, start, progress))

        def search_towards(part: Problem, rows: Tensor) -> SearchState:
            return self._search_once(part, start[rows], progress)

        state = each_target(self, problem, self.n_targets, search_towards, stops=False)
        return self.finish(problem, state)

    def _search_once(self, problem: Problem, start: Tensor, progress: Progress) -> SearchState:
        state, x, sound = SearchState.at(start, steps=self.steps), problem.x, start.clone()
        rows = torch.arange(len(x), device=x.device)
        for iteration in tracked(progress, range(self.steps + 1), "steps"):
            with torch.no_grad():
                response = respond(self.model, problem, sound, differentiates=False)
            state.update(rows, iteration, sound, self.kept(problem, sound, response))
            if iteration == self.steps or bool((response.success & (sound == x).all(1)).all()):
                break
            back = x + _BETA * (sound - x)
            sound = torch.where(response.success[:, None], back, sound)
            sound = self._stepped(problem, sound)
        self.draw_back(problem, state, sound)
        return state

    def _stepped(self, problem: Problem, sound: Tensor) -> Tensor:
        x, limit = problem.x, self.amplitude or math.inf
        at = sound.detach().requires_grad_()
        margin = self.shortfall(problem, at)
        normal = gradient_of(margin, at)
        # the boundary: margin + normal (p - sound) = 0
        level = (normal * sound).sum(1) - margin.detach()
        from_sound = to_hyperplane(sound, normal, level, limit) - sound
        from_x = to_hyperplane(x, normal, level, limit) - x
        near, far = from_sound.norm(dim=1, keepdim=True), from_x.norm(dim=1, keepdim=True)
        weight = (near / (near + far).clamp(min=1e-30)).clamp(max=_ALPHA)
        ahead = (1 - weight) * (sound + _ETA * from_sound) + weight * (x + _ETA * from_x)
        moved: Tensor = ahead.clamp(-limit, limit)
        return moved


def to_hyperplane(point: Tensor, normal: Tensor, level: Tensor, limit: float) -> Tensor:
    """Project points onto hyperplanes within a box, exactly.

    Parameters
    ----------
    point, normal : Tensor [batch, sample]
        Points in the box, and normal vectors.
    level : Tensor [batch]
        The hyperplane holds all p with sum(normal p) = level.
    limit : float
        The box holds all |p_i| <= limit.

    Returns
    -------
    Tensor [batch, sample]
        Nearest points of both; where they do not meet, the corner of the box nearest to the
        hyperplane.

    Notes
    -----
    The solution is clamp(point + m normal) with one number m, and sum(normal clamp(...)) does not
    fall with m. As m is found for the samples that are free, more samples reach the box, none comes
    back, so there are at most as many rounds as samples: in sound, two or three.

    Examples
    --------
    >>> to_hyperplane(torch.zeros(1, 2), torch.tensor([[1.0, 2.0]]), torch.tensor([1.0]), 0.3)
    tensor([[0.3000, 0.3000]])
    """
    is_free = normal != 0
    p = point
    while True:
        rest = level - (normal * p * ~is_free).sum(1)
        free = normal * is_free
        scale = free.square().sum(1)
        m = (rest - (free * point).sum(1)) / scale.where(scale > 0, 1)
        moved = point + m[:, None] * free
        clamped = moved.clamp(-limit, limit)
        p = torch.where(is_free, clamped, p)
        reaches = is_free & (moved != clamped)
        if not bool(reaches.any()):
            return p
        is_free = is_free & ~reaches
