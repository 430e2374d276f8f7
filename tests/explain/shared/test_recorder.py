"""The recorder: no value leaves a call unseen, and nothing is written into the model."""

from __future__ import annotations

import copy
import math
import warnings
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, fx, nn

from otoscope.explain.shared._recorder import NotRecorded, record
from otoscope.explain.shared._replica import Replica
from otoscope.explain.shared._trace import NotTraced, trace

BATCH = torch.zeros(2, 1, 4, 3)

LEAVING: dict[str, Callable[[Tensor], Any]] = {
    "item": lambda x: x * x[0, 0, 0, 0].item(),
    "inside another function": lambda x: nn.functional.dropout(x, float(x.sum()), False) + x.max(),
    "tolist": lambda x: x + sum(x.flatten().tolist()),
    "numpy": lambda x: x + torch.from_numpy(x.numpy() + 1),
    "a ufunc": lambda x: x + torch.from_numpy(np.sqrt(x)),
    "dlpack": lambda x: x + torch.from_numpy(np.from_dlpack(x).copy()),
    "a tensor of numbers": lambda x: x + torch.tensor([x[0, 0, 0, 0], 1.0, 2.0]),
    "a new tensor of numbers": lambda x: x + x.new_tensor([x[0, 0, 0, 0], 1.0, 2.0]),
    "an array of numbers": lambda x: x + torch.asarray([x[0, 0, 0, 0], 1.0, 2.0]),
    "a copy": lambda x: x + copy.deepcopy(x),
    "data": lambda x: x + x.data,
    "text": lambda x: x * float(f"{x[0, 0, 0, 0]:.3f}"),
    "math": lambda x: x * math.sqrt(x[0, 0, 0, 0]),
    "a branch": lambda x: x if x.sum() > 1 else -x,
    "membership": lambda x: x if 1.0 in x else -x,
    "equality": lambda x: x if torch.equal(x, x + 1) else -x,
    "a size": lambda x: x[:, :, : int(x.sum()) + 1].sum((2, 3)),
    "a mask": lambda x: x[x > 0].sum() + x,
    "nonzero": lambda x: x + x.nonzero().shape[0],
    "vmap": lambda x: x + torch.vmap(lambda row: row * 2)(x),
    "noise": lambda x: x + torch.rand(3),
    "memory": lambda x: x + torch.frombuffer(x.numpy(), dtype=torch.float32).reshape(x.shape),
}


@pytest.mark.parametrize("way", LEAVING)
def test_values_of_a_batch_that_leave_pytorch_are_refused(way: str) -> None:
    state = torch.get_rng_state()
    with pytest.raises(NotTraced):
        trace(LEAVING[way], BATCH)
    assert torch.equal(torch.get_rng_state(), state)


class Reading(nn.Module):
    """Uses the value of its weight in a way of its own."""

    def __init__(self, use: Callable[[Tensor], Any]) -> None:
        super().__init__()
        self.use, self.weight = use, nn.Parameter(torch.tensor([2.0]))

    def forward(self, x: Tensor) -> Any:
        return x.sum((1, 2, 3)) * self.use(self.weight)


READING: dict[str, Callable[[Tensor], Any]] = {
    "item": lambda w: w.item(),
    "tolist": lambda w: w.tolist()[0],
    "numpy": lambda w: float(w.detach().numpy()[0]),
    "a copy": lambda w: copy.deepcopy(w),
    "a tensor": lambda w: torch.tensor([float(w)]),
    "a tensor of it": lambda w: torch.tensor([w[0]]),
    "an operation": lambda w: torch.exp(w),
    "data": lambda w: w.data,
}


@pytest.mark.parametrize("way", READING)
def test_a_value_of_the_model_is_read_again_or_makes_the_trace_old(way: str) -> None:
    net = Reading(READING[way]).eval()
    with torch.no_grad():
        try:
            result = trace(net, BATCH)
        except NotTraced:
            return
        assert torch.equal(result.graph(BATCH + 1), net(BATCH + 1))
        net.weight.fill_(3.0)
        assert not result.is_current or torch.equal(result.graph(BATCH + 1), net(BATCH + 1))


def _replace(w: Any) -> Any:
    w.data = w.data * 2
    return w


def _mark(w: Any) -> Any:
    w.mark = 1
    return w.requires_grad_(False)


WRITING: dict[str, Callable[[Tensor], Any]] = {
    "in place": lambda w: w.add_(1),
    "through data": lambda w: w.data.add_(1),
    "through a view": lambda w: w.view(1, 1)[0].mul_(2),
    "through detach": lambda w: w.detach().zero_(),
    "out": lambda w: torch.add(w, 1, out=w.data),
    "by index": lambda w: w.data.index_fill_(0, torch.tensor([0]), 5.0),
    "copy": lambda w: w.data.copy_(torch.zeros(1)),
    "resize": lambda w: w.detach().resize_(2),
    "numpy": lambda w: w.detach().numpy().__iadd__(1)[0],
    "set data": _replace,
    "attributes": _mark,
}


@pytest.mark.parametrize("way", WRITING)
def test_nothing_is_written_into_a_tensor_of_the_model(way: str) -> None:
    net = Reading(WRITING[way]).eval()
    weight, memory = net.weight, net.weight.data_ptr()
    with suppress(NotTraced):
        trace(net, BATCH)
    assert net.weight is weight
    assert (weight.tolist(), weight.data_ptr(), weight.requires_grad) == ([2.0], memory, True)
    assert not hasattr(weight, "mark")


def test_operations_are_recorded_before_they_are_decomposed() -> None:
    net = nn.Sequential(
        nn.Conv2d(1, 2, 3, padding=1), nn.BatchNorm2d(2), nn.Flatten(), nn.Linear(24, 1)
    )
    _, graph, answer = record(Replica(net.eval()), net.eval(), BATCH)
    called = [node.target._schema.name for node in graph.nodes if node.op == "call_function"]
    assert called == ["aten::conv2d", "aten::batch_norm", "aten::flatten", "aten::linear"]
    assert isinstance(answer, Tensor)
    assert torch.equal(answer, net(BATCH))
    (output,) = (node for node in graph.nodes if node.op == "output")
    assert output.args[0].meta["val"].shape == (2, 1)
    assert output.args[0].meta["val"].is_meta


def test_parts_of_a_result_are_recorded_each() -> None:
    def call(x: Tensor) -> Tensor:
        first, _, third = x.unbind(-1)
        values, places = torch.max(first - third, dim=2)
        return values + places

    batch = torch.rand(2, 1, 4, 3)
    root, graph, _ = record(Replica(call), call, batch)
    assert torch.equal(fx.GraphModule(root, graph)(batch), call(batch))


def test_what_is_returned_besides_recorded_tensors_is_handed_back() -> None:
    constant = torch.ones(2)
    assert record(Replica(len), lambda x: constant, BATCH)[-1] is constant
    with pytest.raises(NotRecorded, match="rand is random"):
        record(Replica(len), lambda x: torch.rand(2), BATCH)


SWALLOWED: dict[str, Callable[[Tensor, Tensor], Any]] = {
    "a value of the batch": lambda weight, x: float(x.max()),
    "a value by NumPy": lambda weight, x: float(x.numpy().max()),
    "a number drawn": lambda weight, x: torch.rand(()),
    "a weight written": lambda weight, x: weight.data.add_(1.0),
}


@pytest.mark.parametrize("way", SWALLOWED)
@pytest.mark.parametrize("caught", [Exception, BaseException])
def test_a_model_that_catches_the_refusal_is_refused_too(
    way: str, caught: type[BaseException]
) -> None:
    weight = nn.Parameter(torch.ones(()))

    def model(x: Tensor) -> Any:
        gain: Any = 1.0
        try:
            gain = SWALLOWED[way](weight, x)
        except caught:
            gain = 1.0
        return x.sum((1, 2, 3)) * gain

    with pytest.raises(NotTraced):
        trace(model, BATCH)
    assert float(weight.detach()) == 1.0


def test_what_a_graph_cannot_name_is_refused() -> None:
    if torch.backends.quantized.engine == "none":
        pytest.skip("PyTorch has no quantised layers here")
    net = nn.Sequential(nn.Flatten(), nn.Linear(12, 1)).eval()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        quantised = torch.ao.quantization.quantize_dynamic(net, {nn.Linear})
    with pytest.raises(NotTraced):
        trace(quantised, BATCH)


def _in_autocast(x: Tensor) -> Tensor:
    with torch.autocast("cpu", torch.bfloat16):
        return (x[:, 0] @ torch.ones(3, 1)).float().sum((1, 2))


def _by_default_dtype(x: Tensor) -> Tensor:
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    try:
        return x.sum((1, 2, 3)) * (torch.arange(1, 2) / 3)
    finally:
        torch.set_default_dtype(before)


@pytest.mark.parametrize("model", [_in_autocast, _by_default_dtype])
def test_settings_inside_a_model_are_refused(model: Callable[[Tensor], Any]) -> None:
    with pytest.raises(NotTraced, match="changes PyTorch's settings"):
        trace(model, BATCH)


CONSTANTS: dict[str, Callable[[Tensor], Any]] = {
    "a tensor of numbers": lambda x: x.index_select(2, torch.tensor([3, 1])),
    "an array": lambda x: x * torch.from_numpy(np.hanning(3)).float(),
    "a scalar": lambda x: x * torch.tensor(0.3),
    "rrelu": lambda x: nn.functional.rrelu(x - 0.5, training=False),
}


@pytest.mark.parametrize("way", CONSTANTS)
def test_constants_made_by_a_call_are_part_of_the_graph(way: str) -> None:
    model = CONSTANTS[way]
    result = trace(lambda x: model(x).sum((2, 3)), BATCH)
    batch = torch.rand(BATCH.shape)
    assert torch.equal(result.graph(batch), model(batch).sum((2, 3)))
