"""A tap finds the axis of the units: the only one of size 12, in networks of 12 units."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from otoscope.errors import Advice, ParameterError
from otoscope.taps import Tap

UNITS, FRAMES, BANDS = 12, 7, 8
FIRST: Any = {"batch_first": True}


class Called(nn.Module):
    """Calls functions and modules, one after the other."""

    def __init__(self, *parts: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.parts = parts
        self.layers = nn.ModuleList(part for part in parts if isinstance(part, nn.Module))

    def forward(self, x: Tensor) -> Tensor:
        for part in self.parts:
            x = part(x)
            x = x[0] if isinstance(x, tuple) else x
        return x


class SelfAttention(nn.Module):
    """Attends to its input."""

    def __init__(self) -> None:
        super().__init__()
        self.attention = nn.MultiheadAttention(UNITS, 2, **FIRST)

    def forward(self, x: Tensor) -> Tensor:
        attended: Tensor = self.attention(x, x, x)[0]
        return attended


class ChannelNorm(nn.LayerNorm):
    """Normalises the channels of maps, which are on axis 1."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)


class Residual(nn.Module):
    """Adds a branch whose axes are not followed."""

    def __init__(self) -> None:
        super().__init__()
        self.norm, self.branch = nn.LayerNorm(UNITS), nn.Linear(UNITS, UNITS)

    def forward(self, x: Tensor) -> Tensor:
        branch: Tensor = self.branch(self.norm(x)).flip(1)
        return x + branch


def linear() -> nn.Module:
    return nn.Linear(BANDS, UNITS)


def conv() -> nn.Module:
    return nn.Conv2d(1, UNITS, 3, padding=1)


def conv_in_time() -> nn.Module:
    return nn.Conv1d(BANDS, UNITS, 3, padding=1)


def swapped(x: Tensor) -> Tensor:
    return x.mT


def frames_first(x: Tensor) -> Tensor:
    return x.transpose(0, 1)


def scaled(x: Tensor) -> Tensor:
    return torch.relu(2 * x + 1)


ENCODED = nn.TransformerEncoderLayer(UNITS, 2, 5, **FIRST)
ON_FRAMES = {
    "Linear": (linear(),),
    "GRU": (nn.GRU(BANDS, UNITS, **FIRST),),
    "LSTM": (nn.LSTM(BANDS, UNITS, **FIRST),),
    "RNN": (nn.RNN(BANDS, UNITS, **FIRST),),
    "two layers of GRU": (nn.GRU(BANDS, 5, 2, **FIRST), nn.GRU(5, UNITS, 2, **FIRST)),
    "frames first": (frames_first, nn.GRU(BANDS, UNITS)),
    "frames first, then Linear": (frames_first, linear(), nn.ReLU()),
    "frames first, and back": (frames_first, nn.GRU(BANDS, UNITS), frames_first),
    "LayerNorm": (linear(), nn.LayerNorm(UNITS)),
    "LayerNorm alone": (nn.ConstantPad1d((0, 4), 1.0), lambda x: x.clone(), nn.LayerNorm(UNITS)),
    "attention": (linear(), SelfAttention()),
    "attention, frames first": (frames_first, linear(), nn.TransformerEncoderLayer(UNITS, 2, 5)),
    "encoder layer": (linear(), ENCODED),
    "encoder": (linear(), nn.TransformerEncoder(ENCODED, 2, enable_nested_tensor=False)),
    "activations": (linear(), nn.GELU(), nn.Dropout(), nn.ELU(), nn.Softmax(1), nn.Identity()),
    "residual": (linear(), Residual()),
    "transposed": (linear(), nn.ReLU(), swapped),
    "Conv1d": (swapped, conv_in_time()),
    "Conv1d, BatchNorm, pooling": (swapped, conv_in_time(), nn.BatchNorm1d(UNITS), nn.MaxPool1d(2)),
    "Conv1d, transposed back": (swapped, conv_in_time(), scaled, swapped, nn.LayerNorm(UNITS)),
    "BatchNorm of frames": (linear(), nn.BatchNorm1d(FRAMES)),
    "block": (Called(swapped, conv_in_time(), scaled),),
    "mean over frames": (linear(), lambda x: x.mean(1)),
}
ON_PICTURES = {
    "Conv2d": (conv(),),
    "Conv2d, BatchNorm, pooling": (conv(), nn.BatchNorm2d(UNITS), nn.ReLU(), nn.AvgPool2d(2)),
    "function": (conv(), lambda x: nn.functional.avg_pool2d(x.relu(), 2)),
    "residual block": (conv(), lambda x: (x + x.flip(2)).relu()),
    "norm of channels": (conv(), ChannelNorm(UNITS)),
    "norm of bands": (conv(), nn.LayerNorm(BANDS)),
    "channels last": (conv(), lambda x: x.permute(0, 2, 3, 1), nn.LayerNorm(UNITS), nn.GELU()),
    "ConvTranspose2d": (nn.ConvTranspose2d(1, UNITS, 3),),
    "Linear of maps": (nn.Conv2d(1, 4, 3), nn.Linear(BANDS - 2, UNITS)),
}


@pytest.mark.parametrize("n", [1, 2, FRAMES])
@pytest.mark.parametrize("name", ON_FRAMES)
def test_units_of_sequences_are_found(name: str, n: int) -> None:
    expect_units(Called(*ON_FRAMES[name]), torch.randn(n, FRAMES, BANDS))


@pytest.mark.parametrize("n", [1, 2, FRAMES])
@pytest.mark.parametrize("name", ON_PICTURES)
def test_units_of_maps_are_found(name: str, n: int) -> None:
    expect_units(Called(*ON_PICTURES[name]), torch.randn(n, 1, FRAMES, BANDS))


def expect_units(net: nn.Module, batch: Tensor) -> None:
    """Check the axes by their sizes, and the rows by what changes with the first input."""
    tap = Tap(nn.Sequential(net.eval()), "0")
    axes, output = tap.axes(batch), tap(batch)
    assert output.shape[axes.require_units(Advice())] == UNITS
    arranged = axes.arrange(output)
    assert arranged.shape[:2] == (len(batch), UNITS)
    assert arranged.numel() == output.numel()
    with torch.no_grad():
        alone = axes.arrange(tap(batch[:1]))
    torch.testing.assert_close(arranged[:1], alone, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("units", [2, 3])
def test_sizes_that_equal_the_batch_do_not_mislead(units: int) -> None:
    """Of as many frames, units or channels as there are inputs."""
    x = torch.randn(units, units, 4)
    tap = Tap(nn.Sequential(nn.GRU(4, units, **FIRST)), "0")
    assert (tap.axes(x).rows, tap.axes(x).units) == (0, 2)
    first = Tap(Called(frames_first, nn.GRU(4, units)), "layers.0")
    assert (first.axes(x).rows, first.axes(x).units) == (1, 2)
    conv = Tap(nn.Sequential(nn.Conv1d(units, units, 1)), "0")
    assert (conv.axes(x).rows, conv.axes(x).units) == (0, 1)


@pytest.mark.parametrize(
    "net",
    [
        nn.Sequential(nn.Identity()),
        nn.Sequential(nn.Conv1d(FRAMES, 3, 1), nn.Unflatten(2, (2, 4)), nn.Flatten(2)),
        nn.Sequential(nn.Unflatten(2, (2, 4)), nn.ReLU()),
    ],
)
def test_units_that_no_layer_tells_are_not_guessed(net: nn.Sequential) -> None:
    tap = Tap(net, str(len(net) - 1))
    axes = tap.axes(torch.randn(2, FRAMES, BANDS))
    assert axes.units is None
    with pytest.raises(ParameterError, match=r"gives shape \(2, .* which axis has the units"):
        axes.arrange(tap(torch.randn(2, FRAMES, BANDS)))


@pytest.mark.parametrize("net", [nn.Flatten(0, 1), nn.Flatten(0)])
def test_outputs_without_a_row_per_input_are_refused(net: nn.Module) -> None:
    tap = Tap(nn.Sequential(net, nn.Identity()), "1")
    with pytest.raises(ParameterError, match=r"gives shape \(.*\) for 2 inputs, must give"):
        tap.axes(torch.randn(2, FRAMES, BANDS))


def test_finding_the_axes_changes_nothing() -> None:
    net = nn.Sequential(nn.Conv1d(FRAMES, 3, 1), nn.BatchNorm1d(3), nn.Dropout()).train()
    before = {name: value.clone() for name, value in net.state_dict().items()}
    Tap(net, "2").axes(torch.randn(4, FRAMES, BANDS))
    assert all(layer.training for layer in net)
    assert not any(layer._forward_hooks for layer in net.modules())
    assert all(value.equal(before[name]) for name, value in net.state_dict().items())
