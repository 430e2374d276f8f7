"""Extremes: the real excerpts of a data set that drive a unit furthest."""

from __future__ import annotations

import heapq
import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import islice

import torch
from torch import Tensor

from otoscope.errors import ParameterError, require_integer
from otoscope.protocols import Patch, Rows, evaluating

__all__ = ["ExtremeExcerpt", "Extremes", "find_extremes"]


@dataclass(frozen=True, eq=False)
class ExtremeExcerpt:
    """Hold an excerpt that drives a unit far.

    Parameters
    ----------
    activation : float
        Activation of the unit.
    index : int
        Index among the excerpts, from 0.
    patch : Patch or Tensor
        Excerpt as it was given.

    Examples
    --------
    >>> ExtremeExcerpt(4.5, 0, torch.zeros(1, 115, 80)).activation
    4.5
    """

    activation: float
    index: int
    patch: Patch | Tensor


@dataclass(frozen=True, eq=False)
class Extremes:
    """Hold the excerpts that drive a unit furthest.

    Parameters
    ----------
    excerpts : tuple of ExtremeExcerpt
        Excerpts, the furthest first; equal ones in the order of the data set.
    n_seen : int
        Number of excerpts of the data set.
    mean, deviation : Tensor [band], float64
        Mean and standard deviation of each band, the last axis, over all excerpts of the data set.

    Examples
    --------
    >>> extremes = find_extremes(lambda x: x[:, 0], torch.tensor([[1.0, 3.0], [3.0, 3.0]]), 1)
    >>> extremes.n_seen, extremes.mean.tolist(), extremes.deviation.tolist()
    (2, [2.0, 3.0], [1.0, 0.0])
    """

    excerpts: tuple[ExtremeExcerpt, ...]
    n_seen: int
    mean: Tensor
    deviation: Tensor

    @property
    def activations(self) -> Tensor:
        """The activations of the excerpts: Tensor [excerpt], float64."""
        return torch.tensor([excerpt.activation for excerpt in self.excerpts], dtype=torch.float64)


def find_extremes(
    activation: Callable[[Tensor], Tensor],
    patches: Iterable[Patch | Tensor],
    k: int,
    *,
    largest: bool = True,
    max_batch: int = 8,
) -> Extremes:
    """Find the k excerpts with the largest activations in one pass over the data.

    Parameters
    ----------
    activation : callable
        Function from inputs [batch, ...] to [batch]: a `Unit`.
    patches : iterable of Patch or Tensor
        Excerpts. Patches [frame, mel] are passed as [1, frame, mel], Tensors unchanged.
    k : int
        Number of excerpts to keep, >= 1; all if there are fewer.
    largest : bool
        Keep the largest activations; False keeps the smallest.
    max_batch : int
        Largest number of excerpts per forward pass, >= 1.

    Returns
    -------
    Extremes
        Excerpts; memory is that of ``k + max_batch`` excerpts for any size of the data set.

    Raises
    ------
    ParameterError
        If a count is below 1, there is no excerpt, their shapes differ, or an activation is not
        finite.

    Examples
    --------
    >>> numbers = torch.tensor([[3.0], [7.0], [5.0], [7.0]])
    >>> largest = find_extremes(lambda x: x[:, 0], numbers, 3)
    >>> [excerpt.index for excerpt in largest.excerpts], largest.activations
    ([1, 3, 2], tensor([7., 7., 5.], dtype=torch.float64))
    """
    require_integer("k", k, least=1)
    require_integer("max_batch", max_batch, least=1)
    sign = 1 if largest else -1
    # The smallest kept score is on top, the latest of equal ones. Indices differ, so that patches
    # are never compared.
    heap: list[tuple[float, int, Patch | Tensor]] = []
    n_seen, moments = 0, _Moments()
    rows = Rows(lambda batch: activation(batch)[:, None], "an excerpt")
    for batch in _batches(patches, max_batch):
        inputs = _stacked(batch, n_seen)
        moments.add(inputs)
        with torch.no_grad(), evaluating(activation):
            values = rows(inputs)[:, 0].double().tolist()
        for patch, value in zip(batch, values, strict=True):
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
    excerpts = tuple(ExtremeExcerpt(sign * v, -i, patch) for v, i, patch in kept)
    return Extremes(excerpts, n_seen, moments.mean, (moments.scatter / moments.n).sqrt())


class _Moments:
    """Number, mean and summed squares of the rows [..., band] so far, merged by Chan's rule."""

    def __init__(self) -> None:
        self.n = 0
        self.mean = self.scatter = torch.zeros((), dtype=torch.float64)

    def add(self, inputs: Tensor) -> None:
        """Add inputs [excerpt, ..., band]."""
        rows = inputs.detach().double().cpu().flatten(0, -2)
        mean, n = rows.mean(0), self.n + len(rows)
        difference = mean - self.mean
        self.scatter = (
            self.scatter
            + (rows - mean).square().sum(0)
            + difference.square() * (self.n * len(rows) / n)
        )
        self.mean, self.n = self.mean + difference * (len(rows) / n), n


def _stacked(batch: list[Patch | Tensor], first: int) -> Tensor:
    inputs = [patch.values[None] if isinstance(patch, Patch) else patch for patch in batch]
    shape = tuple(inputs[0].shape)
    for i, x in enumerate(inputs, first):
        if tuple(x.shape) != shape:
            raise ParameterError(
                f"excerpt {i} has shape {tuple(x.shape)}, excerpt {first} has {shape}; all must be "
                "of one"
            )
    return torch.stack(inputs)


def _batches(patches: Iterable[Patch | Tensor], size: int) -> Iterator[list[Patch | Tensor]]:
    stream = iter(patches)
    while batch := [x if isinstance(x, Patch) else x.clone() for x in islice(stream, size)]:
        yield batch
