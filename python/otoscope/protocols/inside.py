"""Parts of callables, attributes of objects, and names in code."""

from __future__ import annotations

import contextvars
import dis
import functools
import gc
import sys
import types
import weakref
from collections import deque
from collections.abc import Iterator
from typing import Any

from torch import nn

__all__ = [
    "attributes",
    "contents_of",
    "is_code",
    "is_constant_code",
    "loaded_globals",
    "mentioned",
    "parts_of",
]

_CONSTANT_CODE = {"torch", "numpy", "scipy", "otoscope", *sys.stdlib_module_names}
_CONSTANT_CODE |= {"sklearn", "joblib", "threadpoolctl", "pandas", "librosa", "numba"}
_LOADS_GLOBALS = {"LOAD_GLOBAL", "LOAD_NAME"}


def parts_of(value: Any) -> list[object] | None:
    """Return the parts of a callable or descriptor; None for any other object."""
    if isinstance(value, types.MethodType):
        return [value.__func__, value.__self__]
    if isinstance(value, functools.partial):
        return [value.func, value.args, value.keywords]
    if isinstance(value, property):
        return [value.fget, value.fset]
    if isinstance(value, (classmethod, staticmethod)):
        return [value.__func__]
    if isinstance(value, functools.cached_property):
        return [value.func]
    if isinstance(value, functools._lru_cache_wrapper):
        is_constant = is_constant_code(value.__module__)
        return [value.__wrapped__] if is_constant else [value.__wrapped__, *_results(value)]
    if isinstance(value, weakref.ref):
        return [value()]
    if isinstance(value, contextvars.ContextVar):
        try:
            return [value.get()]
        except LookupError:  # not yet set
            return []
    return None


def _results(cached: Any) -> list[object]:
    """Return the modules among the results that a cached function keeps."""
    parts = [part for part in gc.get_referents(cached) if part is not vars(cached)]
    kept = [own for part in parts if isinstance(part, dict) for own in part.values()]
    return [part for part in (*parts, *kept) if isinstance(part, nn.Module)]


def is_code(value: object) -> bool:
    """Whether an attribute of a class does something only when it is called or read."""
    return isinstance(value, types.FunctionType) or (
        not isinstance(value, (types.MethodType, functools.partial)) and parts_of(value) is not None
    )


def contents_of(function: types.FunctionType) -> Iterator[object]:
    """Yield what a function holds of the functions around it."""
    for cell in function.__closure__ or ():
        try:
            yield cell.cell_contents
        except ValueError:  # not yet assigned
            yield None


def attributes(value: object) -> dict[str, Any] | None:
    """Return the attributes that an object holds, in dictionary and slots; None if it has none."""
    kind: Any = type(value)
    held = {name: getattr(value, name) for name in _slots(kind) if hasattr(value, name)}
    own = getattr(value, "__dict__", None)
    if isinstance(own, dict):
        held.update(own.copy())
    elif not held and not isinstance(value, (dict, list, tuple, set, frozenset, deque)):
        return None
    return held


@functools.lru_cache(4096)
def _slots(kind: type) -> tuple[str, ...]:
    """Return the attributes in slots of a class's instances, by the names that reach them."""
    names = []
    for base in kind.__mro__:
        slots = vars(base).get("__slots__", ())
        for name in (slots,) if isinstance(slots, str) else tuple(slots):
            is_private = name.startswith("__") and not name.endswith("__")
            names.append(f"_{base.__name__.lstrip('_')}{name}" if is_private else name)
    return tuple(name for name in names if name not in ("__dict__", "__weakref__"))


def is_constant_code(module_name: object) -> bool:
    """Whether a Python module's code and globals count as constant."""
    return isinstance(module_name, str) and module_name.partition(".")[0] in _CONSTANT_CODE


@functools.lru_cache(4096)
def mentioned(code: types.CodeType) -> tuple[str, ...]:
    """Return the names and strings in code, inner functions included, sorted."""
    names = set(code.co_names)
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            names.update(mentioned(constant))
        elif isinstance(constant, str):
            names.add(constant)
        elif isinstance(constant, tuple):
            names.update(part for part in constant if isinstance(part, str))
    return tuple(sorted(names))


@functools.lru_cache(4096)
def loaded_globals(code: types.CodeType) -> tuple[str, ...]:
    """Return the names that code, inner functions included, loads from the globals, sorted."""
    names = {step.argval for step in dis.get_instructions(code) if step.opname in _LOADS_GLOBALS}
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            names.update(loaded_globals(constant))
    return tuple(sorted(names))
