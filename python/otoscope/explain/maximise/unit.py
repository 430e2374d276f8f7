"""A unit: one number for each input, taken inside a network."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from types import EllipsisType
from typing import Literal, TypeAlias

from torch import Tensor, nn

from otoscope.errors import ParameterError
from otoscope.protocols import call_guarded
from otoscope.taps import Tap

__all__ = ["Index", "Pool", "Unit"]

Index: TypeAlias = "int | tuple[int | EllipsisType, ...]"
Pool: TypeAlias = 'Literal["mean", "max"]'

_SQUASHING = (nn.Sigmoid, nn.Softmax, nn.LogSoftmax, nn.LogSigmoid, nn.Tanh)


@dataclass(frozen=True)
class Unit:
    """The activation of one unit of a layer: a(x), one number an input.

    Parameters
    ----------
    model : nn.Module
        The network. If it has a ``tap`` of its own, as a `Listener`, names are those of that.
    layer : str
        Name of the layer. The layer decides what is maximised: take the one before the sigmoid or
        softmax, for a probability has no gradient where the model is sure.
    unit : int or tuple of int and ``...``
        Index into the layer's output without its batch axis: ``3`` is channel 3 of a map
        [channel, frame, mel], ``(3, 10, 5)`` one position of it, ``(..., 3)`` unit 3 of each frame
        of [frame, unit].
    pool : {"mean", "max"}
        How the positions that the index leaves become one number.

    Raises
    ------
    ParameterError
        If there is no such layer (names the nearest); later, with the first input, if it has no
        such unit (says the range).

    Examples
    --------
    >>> import torch
    >>> net = nn.Sequential(nn.Flatten(), nn.Linear(6, 4))
    >>> Unit(net, "1", 3)(torch.zeros(5, 2, 3)).shape
    torch.Size([5])
    """

    model: nn.Module
    layer: str
    unit: Index
    pool: Pool = "mean"

    def __post_init__(self) -> None:
        if not isinstance(self.model, nn.Module):
            raise ParameterError(
                f"model is {type(self.model).__name__}, must be an nn.Module: its layers are named"
            )
        if self.pool not in ("mean", "max"):
            raise ParameterError(f"pool is {self.pool!r}, must be 'mean' or 'max'")
        for i in self._index:
            if i is not ... and (not isinstance(i, int) or isinstance(i, bool) or i < 0):
                raise ParameterError(
                    f"unit is {self.name}, must be an index >= 0 or a tuple of these and ..."
                )
        if self._index.count(...) > 1:
            raise ParameterError(f"unit is {self.name}; one ... stands for all axes left out")
        self.tap  # noqa: B018  # an unknown layer is told at once

    def __call__(self, batch: Tensor) -> Tensor:
        """Tensor [batch, ...] to the unit's activations, [batch]."""
        output: Tensor = call_guarded(self.tap, batch)
        self._check(output)
        chosen: Tensor = output[(slice(None), *self._index)].reshape(len(output), -1)
        return chosen.mean(1) if self.pool == "mean" else chosen.amax(1)

    @cached_property
    def tap(self) -> Tap:
        """The layer's output as a function of the input."""
        own = getattr(self.model, "tap", None)
        tap: Tap = own(self.layer) if callable(own) else Tap(self.model, self.layer)
        return tap

    @property
    def name(self) -> str:
        """The index as typed: "3", "3,10,5" or "...,3"."""
        return ",".join("..." if i is ... else str(i) for i in self._index)

    @property
    def is_squashed(self) -> bool:
        """Whether the layer ends in a sigmoid, a softmax or the like: rather take its input."""
        tap = self.tap
        *_, last = tap.module.get_submodule(tap.layer).modules()
        return isinstance(last, _SQUASHING)

    @property
    def _index(self) -> tuple[int | EllipsisType, ...]:
        return self.unit if isinstance(self.unit, tuple) else (self.unit,)

    def _check(self, output: Tensor) -> None:
        shape, index = tuple(output.shape[1:]), self._index
        gap = index.index(...) if ... in index else len(index)
        after = index[gap + 1 :]
        pairs = [*zip(index[:gap], shape, strict=False)]
        pairs += zip(after, shape[len(shape) - len(after) :], strict=False)
        gives = f"unit is {self.name}, layer {self.layer!r} gives {list(shape)} for each input"
        if gap + len(after) > len(shape):
            raise ParameterError(f"{gives}: at most {len(shape)} indices")
        for i, size in pairs:
            if isinstance(i, int) and i >= size:
                raise ParameterError(f"{gives}: {i} must be in 0..{size - 1}")
