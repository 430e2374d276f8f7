"""SVDNet has the sizes of paper A's page, and its layers can be tapped by the paper's names."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from otoscope.errors import ParameterError
from otoscope.models import SVDNet
from otoscope.taps import layer_outputs

SHAPES = {
    "conv1": (64, 113, 78),
    "conv2": (32, 111, 76),
    "pool3": (32, 37, 25),
    "conv4": (128, 35, 23),
    "conv5": (64, 33, 21),
    "pool6": (4928,),
    "fc7": (256,),
    "fc8": (64,),
    "fc9": (1,),
    "probability": (1,),
}


def excerpts() -> torch.Tensor:
    return torch.randn(3, 1, 115, 80, generator=torch.Generator().manual_seed(0))


def test_it_has_the_papers_number_of_parameters() -> None:
    assert sum(parameter.numel() for parameter in SVDNet().parameters()) == 1_408_225


def test_taps_have_the_papers_shapes() -> None:
    outputs = layer_outputs(SVDNet().eval(), excerpts(), *SHAPES)
    assert {name: tuple(output.shape[1:]) for name, output in outputs.items()} == SHAPES


def test_it_computes_what_the_page_says() -> None:
    net = SVDNet().eval()
    w = dict(net.named_parameters())
    x = excerpts()
    for pool, layers in (("pool3", ("conv1", "conv2")), ("pool6", ("conv4", "conv5"))):
        for name in layers:
            x = F.leaky_relu(F.conv2d(x, w[f"{name}.0.weight"], w[f"{name}.0.bias"]), 0.01)
        x = F.max_pool2d(x, 3, 3)
        torch.testing.assert_close(net.tap(pool)(excerpts()).flatten(1), x.flatten(1))
    x = x.flatten(1)
    for name in ("fc7", "fc8"):
        x = F.leaky_relu(F.linear(x, w[f"{name}.0.weight"], w[f"{name}.0.bias"]), 0.01)
    logit = F.linear(x, w["fc9.weight"], w["fc9.bias"])
    torch.testing.assert_close(net.tap("fc9")(excerpts()), logit)


def test_probability_is_the_sigmoid_of_the_logit() -> None:
    net = SVDNet().eval()
    torch.testing.assert_close(net(excerpts()), net.tap("fc9")(excerpts()).sigmoid())


def test_two_outputs_are_a_softmax() -> None:
    probability = SVDNet(2).eval()(excerpts())
    assert probability.shape == (3, 2)
    torch.testing.assert_close(probability.sum(1), torch.ones(3))


def test_weights_are_orthogonal_and_biases_zero() -> None:
    for name, parameter in SVDNet().named_parameters():
        if name.endswith("bias"):
            assert not parameter.any()
            continue
        rows = parameter.detach().flatten(1)
        if len(rows) > rows.shape[1]:
            rows = rows.T
        torch.testing.assert_close(rows @ rows.T, torch.eye(len(rows)), rtol=0, atol=1e-5)


def test_hidden_layers_leak_one_hundredth() -> None:
    net = SVDNet().eval()
    before = net.tap("conv1.0")(excerpts())
    expected = torch.where(before > 0, before, 0.01 * before)
    torch.testing.assert_close(net.tap("conv1")(excerpts()), expected)


def test_the_seed_alone_decides_the_weights() -> None:
    before = torch.random.get_rng_state()
    first, second, other = SVDNet(seed=1), SVDNet(seed=1), SVDNet(seed=2)
    assert torch.random.get_rng_state().equal(before)
    weights = [net.get_parameter("fc9.weight") for net in (first, second, other)]
    assert weights[0].equal(weights[1])
    assert not weights[0].equal(weights[2])


def test_dropout_is_off_in_evaluation_only() -> None:
    net = SVDNet()
    x = excerpts()
    assert net.eval()(x).equal(net(x))
    assert [name for name, layer in net.named_modules() if "Dropout" in type(layer).__name__] == [
        "dropout7",
        "dropout8",
        "dropout9",
    ]


def test_three_outputs_are_refused() -> None:
    with pytest.raises(ParameterError, match="n_outputs is 3"):
        SVDNet(3)


def test_shrinking_divides_the_hidden_widths_alone() -> None:
    net = SVDNet(shrink=4).eval()
    outputs = layer_outputs(net, excerpts(), *SHAPES)
    for name, (width, *size) in SHAPES.items():
        expected = width if name in ("fc9", "probability") else width // 4
        assert tuple(outputs[name].shape[1:]) == (expected, *size)
    assert type(net)(**net.settings).settings == {"n_outputs": 1, "shrink": 4}


def test_widths_that_do_not_divide_are_refused() -> None:
    with pytest.raises(ParameterError, match="shrink is 3"):
        SVDNet(shrink=3)
