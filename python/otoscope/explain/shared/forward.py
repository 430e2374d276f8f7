"""The shared forward pass: a model's outputs for all coalitions, each different value once.

As long as operations are local, `Sheet` by `Sheet`; from the first that is not, sample by sample.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor, fx

from otoscope import ops
from otoscope.explain.shared import _local, _reduce, _views  # noqa: F401 - their handlers
from otoscope.explain.shared._layout import Layout, cut_plane
from otoscope.explain.shared._pointwise import elementwise
from otoscope.explain.shared._registry import HANDLERS, Work
from otoscope.explain.shared._samples import Samples
from otoscope.explain.shared._sheet import COLUMN, ROW, MixesSamples, NotLocal, Sheet
from otoscope.explain.shared._trace import NotTraced, bound, name_of, trace

__all__ = ["SharedForward"]

_ELEMENTWISE = {"leaky_relu", "silu", "mish", "hardswish", "hardtanh", "hardsigmoid", "relu6"}
_ELEMENTWISE |= {"gelu", "elu", "selu", "celu", "softplus", "softsign", "logsigmoid", "tanhshrink"}
_ELEMENTWISE |= {"to", "_to_copy", "softshrink", "hardshrink", "log_sigmoid", "square", "rsub"}
_ELEMENTWISE |= {"where", "floor_divide", "zeros_like", "ones_like", "full_like"}


@dataclass
class Report:
    """What was shared.

    Parameters
    ----------
    shared, operations : int
        How many of the graph's operations were.
    stopped : str
        The first that was not, and why; empty if there is none.
    work : Work
        Multiplications by weights, until there.

    Examples
    --------
    >>> Report(3, 4, "gru needs whole samples", Work(8)).shared
    3
    """

    shared: int
    operations: int
    stopped: str
    work: Work


class SharedForward:
    """Evaluate a traced model on all coalitions of excerpts of one shape.

    Parameters
    ----------
    model : callable
        [batch, ...] -> [batch, output] or [batch]; in eval mode.
    shape : sequence of int
        Of one input, without the batch.
    dtype : torch.dtype
        Of the input.
    device : torch.device
        Where all is.
    batch : int
        Samples of a plain batch, where one is needed; at least 2.

    Raises
    ------
    NotTraced
        If the model is no fixed graph.

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
        self.graph = trace(model, torch.zeros(self.batch, *shape, dtype=dtype, device=device))
        self.report = Report(0, 0, "", Work(self.batch))
        self._layout: tuple[Tensor, Tensor, Layout] | None = None

    def __call__(
        self, inputs: Tensor, contents: Tensor, ids: Tensor, coalitions: ops.Coalitions
    ) -> Tensor:
        """Give the outputs for each excerpt and coalition.

        Parameters
        ----------
        inputs : Tensor [excerpt, ...]
            Of the shape that was traced.
        contents : Tensor
            Broadcasts to the inputs: what stands where a segment is off.
        ids : Tensor
            Of an input's shape: the segment of each cell.
        coalitions : ops.Coalitions
            Which segments stay.

        Returns
        -------
        Tensor [excerpt, coalition, ...]
            As the model returns them.

        Raises
        ------
        NotTraced
            If samples of one batch depend on each other, or the output on none.
        """
        planes = _as_planes(ids)
        layout = self._layout_of(planes, coalitions)
        keep = coalitions.unpack()
        flat, content = (_as_planes(t, batched=True) for t in (inputs, contents.expand_as(inputs)))
        rows = _input_rows(flat, content, planes, keep, layout)
        sizes = inputs.shape[1:]
        plane = ((ROW,), (COLUMN,))[-min(2, len(sizes)) :]
        return self._run(Sheet.of(rows, layout, sizes[:-2], *plane))

    def _layout_of(self, ids: Tensor, coalitions: ops.Coalitions) -> Layout:
        bits = coalitions.bits
        if self._layout is not None:
            known_ids, known_bits, layout = self._layout
            if torch.equal(known_ids, ids) and torch.equal(known_bits, bits):
                return layout
        layout = cut_plane(ids, Samples(bits, coalitions.n_segments))
        self._layout = ids, bits, layout
        return layout

    def _run(self, start: Sheet) -> Tensor:
        work = Work(self.batch)
        nodes = list(self.graph.graph.nodes)
        last_use = {used: node for node in nodes for used in node.all_input_nodes}
        values: dict[fx.Node, Any] = {}
        left: list[fx.Node] = []
        stopped, shared = "", 0
        for node in nodes:
            if node.op == "placeholder":
                values[node] = start
            elif node.op == "get_attr":
                values[node] = _attribute(self.graph, str(node.target))
            elif any(used in left for used in node.all_input_nodes):
                left.append(node)
            else:
                try:
                    values[node] = self._step(node, values, work)
                    shared += node.op == "call_function"
                except MixesSamples as problem:
                    raise NotTraced(f"{name_of(node)} {problem}") from problem
                except NotLocal as problem:
                    stopped = stopped or f"{name_of(node) or 'the output'} {problem}"
                    left.append(node)
                    continue
                for used in node.all_input_nodes:
                    if last_use[used] is node and not any(user in left for user in used.users):
                        values.pop(used, None)
        total = sum(node.op == "call_function" for node in nodes)
        self.report = Report(shared, total, stopped, work)
        output = nodes[-1]
        if output in left:
            return self._plainly(left, values, start)
        found = values[output]
        if not isinstance(found, Sheet):
            raise NotTraced("the output does not depend on the input")
        return found.dense(torch.arange(len(start.layout.samples), device=start.rows.device))

    def _step(self, node: fx.Node, values: dict[fx.Node, Any], work: Work) -> Any:
        """Do one operation for all samples."""
        if node.op == "output":
            return values[node.all_input_nodes[0]]
        args, kwargs = _given(node.args, values), _given(node.kwargs, values)
        if not any(isinstance(values[used], (Sheet, list)) for used in node.all_input_nodes):
            return _call(node, args, kwargs)
        if node.target is operator.getitem:
            return args[0][args[1]]
        name = name_of(node)
        if name in HANDLERS:
            found = HANDLERS[name]({**_given(bound(node), values), "op": name}, work)
        elif _is_elementwise(node):
            found = elementwise(node.target, args, kwargs)  # type: ignore[arg-type]
        else:
            raise NotLocal("needs whole samples")
        _require_as_traced(node, found, self.batch)
        return found

    def _plainly(self, left: list[fx.Node], values: dict[fx.Node, Any], start: Sheet) -> Tensor:
        """Go on sample by sample, in batches of the traced size."""
        n, device = len(start.layout.samples), start.rows.device
        needed = {used for node in left for used in node.all_input_nodes if used in values}

        def outputs_of(samples: Tensor, excerpt: int) -> Tensor:
            write = partial(_written, excerpt=excerpt, samples=samples)
            dense = {node: fx.node.map_aggregate(values[node], write) for node in needed}
            return _execute(left, dense)

        place = torch.arange(self.batch, device=device)
        if n > 1:
            others = place % n, n - 1 - place % n  # in an exact design, each the other's opposite
            batches = [other.where(place % 2 == 0, n // 2) for other in others]
            _refuse_mixing(*(outputs_of(samples, 0) for samples in batches))
        excerpts = []
        for excerpt in range(len(start.rows)):
            parts = [
                outputs_of((place + first).clamp(max=n - 1), excerpt)[: n - first]
                for first in range(0, n, self.batch)
            ]
            excerpts.append(torch.cat(parts))
        return torch.stack(excerpts)


def _require_as_traced(node: fx.Node, found: Any, batch: int) -> None:
    """Compare shapes and types with those of the trace: sharing must not change them."""
    if isinstance(found, list):
        if any(found[user.args[1]] is None for user in node.users):  # type: ignore[index]
            raise NotLocal("is asked where the largest value is")
        return
    traced = node.meta["val"]
    if traced.shape[:1] != (batch,):
        raise MixesSamples("mixes samples")
    if (found.sizes, found.rows.dtype) != (tuple(traced.shape[1:]), traced.dtype):
        raise NotLocal("gives another shape or type")


def _refuse_mixing(one: Tensor, other: Tensor) -> None:
    """Compare the outputs of two batches that have every second sample in common."""
    tolerance = 1e-9 if one.dtype == torch.float64 else 1e-4
    if not torch.allclose(one[1::2], other[1::2], rtol=tolerance, atol=tolerance, equal_nan=True):
        raise NotTraced("samples of a batch depend on each other")


def _given(arguments: Any, values: dict[fx.Node, Any]) -> Any:
    """Replace nodes among the arguments by their values."""
    return fx.node.map_arg(arguments, values.__getitem__)


def _call(node: fx.Node, args: Any, kwargs: Any) -> Any:
    return node.target(*args, **kwargs)  # type: ignore[operator]


def _execute(nodes: Sequence[fx.Node], values: dict[fx.Node, Any]) -> Tensor:
    """Do operations on a plain batch."""
    for node in nodes:
        if node.op != "output":
            values[node] = _call(node, _given(node.args, values), _given(node.kwargs, values))
    result: Tensor = values[nodes[-1].all_input_nodes[0]]
    return result


def _written(value: Any, excerpt: int, samples: Tensor) -> Any:
    """Write a sheet out as the network has it; anything else stays."""
    if not isinstance(value, Sheet):
        return value
    return value.with_rows(value.rows[excerpt : excerpt + 1]).dense(samples)[0]


def _attribute(module: fx.GraphModule, target: str) -> Any:
    found: Any = module
    for name in target.split("."):
        found = getattr(found, name)
    return found


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
    """Fill in every tile's variants: Tensor [excerpt, row + 1, feature]."""
    position = layout.position[:-1]
    sample = torch.empty_like(position)
    for group in layout.groups:
        of_row = torch.from_numpy(group.sample_of).to(position.device)
        area = group.shape[0] * group.shape[1]
        sample[group.start : group.start + group.n_rows] = of_row.repeat_interleave(area)
    cells = ids.flatten(1).T[position]  # [row, feature]
    stays = keep[sample[:, None], cells.long()]
    kept, lost = (t.flatten(2).transpose(1, 2)[:, position] for t in (inputs, contents))
    rows = inputs.new_zeros(len(inputs), len(position) + 1, inputs.shape[1])
    rows[:, :-1] = torch.where(stays, kept, lost)
    return rows
