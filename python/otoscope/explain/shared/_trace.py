"""Traces: a model as a graph of ATen operations, hooks included."""

from __future__ import annotations

import operator
import threading
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from functools import reduce
from typing import Any

import torch
from torch import Tensor, fx, nn

from otoscope.explain.shared._recorder import NotRecorded, bound_arguments, record
from otoscope.explain.shared._replica import NotReplicated, Replica
from otoscope.protocols.outputs import as_outputs
from otoscope.protocols.reach import state_of

__all__ = ["TRACING", "NotTraced", "Trace", "trace"]

_PERHAPS_VIEWS = {"reshape", "contiguous", "flatten", "to", "type_as", "broadcast_tensors"}
_PERHAPS_VIEWS |= {"atleast_1d", "atleast_2d", "atleast_3d", "meshgrid", "einsum"}

_ROUNDING = {torch.float64: 1e-6, torch.float32: 1e-3}  # relative to the largest output
_COARSE = 0.05
_SAME_OPERATIONS = 1000  # times smaller are the differences of the same operations on a batch

TRACING = threading.RLock()
"""Held during a trace: PyTorch's tracer is for one thread at a time."""


class NotTraced(Exception):
    """Raised for a model that is not a fixed graph of operations; the message says why."""


@dataclass(eq=False)
class Trace:
    """Graph of a model, and the tensors whose values it depends on, with these values.

    The replica that was traced stays until `compare` has called it.
    """

    graph: fx.GraphModule
    reads: list[tuple[Tensor, Tensor]]
    replica: Replica | None
    problem: str = ""

    @property
    def is_current(self) -> bool:
        """True if the tensors have the values that the trace read."""
        return all(
            (tensor.shape, tensor.dtype, tensor.device) == (value.shape, value.dtype, value.device)
            and torch.equal(tensor, value)
            for tensor, value in self.reads
        )

    def compare(self, inputs: Callable[[], Tensor], outputs: Callable[[], Tensor]) -> None:
        """Compare outputs with those of the replica, once; raise `NotTraced` if they differ.

        A second call, with other values and another number of rows, shows what operations alone
        do not: counters, the size of the batch in a sum, work of other threads. If that call
        changed the replica, a third shows whether the changes matter.
        """
        with TRACING:
            replica, self.replica = self.replica, None
            if replica is not None:
                self.problem = self._difference(replica, inputs(), outputs())
        if self.problem:
            raise NotTraced(self.problem)

    def _difference(self, replica: Replica, inputs: Tensor, outputs: Tensor) -> str:
        """Say how other calls of the replica differ from the graph; empty if they do not."""
        values = (node.meta.get("val") for node in self.graph.graph.nodes)
        types = {value.dtype for value in values if isinstance(value, Tensor)}
        is_exact = inputs.device.type == "cpu" and not types & {torch.float16, torch.bfloat16}
        tolerance = _ROUNDING.get(inputs.dtype, _COARSE) if is_exact else _COARSE
        before = state_of(replica.model)
        try:
            answer = again = _recorded(replica, inputs)[-1]
            if state_of(replica.model) != before:
                again = _recorded(replica, inputs)[-1]
        except Exception:  # whatever a model may raise
            answer = again = None
        if not _agree(answer, outputs, tolerance):
            return "a second call of the model does not repeat the first"
        if not _agree(again, answer, tolerance / _SAME_OPERATIONS):
            return "a call of the model changes the answers of the next"
        return ""


def _agree(answer: object, outputs: Any, tolerance: float) -> bool:
    """Compare outputs, up to a tolerance relative to the largest of them."""
    if not isinstance(answer, Tensor) or answer.shape != outputs.shape:
        return False
    scale = outputs[outputs.isfinite()].abs().max() if outputs.isfinite().any() else 0.0
    return torch.allclose(
        answer.to(torch.promote_types(answer.dtype, torch.float32)),
        outputs.to(torch.promote_types(outputs.dtype, torch.float32)),
        rtol=0,
        atol=tolerance * float(scale),
        equal_nan=True,
    )


def trace(model: Callable[[Tensor], object], batch: Tensor) -> Trace:
    """Record the operations of a model on a batch, and refuse any that may differ between calls.

    The model is not touched: a replica is traced. The graph has no side
    effects; its sizes are those of the batch. Raises `NotTraced` if the control flow depends on
    data, or if the model is random, writes into a tensor that it uses elsewhere, or does not return
    one tensor with a row per input.
    """
    try:
        with TRACING:
            replica = Replica(model)
            root, operations, answer = _recorded(replica, batch)
            graph = fx.GraphModule(root, operations)
    except NotReplicated as problem:
        raise NotTraced(str(problem)) from None
    except NotRecorded as problem:
        raise NotTraced(str(problem)) from problem
    except Exception as problem:  # whatever a model may raise on tensors without values
        raise NotTraced("its control flow depends on data, or it leaves PyTorch") from problem
    nodes = list(graph.graph.nodes)
    output = nodes[-1].args[0]
    if not isinstance(output, fx.Node):
        if isinstance(answer, Tensor):
            raise NotTraced("the output does not depend on the input")
        raise NotTraced("it returns something else than one tensor")
    if output.meta["val"].shape[:1] != batch.shape[:1]:
        raise NotTraced("it does not return a row for each input")
    for node in nodes:
        if node.op == "call_function":
            _without_writing(node)
    graph.graph.eliminate_dead_code()
    return Trace(graph, replica.reads, replica)


def _recorded(replica: Replica, batch: Tensor) -> tuple[nn.Module, fx.Graph, object]:
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")
        return record(replica, lambda x: as_outputs(replica.model(x)), batch)


def name_of(node: fx.Node) -> str:
    """Return ATen's name of an operation, such as "conv2d"; empty for other functions."""
    target = node.target
    return target._schema.name.split("::")[1] if isinstance(target, torch._ops.OpOverload) else ""


def bound(node: fx.Node) -> dict[str, Any]:
    """Return an operation's arguments by name, defaults included."""
    return bound_arguments(node.target, node.args, node.kwargs)


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
