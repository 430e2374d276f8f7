"""Handlers: the ATen operations that factored tensors support, by name.

Each handler takes the operation's arguments by name.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeAlias, TypeVar

from torch import Tensor

from otoscope.explain.shared._factored import FactoredTensor, NotShareable

__all__ = ["HANDLERS", "Arguments", "WorkCount", "handles"]

Arguments: TypeAlias = dict[str, Any]


@dataclass
class WorkCount:
    """Multiplications by weights per excerpt: those done, and those of a plain evaluation."""

    batch: int  # size of the traced batch, to which the sizes in the graph refer
    done: int = 0
    plain: int = 0

    def add(self, tensor: FactoredTensor, per_position: int) -> None:
        """Count an operation's multiplications per position of its result."""
        layout = tensor.layout
        self.done += per_position * layout.n_rows
        self.plain += per_position * layout.area * len(layout.samples)


Handler: TypeAlias = Callable[[Arguments, WorkCount], Any]
HandlerType = TypeVar("HandlerType", bound=Handler)
HANDLERS: dict[str, Handler] = {}


def handles(*names: str) -> Callable[[HandlerType], HandlerType]:
    """Register a handler for the ATen operations of some names."""

    def register(handler: HandlerType) -> HandlerType:
        for name in names:
            HANDLERS[name] = handler
        return handler

    return register


def factored_of(arguments: Arguments, name: str) -> FactoredTensor:
    """Return an argument that must depend on the samples."""
    value = arguments[name]
    if not isinstance(value, FactoredTensor):
        raise NotShareable(f"has an argument {name} that does not depend on the segments")
    return value


def constant(value: Any) -> Tensor | None:
    """Return an argument that must not depend on the samples."""
    if isinstance(value, FactoredTensor):
        raise NotShareable("has parameters that depend on the segments")
    return value if isinstance(value, Tensor) else None


def required(value: Any) -> Tensor:
    """Return a weight that must be there and not depend on the samples."""
    weight = constant(value)
    if weight is None:
        raise NotShareable("has no weight")
    return weight
