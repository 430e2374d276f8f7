"""Dataset extremes: the real excerpts that drive a unit furthest, out of any number."""

from __future__ import annotations

import heapq
import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import islice

import torch
from torch import Tensor

from otoscope.errors import ParameterError
from otoscope.protocols import Patch

__all__ = ["Extreme", "Extremes", "extremes"]


@dataclass(frozen=True, eq=False)
class Extreme:
    """One of the excerpts.

    Parameters
    ----------
    activation : float
        Of the unit.
    index : int
        Which of the excerpts it was, from 0.
    patch : Patch or Tensor
        The excerpt as it came.

    Examples
    --------
    >>> Extreme(4.5, 0, torch.zeros(1, 115, 80)).activation
    4.5
    """

    activation: float
    index: int
    patch: Patch | Tensor


@dataclass(frozen=True, eq=False)
class Extremes:
    """The excerpts that drive a unit furthest.

    Parameters
    ----------
    found : tuple of Extreme
        The furthest first; of equals the one that came first.
    n_seen : int
        Of how many.

    Examples
    --------
    >>> extremes(lambda x: x[:, 0], torch.eye(3), 2).n_seen
    3
    """

    found: tuple[Extreme, ...]
    n_seen: int

    @property
    def activations(self) -> Tensor:
        """Tensor [excerpt], float64."""
        return torch.tensor([one.activation for one in self.found], dtype=torch.float64)


def extremes(
    activation: Callable[[Tensor], Tensor],
    patches: Iterable[Patch | Tensor],
    k: int,
    *,
    largest: bool = True,
    max_batch: int = 8,
) -> Extremes:
    """Go over excerpts once and keep the k with the largest activations.

    Parameters
    ----------
    activation : callable
        Inputs [batch, ...] to [batch]: a `Unit`.
    patches : iterable of Patch or Tensor
        Patches [frame, mel], given as [1, frame, mel]; Tensors are given as they are.
    k : int
        How many to keep, >= 1; all if there are fewer.
    largest : bool
        False: the smallest.
    max_batch : int
        Excerpts a forward pass, >= 1.

    Returns
    -------
    Extremes
        Memory is that of ``k + max_batch`` excerpts, however many there are.

    Raises
    ------
    ParameterError
        If a count is below 1, there is no excerpt, their shapes differ, or an activation is not
        finite.

    Examples
    --------
    >>> numbers = torch.tensor([[3.0], [7.0], [5.0], [7.0]])
    >>> found = extremes(lambda x: x[:, 0], numbers, 3)
    >>> [one.index for one in found.found], found.activations
    ([1, 3, 2], tensor([7., 7., 5.], dtype=torch.float64))
    """
    if k < 1 or max_batch < 1:
        raise ParameterError(f"k is {k} and max_batch {max_batch}; both must be >= 1")
    sign = 1 if largest else -1
    # The least of the kept lies on top; of equal ones the latest. Indices differ: no patch is
    # ever compared.
    heap: list[tuple[float, int, Patch | Tensor]] = []
    n_seen = 0
    for batch in _batches(patches, max_batch):
        for patch, value in zip(batch, _activations(activation, batch), strict=True):
            if not math.isfinite(value):
                raise ParameterError(f"the activation of excerpt {n_seen} is {value}")
            entry = (sign * value, -n_seen, patch)
            if len(heap) < k:
                heapq.heappush(heap, entry)
            else:
                heapq.heappushpop(heap, entry)
            n_seen += 1
    if not heap:
        raise ParameterError("there is no excerpt: patches is empty")
    kept = sorted(heap, key=lambda entry: entry[:2], reverse=True)
    return Extremes(tuple(Extreme(sign * v, -i, patch) for v, i, patch in kept), n_seen)


def _activations(
    activation: Callable[[Tensor], Tensor], batch: list[Patch | Tensor]
) -> list[float]:
    inputs = [patch.values[None] if isinstance(patch, Patch) else patch for patch in batch]
    shapes = {tuple(x.shape) for x in inputs}
    if len(shapes) > 1:
        raise ParameterError(f"excerpts have shapes {sorted(shapes)}; all must be of one")
    with torch.no_grad():
        values: list[float] = activation(torch.stack(inputs)).double().tolist()
    return values


def _batches(patches: Iterable[Patch | Tensor], size: int) -> Iterator[list[Patch | Tensor]]:
    stream = iter(patches)
    while batch := list(islice(stream, size)):
        yield batch
