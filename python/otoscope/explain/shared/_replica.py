"""Replicas: copies of a model to be traced, so that a trace never touches the model itself.

A replica has its own modules, containers, plain objects and closures; its tensors are the model's
by another name, which the recorder lets nothing write into. What the model's code writes, it writes
into the replica. Objects of other kinds, globals of methods and attributes of classes are the
model's own.
"""

from __future__ import annotations

import copy
import functools
import random
import types
import weakref
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy
from torch.utils._python_dispatch import _disable_current_modes
from torch.utils.hooks import RemovableHandle

from otoscope.protocols.inside import attributes, is_constant_code, mentioned

__all__ = ["NotReplicated", "Replica"]

_MOST_BYTES = 1 << 22  # of an array
_CONTAINERS = (dict, list, set, deque)
_DRAWING = (random.Random, np.random.Generator, np.random.RandomState)
_HOLDERS = (nn.Module, *_CONTAINERS, tuple, functools.partial, types.MethodType)


class NotReplicated(Exception):
    """Raised for a model of which a call leaves something changed; the message says what."""


class Replica:
    """Copy a model for a trace.

    ``reads`` are the tensors whose values the trace read into Python, with these values.
    """

    def __init__(self, model: Callable[..., Any]) -> None:
        self.reads: list[tuple[Tensor, Tensor]] = []
        self._memo: dict[int, Any] = {}
        self._alive: list[object] = []
        self._originals: dict[int, Tensor] = {}
        self.model: Callable[..., Any] = self._copy(model)

    def original(self, tensor: Tensor) -> Tensor:
        """Return the model's tensor for a tensor of the trace; a tensor of its own for itself."""
        return self._originals.get(id(tensor), tensor)

    def tensors(self) -> Iterable[Tensor]:
        """Return the tensors of the model."""
        return self._originals.values()

    def note(self, tensor: Tensor) -> Tensor:
        """Note that the trace read a tensor of the model, and return its values."""
        with _disable_current_modes():
            values = tensor.detach().clone()
            self.reads.append((tensor, values))
            return values.clone()

    def read(self, reader: Callable[..., Any], tensor: Tensor, *args: Any, **kwargs: Any) -> Any:
        """Read values of a tensor of the model by a method such as ``Tensor.item``."""
        values = self.note(tensor)
        with _disable_current_modes():
            return reader(values, *args, **kwargs)

    def _copy(self, value: Any) -> Any:
        if (known := self._memo.get(id(value))) is not None:
            return known
        kind = type(value)
        if isinstance(value, Tensor):
            return self._keep(value, self._alias(value))
        if isinstance(value, types.FunctionType):
            return self._function(value)
        if isinstance(value, types.MethodType):
            return types.MethodType(self._copy(value.__func__), self._copy(value.__self__))
        if kind is functools.partial:
            parts = self._copy(value.args), self._copy(value.keywords)
            return self._keep(
                value, functools.partial(self._copy(value.func), *parts[0], **parts[1])
            )
        if kind is weakref.ref:
            target = value()
            return value if target is None else weakref.ref(self._copy(target))
        if isinstance(value, tuple) and kind is not torch.Size:
            return self._tuple(value)
        if isinstance(value, _CONTAINERS):
            return self._container(value)
        if isinstance(value, np.ndarray) and value.nbytes <= _MOST_BYTES:
            return self._keep(value, value.copy())
        if isinstance(value, _DRAWING):
            return self._keep(value, copy.deepcopy(value))
        if _is_plain(value):
            return self._object(value)
        if isinstance(value, Iterator):
            raise NotReplicated(f"it holds a {kind.__name__}, which a call moves on")
        return value

    def _keep(self, value: object, replica: Any) -> Any:
        self._memo[id(value)] = replica
        self._alive.append(value)
        return replica

    def _alias(self, tensor: Tensor) -> Tensor:
        """Return a tensor that shares the memory, so that what is set in it is set in it alone."""
        if is_lazy(tensor):
            raise NotReplicated("it has lazy layers that have not run")
        alias = tensor.detach()
        if isinstance(tensor, nn.Parameter):
            alias = nn.Parameter(alias, requires_grad=tensor.requires_grad)
        self._originals[id(alias)] = tensor
        return alias

    def _container(self, value: Any) -> Any:
        replica = self._keep(value, copy.copy(value))
        replica.clear()
        if isinstance(value, dict):
            for key, own in list(value.items()):
                replica[self._copy(key)] = self._copy(own)
        elif isinstance(value, set):
            replica.update(self._copy(own) for own in list(value))
        else:
            replica.extend(self._copy(own) for own in list(value))
        self._fill(replica, value)
        return replica

    def _tuple(self, value: Any) -> Any:
        parts = [self._copy(part) for part in value]
        if all(a is b for a, b in zip(parts, value, strict=True)):
            return value
        make = getattr(type(value), "_make", type(value))
        return self._keep(value, make(parts))

    def _object(self, value: Any) -> Any:
        """Copy an object that holds nothing but attributes."""
        kind = type(value)
        try:
            replica = kind() if kind is types.SimpleNamespace else object.__new__(kind)
        except TypeError:  # made in C
            return value
        self._keep(value, replica)
        self._fill(replica, value)
        return replica

    def _fill(self, replica: Any, value: Any) -> None:
        in_dictionary = getattr(value, "__dict__", {})
        for name, own in (attributes(value) or {}).items():
            if name in in_dictionary:
                replica.__dict__[name] = self._copy(own)
            else:
                object.__setattr__(replica, name, self._copy(own))

    def _function(self, function: types.FunctionType) -> Any:
        """Copy a function that holds, or names, something to be copied."""
        scope = function.__globals__
        named: Iterable[str] = ()
        if not is_constant_code(scope.get("__name__")):
            named = [n for n in mentioned(function.__code__) if _holds(scope.get(n))]
        defaults = (*(function.__defaults__ or ()), *(function.__kwdefaults__ or {}).values())
        if not (named or function.__closure__ or vars(function) or any(map(_holds, defaults))):
            return function
        if id(scope) not in self._memo:
            self._keep(scope, scope.copy())
        own_scope = self._memo[id(scope)] if named else scope
        cells = tuple(types.CellType() for _ in function.__closure__ or ())
        replica = types.FunctionType(function.__code__, own_scope, function.__name__, None, cells)
        self._keep(function, replica)
        replica.__defaults__ = self._copy(function.__defaults__)
        replica.__kwdefaults__ = self._copy(function.__kwdefaults__)
        replica.__dict__.update({n: self._copy(v) for n, v in vars(function).copy().items()})
        for cell, own in zip(cells, function.__closure__ or (), strict=True):
            try:
                cell.cell_contents = self._copy(own.cell_contents)
            except ValueError:  # not yet assigned
                continue
        for name in named:
            own_scope[name] = self._copy(scope[name])
        return replica


def _holds(value: object) -> bool:
    """Whether a global or default is, or may hold, something that a call writes into."""
    if isinstance(value, types.FunctionType):
        return not is_constant_code(value.__globals__.get("__name__"))
    return isinstance(value, _HOLDERS) or _is_plain(value)


def _is_plain(value: object) -> bool:
    """Whether an object is a module, or of a user's class, and is nothing but its attributes."""
    kind = type(value)
    if isinstance(value, (nn.Module, RemovableHandle, types.SimpleNamespace)):
        return not isinstance(value, torch.jit.ScriptModule)
    package = kind.__module__.partition(".")[0]
    return (
        (package == "otoscope" or not is_constant_code(package))
        and not isinstance(value, type)
        and kind.__reduce_ex__ is object.__reduce_ex__
        and kind.__reduce__ is object.__reduce__
    )
