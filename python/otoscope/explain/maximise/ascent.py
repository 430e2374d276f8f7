"""Gradient ascent of many latents at once, each by itself: the loop of activation maximisation.

Rows do not know each other: each has its rate, its penalty, its state of Adam and its draws, and
stops by itself. A row is looked at before each step, so its first latent counts and what the last
step would make is never seen.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Literal, TypeAlias

import torch
from torch import Tensor

from otoscope.errors import ParameterError
from otoscope.explain.maximise.adam import RowAdam
from otoscope.explain.maximise.maximised import Reached
from otoscope.explain.maximise.priors import Prior
from otoscope.progress import Progress

__all__ = ["Keep", "Problem", "Progress", "climb"]

Keep: TypeAlias = 'Literal["activation", "objective"]'

_STILL = torch.finfo(torch.float32).eps  # of coarser types small cells move by less than eps


@dataclass(frozen=True)
class Problem:
    """What all rows climb: a(x) for x = prepare(decode(z)), less the penalty.

    Parameters
    ----------
    activation : callable
        Inputs [row, ...] to [row].
    prior : Prior
        Decodes latents and weighs them.
    prepare : callable
        What the prior makes to inputs.
    maximise : bool
        a(x) - penalty is to become large; or else a(x) + penalty small.
    keep : {"activation", "objective"}
        Whose best value is kept: of a(x) alone, or with the penalty.
    jitter : (int, int)
        Inputs are rolled by up to so many frames and bands, another way at each step.

    Examples
    --------
    >>> from otoscope.explain.maximise.priors import RawPrior
    >>> Problem(lambda x: x[:, 0], RawPrior((1,)), lambda x: x, True, "activation", (0, 0)).sign
    1
    """

    activation: Callable[[Tensor], Tensor]
    prior: Prior
    prepare: Callable[[Tensor], Tensor]
    maximise: bool
    keep: Keep
    jitter: tuple[int, int]

    @property
    def sign(self) -> int:
        """1 to maximise, -1 to minimise."""
        return 1 if self.maximise else -1

    @property
    def stirs(self) -> bool:
        """Whether a row that its gradient does not move may still move later."""
        return any(self.jitter) or self.prior.settles

    def inputs(self, latent: Tensor, draws: Sequence[torch.Generator]) -> Tensor:
        """Make inputs, rolled if there is jitter.

        Parameters
        ----------
        latent : Tensor [row, ...]
            Rows.
        draws : sequence of Generator
            One a row.

        Returns
        -------
        Tensor [row, ...]
            What the model is given.

        Examples
        --------
        >>> problem.inputs(latent, draws)  # doctest: +SKIP
        """
        x = self.prepare(self.prior.decode(latent))
        if not any(self.jitter):
            return x
        if x.ndim < 3:
            raise ParameterError(
                f"jitter is {self.jitter}, inputs are {list(x.shape[1:])}: it rolls the last two "
                "axes, frames and bands"
            )
        rolled = []
        for row, draw in zip(x, draws, strict=True):
            shifts = [int(torch.randint(-j, j + 1, (), generator=draw)) for j in self.jitter]
            rolled.append(row.roll(shifts, dims=(-2, -1)))
        return torch.stack(rolled)


def climb(
    problem: Problem,
    latent: Tensor,
    rate: Tensor,
    penalty: Tensor,
    seeds: Sequence[int],
    iterations: Sequence[int],
    *,
    progress: Progress | None = None,
) -> list[Reached]:
    """Optimise rows together.

    Parameters
    ----------
    problem : Problem
        What is climbed.
    latent : Tensor [row, ...]
        Where each starts.
    rate, penalty : Tensor [row]
        Of each.
    seeds : sequence of int
        Of each, for the jitter.
    iterations : sequence of int
        After which to say what was reached; all are parts of one run of the longest.
    progress : callable
        Goes over "iterations".

    Returns
    -------
    list of Reached
        One for each of ``iterations``.

    Raises
    ------
    ParameterError
        If the model cannot take the inputs.

    Examples
    --------
    >>> climb(problem, latent, rate, penalty, [0, 1], (100, 500))  # doctest: +SKIP
    """
    rows = _Rows(problem, latent, rate, penalty, seeds)
    reached: dict[int, Reached] = {}
    traces: list[Tensor] = []
    for i in (progress or (lambda items, _: items))(range(max(iterations)), "iterations"):
        rows.look(i + 1)
        traces.append(rows.activation.clone())
        if i + 1 in iterations:
            reached[i + 1] = replace(rows.reached(), trace=torch.stack(traces, 1))
        rows.step(i + 1)
    return [reached[n] for n in iterations]


class _Rows:
    """The rows that still climb, and the best of all rows."""

    def __init__(
        self, problem: Problem, latent: Tensor, rate: Tensor, penalty: Tensor, seeds: Sequence[int]
    ) -> None:
        n_rows = len(latent)
        self._problem, self._penalty, self._adam = problem, penalty, RowAdam(rate)
        self._draws = [torch.Generator().manual_seed(seed) for seed in seeds]
        self._climbing = torch.arange(n_rows, device=latent.device)
        self._latent, self._gradient = latent, torch.zeros_like(latent)
        self._finite = torch.ones(n_rows, dtype=torch.bool, device=latent.device)
        self._score = rate.new_full((n_rows,), -torch.inf)
        self.activation = rate.new_full((n_rows,), torch.nan)
        self._best_latent, self._best_input = latent.clone(), latent.new_empty(0)
        self._steps = torch.zeros(n_rows, dtype=torch.int64, device=latent.device)
        self._failed = ~self._finite

    def look(self, step: int) -> None:
        """Find activations and gradients where the rows are, and keep what is best so far."""
        if len(self._climbing) == 0:
            return
        problem, latent = self._problem, self._latent.requires_grad_()
        with torch.enable_grad():
            x = problem.inputs(latent, self._draws)
            activation = problem.activation(x)
            if not activation.requires_grad:
                raise ParameterError(
                    "the model gives no gradient: its unit does not depend on the input in a "
                    "differentiable way"
                )
            # maximise a - lambda p, or minimise a + lambda p: both minimise lambda p -/+ a
            loss = self._penalty * problem.prior.penalty(latent) - problem.sign * activation
            (self._gradient,) = torch.autograd.grad(loss.sum(), latent)
        self._latent, x, activation, loss = (t.detach() for t in (latent, x, activation, loss))
        score = problem.sign * activation if problem.keep == "activation" else -loss
        self._finite = score.isfinite() & self._gradient.flatten(1).isfinite().all(1)
        if step == 1:
            self._best_input = x.clone()
        better = score.isfinite() & (score > self._score[self._climbing])
        at = self._climbing[better]
        self._score[at], self.activation[at] = score[better], activation[better]
        self._best_latent[at], self._best_input[at] = self._latent[better], x[better]
        self._steps[self._climbing] = step
        self._failed[self._climbing] = ~self._finite

    def step(self, step: int) -> None:
        """Go one step; leave behind the rows that failed, and those that do not move any more."""
        if len(self._climbing) == 0:
            return
        moved = self._latent + self._adam.step(self._gradient)
        moved = self._problem.prior.settle(moved, step)
        size = self._latent.abs().flatten(1).amax(1).clamp(min=1)
        lost = min(torch.finfo(moved.dtype).eps, _STILL)  # in the rounding
        still = (moved - self._latent).abs().flatten(1).amax(1) <= lost * size
        goes_on = self._finite if self._problem.stirs else self._finite & ~still
        self._latent = moved
        if not bool(goes_on.all()):
            self._climbing, self._latent = self._climbing[goes_on], moved[goes_on]
            self._penalty = self._penalty[goes_on]
            self._adam.keep(goes_on)
            self._draws = [
                d for d, stays in zip(self._draws, goes_on.tolist(), strict=True) if stays
            ]

    def reached(self) -> Reached:
        """What all rows have reached; the trace is not known here."""
        return Reached(
            self.activation.clone(),
            self._best_input.clone(),
            self._best_latent.clone(),
            self.activation[:, None],
            self._steps.clone(),
            self._failed.clone(),
        )
