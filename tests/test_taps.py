"""Taps return layer outputs, leave no hook behind, and list the nearest layer names."""

from __future__ import annotations

import sys
from threading import Thread
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from otoscope import FrechetDistance
from otoscope.errors import ParameterError
from otoscope.protocols import call_model
from otoscope.taps import Tap, layer_outputs, recording


class Nested(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Linear(3, 4)
        self.block = nn.Sequential(nn.ReLU(), nn.Linear(4, 2))
        self.unused = nn.Linear(1, 1)
        self.pair = nn.LSTM(2, 2)

    def forward(self, x: Tensor) -> Tensor:
        x = self.block(self.first(x))
        self.pair(x)
        return x


def network() -> tuple[Nested, Tensor]:
    torch_state = torch.random.get_rng_state()
    net = Nested()
    torch.random.set_rng_state(torch_state)
    return net, torch.randn(5, 3, generator=torch.Generator().manual_seed(0))


def test_outputs_are_those_of_the_layers() -> None:
    net, x = network()
    outputs = layer_outputs(net, x, "block.1", "first")
    assert list(outputs) == ["block.1", "first"]
    assert outputs["first"].equal(net.first(x))
    assert outputs["block.1"].equal(net.block(net.first(x)))


def test_gradient_flows_through_a_tap() -> None:
    net, x = network()
    x.requires_grad_()
    (gradient,) = torch.autograd.grad(Tap(net, "first")(x).sum(), x)
    torch.testing.assert_close(gradient, net.first.weight.sum(0).expand_as(x))


def test_no_hook_stays_even_after_an_error() -> None:
    net, x = network()
    with pytest.raises(RuntimeError, match="stop"), recording(net, "first"):
        raise RuntimeError("stop")
    layer_outputs(net, x, "first")
    assert not any(layer._forward_hooks for layer in net.modules())


def test_the_last_pass_is_kept() -> None:
    net, x = network()
    with recording(net, "first") as outputs:
        net(x)
        net(2 * x)
    assert outputs["first"].equal(net.first(2 * x))


def test_an_unknown_layer_names_the_nearest() -> None:
    net, _ = network()
    with pytest.raises(ParameterError, match="no layer 'firrt'; nearest: first"):
        Tap(net, "firrt")
    with pytest.raises(ParameterError, match="no layer ''"):
        Tap(net, "")
    with pytest.raises(ParameterError, match="Linear has no layer 'conv1'; nearest: none"):
        Tap(nn.Linear(1, 1), "conv1")


def test_layers_without_a_tensor_output_are_refused() -> None:
    net, x = network()
    with pytest.raises(ParameterError, match="'unused' did not run"):
        layer_outputs(net, x, "unused")
    net.pair.register_forward_hook(lambda *_: "text")
    with pytest.raises(ParameterError, match="'pair' gives str, must give a Tensor"):
        layer_outputs(net, x, "pair")


class Named(nn.Module):
    """Returns named parts."""

    def __init__(self, *names: str) -> None:
        super().__init__()
        self.names = names

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        return {name: x + i for i, name in enumerate(self.names)}


def test_layers_that_return_more_than_a_tensor_follow_the_rule_for_outputs() -> None:
    x = torch.rand(2, 3, 4)
    gru = nn.GRU(4, 5, batch_first=True)
    assert torch.equal(layer_outputs(nn.Sequential(gru), x, "0")["0"], gru(x)[0])
    net = nn.Sequential(Named("hidden", "logits"))
    assert torch.equal(layer_outputs(net, x, "0")["0"], x + 1)
    with pytest.raises(ParameterError, match=r"layer '0' returned a dict of a, b.*a layer inside"):
        layer_outputs(nn.Sequential(Named("a", "b")), x, "0")


class Residual(nn.Module):
    """Adds into the output of a layer."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.view = nn.Linear(8, 4), nn.Flatten()

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.view(self.first(x))
        y += 1
        return y.mul_(2)


@pytest.mark.parametrize(
    ("net", "layer"),
    [
        (nn.Sequential(nn.Linear(8, 4), nn.ReLU(inplace=True)), "0"),
        (nn.Sequential(nn.Linear(8, 4), nn.Flatten(), nn.Hardtanh(inplace=True)), "0"),
        (nn.Sequential(nn.Linear(8, 4), nn.Identity(), nn.Dropout(inplace=True)), "1"),
        (Residual(), "first"),
        (Residual(), "view"),
    ],
)
@pytest.mark.parametrize("graph", [torch.enable_grad, torch.no_grad, torch.inference_mode])
def test_later_layers_do_not_change_a_recorded_output(
    net: nn.Module, layer: str, graph: type
) -> None:
    first: Any = net.get_submodule("0" if isinstance(net, nn.Sequential) else "first")
    x = torch.randn(5, 8, generator=torch.Generator().manual_seed(0))
    with graph():
        assert Tap(net, layer)(x).equal(first(x))


def test_gradient_of_a_tap_does_not_pass_the_layers_after_it() -> None:
    net: Any = nn.Sequential(nn.Linear(8, 4), nn.ReLU(inplace=True))
    x = torch.randn(5, 8, generator=torch.Generator().manual_seed(0)).requires_grad_()
    (gradient,) = torch.autograd.grad(Tap(net, "0")(x).sum(), x)
    torch.testing.assert_close(gradient, net[0].weight.sum(0).expand_as(x))


def test_layers_that_write_into_their_input_leave_the_callers_alone() -> None:
    net = nn.Sequential(nn.ReLU(inplace=True), nn.Linear(8, 4))
    x = torch.randn(5, 8, generator=torch.Generator().manual_seed(0))
    before = x.clone()
    Tap(net, "1")(x)
    metric = FrechetDistance(feature=net)
    metric.update(x, real=True)
    call_model(net, x)
    assert x.equal(before)


def test_threads_record_their_own_outputs() -> None:
    net = nn.Sequential(nn.Linear(8, 4), nn.ReLU())
    tap, failures = Tap(net, "0"), list[int]()

    def check(seed: int) -> None:
        x = torch.randn(5, 8, generator=torch.Generator().manual_seed(seed))
        failures.extend(i for i in range(100) if not tap(x).equal(net[0](x)))

    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        threads = [Thread(target=check, args=(seed,)) for seed in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        sys.setswitchinterval(interval)
    assert failures == []
    assert not net[0]._forward_hooks
