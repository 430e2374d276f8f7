"""The captum adapter's one route: a module's shared forward pass gives what plain batches give."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from otoscope.adapters import captum


class Counted(nn.Module):
    """Counts how often Python calls the network."""

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = net
        self.calls = 0

    def forward(self, x: Tensor) -> Any:
        self.calls += 1
        return self.net(x)


def conv_net(seed: int = 0) -> nn.Sequential:
    torch.manual_seed(seed)
    return nn.Sequential(
        nn.Conv2d(1, 4, 3),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(4, 5, 3, padding=1),
        nn.Sigmoid(),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(5, 3),
        nn.Softmax(1),
    ).eval()


def patches(n: int = 2) -> Tensor:
    return torch.randn(n, 1, 16, 10, generator=torch.Generator().manual_seed(1))


MASK = (torch.arange(16)[:, None] // 4 + 4 * (torch.arange(10) // 5))[None, None]  # 8 features
METHODS = [
    "FeatureAblation",
    "ShapleyValues",
    "ShapleyValueSampling",
    "KernelShap",
    "SoundLIME",
    "Lime",
]


def attribute(method: str, forward: Any, inputs: Any, *args: Any, **call: Any) -> Any:
    torch.manual_seed(3)
    return getattr(captum, method)(forward).attribute(inputs, *args, **call)


@pytest.mark.filterwarnings("ignore:a surrogate is fitted for each")
@pytest.mark.parametrize("target", [1, [0, 2], torch.tensor([2, 0])])
@pytest.mark.parametrize("method", METHODS)
def test_module_gives_what_a_function_gives_in_fewer_calls(method: str, target: Any) -> None:
    net = Counted(conv_net()).eval()
    call = {"target": target, "feature_mask": MASK, "baselines": patches().mean(2, keepdim=True)}
    if method in ("KernelShap", "Lime"):
        call["n_samples"] = 100
    shared = attribute(method, net, patches(), **call)
    n_calls = net.calls
    plain = attribute(method, lambda x: net(x), patches(), **call)
    torch.testing.assert_close(shared, plain, rtol=1e-4, atol=1e-6)
    assert n_calls < 10 <= net.calls - n_calls or method == "FeatureAblation"


@pytest.mark.parametrize("strides", [1, (2, 3), (4, 3)])
@pytest.mark.parametrize("n_examples", [1, 5])
def test_overlapping_windows_are_shared(strides: Any, n_examples: int) -> None:
    net = conv_net()
    inputs = patches(n_examples)
    found, wanted = (
        attribute("Occlusion", forward, inputs, (1, 4, 3), strides=s, target=2, baselines=0.5)
        for forward in (net, lambda x: net(x))
        for s in [strides if isinstance(strides, int) else (1, *strides)]
    )
    torch.testing.assert_close(found, wanted, rtol=1e-4, atol=1e-6)


class Frames(nn.Module):
    """[batch, channel, frame] -> [batch, frame, output]."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(1)
        self.conv = nn.Conv1d(3, 2, 5, padding=2)

    def forward(self, x: Tensor) -> Tensor:
        frames: Tensor = self.conv(x).tanh().mT
        return frames


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("target", [(3, 1), [(2, 0), (5, 1)], None])
def test_sequences_and_outputs_of_three_dimensions_are_shared(
    dtype: torch.dtype, target: Any
) -> None:
    net = Frames().to(dtype).eval()
    x = torch.randn(2, 3, 8, generator=torch.Generator().manual_seed(1)).to(dtype)
    mask = torch.arange(8)[None, None] // 2 + 3
    call = {"target": target, "feature_mask": mask}
    found = attribute("FeatureAblation", net, x, **call)
    torch.testing.assert_close(found, attribute("FeatureAblation", lambda x: net(x), x, **call))


class Centred(nn.Module):
    """Lets the examples of a batch meet."""

    def forward(self, x: Tensor) -> Tensor:
        return (x.cumsum(2) - x.mean(0)).relu().sum((1, 2, 3))


class Summed(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x.relu().sum() + x.mean()


class Branching(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x.sum((1, 2, 3)) if float(x.sum()) > 0 else x.amax((1, 2, 3))


@pytest.mark.parametrize(
    "net", [Centred(), Summed(), Branching()], ids=lambda net: type(net).__name__
)
@pytest.mark.parametrize("n_examples", [1, 3])
def test_what_cannot_be_shared_is_asked_plainly(net: nn.Module, n_examples: int) -> None:
    inputs = patches(n_examples)
    found, wanted = (
        attribute("ShapleyValues", forward, inputs, feature_mask=MASK)
        for forward in (net.eval(), lambda x: net(x))
    )
    torch.testing.assert_close(found, wanted, rtol=1e-4, atol=1e-4)


def test_train_mode_is_left_as_it_is_and_asked_plainly() -> None:
    net = Counted(conv_net().train()).train()
    found = attribute("FeatureAblation", net, patches(1), target=0, feature_mask=MASK)
    assert net.calls == 9
    assert net.net.training
    wanted = attribute("FeatureAblation", net.eval(), patches(1), target=0, feature_mask=MASK)
    torch.testing.assert_close(found, wanted, rtol=1e-4, atol=1e-6)  # no layer here minds the mode


class Scaled(nn.Module):
    def forward(self, x: Tensor, scale: float = 1.0) -> Tensor:
        return scale * x.relu().sum((1, 2, 3))


def test_further_arguments_reach_a_module() -> None:
    one, three = (
        attribute(
            "ShapleyValues",
            Scaled().eval(),
            patches(),
            feature_mask=MASK,
            additional_forward_args=scale,
        )
        for scale in (None, 3.0)
    )
    torch.testing.assert_close(three, 3 * one)


def test_masks_of_each_example_are_asked_plainly() -> None:
    net = conv_net()
    masks = torch.cat([MASK, MASK.flip(2)])
    own = attribute("FeatureAblation", net, patches(), target=0, feature_mask=masks)
    for example in (0, 1):
        alone = attribute(
            "FeatureAblation",
            net,
            patches()[example : example + 1],
            target=0,
            feature_mask=masks[example : example + 1],
        )
        torch.testing.assert_close(own[example : example + 1], alone, rtol=1e-4, atol=1e-6)


def test_network_returns_no_gradients_and_keeps_its_inputs() -> None:
    inputs = patches(1).requires_grad_()
    before = inputs.detach().clone()
    found = attribute("FeatureAblation", conv_net(), inputs, target=0, feature_mask=MASK)
    assert not found.requires_grad
    assert torch.equal(inputs, before)
