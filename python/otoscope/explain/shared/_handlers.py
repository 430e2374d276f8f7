"""Handlers: the ATen operations that factored tensors support, by name.

Each handler takes the operation's arguments by name.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeAlias, TypeVar

import torch
from torch import Tensor, fx

from otoscope.explain.shared._factored import FactoredTensor, NotShareable
from otoscope.explain.shared._trace import bound, name_of

__all__ = ["HANDLERS", "Arguments", "WorkCount", "handles", "multiplications"]

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


_PRODUCTS = {"linear": "input", "matmul": "self", "mm": "self", "bmm": "self", "addmm": "mat1"}
_PRODUCTS |= {"baddbmm": "batch1"}


def multiplications(node: fx.Node) -> int:
    """Count an operation's multiplications by weights and of attention, for the traced batch."""
    if node.op != "call_function" or not isinstance(node.target, torch._ops.OpOverload):
        return 0
    name, output = name_of(node), node.meta["val"]
    written: Any = bound(node)
    arguments: Any = fx.node.map_arg(written, lambda used: used.meta["val"])
    out: Tensor = output if isinstance(output, Tensor) else output[0]
    if name in _PRODUCTS:
        return out.numel() * int(arguments[_PRODUCTS[name]].shape[-1])
    if name.startswith("conv"):
        positions = arguments["input"] if "transpose" in name else out
        return int(positions.numel() * arguments["weight"][0].numel())
    if name in ("gru", "lstm", "rnn_tanh", "rnn_relu"):
        weights = sum(weight.numel() for weight in arguments["params"] if weight.ndim == 2)
        return int(weights * out.numel() // out.shape[-1])
    if name == "scaled_dot_product_attention":
        return int((arguments["query"].numel() + out.numel()) * arguments["key"].shape[-2])
    return 0


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
