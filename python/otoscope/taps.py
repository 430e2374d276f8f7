"""Outputs of named layers of any ``nn.Module``, recorded while it runs.

Names are those of ``named_modules()``. A layer that runs several times gives its last output.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from difflib import get_close_matches
from functools import partial
from threading import Lock, get_ident
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.weak import WeakIdKeyDictionary

from otoscope.errors import Advice, ParameterError
from otoscope.protocols import as_outputs, evaluating

__all__ = ["OutputAxes", "Tap", "layer_outputs", "recording"]


@contextmanager
def recording(module: nn.Module, *layers: str) -> Iterator[dict[str, Tensor]]:
    """Record the outputs of layers while the block runs.

    Parameters
    ----------
    module : nn.Module
        Network, in its own mode.
    *layers : str
        Names of layers, for example "conv1" or "front.0.norm".

    Yields
    ------
    dict of str to Tensor
        Outputs by layer, filled by each forward pass of this thread: copies, which later layers do
        not change. They carry gradients where these are enabled.

    Raises
    ------
    ParameterError
        If there is no such layer (the message lists the nearest names), or its output is not a
        Tensor.

    Examples
    --------
    >>> import torch
    >>> net = nn.Sequential(nn.Linear(2, 3), nn.ReLU())
    >>> with recording(net, "0") as outputs:
    ...     _ = net(torch.zeros(1, 2))
    >>> outputs["0"].shape
    torch.Size([1, 3])
    """
    modules = {name: _layer(module, name) for name in layers}
    outputs: dict[str, Tensor] = {}
    with _HOOKS:
        hooks = [
            layer.register_forward_hook(partial(_keep, outputs, name, get_ident()))
            for name, layer in modules.items()
        ]
    try:
        yield outputs
    finally:
        with _HOOKS:
            for hook in hooks:
                hook.remove()


def layer_outputs(module: nn.Module, batch: Tensor, *layers: str) -> dict[str, Tensor]:
    """Run a network once and return the outputs of layers.

    Parameters
    ----------
    module : nn.Module
        Network.
    batch : Tensor [batch, ...]
        Input of the network.
    *layers : str
        Names of layers.

    Returns
    -------
    dict of str to Tensor
        Outputs by layer, in the order of ``layers``.

    Raises
    ------
    ParameterError
        If there is no such layer, it did not run, or its output holds no Tensor; of several parts,
        `otoscope.protocols.as_outputs` takes one.

    Examples
    --------
    >>> import torch
    >>> net = nn.Sequential(nn.Linear(2, 3), nn.ReLU())
    >>> layer_outputs(net, torch.zeros(1, 2), "1", "0").keys()
    dict_keys(['1', '0'])
    """
    with recording(module, *layers) as outputs:
        module(batch.clone())  # a layer may write into the input
    for name in layers:
        if name not in outputs:
            raise ParameterError(f"layer {name!r} did not run in this forward pass")
    return {name: outputs[name] for name in layers}


@dataclass(frozen=True)
class Tap:
    """Function from the input of a network to the output of one of its layers.

    Parameters
    ----------
    module : nn.Module
        Network.
    layer : str
        Name of the layer.

    Raises
    ------
    ParameterError
        If there is no such layer; the message lists the nearest names.

    Examples
    --------
    >>> import torch
    >>> tap = Tap(nn.Sequential(nn.Linear(2, 3), nn.ReLU()), "0")
    >>> tap(torch.zeros(4, 2)).shape
    torch.Size([4, 3])
    """

    module: nn.Module
    layer: str

    def __post_init__(self) -> None:
        _layer(self.module, self.layer)

    def __call__(self, batch: Tensor) -> Tensor:
        """Return the layer's output [batch, ...] for a batch [batch, ...]."""
        return layer_outputs(self.module, batch, self.layer)[self.layer]

    def axes(self, batch: Tensor) -> OutputAxes:
        """Find the axes of the layer's output: of the batch's rows, and of the units.

        An output of two axes is [batch, unit]. Recurrent, linear, attention and embedding layers
        have their units on the last axis, convolutions on axis 1. Activations, dropout, pooling,
        normalisation, sums and transposition pass on the axis of what comes before. Maps
        [batch, channel, ...] behind convolutions have it on axis 1.

        Parameters
        ----------
        batch : Tensor [batch, ...]
            Inputs of the network, of which two are used; the module is in eval mode.

        Returns
        -------
        OutputAxes
            Axes; ``units`` is None where the layers do not say it.

        Raises
        ------
        ParameterError
            If the output has no axis of the batch's rows, or only that.
        """
        rows = batch[:2]
        with torch.no_grad(), evaluating(self.module), _Trail().over(self.module) as trail:
            output = self(rows)
        units, shape = trail.units(output), tuple(output.shape)
        places = [axis for axis in (0, 1)[: output.ndim - 1] if shape[axis] == len(rows)]
        if output.ndim == 2:
            places = [axis for axis in places if axis == 0]
        elif len(places) == 2:  # the rows are where a further one shows
            with torch.no_grad(), evaluating(self.module):
                longer = self(torch.cat([rows, rows[:1]])).shape
            places = [axis for axis in places if longer[axis] == len(rows) + 1]
        if len(places) != 1:
            raise ParameterError(
                f"layer {self.layer!r} gives shape {shape} for {len(rows)} inputs, must give "
                "[batch, unit], or more axes with one of the batch"
            )
        if output.ndim == 2:
            units = 1
        elif units is None and places == [1] and output.ndim == 3:
            units = 2  # [frame, batch, unit]
        units = None if units == places[0] else units
        return OutputAxes(self.layer, shape, places[0], units)


@dataclass(frozen=True)
class OutputAxes:
    """Axes of a layer's output.

    Parameters
    ----------
    layer : str
        Name of the layer.
    shape : tuple of int
        Shape of its output for one or two inputs.
    rows : int
        Axis of the batch: 0, or 1 where recurrent layers and attention have frames first.
    units : int or None
        Axis of units or channels; None if it is not known.

    Examples
    --------
    >>> tap = Tap(nn.Sequential(nn.GRU(4, 6, batch_first=True)), "0")
    >>> axes = tap.axes(torch.zeros(2, 50, 4))
    >>> axes
    OutputAxes(layer='0', shape=(2, 50, 6), rows=0, units=2)
    >>> axes.arrange(tap(torch.zeros(2, 50, 4))).shape
    torch.Size([2, 6, 50])
    """

    layer: str
    shape: tuple[int, ...]
    rows: int
    units: int | None

    def require_units(self, advice: Advice) -> int:
        """Return the axis of the units, or raise a ParameterError with this advice."""
        if self.units is None:
            raise ParameterError(
                f"layer {self.layer!r} gives shape {self.shape} for {self.shape[self.rows]} "
                "inputs, and its type does not say which axis has the units",
                advice=advice,
            )
        return self.units

    def arrange(self, output: Tensor) -> Tensor:
        """Arrange an output as [batch, unit, position]; it has one position if it has no such axis.

        Raises
        ------
        ParameterError
            If the axis of the units is not known.
        """
        units = self.require_units(Advice("take another layer"))
        moved = output.movedim((self.rows, units), (0, 1))
        return moved.reshape(*moved.shape[:2], -1)


_UNITS_LAST = (
    *(nn.Linear, nn.Bilinear, nn.Embedding, nn.RNNBase, nn.MultiheadAttention),
    *(nn.TransformerEncoderLayer, nn.TransformerDecoderLayer),
    *(nn.TransformerEncoder, nn.TransformerDecoder, nn.Transformer),
)
_UNITS_SECOND = (nn.modules.conv._ConvNd,)
_NORMS_LAST = (nn.LayerNorm, nn.RMSNorm)
_NORMS_SECOND = (nn.modules.batchnorm._NormBase, nn.GroupNorm, nn.LocalResponseNorm)

_ATEN = torch.ops.aten
_ALIKE = {_ATEN.clone, _ATEN.detach, _ATEN.alias, _ATEN._to_copy, _ATEN.slice, _ATEN._softmax}
"""Operators beside the pointwise ones whose output has the axes of the first input."""


class _Trail(TorchDispatchMode):
    """Follow the axis of the units through a forward pass of this thread."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._axes: Any = WeakIdKeyDictionary()
        self._of_maps: set[int] = set()

    @contextmanager
    def over(self, module: nn.Module) -> Iterator[_Trail]:
        """Follow the layers of a module while the block runs."""
        note = partial(self._note, get_ident())
        with _HOOKS:
            hooks = [layer.register_forward_hook(note) for layer in module.modules()]
        try:
            with self:
                yield self
        finally:
            with _HOOKS:
                for hook in hooks:
                    hook.remove()

    def units(self, output: Tensor) -> int | None:
        """Return the axis of the units of an output, if it is known."""
        axis: int | None = self._axes.get(output)
        is_map = output.ndim > 3 and self._of_maps == {1}
        return 1 if axis is None and is_map else axis

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        """Run an operator, and pass on the axis of its input where it is that of the output."""
        output = func(*args, **(kwargs or {}))
        if isinstance(output, Tensor):
            self._pass_on(func, args, output)
        return output

    def _pass_on(self, func: Any, args: tuple[Any, ...], output: Tensor) -> None:
        packet = func.overloadpacket
        if packet in (_ATEN.transpose, _ATEN.permute):
            if (axis := self._axes.get(args[0])) is not None:
                order = list(range(output.ndim))
                if packet == _ATEN.permute:
                    order = [i % output.ndim for i in args[1]]
                else:
                    i, j = args[1:]
                    order[i], order[j] = order[j], order[i]
                self._axes[output] = order.index(axis)
        elif packet in _ALIKE or torch.Tag.pointwise in func.tags:
            inputs = [x for x in args if isinstance(x, Tensor) and x.ndim == output.ndim]
            axes = {self._axes[x] for x in inputs if x in self._axes}
            if len(axes) == 1:
                self._axes[output] = axes.pop()

    def _note(self, thread: int, layer: nn.Module, inputs: tuple[Any, ...], output: object) -> None:
        """Note the axis of a layer's output, by the type whose ``forward`` it has."""
        try:
            output = as_outputs(output)
        except ParameterError:
            return
        if get_ident() != thread or not isinstance(output, Tensor) or output.ndim < 3:
            return
        first = next((x for x in inputs if isinstance(x, Tensor)), None)
        before = None if first is None or first.ndim != output.ndim else self._axes.get(first)
        axis = _axis_of(layer, output.ndim, before)
        if axis is not None:
            self._axes[output] = axis
            self._of_maps |= {axis} if output.ndim > 3 else set()


def _axis_of(layer: nn.Module, ndim: int, before: int | None) -> int | None:
    """Return the axis of the units after a layer of PyTorch, given the one before it."""
    kind = next(kind for kind in type(layer).__mro__ if "forward" in vars(kind))
    if not kind.__module__.startswith("torch.nn."):
        return None  # a subclass may transpose: what runs inside it was followed
    if issubclass(kind, _UNITS_LAST):
        return ndim - 1
    if issubclass(kind, _UNITS_SECOND):
        return 1
    if any(layer.children()):
        return None
    if before is None and issubclass(kind, _NORMS_SECOND):
        return 1
    if before is None and issubclass(kind, _NORMS_LAST):
        return ndim - 1 if len(cast(Any, layer).normalized_shape) == 1 else None
    return before


_HOOKS = Lock()
"""Held while hooks come and go: PyTorch numbers them without one."""


def _keep(
    outputs: dict[str, Tensor],
    name: str,
    thread: int,
    _layer: nn.Module,
    _inputs: object,
    output: object,
) -> None:
    if get_ident() != thread:
        return
    try:
        output = as_outputs(output)
    except ParameterError as err:  # several parts, of which none is the usual one
        message = err.message.replace("the model", f"layer {name!r}", 1)
        raise ParameterError(message, advice=Advice("name a layer inside it")) from None
    if not isinstance(output, Tensor):
        raise ParameterError(
            f"layer {name!r} gives {type(output).__name__}, must give a Tensor, or a tuple, "
            "dictionary or object that holds one"
        )
    outputs[name] = output.clone()


def _layer(module: nn.Module, name: str) -> nn.Module:
    layers: dict[str, nn.Module] = dict(module.named_modules())
    del layers[""]
    if name not in layers:
        nearest = get_close_matches(name, layers, n=3, cutoff=0.4) or list(layers)[:8]
        raise ParameterError(
            f"{type(module).__name__} has no layer {name!r}; "
            f"nearest: {', '.join(nearest) or 'none'}"
        )
    return layers[name]
