"""Ascent: gradient ascent of many latents at once, the loop of activation maximisation.

Rows are independent: each has its rate, its penalty, its Adam state and its random draws, and stops
on its own. A row is evaluated before each step: its first latent counts, and the result of the last
step is never evaluated.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Literal, TypeAlias

import torch
from torch import Tensor

from otoscope.errors import ParameterError
from otoscope.explain.maximise.priors import Prior
from otoscope.explain.maximise.result import BestInputs
from otoscope.progress import Progress, silent, tracked
from otoscope.protocols import FormatTrial

__all__ = ["Keep", "RowAdam", "SearchProblem", "Stopping", "ascend"]

Keep: TypeAlias = 'Literal["activation", "objective"]'

_STILL = torch.finfo(torch.float32).eps  # in coarser types, small cells move by less than eps


@dataclass(frozen=True)
class Stopping:
    """Conditions under which a row stops before its last iteration.

    Parameters
    ----------
    bound : float
        Largest absolute activation; a row beyond it has exploded, and what it would have reached is
        not known. By default there is no bound.
    patience : int
        Number of steps without a better input after which a row stops; 0 is never.
    tolerance : float
        Smallest gain that counts as better, relative to activations above 1.

    Raises
    ------
    ParameterError
        If a number is out of range.

    Examples
    --------
    >>> Stopping(bound=300.0, patience=100).tolerance
    1e-05
    """

    bound: float = math.inf
    patience: int = 0
    tolerance: float = 1e-5

    def __post_init__(self) -> None:
        if not (self.bound > 0 and self.patience >= 0 and 0 <= self.tolerance < math.inf):
            raise ParameterError(
                f"bound is {self.bound}, patience {self.patience} and tolerance {self.tolerance}; "
                "must be > 0, >= 0 and finite >= 0"
            )


@dataclass(frozen=True)
class SearchProblem:
    """The problem of all rows: a(x) - penalty to maximise, or a(x) + penalty to minimise."""

    activation: FormatTrial[Callable[[Tensor], Tensor]]  # inputs [row, ...] -> [row]
    prior: Prior
    prepare: Callable[[Tensor], Tensor]  # from the prior's outputs to inputs x
    maximise: bool
    keep: Keep  # the value whose best is kept: the activation, or less its penalty
    jitter: tuple[int, int]  # largest shift of the inputs at each step, in frames and bands
    check: Callable[[Tensor, Tensor], None]  # of the first inputs [row, ...] and activations [row]
    stopping: Stopping = Stopping()

    @property
    def sign(self) -> int:
        """1 to maximise, -1 to minimise."""
        return 1 if self.maximise else -1

    @property
    def moves_without_gradient(self) -> bool:
        """True if a row with zero gradient may still move later, by jitter or by the prior."""
        return any(self.jitter) or self.prior.has_after_step

    def inputs(self, latent: Tensor, generators: Sequence[torch.Generator]) -> Tensor:
        """Make the inputs of latents, rolled at random if there is jitter."""
        x = self.prepare(self.prior.decode(latent))
        if not any(self.jitter):
            return x
        if x.ndim < 3:
            raise ParameterError(
                f"jitter is {self.jitter}, inputs are {list(x.shape[1:])}: it rolls the last two "
                "axes, frames and bands"
            )
        rolled = []
        for row, generator in zip(x, generators, strict=True):
            shifts = [int(torch.randint(-j, j + 1, (), generator=generator)) for j in self.jitter]
            rolled.append(row.roll(shifts, dims=(-2, -1)))
        return torch.stack(rolled)


def ascend(
    problem: SearchProblem,
    latent: Tensor,
    rate: Tensor,
    penalty: Tensor,
    seeds: Sequence[int],
    iterations: Sequence[int],
    *,
    progress: Progress = silent,
) -> list[BestInputs]:
    """Optimise rows together; return the best inputs after each of the numbers of iterations.

    ``rate``, ``penalty`` and ``seeds`` (of the jitter) have one entry per row. All numbers of
    iterations are prefixes of one run.
    """
    rows = _Rows(problem, latent, rate, penalty, seeds)
    best: dict[int, BestInputs] = {}
    traces: list[Tensor] = []
    for step in tracked(progress, range(1, max(iterations) + 1), "iterations"):
        rows.evaluate(step)
        traces.append(rows.activation.clone())
        if step in iterations:
            best[step] = replace(rows.best(), trace=torch.stack(traces, 1))
        if step < max(iterations):
            rows.step(step)
    return [best[n] for n in iterations]


class _Rows:
    """The rows that still move, and the best inputs of all rows."""

    def __init__(
        self,
        problem: SearchProblem,
        latent: Tensor,
        rate: Tensor,
        penalty: Tensor,
        seeds: Sequence[int],
    ) -> None:
        n_rows = len(latent)
        self._problem, self._penalty, self._adam = problem, penalty, RowAdam(rate)
        self._generators = [torch.Generator().manual_seed(seed) for seed in seeds]
        self._active = torch.arange(n_rows, device=latent.device)
        self._latent, self._gradient = latent, torch.zeros_like(latent)
        self._finite = torch.ones(n_rows, dtype=torch.bool, device=latent.device)
        self._score = rate.new_full((n_rows,), -torch.inf)
        self.activation = rate.new_full((n_rows,), torch.nan)
        self._best_latent, self._best_input = latent.clone(), latent.new_empty(0)
        self._steps = torch.zeros(n_rows, dtype=torch.int64, device=latent.device)
        self._failed, self._flat = ~self._finite, self._finite.clone()
        self._exploded, self._waited = self._failed.clone(), torch.zeros_like(self._steps)
        self._reference = self._score.clone()  # score at the last gain, of the active rows

    def evaluate(self, step: int) -> None:
        """Compute activations and gradients of the rows, and keep the best inputs so far."""
        if len(self._active) == 0:
            return
        problem, latent = self._problem, self._latent.requires_grad_()
        with torch.enable_grad(), problem.activation.timed(len(latent)) as activation_of:
            climbing = latent.view_as(latent)  # its gradient is that of the activation alone
            x = problem.inputs(climbing, self._generators)
            activation = activation_of(x)
            if not activation.requires_grad:
                raise ParameterError(
                    "the model gives no gradient: its unit does not depend on the input in a "
                    "differentiable way"
                )
            # maximise a - lambda p, or minimise a + lambda p: both minimise lambda p -/+ a
            loss = self._penalty * problem.prior.penalty(latent) - problem.sign * activation
            self._gradient, slope = torch.autograd.grad(loss.sum(), (latent, climbing))
        self._latent, x, activation, loss = (t.detach() for t in (latent, x, activation, loss))
        score = problem.sign * activation if problem.keep == "activation" else -loss
        self._check_finite(score)
        if step == 1:
            problem.check(x, activation)
            self._best_input = x.clone()
        active = self._active
        is_better = score.isfinite() & (score > self._score.index_select(0, active))
        better = is_better.nonzero()[:, 0]
        at = active.index_select(0, better)
        pairs = ((self._score, score), (self.activation, activation))
        inputs = ((self._best_latent, self._latent), (self._best_input, x))
        # These calls take a third of the time of indexing by masks: `best[at] = ...`.
        for best, values in (*pairs, *inputs):
            if len(at) == len(best):  # in their order
                best.copy_(values)
            else:
                best.index_copy_(0, at, values.index_select(0, better))
        self._steps.index_fill_(0, active, step)
        self._wait(activation)
        if bool(self._flat.any()):  # a row with a slope is never flat again
            self._flat[active] &= ~slope.flatten(1).any(1)

    def _check_finite(self, score: Tensor) -> None:
        """Find the active rows whose score and gradient are finite, and mark the others."""
        # A sum is finite only if all its terms are; it may overflow by itself.
        if math.isfinite(self._gradient.sum()) and math.isfinite(score.sum()):
            return
        self._finite = score.isfinite() & self._gradient.flatten(1).isfinite().all(1)
        self._failed[self._active] = ~self._finite

    def _wait(self, activation: Tensor) -> None:
        """Count the steps since the last gain of the active rows; find those that exploded."""
        stopping, best = self._problem.stopping, self._score.index_select(0, self._active)
        gained = best > self._reference + stopping.tolerance * best.abs().clamp(min=1)
        self._reference = torch.where(gained, best, self._reference)
        self._waited = torch.where(gained, 0, self._waited + 1)
        if math.isfinite(stopping.bound):
            self._exploded.index_copy_(0, self._active, activation.abs() > stopping.bound)

    def step(self, step: int) -> None:
        """Move one step; stop the rows that failed and those that do not move any more."""
        if len(self._active) == 0:
            return
        moved = self._adam.step(self._gradient).add_(self._latent)
        moved = self._problem.prior.after_step(moved, step)
        continues = self._finite
        if not self._problem.moves_without_gradient:
            continues = continues & ~_are_still(self._latent, moved)
        continues = continues & ~self._exploded.index_select(0, self._active)
        if patience := self._problem.stopping.patience:
            continues = continues & (self._waited < patience)
        self._latent = moved
        if not bool(continues.all()):
            self._active, self._latent = self._active[continues], moved[continues]
            self._finite = self._finite[continues]
            self._penalty = self._penalty[continues]
            self._waited, self._reference = self._waited[continues], self._reference[continues]
            self._adam.keep(continues)
            pairs = zip(self._generators, continues.tolist(), strict=True)
            self._generators = [generator for generator, stays in pairs if stays]

    def best(self) -> BestInputs:
        """Return the best inputs of all rows; the trace is added by `ascend`."""
        return BestInputs(
            self.activation.clone(),
            self._best_input.clone(),
            self._best_latent.clone(),
            self.activation[:, None],
            self._steps.clone(),
            self._failed.clone(),
            self._flat.clone(),
            self._exploded.clone(),
        )


def _are_still(before: Tensor, after: Tensor) -> Tensor:
    """Return whether no cell of a row moved by more than rounding: Tensor [row], bool."""
    before, moves = before.flatten(1), (after - before).flatten(1)
    rounding = min(torch.finfo(after.dtype).eps, _STILL)
    still: Tensor = moves.abs().amax(1) <= rounding * before.abs().amax(1).clamp(min=1)
    return still


class RowAdam:
    """Adam at a constant rate, row by row, each row with a rate of its own.

    References
    ----------
    Kingma and Ba (2015) :cite:`kingma2015`, algorithm 1.

    Examples
    --------
    >>> adam = RowAdam(torch.tensor([0.1, 0.01]))
    >>> adam.step(torch.tensor([[5.0], [-5.0]])).T
    tensor([[-0.1000,  0.0100]])
    """

    def __init__(
        self, rate: Tensor, *, betas: tuple[float, float] = (0.9, 0.999), eps: float = 1e-8
    ) -> None:
        self._rate, self._betas, self._eps = rate, betas, eps
        self._steps = 0
        self._mean: Tensor | None = None
        self._square: Tensor | None = None

    def step(self, gradient: Tensor) -> Tensor:
        """Return the step [row, ...] to add, against the gradient [row, ...] of a loss."""
        if self._mean is None or self._square is None:
            self._mean, self._square = torch.zeros_like(gradient), torch.zeros_like(gradient)
        self._steps += 1
        beta1, beta2 = self._betas
        self._mean.lerp_(gradient, 1 - beta1)
        self._square.mul_(beta2).addcmul_(gradient, gradient, value=1 - beta2)
        deviation = (self._square / (1 - beta2**self._steps)).sqrt_().add_(self._eps)
        rate = self._rate.view(-1, *[1] * (gradient.ndim - 1)) / (beta1**self._steps - 1)
        return torch.mul(rate, self._mean).div_(deviation)

    def keep(self, rows: Tensor) -> None:
        """Keep some of the rows, in the order of the gradients to come."""
        self._rate = self._rate[rows]
        if self._mean is not None and self._square is not None:
            self._mean, self._square = self._mean[rows], self._square[rows]
