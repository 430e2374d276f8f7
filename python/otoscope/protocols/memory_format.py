"""Memory format of 2-d convolutions: contiguous, channels_last, or the faster one by a trial.

The user's model is never changed: the other format is that of a copy, which shares all state with
the model but the weights of its convolutions.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Generic, Literal, TypeAlias, TypeVar, get_args

import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from otoscope.errors import Advice, Argument, ParameterError
from otoscope.protocols.batches import batch_dependence

__all__ = ["FormatTrial", "MemoryFormat", "check_memory_format", "in_channels_last"]

MemoryFormat: TypeAlias = Literal["contiguous", "channels_last", "auto"]
Function = TypeVar("Function", bound=Callable[[Tensor], Tensor])

_FEWEST_PASSES = 100  # with fewer, a trial is too large a part of the search
_GAIN = 1.1  # of channels_last, below which the format stays
_LOSS = 1.5  # of the first pass in channels_last, above which the trial ends


def check_memory_format(memory_format: str) -> None:
    """Refuse an unknown memory format.

    Parameters
    ----------
    memory_format : str
        Memory format of a user.

    Raises
    ------
    ParameterError
        If it is none of `MemoryFormat`.

    Examples
    --------
    >>> check_memory_format("auto")
    """
    if memory_format not in get_args(MemoryFormat):
        raise ParameterError(
            f"memory_format is {memory_format!r}, must be 'contiguous', 'channels_last' or 'auto'"
        )


def in_channels_last(model: object) -> nn.Module | None:
    """Copy a network, with the weights of its 2-d convolutions in channels_last.

    Parameters
    ----------
    model : object
        Network in the mode in which the copy is to run, its weights constant.

    Returns
    -------
    nn.Module or None
        Copy that shares everything else, buffers and hooks included; None if the model is no
        nn.Module, or none of its 2-d convolutions has weights of its own in another format.

    Examples
    --------
    >>> net = nn.Sequential(nn.Conv2d(2, 3, 5), nn.ReLU())
    >>> copy = in_channels_last(net)
    >>> copy[0].weight.is_contiguous(memory_format=torch.channels_last), copy[1] is net[1]
    (True, True)
    >>> net[0].weight.is_contiguous(), in_channels_last(nn.Linear(2, 3))
    (True, None)
    """
    if not isinstance(model, nn.Module):
        return None
    copy = _copied(model, {})
    return None if copy is model else copy


def _copied(module: nn.Module, copies: dict[int, nn.Module]) -> nn.Module:
    """Copy a module that has a 2-d convolution inside, each once; return others as they are."""
    if id(module) in copies:
        return copies[id(module)]
    copies[id(module)] = module  # also of a ScriptModule, whose code holds its weights
    if isinstance(module, torch.jit.ScriptModule):
        return module
    parts = {name: part and _copied(part, copies) for name, part in module._modules.items()}
    weights = _other_weights(module)
    if not weights and all(part is module._modules[name] for name, part in parts.items()):
        return module
    copy = copies[id(module)] = module.__new__(type(module))
    parameters = {**module._parameters, **weights}
    vars(copy).update(vars(module), _modules=parts, _parameters=parameters)
    return copy


def _other_weights(module: nn.Module) -> dict[str, nn.Parameter]:
    """Return the weight of a 2-d convolution in channels_last, if it has one in another format."""
    weight = module._parameters.get("weight") if isinstance(module, nn.Conv2d) else None
    if weight is None or is_lazy(weight):
        return {}
    # Weights of one channel count as contiguous in either format: by their strides torch chooses.
    values = weight.detach().to(memory_format=torch.channels_last)
    if values.stride() == weight.stride():
        return {}
    return {"weight": nn.Parameter(values, requires_grad=weight.requires_grad)}


class FormatTrial(Generic[Function]):
    """Choose between a function and its equal in channels_last, while a search calls them.

    Parameters
    ----------
    function : callable
        Function of a batch, which runs the network.
    other : callable, optional
        The same function of the network in channels_last; None if there is no such network.
    batch : Tensor [batch, ...]
        Inputs; both must agree on the first, up to rounding.
    memory_format : {"contiguous", "channels_last", "auto"}
        Format; "auto" times passes of a search in both and keeps channels_last if it is at least a
        tenth faster. Rounding then depends on the machine and its load.
    n_passes : int
        Number of passes to come, at most; a search below 100 is not worth a trial.

    Raises
    ------
    ParameterError
        If channels_last is demanded, and the network does not run in it or has other outputs.

    Examples
    --------
    >>> trial = FormatTrial(torch.sin, None, torch.ones(1), memory_format="auto", n_passes=1000)
    >>> with trial.timed(1) as function:
    ...     function(torch.zeros(1))
    tensor([0.])
    """

    def __init__(
        self,
        function: Function,
        other: Function | None,
        batch: Tensor,
        *,
        memory_format: MemoryFormat,
        n_passes: int,
    ) -> None:
        self._functions = (function, other or function)
        self._seconds: tuple[list[float], list[float]] = ([], [])
        self._device = batch.device
        self.choice: Function | None = function
        """Function of the passes to come; None while the trial goes on."""
        is_short = memory_format == "auto" and n_passes < _FEWEST_PASSES
        if other is None or memory_format == "contiguous" or is_short:
            return
        problem = _difference(function, other, batch[:1])
        if memory_format == "channels_last":
            if problem:
                raise ParameterError(
                    f"in channels_last {problem}",
                    advice=Advice("leave out ", Argument("memory_format", "channels_last")),
                )
            self.choice = other
        elif not problem:
            self.choice = None

    @contextmanager
    def timed(self, n_rows: int) -> Iterator[Function]:
        """Time the next pass, while the trial goes on.

        Parameters
        ----------
        n_rows : int
            Number of rows of the pass; seconds are counted per row.

        Yields
        ------
        callable
            Function to call in the pass.
        """
        if self.choice is not None:
            yield self.choice
            return
        contiguous, other = self._seconds
        is_other = len(other) < len(contiguous)  # in turn: the first of each is a warm-up
        start = self._now()
        yield self._functions[is_other]
        self._seconds[is_other].append((self._now() - start) / n_rows)
        if not is_other:
            return
        if len(other) == 1 and other[0] > _LOSS * contiguous[0]:
            self.choice = self._functions[False]
        elif len(other) == 3:
            is_faster = _GAIN * min(other[1:]) < min(contiguous[1:])
            self.choice = self._functions[is_faster]

    def _now(self) -> float:
        if self._device.type == "cuda":
            torch.cuda.synchronize(self._device)
        return time.perf_counter()


def _difference(function: Function, other: Function, row: Tensor) -> str:
    """Say how two functions differ for a row [1, ...]; "" if they agree up to rounding."""
    with torch.no_grad():
        try:
            expected = function(row)
            differs = batch_dependence(lambda *_: other(row), expected, 1, inputs=row.dtype)
        except ParameterError as err:
            return err.message
    return "the model has other outputs" if differs else ""
