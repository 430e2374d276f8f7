"""Traces: a model as a graph of ATen operations, hooks included."""

from __future__ import annotations

import operator
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import reduce
from typing import Any

import torch
from torch import Tensor, fx, nn
from torch.fx.experimental.proxy_tensor import make_fx

__all__ = ["NotTraced", "trace"]

_PERHAPS_VIEWS = {"reshape", "contiguous", "flatten", "to", "type_as", "broadcast_tensors"}
_PERHAPS_VIEWS |= {"atleast_1d", "atleast_2d", "atleast_3d", "meshgrid", "einsum"}


class NotTraced(Exception):
    """Raised for a model that is not a fixed graph of operations; the message says why."""


def trace(model: Callable[[Tensor], object], batch: Tensor) -> fx.GraphModule:
    """Record the operations of a model on a batch, and refuse any that may differ between calls.

    Nothing is computed. The graph has no side effects; its sizes are those of the batch. Raises
    `NotTraced` if the control flow depends on data, or if the model is random, writes into a tensor
    that it uses elsewhere, or does not return one tensor with a row per input.
    """
    try:
        with warnings.catch_warnings(), torch.no_grad(), _restored(model):
            warnings.simplefilter("ignore")
            graph = make_fx(
                model, tracing_mode="fake", pre_dispatch=True, _allow_non_fake_inputs=True
            )(batch)
    except Exception as problem:  # whatever a model may raise on tensors without values
        raise NotTraced("its control flow depends on data, or it leaves PyTorch") from problem
    nodes = list(graph.graph.nodes)
    output = nodes[-1].args[0]
    if not isinstance(output, fx.Node):
        raise NotTraced("it returns something else than one tensor")
    if output.meta["val"].shape[:1] != batch.shape[:1]:
        raise NotTraced("it does not return a row for each input")
    for node in nodes:
        if node.op == "call_function":
            _refuse_random(node)
            _without_writing(node)
    graph.graph.eliminate_dead_code()
    return graph


@contextmanager
def _restored(model: object) -> Iterator[None]:
    """Undo changes of a call to attributes and caches of modules: its tensors have no values."""
    parts = [vars(part) for part in model.modules()] if isinstance(model, nn.Module) else []
    kept: list[tuple[Any, Any]] = [(part, part.copy()) for part in parts]
    for part in parts:
        kept += [(v, v.copy()) for v in part.values() if isinstance(v, (dict, list, set))]
    try:
        yield
    finally:
        for container, before in kept:
            container.clear()
            if isinstance(container, list):
                container.extend(before)
            else:
                container.update(before)


def name_of(node: fx.Node) -> str:
    """Return ATen's name of an operation, such as "conv2d"; empty for other functions."""
    target = node.target
    return target._schema.name.split("::")[1] if isinstance(target, torch._ops.OpOverload) else ""


def bound(node: fx.Node) -> dict[str, object]:
    """Return an operation's arguments by name, defaults included."""
    arguments: dict[str, object] = {}
    schema = node.target._schema  # type: ignore[union-attr]
    for place, argument in enumerate(schema.arguments):
        if place < len(node.args):
            arguments[argument.name] = node.args[place]
        else:
            default = argument.default_value if argument.has_default_value() else None
            arguments[argument.name] = node.kwargs.get(argument.name, default)
    return arguments


def _refuse_random(node: fx.Node) -> None:
    target = node.target
    if not isinstance(target, torch._ops.OpOverload):
        return
    name, named = name_of(node), bound(node)
    is_random = torch.Tag.nondeterministic_seeded in target.tags or "dropout" in name
    is_off = named.get("train") is False or 0.0 in (named.get("dropout_p"), named.get("dropout"))
    if is_random and not is_off:
        raise NotTraced(f"{name} is random")


def _without_writing(node: fx.Node) -> None:
    """Replace an operation that writes into its input by its functional twin.

    Both give the same result if no later operation reads the input or a view of it.
    """
    target = node.target
    if not isinstance(target, torch._ops.OpOverload) or not target._schema.is_mutable:
        return
    name = name_of(node)
    written = node.args[0] if node.args else None
    twin = getattr(getattr(torch.ops.aten, name[:-1], None), target._overloadname, None)
    if not name.endswith("_") or twin is None or not isinstance(written, fx.Node):
        raise NotTraced(f"{name} writes into a tensor")
    if _promoted(node) != node.meta["val"].dtype:
        raise NotTraced(f"{name} writes into a tensor of a narrower type")
    seen, waiting = {node}, [written]
    while waiting:  # all that may share the memory, except the result, which is the new value
        alias = waiting.pop()
        if alias in seen:
            continue
        seen.add(alias)
        if alias.op == "get_attr":
            raise NotTraced(f"{name} writes into a parameter")
        waiting += [user for user in alias.users if _is_view(user)]
        if _is_view(alias):
            waiting += alias.all_input_nodes
    later = {user for alias in seen - {node} for user in alias.users if node < user}
    if later:
        raise NotTraced(f"{name} writes into a tensor that is used elsewhere")
    node.target = twin


def _promoted(node: fx.Node) -> torch.dtype:
    """Return the type that the operation would have if it did not write."""
    values = (used.meta["val"] for used in node.all_input_nodes)
    return reduce(torch.promote_types, (v.dtype for v in values if isinstance(v, Tensor)))


def _is_view(node: fx.Node) -> bool:
    if node.target is operator.getitem:
        return True
    target = node.target
    if not isinstance(target, torch._ops.OpOverload):
        return False
    aliasing = any(a.alias_info is not None for a in target._schema.arguments)
    name = name_of(node)
    return aliasing or "dropout" in name or name in _PERHAPS_VIEWS
