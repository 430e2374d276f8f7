"""Attacks that minimise the change and a loss together: Carlini-Wagner, and clipping on music."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from otoscope.attack.bounds import Region
from otoscope.attack.classifier import gradient_of
from otoscope.attack.problem import Problem
from otoscope.attack.search import SearchState, respond
from otoscope.attack.strong.fab import NearestAttack
from otoscope.errors import ParameterError, require_integer
from otoscope.progress import Progress, tracked
from otoscope.signal.snr import radius

__all__ = ["CarliniWagner", "IterativeClipping"]


@dataclass(frozen=True, eq=False)
class CarliniWagner(NearestAttack):
    """Minimise ||d||^2 + c max(margin, -kappa) with Adam, and search for the weight c.

    Settings that are not listed are those of every attack: see `otoscope.attack.base.Attack`.

    Parameters
    ----------
    step : float
        Adam's step per sample, as a fraction of the root mean square of a difference at ``snr_db``.
    weights : int
        Number of weights c, >= 1, that are tried for each sound; ``steps`` steps each.
    first_weight : float
        First weight, > 0; ||d|| is in units of the bound's radius.
    kappa : float
        Margin of the log posterior, in nats, >= 0, beyond which the loss does not fall.

    References
    ----------
    Carlini and Wagner (2017) :cite:`carlini2017`, section V.

    Notes
    -----
    c is divided by 2 after success, and multiplied by 10 after failure until both are known; then
    it is their geometric mean. The amplitude is kept by clamping, not by the paper's tanh, whose
    gradient vanishes at full scale. With a confidence, the margin is that to the confidence where
    more lacks to it. The result is the nearest adversary seen, moved to the boundary; one that is
    beyond the bound is no success.

    Examples
    --------
    >>> attack = CarliniWagner(torch.nn.Linear(100, 4), snr_db=20.0, steps=10, weights=3)
    >>> attack(torch.rand(2, 100), torch.tensor([0, 1])).shape
    torch.Size([2, 100])
    """

    weights: int = 9
    first_weight: float = 1.0
    kappa: float = 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        require_integer("weights", self.weights, least=1)
        if not 0 < self.first_weight < math.inf:
            raise ParameterError(f"first_weight is {self.first_weight}, must be finite and > 0")
        if not 0 <= self.kappa < math.inf:
            raise ParameterError(f"kappa is {self.kappa}, must be nats, finite and >= 0")

    def search_from(self, problem: Problem, start: Tensor, progress: Progress) -> SearchState:
        """Search once from sounds [batch, sample]."""
        c = start.new_full((len(start),), self.first_weight)
        low, high = torch.zeros_like(c), torch.full_like(c, math.inf)
        rows = torch.arange(len(start), device=start.device)
        state = SearchState.at(start, steps=self.steps)
        for _ in range(self.weights):
            part, succeeds = self._search_once(problem, start, c, progress)
            state.merge(rows, part)
            low, high = torch.where(succeeds, low, c), torch.where(succeeds, c, high)
            between = torch.where(low > 0, (low * high).sqrt(), high / 2)
            c = torch.where(high.isinf(), low * 10, between)
        return self.finish(problem, state)

    def _search_once(
        self, problem: Problem, start: Tensor, c: Tensor, progress: Progress
    ) -> tuple[SearchState, Tensor]:
        """Minimise with weights c [batch]; also return whether a point succeeded, at any norm."""
        state, x, limit = SearchState.at(start, steps=self.steps), problem.x, self.amplitude
        reach = radius(x, self.snr_db)[:, None].to(x)
        rows = torch.arange(len(x), device=x.device)
        sound, adam = start.clone(), _Adam(start, self.step * reach / x.shape[1] ** 0.5)
        any_success = torch.zeros_like(rows, dtype=torch.bool)
        for iteration in tracked(progress, range(self.steps + 1), "steps"):
            at = sound.detach().requires_grad_()
            response = respond(self.model, problem, at, differentiates=False)
            state.update(rows, iteration, sound, self.kept(problem, sound, response))
            any_success |= response.success
            if iteration == self.steps or bool((response.success & (sound == x).all(1)).all()):
                break
            margin = self.shortfall(problem, at)
            size = ((at - x) / reach).square().sum(1)
            gradient = gradient_of(size + c * margin.clamp(min=-self.kappa), at)
            sound = adam.step(sound, gradient)
            sound = sound if limit is None else sound.clamp(-limit, limit)
        self.draw_back(problem, state, sound)
        return state, any_success


@dataclass(frozen=True, eq=False)
class IterativeClipping(NearestAttack):
    """Clip the difference at a level that falls, for each sound, whenever the model is fooled.

    The attack of Carlini and Wagner on speech, which Prinz, Flexer and Widmer adapt to music.
    Settings that are not listed are those of every attack: see `otoscope.attack.base.Attack`.

    Parameters
    ----------
    step : float
        Adam's step per sample, as a fraction of the root mean square of a difference at ``snr_db``.
    weight : float
        Weight c of the loss against ||d||^2, > 0, ||d|| in units of the bound's radius.
    first_clip : float
        First level, > 0, in units of the root mean square of a difference at ``snr_db``.
    factor : float
        Factor of the level, in (0, 1), after success; a difference that is lower already counts
        with its own peak.

    References
    ----------
    Prinz et al. (2021) :cite:`prinz2021`, section 3; Carlini and Wagner (2018)
    :cite:`carlini2018`, section III.

    Notes
    -----
    The loss is the margin, where the papers have the cross-entropy with the target. The level falls
    as in the attack on speech. The authors of the attack on music keep it, give Adam the signs of
    the gradient, and stop at the first adversary; their variant with a multi-scale norm is not
    here. An adversary beyond the bound is no success.

    Examples
    --------
    >>> attack = IterativeClipping(torch.nn.Linear(100, 4), snr_db=20.0, steps=10)
    >>> attack(torch.rand(2, 100), torch.tensor([0, 1])).shape
    torch.Size([2, 100])
    """

    weight: float = 10.0
    first_clip: float = 4.0
    factor: float = 0.8

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("weight", "first_clip"):
            if not 0 < getattr(self, name) < math.inf:
                raise ParameterError(f"{name} is {getattr(self, name)}, must be finite and > 0")
        if not 0 < self.factor < 1:
            raise ParameterError(f"factor is {self.factor}, must be in (0, 1)")

    def search_from(self, problem: Problem, start: Tensor, progress: Progress) -> SearchState:
        """Search once from sounds [batch, sample]."""
        state, x, region = (
            SearchState.at(start, steps=self.steps),
            problem.x,
            Region(self.bound, problem.x),
        )
        rms = region.reach / x.shape[1] ** 0.5
        clip, adam = self.first_clip * rms, _Adam(start, self.step * rms)
        rows, sound = torch.arange(len(x), device=x.device), start.clone()
        for iteration in tracked(progress, range(self.steps + 1), "steps"):
            at = sound.detach().requires_grad_()
            response = respond(self.model, problem, at, differentiates=False)
            state.update(rows, iteration, sound, self.kept(problem, sound, response))
            if iteration == self.steps or bool((response.success & (sound == x).all(1)).all()):
                break
            peak = (sound - x).abs().amax(1, keepdim=True)
            lowered = self.factor * torch.minimum(clip, peak)
            clip = torch.where(response.success[:, None] & (peak > 0), lowered, clip)
            margin = self.shortfall(problem, at)
            size = ((at - x) / region.reach).square().sum(1)
            gradient = gradient_of(size + self.weight * margin.clamp(min=0), at)
            moved = adam.step(sound, gradient) - x
            sound = region.place_(x + moved.clamp(-clip, clip))
        return self.finish(problem, state)


class _Adam:
    """Adam with a step length per sound, [batch, 1]."""

    def __init__(self, like: Tensor, length: Tensor) -> None:
        self._length, self._n = length, 0
        self._mean, self._square = torch.zeros_like(like), torch.zeros_like(like)

    def step(self, sound: Tensor, gradient: Tensor) -> Tensor:
        """Return the next point."""
        self._n += 1
        self._mean.lerp_(gradient, 0.1)
        self._square.lerp_(gradient.square(), 0.001)
        mean = self._mean / (1 - 0.9**self._n)
        size = (self._square / (1 - 0.999**self._n)).sqrt()
        return sound - self._length * mean / (size + 1e-12)
