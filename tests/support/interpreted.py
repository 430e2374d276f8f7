"""Let librosa, an oracle, run as the Python that it is written in.

It is written for numba, which compiles for 20 s in each process of a new machine, and two processes
that write the same cache can crash. `interpret` puts the five decorators that librosa uses in
numba's place; the sounds of tests are short.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import wraps
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray

Function = Callable[..., Any]


def interpret() -> None:
    """Replace numba, before anything imports it."""
    module = ModuleType("numba")
    module.__spec__ = ModuleSpec("numba", None)
    decorators = {"jit": _jit, "njit": _jit, "vectorize": _vectorize, "stencil": _stencil}
    vars(module).update(decorators, guvectorize=_guvectorize, uint32=np.uint32)
    sys.modules["numba"] = module


def _jit(*function: Function, **options: object) -> Function:
    return function[0] if function else lambda kernel: kernel


def _vectorize(signatures: list[str], **options: object) -> Function:
    return _jit()  # arithmetic of a number is that of an array


def _stencil(kernel: Function) -> Function:
    """Apply a kernel of neighbours to all cells that have them; the others get 0."""

    class Neighbours:
        def __init__(self, x: NDArray[Any]) -> None:
            self.x = x
            self.reached = {0}

        def __getitem__(self, offset: int) -> NDArray[Any]:
            self.reached.add(offset)
            return np.roll(self.x, -offset)

    @wraps(kernel)
    def apply(x: NDArray[Any], *arguments: object) -> NDArray[Any]:
        neighbours = Neighbours(x)
        result: NDArray[Any] = kernel(neighbours, *arguments)
        result[: -min(neighbours.reached)] = 0
        result[len(x) - max(neighbours.reached) :] = 0
        return result

    return apply


def _guvectorize(signatures: list[str], layout: str, **options: object) -> Function:
    """Call a kernel for each row of arrays: layout "(n),()->(n)", types "void(f[:], f, f[:])"."""
    given, made = ([_names(dims) for dims in part.split("),(")] for part in layout.split("->"))
    types = signatures[0].removeprefix("void(").removesuffix(")").split(", ")
    dtypes = [name.split("[")[0].rstrip("_") for name in types]

    def decorate(kernel: Function) -> Function:
        kernel.__globals__["range"] = _range

        @wraps(kernel)
        def call(*arguments: Any) -> Any:
            inputs = [np.asarray(value) for value in arguments[: len(given)]]
            sizes: dict[str, int] = {}
            rows: list[tuple[int, ...]] = []
            for value, names in zip(inputs, given, strict=True):
                first = value.ndim - len(names)
                rows.append(value.shape[:first])
                sizes.update(zip(names, value.shape[first:], strict=True))
            shape = np.broadcast_shapes(*rows)
            outputs = list(arguments[len(given) :])
            for names, dtype in list(zip(made, dtypes[len(given) :], strict=True))[len(outputs) :]:
                kind = inputs[0].dtype if dtype == dtypes[0] else dtype
                outputs.append(np.zeros((*shape, *(sizes[name] for name in names)), kind))
            inputs = [
                np.broadcast_to(value, (*shape, *value.shape[value.ndim - len(names) :]))
                for value, names in zip(inputs, given, strict=True)
            ]
            for row in np.ndindex(shape):
                written = (
                    value[row] if names else value[(*row, None)]
                    for value, names in zip(outputs, made, strict=True)
                )
                kernel(*(value[row] for value in inputs), *written)
            return outputs[0] if len(outputs) == 1 else tuple(outputs)

        return call

    return decorate


def _range(*limits: float) -> range:
    """Count to whole floats, too, as numba does."""
    return range(*map(int, limits))


def _names(dimensions: str) -> list[str]:
    return [name for name in dimensions.strip("()").split(",") if name]
