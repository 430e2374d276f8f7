"""Taps return layer outputs, leave no hook behind, and list the nearest layer names."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from otoscope.errors import ParameterError
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
    with pytest.raises(ParameterError, match="'pair' gives tuple"):
        layer_outputs(net, x, "pair")
