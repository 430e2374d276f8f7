"""State and modules that a callable reaches.

One walk serves eval mode and traces. It follows modules, containers, plain objects, partial
functions, bound methods, closures and the globals and class attributes that the code names. The
code of PyTorch, NumPy, scikit-learn, the standard library and this package counts as constant.
"""

from __future__ import annotations

import datetime
import decimal
import enum
import fractions
import functools
import logging
import pathlib
import random
import re
import sys
import threading
import types
import uuid
from collections import deque
from collections.abc import Iterable
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.modules import module as _torch_module
from torch.nn.parameter import is_lazy

from otoscope.protocols.inside import (
    attributes,
    contents_of,
    is_code,
    is_constant_code,
    loaded_globals,
    mentioned,
    parts_of,
)

__all__ = ["State", "module_of", "modules_of", "state_of"]

_CHANGING = {"random", "time", "datetime", "secrets", "uuid"}  # modules whose answers vary
_CHANGING_NAMES = {"environ", "getenv", "open", "input"}
_MOST = 50_000  # tokens; a state beyond is not compared
_MOST_BYTES = 1 << 22  # of an array
_BY_VALUE = (
    *(bool, int, float, complex, str, bytes, type(...), type(NotImplemented)),
    *(range, slice, re.Pattern, pathlib.PurePath, uuid.UUID, decimal.Decimal, fractions.Fraction),
    *(datetime.date, datetime.time, datetime.timedelta, enum.Enum, np.dtype, np.generic),
    *(torch.dtype, torch.device, torch.Size, torch.memory_format, torch.layout),
)
_BY_IDENTITY = (
    *(types.BuiltinFunctionType, types.WrapperDescriptorType, types.MethodDescriptorType),
    *(types.ClassMethodDescriptorType, types.MethodWrapperType, types.MemberDescriptorType),
    *(types.GetSetDescriptorType, np.ufunc, logging.Logger),
    *(type(threading.Lock()), type(threading.RLock()), types.CodeType, types.GenericAlias),
    *(torch._ops.OpOverload, torch._ops.OpOverloadPacket, torch._ops._OpNamespace),
)
_EXACTLY_BY_VALUE = {bool, int, str, bytes, type(None), torch.Size, torch.dtype}
_OF_MODULES = ("_parameters", "_buffers", "_modules", "_forward_hooks", "_forward_pre_hooks")
_BOOKKEEPING = vars(nn.Module()).keys() - {"training", *_OF_MODULES}
_OF_CLASSES = {"__dict__", "__weakref__", "__doc__", "__module__", "__qualname__", "__slots__"}
_OF_CLASSES |= {"__annotations__", "__abstractmethods__", "_abc_impl", "__parameters__"}
_OF_CLASSES |= {"__orig_bases__", "__dataclass_fields__", "__dataclass_params__", "__match_args__"}
_OF_CLASSES |= {"__firstlineno__", "__static_attributes__", "__annotate__", "__annotate_func__"}
_LATER = object()
_SETTING_UP = {"__init__", "__new__", "__post_init__"}
_NOT_CALLED = {"__repr__", "__str__", "__reduce__", "__reduce_ex__", "__getstate__", "__del__"}
_NOT_CALLED |= {"__setstate__", "__init_subclass__", "__deepcopy__", "__copy__"}
_ANY_NAME = {"getattr", "vars", "__dict__", "eval", "exec", "globals"}


class State:
    """State that a callable's answers depend on; equal states give equal traces.

    ``is_complete`` is False if it includes something that cannot be compared: then it equals no
    other state.
    """

    def __init__(self, tokens: list[object], modules: list[nn.Module], is_complete: bool) -> None:
        self._tokens = tokens
        self.modules = modules
        self.is_complete = is_complete

    def __eq__(self, other: object) -> bool:
        """Compare with another state."""
        return (
            isinstance(other, State)
            and self.is_complete
            and other.is_complete
            and self._tokens == other._tokens
        )

    __hash__ = None  # type: ignore[assignment]

    def resembles(self, other: State) -> bool:
        """Whether all that can be compared is equal."""
        return self._tokens == other._tokens


class _Same:
    """Objects that are compared by identity, and kept alive so that no other takes their place."""

    __slots__ = ("_objects",)

    def __init__(self, *objects: object) -> None:
        self._objects = objects

    def __eq__(self, other: object) -> bool:
        return (
            isinstance(other, _Same)
            and len(self._objects) == len(other._objects)
            and all(a is b for a, b in zip(self._objects, other._objects, strict=True))
        )

    __hash__ = None  # type: ignore[assignment]


def modules_of(model: object) -> list[nn.Module]:
    """Return the modules that a callable reaches: its own, a tap's, a closure's, a method's.

    Parameters
    ----------
    model : object
        An nn.Module or any callable.

    Returns
    -------
    list of nn.Module
        Modules with their submodules, each once.

    Examples
    --------
    >>> net = nn.Sequential(nn.Flatten(), nn.Dropout())
    >>> [type(part).__name__ for part in modules_of(net.forward)]
    ['Sequential', 'Flatten', 'Dropout']
    """
    direct = list(model.modules()) if isinstance(model, nn.Module) else []
    reached = (part for module in state_of(model).modules for part in module.modules())
    return list({id(part): part for part in (*direct, *reached)}.values())


def module_of(model: object) -> nn.Module | None:
    """Return the module that a tap, a partial function or a bound method passes its input to.

    Parameters
    ----------
    model : object
        An nn.Module or any callable.

    Returns
    -------
    nn.Module or None
        Module; None for other functions.

    Examples
    --------
    >>> module_of(nn.ReLU().forward), module_of(lambda batch: batch)
    (ReLU(), None)
    """
    if isinstance(model, nn.Module):
        return model
    if isinstance(model, functools.partial):
        return module_of(model.func)
    if isinstance(model, types.MethodType):
        return module_of(model.__self__)
    module = (attributes(model) or {}).get("module")
    return module if isinstance(module, nn.Module) else None


def state_of(*roots: object) -> State:
    """Return the state that the answers of some callables depend on."""
    walk = _Walk()
    for hooks in (_torch_module._global_forward_hooks, _torch_module._global_forward_pre_hooks):
        walk.queue.append(hooks)
    walk.queue.extend(roots)
    walk.run()
    return State(walk.tokens, walk.modules, walk.is_complete)


class _Walk:
    """Breadth-first walk; equal structures are visited in the same order."""

    def __init__(self) -> None:
        self.tokens: list[object] = []
        self.modules: list[nn.Module] = []
        self.is_complete = True
        self.queue: deque[object] = deque()
        self._number: dict[int, int] = {}
        self._alive: list[object] = []
        self._names = {"forward"}
        self._waiting: dict[str, list[object]] = {}  # functions of classes, until code names them

    def run(self) -> None:
        """Visit all that the queue reaches."""
        while self.queue:
            if len(self.tokens) > _MOST:
                self.is_complete = False
                return
            self._visit(self.queue.popleft())

    def _visit(self, value: Any) -> None:
        kind = type(value)
        self.tokens.append(kind)
        if kind in _EXACTLY_BY_VALUE:
            self.tokens.append(value)
            return
        if kind in (float, complex):
            self.tokens.append(repr(value))  # tells -0.0 from 0.0
            return
        known = self._number.get(id(value))
        if known is not None:
            self.tokens.append(known)
            return
        self._number[id(value)] = len(self._number)
        self._alive.append(value)
        if isinstance(value, Tensor):
            self.tokens.append(_Same(value))
            if not is_lazy(value) and not value.is_nested:
                self.tokens += (value.shape, value.dtype, value.device)
        elif isinstance(value, types.FunctionType):
            self._function(value)
        elif isinstance(value, type):
            self._class(value)
        elif isinstance(value, (dict, types.MappingProxyType)):
            pairs = list(value.items())
            self._all(part for pair in pairs for part in pair)
            self._attributes(value)
        elif isinstance(value, (list, tuple, set, frozenset, deque)):
            self._all(list(value))
            self._attributes(value)
        elif isinstance(value, _BY_VALUE):
            self.tokens.append(value)
        elif isinstance(value, np.ndarray):
            self._array(value)
        elif isinstance(value, _BY_IDENTITY):
            self.tokens.append(_Same(value))
            owner = getattr(value, "__self__", None)
            if owner is not None and not isinstance(owner, (types.ModuleType, type)):
                self.queue.append(owner)
        elif (parts := parts_of(value)) is not None:
            self._all(parts)
        else:
            self._attributes(value)

    def _all(self, values: Iterable[object]) -> None:
        """Visit parts of an object: simple values at once, others later."""
        n = 0
        for n, value in enumerate(values, 1):  # noqa: B007
            kind = type(value)
            if kind in _EXACTLY_BY_VALUE:
                self.tokens += (kind, value)
            else:
                self.tokens.append(_LATER)
                self.queue.append(value)
        self.tokens.append(n)

    def _attributes(self, value: object) -> None:
        """Visit the class and the attributes of an object."""
        self.queue.append(type(value))
        items = attributes(value)
        if items is None or isinstance(value, random.Random):
            self.is_complete = False
            self.tokens.append(_Same(value))
            return
        if isinstance(value, nn.Module):
            self.modules.append(value)
            items = {name: v for name, v in items.items() if name not in _BOOKKEEPING}
        self.tokens += items
        self._all(items.values())

    def _array(self, value: np.ndarray[Any, Any]) -> None:
        self.tokens += (value.shape, value.dtype.str)
        if value.dtype.hasobject:
            self._all(value.ravel().tolist())
        elif value.nbytes <= _MOST_BYTES:
            self.tokens.append(value.tobytes())
        else:
            self.is_complete = False

    def _class(self, value: type) -> None:
        if is_constant_code(value.__module__):
            self.tokens.append(_Same(value, *list(vars(value).values())))
        else:
            self.tokens.append(_Same(value))
            for name, own in list(vars(value).items()):
                if name in _OF_CLASSES or name in _NOT_CALLED:
                    continue
                self.tokens.append(name)
                needed = value.__name__ if name in _SETTING_UP else name
                is_special = name.startswith("__") and name not in _SETTING_UP
                if not is_code(own) or is_special or needed in self._names:
                    self.queue.append(own)
                else:
                    self._waiting.setdefault(needed, []).append(own)
        self.queue.extend((type(value), *value.__mro__[1:-1]))

    def _function(self, value: types.FunctionType) -> None:
        self.tokens.append(_Same(value.__code__))
        cells = list(contents_of(value))
        attached = vars(value)
        self._all([value.__defaults__, value.__kwdefaults__, *cells, *list(attached.values())])
        if is_constant_code(value.__globals__.get("__name__")):
            return
        names = mentioned(value.__code__)
        self._mention(names)
        loaded = names if "globals" in names else loaded_globals(value.__code__)
        self._named(loaded, names, value.__globals__, set())
        for name in names:  # modules that the function imports
            module = sys.modules.get(name)
            if module and name not in value.__globals__ and not is_constant_code(name):
                self._named(names, names, vars(module), set())

    def _mention(self, names: tuple[str, ...]) -> None:
        """Visit the functions of classes that code names for the first time."""
        new = [name for name in names if name not in self._names]
        self._names.update(new)
        wanted = list(self._waiting) if _ANY_NAME.intersection(new) else new
        for name in wanted:
            self.queue.extend(self._waiting.pop(name, ()))
        if not _CHANGING_NAMES.isdisjoint(new):
            self.is_complete = False

    def _named(
        self, own: tuple[str, ...], names: tuple[str, ...], scope: dict[str, Any], seen: set[int]
    ) -> None:
        """Visit the values of a function's ``own`` globals, and of ``names`` in modules there."""
        seen.add(id(scope))
        for name in own:
            if name not in scope:
                continue
            value = scope[name]
            self.tokens.append(name)
            if not isinstance(value, types.ModuleType):
                if getattr(value, "__module__", None) in _CHANGING:
                    self.is_complete = False
                self.queue.append(value)
                continue
            self.tokens.append(_Same(value))
            draws = value.__name__ == "numpy" and "random" in names
            if draws or value.__name__ in _CHANGING:
                self.is_complete = False
            if not is_constant_code(value.__name__) and id(vars(value)) not in seen:
                self._named(names, names, vars(value), seen)
