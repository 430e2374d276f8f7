"""Models are evaluated in eval mode however they are wrapped, and found as they were afterwards."""

from __future__ import annotations

import functools
import sys
import threading
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from otoscope import FrechetDistance
from otoscope.explain import SoundLIME
from otoscope.models import timeline
from otoscope.protocols import dtype_of, evaluating, weights_digest
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


@pytest.mark.parametrize("way", ["tap", "partial", "bound method", "module"])
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
