"""Models are evaluated in eval mode however they are wrapped, and found as they were afterwards."""

from __future__ import annotations

import copy
import functools
import itertools
import sys
import threading
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.modules import module as torch_module

from otoscope import FrechetDistance
from otoscope.explain import SoundLIME
from otoscope.explain.maximise import find_extremes
from otoscope.models import timeline
from otoscope.models.given import GivenFrontEnd
from otoscope.protocols import Adapted, dtype_of, evaluating, weights_digest
from otoscope.taps import Tap
from tests.protocols.test_reach import Holder, Outer
from tests.support.listeners import listener

PICTURE = torch.randn(12, 6, generator=torch.Generator().manual_seed(0))
OPTIONS: Any = {"segments": "temporal:3", "content": 0.0, "target": 0}


def network() -> Any:
    torch.manual_seed(0)
    net = nn.Sequential(
        *(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.AdaptiveAvgPool2d(1)),
        *(nn.Flatten(), nn.Dropout(0.5), nn.Linear(4, 2)),
    )
    net(torch.randn(16, 1, 12, 6))
    return net


WAYS: dict[str, Callable[[Any], Callable[[Tensor], Any]]] = {
    "module": lambda net: net,
    "tap": lambda net: Tap(net, "6"),
    "partial": functools.partial,
    "bound method": lambda net: net.forward,
    "method of an object": lambda net: Holder(net).attribute,
    "closure": lambda net: lambda batch: net(batch),
    "module in a list of a module": Outer,
}


def _loaded_late(net: Any) -> Callable[[Tensor], Any]:
    class Late:
        net: Any = None

        def __call__(self, batch: Tensor) -> Any:
            if self.net is None:
                self.net = copy.deepcopy(net)
            return self.net(batch)

    return Late()


def _from_a_generator(net: Any) -> Callable[[Tensor], Any]:
    nets = itertools.repeat(net)
    return lambda batch: next(nets)(batch)


def _from_a_cache(net: Any) -> Callable[[Tensor], Any]:
    @functools.cache
    def load(name: str) -> list[Any]:
        return [copy.deepcopy(net)]

    return lambda batch: load("net")[0](batch)


HIDDEN: dict[str, Callable[[Any], Any]] = {
    "made by the first call": _loaded_late,
    "in a layout of its own": lambda net: Adapted(_loaded_late(net), layout="b 1 frame mel"),
    "from a generator": _from_a_generator,
    "loaded by a cached function": _from_a_cache,
}


@pytest.mark.parametrize("way", HIDDEN)
def test_networks_that_nothing_reaches_before_they_are_called(way: str) -> None:
    net = network()
    statistics = {name: value.clone() for name, value in net.state_dict().items()}
    explanation: Any = SoundLIME(HIDDEN[way](net), **OPTIONS).explain(PICTURE)
    assert all(part.training for part in net.modules())
    assert all(value.equal(statistics[name]) for name, value in net.state_dict().items())
    right: Any = SoundLIME(net.eval(), shared=False, **OPTIONS).explain(PICTURE)
    torch.testing.assert_close(explanation.outputs, right.outputs, rtol=1e-4, atol=1e-5)
    assert not torch_module._global_forward_pre_hooks


def test_a_model_may_put_its_own_layers_into_train_mode() -> None:
    """Monte Carlo dropout, as its author wants it."""
    net = network()

    def call(batch: Tensor) -> Any:
        net[5].train()
        return net(batch)

    with evaluating(call):
        batch = torch.randn(2, 1, 12, 6)
        assert not torch.equal(call(batch), call(batch))


def test_extremes_and_front_ends_are_those_of_eval_mode() -> None:
    net, excerpts = network(), torch.randn(6, 1, 12, 6)
    found = find_extremes(lambda batch: net(batch)[:, 0], excerpts, 6)
    front_end = GivenFrontEnd(
        nn.Sequential(nn.Unflatten(0, (-1, 100)), nn.Dropout()), sample_rate=8000, hop_length=100
    )
    assert front_end.log_mel(torch.ones(1000)).unique().tolist() == [1.0]
    assert net.training
    right = net.eval()(excerpts)[:, 0].double().sort(descending=True).values.detach()
    torch.testing.assert_close(found.activations, right)


@pytest.mark.parametrize("way", WAYS)
def test_explanations_are_those_of_eval_mode(way: str) -> None:
    net = network()
    net[2].eval()
    statistics = {name: value.clone() for name, value in net.state_dict().items()}
    modes = {name: part.training for name, part in net.named_modules()}
    lime = SoundLIME(WAYS[way](net), **OPTIONS)
    first, second = (lime.explain(PICTURE) for _ in range(2))
    assert torch.equal(first.outputs, second.outputs)  # type: ignore[union-attr]
    assert "the model was in train mode" in first.plan  # type: ignore[union-attr]
    assert {name: part.training for name, part in net.named_modules()} == modes
    assert all(value.equal(statistics[name]) for name, value in net.state_dict().items())
    right = SoundLIME(net.eval(), shared=False, **OPTIONS).explain(PICTURE)
    torch.testing.assert_close(first.outputs, right.outputs, rtol=1e-4, atol=1e-5)  # type: ignore[union-attr]


@pytest.mark.parametrize("way", WAYS)
def test_features_of_a_distance_are_those_of_eval_mode(way: str) -> None:
    net, batch = network(), torch.randn(8, 1, 12, 6)
    metric, right = FrechetDistance(feature=WAYS[way](net)), FrechetDistance()
    metric.update(batch, real=True)
    metric.update(batch + 1, real=False)
    assert net.training
    net.eval()
    right.update(net(batch).detach(), real=True)
    right.update(net(batch + 1).detach(), real=False)
    torch.testing.assert_close(metric.compute(), right.compute())


@pytest.mark.parametrize("way", WAYS)
def test_networks_of_float64_are_explained_in_any_wrapping(way: str) -> None:
    net = network().double().eval()
    wrapped = WAYS[way](net)
    assert dtype_of(wrapped) == torch.float64
    assert weights_digest(wrapped) == weights_digest(net) != ""
    explanation: Any = SoundLIME(wrapped, **OPTIONS).explain(PICTURE)
    right: Any = SoundLIME(net, shared=False, **OPTIONS).explain(PICTURE)
    torch.testing.assert_close(explanation.outputs, right.outputs)


@pytest.mark.parametrize("way", ["module", "tap"])
def test_threads_evaluate_one_network_in_train_mode(way: str) -> None:
    net, outputs, interval = network(), list[Tensor](), sys.getswitchinterval()
    lime = SoundLIME(WAYS[way](net), shared=False, **OPTIONS)

    def explain() -> None:
        explained: list[Any] = [lime.explain(PICTURE) for _ in range(6)]
        outputs.extend(explanation.outputs for explanation in explained)

    sys.setswitchinterval(1e-6)
    try:
        threads = [threading.Thread(target=explain) for _ in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        sys.setswitchinterval(interval)
    assert all(part.training for part in net.modules())
    right: Any = SoundLIME(net.eval(), shared=False, **OPTIONS).explain(PICTURE)
    assert len(outputs) == 36
    for table in outputs:
        torch.testing.assert_close(table, right.outputs)


def test_the_last_of_several_evaluations_restores_the_modes() -> None:
    net = nn.Dropout()
    with evaluating(net) as outer:
        with evaluating(Tap(nn.Sequential(net), "0")):
            assert not net.training
        assert not net.training
        assert outer
    assert net.training
    with pytest.raises(RuntimeError, match="stop"), evaluating(net):
        raise RuntimeError("stop")
    assert net.training
    with evaluating(net.eval()) as was_training:
        assert not was_training
    assert not net.training


def test_a_timeline_is_that_of_eval_mode_and_of_what_came() -> None:
    model = listener()
    model.network = nn.Sequential(nn.Dropout(), nn.ReLU(inplace=True), *model.network).eval()
    y = torch.randn(44100, generator=torch.Generator().manual_seed(0)) / 10
    right = timeline(model, y, hop=20, max_batch=1).outputs
    model.train()
    together = timeline(model, y, hop=20, max_batch=64).outputs
    assert model.network[0].training
    torch.testing.assert_close(together, right)
