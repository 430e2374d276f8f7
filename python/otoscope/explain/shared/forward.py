"""The shared forward pass: a model's outputs for all coalitions, each different value once.

Operations run on factored tensors as long as they are local; from the first that is not, the
samples are evaluated in plain batches.
"""

from __future__ import annotations

import math
import operator
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor, fx

from otoscope import ops
from otoscope.explain.shared import _convolution, _reduction, _views  # noqa: F401 - their handlers
from otoscope.explain.shared._crew import crew
from otoscope.explain.shared._factored import (
    COLUMN,
    ROW,
    FactoredTensor,
    MixesSamples,
    NotShareable,
)
from otoscope.explain.shared._handlers import HANDLERS, WorkCount, multiplications
from otoscope.explain.shared._layout import CoalitionTable, Layout, cut_plane
from otoscope.explain.shared._pointwise import elementwise
from otoscope.explain.shared._trace import NotTraced, bound, name_of, trace
from otoscope.progress import Progress, silent, tracked

__all__ = ["SharedForward"]

_ELEMENTWISE = {"leaky_relu", "silu", "mish", "hardswish", "hardtanh", "hardsigmoid", "relu6"}
_ELEMENTWISE |= {"gelu", "elu", "selu", "celu", "softplus", "softsign", "logsigmoid", "tanhshrink"}
_ELEMENTWISE |= {"to", "_to_copy", "softshrink", "hardshrink", "log_sigmoid", "square", "rsub"}
_ELEMENTWISE |= {"where", "floor_divide", "zeros_like", "ones_like", "full_like"}


@dataclass
class SharingReport:
    """Count the operations that were shared."""

    shared: int
    operations: int  # of the whole graph
    stopped: str  # the first operation that was not shared, and the reason; empty if there is none
    work: WorkCount  # multiplications by weights of the shared operations
    passes: float  # the work of all operations for all samples, in forward passes of the model


class SharedForward:
    """Evaluate a traced model on all coalitions of excerpts of one shape.

    Threads that evaluate at once take a shallow copy each, for its ``report``.

    Parameters
    ----------
    model : callable
        [batch, ...] -> [batch, output] or [batch]; in eval mode.
    shape : sequence of int
        Shape of one input, without the batch.
    dtype : torch.dtype
        Type of the inputs.
    device : torch.device
        Device of the model and the inputs.
    batch : int
        Size of plain batches, where they are needed; at least 2.

    Raises
    ------
    NotTraced
        If the model is not a fixed graph.

    Examples
    --------
    >>> def model(x):
    ...     return torch.nn.functional.max_pool2d(x, (2, 1)).sum((1, 2, 3))
    >>> forward = SharedForward(model, (1, 6, 1), torch.float32, torch.device("cpu"))
    >>> ids = torch.tensor([0, 0, 1, 1, 2, 2]).reshape(1, 6, 1)
    >>> patches = torch.arange(6.0).reshape(1, 1, 6, 1)
    >>> forward(patches, torch.zeros(1, 1, 1, 1), ids, ops.coalitions(3, "exact"))
    tensor([[0., 1., 3., 4., 5., 6., 8., 9.]])
    """

    def __init__(
        self,
        model: Callable[[Tensor], Any],
        shape: Sequence[int],
        dtype: torch.dtype,
        device: torch.device,
        batch: int = 8,
    ) -> None:
        self.batch = max(2, batch)
        self.trace = trace(model, torch.zeros(self.batch, *shape, dtype=dtype, device=device))
        self.report = SharingReport(0, 0, "", WorkCount(self.batch), 0.0)
        self.progress: Progress = silent
        self._layouts: deque[tuple[Tensor, Tensor, Layout]] = deque(maxlen=1)  # the last

    def __call__(
        self, inputs: Tensor, contents: Tensor, ids: Tensor, coalitions: ops.Coalitions
    ) -> Tensor:
        """Return the outputs for each excerpt and coalition.

        Parameters
        ----------
        inputs : Tensor [excerpt, ...]
            Excerpts of the shape that was traced.
        contents : Tensor
            Values where a segment is occluded; broadcasts to the inputs.
        ids : Tensor
            Segment of each cell, of an input's shape.
        coalitions : ops.Coalitions
            Segments that stay, by row.

        Returns
        -------
        Tensor [excerpt, coalition, ...]
            Outputs of the model.

        Raises
        ------
        NotTraced
            If samples of a batch depend on each other, or the output on no sample.
        """
        work, values = WorkCount(self.batch), dict[fx.Node, Any]()
        with crew(inputs.device):
            keep = coalitions.unpack()
            start = self._start(inputs, contents.expand_as(inputs), ids, coalitions, keep)
            unshared = self._share(start, values, work)
        outputs = self._outputs(start, values, unshared)
        few = _few_of(len(keep), self.batch)
        self.trace.compare(
            lambda: _samples(inputs[0], contents.expand_as(inputs)[0], ids, keep[few]),
            lambda: outputs[0, few],
        )
        return outputs

    def _start(
        self,
        inputs: Tensor,
        contents: Tensor,
        ids: Tensor,
        coalitions: ops.Coalitions,
        keep: Tensor,
    ) -> FactoredTensor:
        """Factor the inputs of all samples."""
        planes = _as_planes(ids)
        layout = self._layout_of(planes, coalitions)
        flat, content = (_as_planes(t, batched=True) for t in (inputs, contents))
        rows = _input_rows(flat, content, planes, keep, layout)
        sizes = inputs.shape[1:]
        plane = ((ROW,), (COLUMN,))[-min(2, len(sizes)) :]
        return FactoredTensor.of(rows, layout, sizes[:-2], *plane)

    def _layout_of(self, ids: Tensor, coalitions: ops.Coalitions) -> Layout:
        bits = coalitions.bits
        for known_ids, known_bits, layout in list(self._layouts):
            if torch.equal(known_ids, ids) and torch.equal(known_bits, bits):
                return layout
        layout = cut_plane(ids, CoalitionTable(bits, coalitions.n_segments))
        self._layouts.append((ids, bits, layout))
        return layout

    def _share(
        self, start: FactoredTensor, values: dict[fx.Node, Any], work: WorkCount
    ) -> list[fx.Node]:
        """Apply the operations that are local, and report them; return the others."""
        nodes = list(self.trace.graph.graph.nodes)
        last_use = {used: node for node in nodes for used in node.all_input_nodes}
        unshared: list[fx.Node] = []
        stopped, shared = "", 0
        for node in tracked(self.progress, nodes, "operations"):
            if node.op == "placeholder":
                values[node] = start
            elif node.op == "get_attr":
                values[node] = _attribute(self.trace.graph, str(node.target))
            elif any(used in unshared for used in node.all_input_nodes):
                unshared.append(node)
            else:
                try:
                    values[node] = value = self._step(node, values, work)
                    if isinstance(value, FactoredTensor) and (
                        len(node.users) > 1 or node.op == "output"
                    ):
                        _ = value.rows  # computed once, for all
                    shared += node.op == "call_function"
                except MixesSamples as problem:
                    raise NotTraced(f"{name_of(node)} {problem}") from problem
                except NotShareable as problem:
                    stopped = stopped or f"{name_of(node) or 'the output'} {problem}"
                    unshared.append(node)
                    continue
                for used in node.all_input_nodes:
                    if last_use[used] is node and not any(user in unshared for user in used.users):
                        values.pop(used, None)
        total = sum(node.op == "call_function" for node in nodes)
        rest = sum(map(multiplications, unshared)) / self.batch
        passes = _passes(work, rest, start.layout)
        self.report = SharingReport(shared, total, stopped, work, passes)
        return unshared

    def _outputs(
        self, start: FactoredTensor, values: dict[fx.Node, Any], unshared: list[fx.Node]
    ) -> Tensor:
        """Return the outputs of all samples, after plain batches where they are needed."""
        output = list(self.trace.graph.graph.nodes)[-1]
        if output in unshared:
            return self._by_batches(unshared, values, start)
        result = values[output]
        if not isinstance(result, FactoredTensor):
            raise NotTraced("the output does not depend on the input")
        return result.materialise(torch.arange(len(start.layout.samples), device=start.rows.device))

    def _step(self, node: fx.Node, values: dict[fx.Node, Any], work: WorkCount) -> Any:
        """Apply one operation to all samples."""
        if node.op == "output":
            return values[node.all_input_nodes[0]]
        args, kwargs = _substituted(node.args, values), _substituted(node.kwargs, values)
        if not any(
            isinstance(values[used], (FactoredTensor, list)) for used in node.all_input_nodes
        ):
            return _call(node, args, kwargs)
        if node.target is operator.getitem:
            return args[0][args[1]]
        name = name_of(node)
        if name in HANDLERS:
            result = HANDLERS[name]({**_substituted(bound(node), values), "op": name}, work)
        elif _is_elementwise(node):
            result = elementwise(node.target, args, kwargs)  # type: ignore[arg-type]
        else:
            raise NotShareable("needs whole samples")
        _require_as_traced(node, result, self.batch)
        return result

    def _by_batches(
        self, unshared: list[fx.Node], values: dict[fx.Node, Any], start: FactoredTensor
    ) -> Tensor:
        """Evaluate the remaining operations in plain batches of the traced size."""
        n, device = len(start.layout.samples), start.rows.device
        needed = {used for node in unshared for used in node.all_input_nodes if used in values}

        def outputs_of(samples: Tensor, excerpt: int) -> Tensor:
            write = partial(_materialised, excerpt=excerpt, samples=samples)
            dense = {node: fx.node.map_aggregate(values[node], write) for node in needed}
            return _execute(unshared, dense)

        place = torch.arange(self.batch, device=device)
        if n > 1:
            others = place % n, n - 1 - place % n  # in an exact design, complements
            batches = [other.where(place % 2 == 0, n // 2) for other in others]
            _refuse_mixing(*(outputs_of(samples, 0) for samples in batches))
        excerpts = []
        for excerpt in range(len(start.rows)):
            parts = [
                outputs_of((place + first).clamp(max=n - 1), excerpt)[: n - first]
                for first in tracked(self.progress, range(0, n, self.batch), "batches")
            ]
            excerpts.append(torch.cat(parts))
        return torch.stack(excerpts)


def _few_of(n_samples: int, batch: int) -> list[int]:
    """Choose samples for a batch of another size than the traced one."""
    few = [n_samples // 2, n_samples - 1]
    return few if batch != len(few) else [0, *few]


def _samples(values: Tensor, content: Tensor, ids: Tensor, keep: Tensor) -> Tensor:
    """Return an excerpt's samples [sample, ...] as the model gets them."""
    return torch.where(keep[:, ids.to(keep.device).long()].to(values.device), values, content)


def _passes(work: WorkCount, rest: float, layout: Layout) -> float:
    """Express work in forward passes; ``rest`` is that of a sample after the shared operations.

    A model without weights does work in proportion to its input's positions.
    """
    n_samples = len(layout.samples)
    done, plain = work.done + rest * n_samples, work.plain + rest * n_samples
    if not plain:
        done, plain = layout.n_rows, layout.area * n_samples
    return n_samples * done / plain


def _require_as_traced(node: fx.Node, result: Any, batch: int) -> None:
    """Compare shapes and types with those of the trace: sharing must not change them."""
    if isinstance(result, list):
        if any(result[user.args[1]] is None for user in node.users):  # type: ignore[index]
            raise NotShareable("returns the index of the largest value")
        return
    traced = node.meta["val"]
    if traced.shape[:1] != (batch,):
        raise MixesSamples("mixes samples")
    if (result.sizes, result.dtype) != (tuple(traced.shape[1:]), traced.dtype):
        raise NotShareable("gives another shape or type")


def _refuse_mixing(first: Tensor, other: Tensor) -> None:
    """Compare the outputs of two batches that have every second sample in common."""
    tolerance = 1e-9 if first.dtype == torch.float64 else 1e-4
    if not torch.allclose(first[1::2], other[1::2], rtol=tolerance, atol=tolerance, equal_nan=True):
        raise NotTraced("samples of a batch depend on each other")


def _substituted(arguments: Any, values: dict[fx.Node, Any]) -> Any:
    """Replace nodes among the arguments by their values."""
    return fx.node.map_arg(arguments, values.__getitem__)


def _call(node: fx.Node, args: Any, kwargs: Any) -> Any:
    return node.target(*args, **kwargs)  # type: ignore[operator]


def _execute(nodes: Sequence[fx.Node], values: dict[fx.Node, Any]) -> Tensor:
    """Apply operations to a plain batch."""
    for node in nodes:
        if node.op != "output":
            values[node] = _call(
                node, _substituted(node.args, values), _substituted(node.kwargs, values)
            )
    result: Tensor = values[nodes[-1].all_input_nodes[0]]
    return result


def _materialised(value: Any, excerpt: int, samples: Tensor) -> Any:
    """Materialise a factored tensor; anything else stays."""
    if not isinstance(value, FactoredTensor):
        return value
    return value.with_rows(value.rows[excerpt : excerpt + 1]).materialise(samples)[0]


def _attribute(module: fx.GraphModule, target: str) -> Any:
    value: Any = module
    for name in target.split("."):
        value = getattr(value, name)
    return value


def _is_elementwise(node: fx.Node) -> bool:
    target = node.target
    if not isinstance(target, torch._ops.OpOverload):
        return False
    return torch.Tag.pointwise in target.tags or name_of(node) in _ELEMENTWISE


def _as_planes(tensor: Tensor, *, batched: bool = False) -> Tensor:
    """View an input [..., row, column] as [feature, row, column]; fewer dimensions get size 1."""
    lead = 1 if batched else 0
    sizes = (1, *tensor.shape[lead:])
    return tensor.reshape(*tensor.shape[:lead], math.prod(sizes[:-2]), *sizes[-2:])


def _input_rows(
    inputs: Tensor, contents: Tensor, ids: Tensor, keep: Tensor, layout: Layout
) -> Tensor:
    """Return the input's rows, Tensor [excerpt, row + 1, feature].

    Invariant: each row has the values of any sample of its variant; ``sample`` names one.
    """
    position = layout.position_of_row[:-1]
    sample = torch.empty_like(position)
    for group in layout.groups:
        of_row = torch.from_numpy(group.sample_of_variant).to(position.device)
        area = group.shape[0] * group.shape[1]
        sample[group.start : group.start + group.n_rows] = of_row.repeat_interleave(area)
    cells = ids.flatten(1).T[position]  # [row, feature]
    stays = keep[sample[:, None], cells.long()]
    kept, lost = (t.flatten(2).transpose(1, 2)[:, position] for t in (inputs, contents))
    rows = inputs.new_zeros(len(inputs), len(position) + 1, inputs.shape[1])
    rows[:, :-1] = torch.where(stays, kept, lost)
    return rows
