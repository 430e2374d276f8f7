"""Units: one number per input, taken inside a network."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from types import EllipsisType
from typing import Literal, TypeAlias, cast

from torch import Tensor, nn

from otoscope.errors import Advice, Argument, ParameterError
from otoscope.protocols import call_guarded
from otoscope.taps import OutputAxes, Tap

__all__ = ["Index", "Pool", "Unit"]

Index: TypeAlias = "int | tuple[int | EllipsisType, ...]"
Pool: TypeAlias = 'Literal["mean", "max"]'

_SQUASHING = (nn.Sigmoid, nn.Softmax, nn.LogSoftmax, nn.LogSigmoid, nn.Tanh)


@dataclass(frozen=True)
class Unit:
    """Compute the activation a(x) of one unit of a layer, one number per input.

    Parameters
    ----------
    model : nn.Module
        Network. If it has a ``tap`` method, as a `Listener` has, that method defines the names.
    layer : str
        Name of the layer. Choose the layer before the sigmoid or softmax: a probability has no
        gradient where the model is certain.
    unit : int or tuple of int and ``...``
        ``3`` is unit or channel 3 at all positions, on the axis that the layer's type says, see
        `Tap.axes`. Several parts are an index into the layer's output without its batch axis:
        ``(3, 10, 5)`` is one position of a map [channel, frame, mel], ``(..., 3)`` unit 3 of each
        frame of [frame, unit], ``(3, ...)`` channel 3 of [channel, frame].
    pool : {"mean", "max"}
        Pooling of the remaining positions into one number.

    Raises
    ------
    ParameterError
        If the layer does not exist (the message names the nearest); at the first input, if the
        unit does not exist (the message gives the range), or the layer does not say which axis has
        the units.

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
    _axes: OutputAxes | None = field(default=None, init=False, repr=False, compare=False)

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
        self.tap  # noqa: B018  # refuses an unknown layer at once

    def __call__(self, batch: Tensor) -> Tensor:
        """Return the unit's activations [batch] for inputs [batch, ...]."""
        positions = self.positions(batch)
        return positions.mean(1) if self.pool == "mean" else positions.amax(1)

    def positions(self, batch: Tensor) -> Tensor:
        """Return the unit at each position that is pooled: Tensor [batch, position]."""
        output: Tensor = call_guarded(self.tap, batch)
        shape = list(output.shape[1:])
        if output.ndim > 2:
            axes = self._axes_of(batch)
            shape = list(output.movedim(axes.rows, 0).shape[1:])
            output = self._arranged(output, axes)
        self._check(output, shape)
        return output[(slice(None), *self._index)].reshape(len(output), -1)

    @cached_property
    def tap(self) -> Tap:
        """Output of the layer as a function of the input."""
        own = getattr(self.model, "tap", None)
        tap: Tap = own(self.layer) if callable(own) else Tap(self.model, self.layer)
        return tap

    @property
    def name(self) -> str:
        """Index as written on the command line: "3", "3,10,5" or "...,3"."""
        return ",".join("..." if i is ... else str(i) for i in self._index)

    @property
    def is_squashed(self) -> bool:
        """True if the layer ends in a sigmoid, softmax or tanh; its input is the better choice."""
        tap = self.tap
        *_, last = tap.module.get_submodule(tap.layer).modules()
        return isinstance(last, _SQUASHING)

    @property
    def _index(self) -> tuple[int | EllipsisType, ...]:
        return self.unit if isinstance(self.unit, tuple) else (self.unit,)

    def _axes_of(self, batch: Tensor) -> OutputAxes:
        """Return the axes of the layer's output, which are found at the first batch."""
        if self._axes is None:
            object.__setattr__(self, "_axes", self.tap.axes(batch))
        return cast(OutputAxes, self._axes)

    def _arranged(self, output: Tensor, axes: OutputAxes) -> Tensor:
        """Put the batch first, and the units second if the index is that of a unit alone."""
        unit, *others = self._index
        if others or unit is ...:
            return output.movedim(axes.rows, 0)
        last, first = (Argument("unit", index) for index in ((..., unit), (unit, ...)))
        axes.require_units(Advice("write ", last, " for the last axis, or ", first))
        return axes.arrange(output)

    def _check(self, output: Tensor, given: list[int]) -> None:
        shape, index = tuple(output.shape[1:]), self._index
        gap = index.index(...) if ... in index else len(index)
        after = index[gap + 1 :]
        pairs = [*zip(index[:gap], shape, strict=False)]
        pairs += zip(after, shape[len(shape) - len(after) :], strict=False)
        gives = f"unit is {self.name}, layer {self.layer!r} gives {given} for each input"
        if gap + len(after) > len(shape):
            raise ParameterError(f"{gives}: at most {len(shape)} indices")
        for i, size in pairs:
            if isinstance(i, int) and i >= size:
                raise ParameterError(f"{gives}: {i} must be in 0..{size - 1}")
