"""What operations do not show is seen by a second call: such models are evaluated plainly."""

from __future__ import annotations

import copy
import itertools
import random
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from otoscope import ops
from otoscope.explain import SoundLIME
from otoscope.explain.shared import NotTraced, SharedForward
from otoscope.explain.shared._replica import Replica
from otoscope.explain.shared._trace import trace

PICTURE = torch.rand(12, 4, generator=torch.Generator().manual_seed(0)) + 0.5
OPTIONS: Any = {"segments": "temporal:3", "content": 0.0}
POOL = ThreadPoolExecutor(1)


class Net(nn.Module):
    """Calls a function of itself and the batch."""

    def __init__(self, answer: Callable[[Any, Tensor], Any]) -> None:
        super().__init__()
        self.answer, self.calls = answer, 0
        self.weight = nn.Parameter(torch.ones(()))
        self.kept: Any
        self.register_buffer("kept", torch.ones(()))

    def forward(self, x: Tensor) -> Any:
        return self.answer(self, x)


def explained(lime: SoundLIME, picture: Any) -> Any:
    return lime.explain(picture)


def total(x: Tensor) -> Tensor:
    return x.sum((1, 2, 3))


def counted(net: Any, x: Tensor) -> Any:
    net.calls += 1
    return total(x) * net.calls


def counted_in_a_buffer(net: Any, x: Tensor) -> Any:
    net.kept = net.kept + 1
    return total(x) * net.kept


def weight_replaced(net: Any, x: Tensor) -> Any:
    net.weight = nn.Parameter(net.weight + 1)
    return total(x) * net.weight


def read_by_a_thread(net: Any, x: Tensor) -> Tensor:
    values: list[float] = []
    thread = threading.Thread(target=lambda: values.append(float(x[0].max())))
    thread.start()
    thread.join()
    return total(x) * values[0]


def written_by_a_pool(net: Any, x: Tensor) -> Tensor:
    own = x * 1.0
    POOL.submit(lambda: own.mul_(own.abs().mean() + 2)).result()
    return total(own)


def written_in_lists(net: Any, x: Tensor) -> Tensor:
    parts = [x.clone(), x * 2]
    torch._foreach_add_(parts, 1.0)
    return total(parts[0] * parts[1])


WAYS: dict[str, Callable[[Any, Tensor], Any]] = {
    "a counter": counted,
    "a counter in a buffer": counted_in_a_buffer,
    "a weight that is replaced": weight_replaced,
    "a thread that reads": read_by_a_thread,
    "a thread that writes": written_by_a_pool,
    "lists written in place": written_in_lists,
    "number of cells that are on": lambda net, x: total(x) * len(torch.where(x > 0)[0]),
    "size of the batch": lambda net, x: total(x) / x.shape[0],
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.filterwarnings("ignore:.*(outputs for a coalition|model is random)")
def test_an_explanation_is_that_of_plain_passes(way: str) -> None:
    net = Net(WAYS[way]).eval()
    plain = copy.deepcopy(net)
    lime, other = (SoundLIME(n, shared=s, **OPTIONS) for n, s in ((net, True), (plain, False)))
    for factor in (1.0, 1.5):  # the second finds the same trace
        explanation, right = (explained(e, PICTURE * factor) for e in (lime, other))
        assert "a second call of the model does not repeat the first" in explanation.plan
        torch.testing.assert_close(explanation.shapley, right.shapley, rtol=1e-4, atol=1e-5)
    assert net.calls == plain.calls


def keeping(net: Any, x: Tensor) -> Any:
    """Let the last batch count a little."""
    y = net.scale(x)
    if net.calls:
        y = y + 1e-4 * net.last.mean()
    net.calls, net.last = 1, y
    return total(y)


class Streaming(nn.Module):
    """Keeps the state of its recurrent layer."""

    def __init__(self) -> None:
        super().__init__()
        self.rnn, self.hidden = nn.RNN(4, 3, batch_first=True), None

    def forward(self, x: Tensor) -> Any:
        before: Any = self.hidden
        before = None if before is None else before[:, :1].expand(-1, len(x), -1).contiguous()
        outputs, self.hidden = self.rnn(x.squeeze(1), before)
        return outputs[:, -1].sum(1)


def cooling(net: Any, x: Tensor) -> Any:
    net.calls += 1e-5
    return total(x) * (1 + net.calls)


def logging(net: Any, x: Tensor) -> Tensor:
    net.last = net.scale(x)
    return total(net.last)


LITTLE: dict[str, tuple[Callable[[], nn.Module], str]] = {
    "the last batch": (lambda: scaled(keeping), "changes the answers of the next"),
    "a recurrent state": (Streaming, "changes the answers of the next"),
    "a temperature": (lambda: scaled(cooling), "changes the answers of the next"),
    "nothing": (lambda: scaled(logging), "shared forward pass"),
}


def scaled(answer: Callable[[Any, Tensor], Any]) -> Any:
    net: Any = Net(answer)
    net.scale = nn.Linear(4, 4)
    return net


@pytest.mark.parametrize("kept", LITTLE)
@pytest.mark.filterwarnings("ignore:.*(outputs for a coalition|model is random)")
def test_a_call_that_changes_the_next_a_little_is_noticed(kept: str) -> None:
    make, plan = LITTLE[kept]
    torch.manual_seed(0)
    net = make().eval()
    plain = copy.deepcopy(net)
    explanation, right = (
        explained(SoundLIME(n, shared=s, **OPTIONS), PICTURE)
        for n, s in ((net, True), (plain, False))
    )
    assert plan in explanation.plan
    torch.testing.assert_close(explanation.shapley, right.shapley, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("batch", [2, 5])
def test_the_second_call_has_another_number_of_rows(batch: int) -> None:
    def model(x: Tensor) -> Tensor:
        return total(x) / x.shape[0]

    forward = SharedForward(model, (1, 3, 1), torch.float32, torch.device("cpu"), batch)
    inputs, ids = torch.ones(1, 1, 3, 1), torch.tensor([0, 1, 2]).reshape(1, 3, 1)
    for _ in range(2):
        with pytest.raises(NotTraced, match="does not repeat"):
            forward(inputs, torch.zeros(1, 1, 1, 1), ids, ops.coalitions(3, "exact"))


def caching(net: Any, x: Tensor) -> Tensor:
    if net.calls != x.shape[-1]:
        net.calls, net.window = x.shape[-1], torch.hann_window(x.shape[-1])
    return total(x * net.window)


@pytest.mark.parametrize("type_of", [torch.float32, torch.float16, torch.bfloat16])
def test_caches_and_short_types_are_shared(type_of: torch.dtype) -> None:
    net = Net(lambda self, x: caching(self, x.to(type_of)).float()).eval()
    explanation = explained(SoundLIME(net, shared=True, **OPTIONS), PICTURE)
    assert explanation.plan.startswith("shared forward pass")
    assert net.calls == 0


@pytest.mark.parametrize(
    "iterator",
    [lambda: iter([1.0, 3.0]), lambda: itertools.count(1), lambda: (n for n in (1, 2))],
)
def test_an_iterator_is_not_moved_on(iterator: Callable[[], Any]) -> None:
    net: Any = Net(lambda self, x: total(x) * next(self.values))
    net.values = iterator()
    with pytest.raises(NotTraced, match="which a call moves on"):
        trace(net, PICTURE[None, None])
    assert next(net.values) == 1


def test_generators_of_numbers_are_copied() -> None:
    net: Any = Net(lambda self, x: total(x))
    net.drawn = [random.Random(0), np.random.default_rng(0), np.random.RandomState(0)]
    replica: Any = Replica(net).model
    copies = [generator.random() for generator in replica.drawn]
    assert copies == [generator.random() for generator in net.drawn]


def test_defaults_of_arguments_are_copied() -> None:
    def hook(module: Any, inputs: Any, output: Tensor, log: Any = [], *, kept: Any = {}) -> Tensor:  # noqa: B006
        log.append(len(log))
        kept[len(log)] = output
        return output * 2

    net = nn.Sequential(nn.Flatten(), nn.Linear(48, 1)).eval()
    net[0].register_forward_hook(hook)
    trace(net, PICTURE[None, None])
    assert hook.__defaults__ == ([],)
    assert hook.__kwdefaults__ == {"kept": {}}
