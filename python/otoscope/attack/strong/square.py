"""Square attack: a random search with blocks of sound, for models without a gradient."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
from torch import Tensor

from otoscope.attack.bounds import Region
from otoscope.attack.problem import Problem
from otoscope.attack.search import SearchState, respond
from otoscope.attack.strong.base import StrongAttack
from otoscope.attack.strong.losses import Loss
from otoscope.errors import ParameterError
from otoscope.progress import Progress, tracked

__all__ = ["Square", "block_fraction"]

_HALVED_AT = (10, 50, 200, 500, 1000, 2000, 4000, 6000, 8000)  # of 10,000 queries


@dataclass(frozen=True, eq=False)
class Square(StrongAttack):
    """Random search: change a block of the sound, and keep the change if the loss falls.

    The model is asked for its outputs only: it may be NumPy, a forest or a service. Settings that
    are not listed are those of every attack: see `otoscope.attack.base.Attack`; ``step`` has no
    effect. A query is one of ``steps``.

    Parameters
    ----------
    blocks : {"tone", "square"}
        "tone": a block is a tone of random frequency and phase, a block of time and frequency.
        "square": its samples have one sign, as the squares of the paper do; most energy is then at
        low frequencies, which many front ends leave out.
    first_fraction : float
        Length of the first blocks as a fraction of the sound, in (0, 1]; it falls with the queries,
        see `block_fraction`.

    References
    ----------
    Andriushchenko et al. (2020) :cite:`andriushchenko2020`, algorithms 1 to 3.

    Notes
    -----
    Blocks are in time, not squares of an image. "linf": the search begins at a random corner of the
    cube, and a block sets its samples to corners. "l2": it begins at random blocks that fill the
    ball, and a block takes the energy of another one, with the paper's pyramid as its envelope.

    Examples
    --------
    >>> def loudness(sound):
    ...     level = sound.numpy().std(axis=1, keepdims=True)
    ...     return torch.from_numpy(level - 0.2)
    >>> attack = Square(loudness, snr_db=10.0, steps=20, outputs="logits")
    >>> attack(torch.rand(2, 100)).shape
    torch.Size([2, 100])
    """

    needs_gradient: ClassVar[bool] = False

    steps: int = 1000
    loss: Loss = "margin"
    blocks: Literal["tone", "square"] = "tone"
    first_fraction: float = 0.5

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.blocks not in ("tone", "square"):
            raise ParameterError(f"blocks is {self.blocks!r}, must be 'tone' or 'square'")
        if not 0 < self.first_fraction <= 1:
            raise ParameterError(f"first_fraction is {self.first_fraction}, must be in (0, 1]")

    def search_from(self, problem: Problem, start: Tensor, progress: Progress) -> SearchState:
        """Search once from sounds [batch, sample] within the bound."""
        state = SearchState.at(start, steps=self.steps)
        active, region = (
            torch.arange(len(start), device=start.device),
            Region(self.bound, problem.x),
        )
        best, best_loss = start.clone(), torch.full_like(start[:, 0], math.inf)
        candidate = start.clone()
        for iteration in tracked(progress, range(self.steps + 1), "queries"):
            response = respond(self.model, problem, candidate, differentiates=False)
            state.update(active, iteration, candidate, response)
            # The second point is the random start: the search goes on from there in any case.
            is_better = (response.loss < best_loss) | (iteration == 1)
            best = torch.where(is_better[:, None], candidate, best)
            best_loss = torch.where(is_better, response.loss.to(best), best_loss)
            goes_on = ~response.is_done
            if iteration == self.steps or not bool(goes_on.any()):
                break
            if not bool(goes_on.all()):
                rows = goes_on.nonzero()[:, 0]
                active, problem = active[rows], problem[rows]
                best, best_loss = best[rows], best_loss[rows]
                region = Region(self.bound, problem.x)
            difference = self._proposed(problem, best, region, iteration)
            candidate = region.place_(problem.x + difference)
        return state

    def _proposed(self, problem: Problem, best: Tensor, region: Region, iteration: int) -> Tensor:
        """Propose a difference for each sound: Tensor [batch, sample]."""
        n = best.shape[1]
        fraction = block_fraction(iteration, self.steps, first=self.first_fraction)
        length = min(n, max(2, round(fraction * n)))
        rows = []
        for row, generator in enumerate(problem.generators):
            reach, d = float(region.reach[row]), best[row] - problem.x[row]
            blocks = _Blocks(n, length, generator, self.blocks, like=d)
            if self.norm == "linf":
                signs = reach * blocks.signs()
                rows.append(signs if iteration == 0 else blocks.replaced(d, signs))
            elif iteration == 0:
                rows.append(blocks.filling(reach))
            else:
                rows.append(blocks.exchanged(d, reach))
        return torch.stack(rows)


def block_fraction(query: int, n_queries: int, *, first: float) -> float:
    """Return the length of a block as a fraction of the sound.

    Parameters
    ----------
    query : int
        Index of the query.
    n_queries : int
        Number of queries of the search.
    first : float
        First fraction.

    Returns
    -------
    float
        ``first``, halved at queries 10, 50, 200, 500, 1000, 2000, 4000, 6000 and 8000 of 10,000.

    Examples
    --------
    >>> block_fraction(0, 1000, first=0.1), block_fraction(20, 1000, first=0.1)
    (0.1, 0.025)
    """
    halvings = sum(query * 10000 > at * n_queries for at in _HALVED_AT)
    return first * 0.5**halvings


class _Blocks:
    """Random blocks of one sound of n samples."""

    def __init__(
        self, n: int, length: int, generator: torch.Generator, kind: str, *, like: Tensor
    ) -> None:
        self._n, self._length, self._generator, self._kind = n, length, generator, kind
        self._like = like

    def _uniform(self, n: int) -> list[float]:
        drawn: list[float] = torch.rand(n, generator=self._generator, dtype=torch.float64).tolist()
        return drawn

    def _start(self) -> int:
        return min(int(self._uniform(1)[0] * (self._n - self._length + 1)), self._n - self._length)

    def _carrier(self, length: int) -> Tensor:
        """Draw a tone, or samples of one sign: Tensor [length], in [-1, 1]."""
        at = torch.arange(length, dtype=torch.float64)
        position, phase = self._uniform(2)
        if self._kind == "square":
            return torch.full_like(at, 1.0 if phase < 0.5 else -1.0)
        # log-uniform from one period per block to half the sample rate
        frequency = 0.5 * (2 / max(length, 2)) ** position
        return torch.cos(2 * math.pi * (frequency * at + phase))

    def signs(self) -> Tensor:
        """Draw signs of all samples: Tensor [sample], -1 or 1."""
        signs: Tensor = self._carrier(self._n).sign()
        if self._kind == "square":
            drawn = torch.rand(self._n, generator=self._generator, dtype=torch.float64)
            signs = torch.where(drawn < 0.5, -1.0, 1.0).double()
        filled: Tensor = signs.where(signs != 0, 1)
        return filled.to(self._like)

    def replaced(self, d: Tensor, signs: Tensor) -> Tensor:
        """Set a block of a difference to corners of the cube."""
        first = self._start()
        reach = signs.abs().amax()
        block = self._carrier(self._length).sign().to(d) * reach
        return torch.cat([d[:first], block, d[first + self._length :]])

    def filling(self, reach: float) -> Tensor:
        """Draw a difference of norm ``reach``, a block beside the other."""
        n_blocks = -(-self._n // self._length)
        blocks = [self._hump() for _ in range(n_blocks)]
        d = torch.cat(blocks)[: self._n]
        scaled: Tensor = d * (reach / d.norm())
        return scaled.to(self._like)

    def exchanged(self, d: Tensor, reach: float) -> Tensor:
        """Take the energy of one block, and what lacks to the norm, into another block."""
        length, first, other = self._length, self._start(), self._start()
        rest = d.double().clone()
        both = rest[first : first + length].clone()
        rest[first : first + length] = 0
        rest[other : other + length] = 0
        energy = max(reach**2 - float(rest.square().sum()), 0.0)
        block = self._hump()
        if float(both.norm()) > 0:
            block = block + both / both.norm()
        norm = float(block.norm())
        rest[first : first + length] = block * (math.sqrt(energy) / norm if norm > 0 else 0.0)
        return rest.to(self._like)

    def _hump(self) -> Tensor:
        """Draw a block of norm 1: a pyramid of the paper, times a tone or a sign."""
        half = self._length // 2
        at = torch.arange(self._length)
        steps = half - (at - half).abs()
        terms = 1 / (half + 1 - torch.arange(half + 1, dtype=torch.float64)) ** 2
        envelope = terms.cumsum(0)[steps.clamp(min=0)]
        block: Tensor = envelope * self._carrier(self._length)
        block /= block.norm().clamp(min=1e-12)
        return block
