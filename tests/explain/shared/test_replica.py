"""A trace never touches the model: what its code writes is written into a replica."""

from __future__ import annotations

import collections
import dataclasses
import functools
import sys
import threading
import types
from collections.abc import Callable, Iterator
from typing import Any, cast

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from otoscope.explain import SoundLIME
from otoscope.explain.shared._replica import Replica
from otoscope.explain.shared._trace import NotTraced, trace
from otoscope.taps import Tap

SHAPE = (2, 1, 12, 4)
SEEN: list[Any] = []


@dataclasses.dataclass
class Log:
    entries: list[Any]
    calls: int = 0


class Writer(nn.Module):
    """Writes wherever it can."""

    def __init__(self) -> None:
        super().__init__()
        self.calls, self.log = 0, Log([])
        self.seen: Any = collections.deque(maxlen=3)
        self.caches: dict[str, Any] = collections.OrderedDict()
        self.space, self.counts = types.SimpleNamespace(n=0), np.zeros(1)
        self.flat, self.window = nn.Linear(48, 2), cast(Any, None)
        self.register_buffer("n_calls", torch.zeros(()))

    def forward(self, x: Tensor) -> Any:
        self.calls += 1
        self.log.calls += 1
        self.log.entries.append(x)
        self.seen.append(x)
        self.caches["last"] = x
        self.space.n += 1
        self.counts[0] += 1
        if self.window is None:
            self.window = torch.hann_window(4)
        self.extra = nn.Identity()
        return self.flat((x * self.window).flatten(1))


def contents(net: Any) -> dict[str, Any]:
    held = {
        **vars(net),
        "log": (list(net.log.entries), net.log.calls),
        "seen": list(net.seen),
        "caches": dict(net.caches),
        "space": net.space.n,
        "counts": net.counts.tolist(),
        "_modules": dict(net._modules),
    }
    del held["_buffers"], held["_parameters"]
    return held


def test_a_trace_leaves_nothing_behind() -> None:
    net = Writer().eval()
    before, n_calls = contents(net), net.n_calls
    result = trace(net, torch.zeros(SHAPE))
    assert contents(net) == before
    assert net.n_calls is n_calls
    weights = [w for w in result.graph.parameters() if w is net.flat.weight]
    assert len(weights) == 1


class Counting(nn.Module):
    """Counts its calls in a buffer, in place."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: Any
        self.register_buffer("calls", torch.zeros(()))

    def forward(self, x: Tensor) -> Any:
        self.calls += 1
        return x.sum((1, 2, 3))


def test_a_buffer_counts_the_plain_passes_alone() -> None:
    net = Counting().eval()
    lime = SoundLIME(net, segments="temporal:3", content=0.0, shared=True)
    explanation = explained(lime, torch.rand(12, 4))
    assert explanation.plan.startswith("plain batches of 8: 8 passes")
    plain = Counting().eval()
    SoundLIME(plain, segments="temporal:3", content=0.0, shared=False).explain(torch.rand(12, 4))
    assert float(net.calls) == float(plain.calls)


class Keeper:
    def __init__(self) -> None:
        self.outputs: list[Any] = []

    def keep(self, module: Any, inputs: Any, output: Any) -> None:
        self.outputs.append(output)


def _closure(outputs: list[Any]) -> Callable[..., None]:
    return lambda module, inputs, output: outputs.append(output)


def _global(module: Any, inputs: Any, output: Any) -> None:
    SEEN.append(output)


@pytest.mark.parametrize("kind", ["closure", "method", "partial", "global"])
def test_lists_of_hooks_stay_as_they_are(kind: str) -> None:
    SEEN.clear()
    keeper = Keeper()
    hooks: Any = {
        "closure": _closure(keeper.outputs),
        "method": keeper.keep,
        "partial": functools.partial(lambda kept, m, i, o: kept.append(o), keeper.outputs),
        "global": _global,
    }
    net = nn.Sequential(nn.Flatten(), nn.Linear(48, 1)).eval()
    net[1].register_forward_hook(hooks[kind])
    trace(net, torch.zeros(SHAPE))
    assert keeper.outputs == []
    assert SEEN == []


def _by_function(net: nn.Module) -> Callable[[Tensor], Any]:
    return lambda batch: net(batch)


def _by_method(net: nn.Module) -> Callable[[Tensor], Any]:
    class Wrapper:
        def __init__(self) -> None:
            self.net = net

        def answer(self, batch: Tensor) -> Any:
            return self.net(batch)

    return Wrapper().answer


@pytest.mark.parametrize(
    "wrap", [_by_function, _by_method, functools.partial, lambda net: Tap(net, "flat")]
)
def test_models_behind_a_function_are_not_touched_either(wrap: Any) -> None:
    net = Writer().eval()
    before = contents(net)
    trace(wrap(net), torch.zeros(SHAPE))
    assert contents(net) == before


def explained(lime: SoundLIME, picture: Tensor) -> Any:
    return lime.explain(picture)


def lazy_network() -> nn.Sequential:
    return nn.Sequential(
        nn.LazyConv2d(4, 3), nn.LazyBatchNorm2d(), nn.ReLU(), nn.Flatten(), nn.LazyLinear(1)
    )


@pytest.mark.parametrize("is_loaded", [True, False])
def test_lazy_layers_work_before_and_after(is_loaded: bool) -> None:
    torch.manual_seed(0)
    picture = torch.rand(12, 4)
    trained = lazy_network()
    trained(torch.rand(SHAPE))
    net = lazy_network()
    if is_loaded:
        net.load_state_dict(trained.state_dict())
    net.eval()
    options: Any = {"segments": "temporal:3", "content": 0.0}
    lime = SoundLIME(net, shared=True, **options)
    first = explained(lime, picture)
    assert {weight.device.type for weight in net.parameters()} == {"cpu"}
    assert net(picture[None, None]).shape == (1, 1)
    right = explained(SoundLIME(net, shared=False, **options), picture)
    torch.testing.assert_close(first.shapley, right.shapley, rtol=1e-4, atol=1e-6)
    assert explained(lime, picture).plan.startswith("shared forward pass")


def test_layers_without_weights_yet_are_named_as_the_reason() -> None:
    with pytest.raises(NotTraced, match="lazy layers that have not run"):
        trace(lazy_network(), torch.zeros(SHAPE))


def test_replicas_keep_structure_and_share_what_is_no_state() -> None:
    lock = threading.Lock()

    class Holder(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first = self.second = nn.Linear(2, 2)
            self.parts = [self.first, (self.first, torch.relu), lock]
            self.method = self.second.forward
            self.up = [self]

    net: Any = Holder()
    replica = cast(Any, Replica(net).model)
    assert replica is not net
    assert type(replica).__name__ == "Holder"
    assert replica.first is replica.second is replica.parts[0] is replica.parts[1][0]
    assert replica.first is not net.first
    assert replica.parts[1][1] is torch.relu
    assert replica.parts[2] is lock
    assert replica.method.__self__ is replica.first
    assert replica.up[0] is replica


@pytest.fixture
def _switching() -> Iterator[None]:
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


def network() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(1, 4, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 1)
    ).eval()


@pytest.mark.usefixtures("_switching")
def test_threads_explain_and_call_one_network_at_once() -> None:
    net, picture = network(), torch.rand(12, 4)
    options: Any = {"segments": "temporal:3", "content": 0.0, "shared": True}
    together = SoundLIME(net, **options)
    right = explained(SoundLIME(net, **{**options, "shared": False}), picture)
    plans, errors, values = [], [], []
    done = threading.Event()

    def explain(lime: SoundLIME | None) -> None:
        try:
            for _ in range(2):
                mine = lime or SoundLIME(net, **options)
                explanation = explained(mine, picture)
                plans.append(explanation.plan)
                values.append(explanation.shapley)
        except Exception as error:  # of any kind
            errors.append(error)

    def call() -> None:
        try:
            while not done.is_set():
                with torch.no_grad():
                    net(picture[None, None])
        except Exception as error:
            errors.append(error)

    callers = [threading.Thread(target=call) for _ in range(2)]
    explainers = [threading.Thread(target=explain, args=(t,)) for t in (together, None) * 3]
    for thread in (*callers, *explainers):
        thread.start()
    for thread in explainers:
        thread.join()
    done.set()
    for thread in callers:
        thread.join()
    assert errors == []
    assert len(set(plans)) == 1
    assert plans[0].startswith("shared forward pass")
    for value in values:
        torch.testing.assert_close(value, right.shapley, rtol=1e-4, atol=1e-6)
