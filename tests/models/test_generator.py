"""Generator and critic of paper B: counts, alignment against slow definitions, bundles."""

from __future__ import annotations

import math
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from otoscope.errors import ParameterError
from otoscope.models.generator import MelCritic, MelGenerator
from otoscope.models.generator_bundle import TrainedGenerator, load_generator, save_generator
from otoscope.signal import svd2015


def n_parameters(network: nn.Module) -> int:
    return sum(parameter.numel() for parameter in network.parameters())


def slow_strided(x: Tensor, layer: Any) -> Tensor:
    """A "same" convolution 5 x 5 with stride 2, cell by cell: 3 cells of padding, 1 of them first.

    The rule of "same": ceil(n / 2) outputs, and the padding that they need, the smaller half first.
    """
    weight: Tensor = layer.weight.data
    bias: Tensor = layer.bias.data
    n_rows, n_columns = (math.ceil(size / 2) for size in x.shape[1:])
    out = bias[:, None, None].expand(-1, n_rows, n_columns).clone()
    before = [
        ((n - 1) * 2 + 5 - size) // 2 for n, size in zip(out.shape[1:], x.shape[1:], strict=True)
    ]
    for i in range(n_rows):
        for j in range(n_columns):
            for a in range(5):
                for b in range(5):
                    row, column = 2 * i + a - before[0], 2 * j + b - before[1]
                    if 0 <= row < x.shape[1] and 0 <= column < x.shape[2]:
                        out[:, i, j] += weight[:, :, a, b] @ x[:, row, column]
    return out


def slow_transposed(x: Tensor, layer: Any) -> Tensor:
    """The adjoint of `slow_strided` on maps of twice the size, cell by cell."""
    weight: Tensor = layer.weight.data
    bias: Tensor = layer.bias.data
    out = bias[:, None, None].expand(-1, 2 * x.shape[1], 2 * x.shape[2]).clone()
    for i in range(x.shape[1]):
        for j in range(x.shape[2]):
            for a in range(5):
                for b in range(5):
                    row, column = 2 * i + a - 1, 2 * j + b - 1
                    if 0 <= row < out.shape[1] and 0 <= column < out.shape[2]:
                        out[:, row, column] += weight[:, :, a, b].T @ x[:, i, j]
    return out


def leaky(x: Tensor) -> Tensor:
    return torch.where(x > 0, x, 0.2 * x)


def randomised(network: Any) -> Any:
    """Biases too: those of zero would hide a missing one."""
    generator = torch.Generator().manual_seed(5)
    for parameter in network.parameters():
        parameter.data += 0.1 * torch.randn(parameter.shape, generator=generator)
    return network.double()


def test_counts_are_the_papers() -> None:
    assert n_parameters(MelGenerator()) == 932_801
    assert n_parameters(MelCritic()) == 1_086_720


@pytest.mark.parametrize("shrink", [2, 4, 8])
def test_counts_of_narrow_networks_follow_from_the_widths(shrink: int) -> None:
    widths = [width // shrink for width in (128, 64, 32, 16, 8)]
    expected = 129 * widths[0] * 40 + 25 * widths[-1] + 1
    expected += sum(25 * a * b + b for a, b in pairwise(widths))
    assert n_parameters(MelGenerator(shrink=shrink)) == expected
    widths = [1, *(width // shrink for width in (32, 64, 128, 256))]
    expected = 40 * widths[-1]
    expected += sum(25 * a * b + b for a, b in pairwise(widths))
    assert n_parameters(MelCritic(shrink=shrink)) == expected


def test_generator_equals_its_slow_definition() -> None:
    network = randomised(MelGenerator(shrink=8, floor=-0.05))
    latent = torch.randn(1, 128, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    x = leaky(network.dense(latent))[0].reshape(16, 8, 5)
    for up in network.ups:
        x = leaky(slow_transposed(x, up))
    assert x.shape == (1, 128, 80)
    whole = F.conv2d(F.pad(x, (2, 2, 2, 2)), network.output.weight, network.output.bias)
    expected = torch.maximum(whole[:, 6 : 128 - 7], torch.tensor(-0.05, dtype=torch.float64))
    torch.testing.assert_close(network(latent)[0], expected)
    assert bool((expected == -0.05).any())
    assert bool((expected > -0.05).any())


def test_critic_equals_its_slow_definition() -> None:
    network = randomised(MelCritic(shrink=8))
    excerpt = torch.randn(115, 80, dtype=torch.float64, generator=torch.Generator().manual_seed(2))
    x = torch.zeros(1, 128, 80, dtype=torch.float64)
    x[0, 6:121] = excerpt
    for down in network.downs:
        x = leaky(slow_strided(x, down))
    assert x.shape == (32, 8, 5)
    expected = network.dense.weight.data[0] @ x.flatten()
    torch.testing.assert_close(network(excerpt[None, None])[0], expected)


@pytest.mark.parametrize(("n_frames", "n_mels"), [(1, 1), (16, 16), (17, 64), (115, 40)])
def test_other_sizes_of_excerpts(n_frames: int, n_mels: int) -> None:
    excerpts = MelGenerator(n_frames, n_mels, shrink=8)(torch.zeros(2, 128))
    assert excerpts.shape == (2, 1, n_frames, n_mels)
    assert MelCritic(n_frames, n_mels, shrink=8)(excerpts).shape == (2,)


def test_weights_are_glorots_and_biases_zero() -> None:
    for network in (MelGenerator(seed=3), MelCritic(seed=3)):
        for name, parameter in network.named_parameters():
            if name.endswith("bias"):
                assert not parameter.any()
                continue
            n = parameter[0, 0].numel() if parameter.ndim == 4 else 1
            bound = math.sqrt(6 / (n * (parameter.shape[0] + parameter.shape[1])))
            assert 0.9 * bound < float(parameter.detach().abs().max()) <= bound
    assert torch.equal(MelGenerator(seed=3).dense.weight, MelGenerator(seed=3).dense.weight)
    assert not torch.equal(MelGenerator(seed=3).dense.weight, MelGenerator(seed=4).dense.weight)


@pytest.mark.parametrize("make", [MelGenerator, MelCritic])
def test_impossible_sizes_are_refused(make: type[nn.Module]) -> None:
    with pytest.raises(ParameterError, match="n_frames is 0"):
        make(0, 80)
    with pytest.raises(ParameterError, match="shrink is 3"):
        make(shrink=3)
    with pytest.raises(ParameterError, match="floor is nan"):
        MelGenerator(floor=math.nan)
    with pytest.raises(ParameterError, match=r"floor is 1e.308, must be finite in float32"):
        MelGenerator(floor=1e308)


@pytest.fixture
def generator() -> TrainedGenerator:
    return TrainedGenerator(MelGenerator(shrink=8).eval(), svd2015(), {"licence": "none"})


@pytest.mark.parametrize("half", [False, True])
def test_a_bundle_holds_the_generator(
    generator: TrainedGenerator, tmp_path: Path, half: bool
) -> None:
    save_generator(tmp_path / "prior", generator, half=half)
    loaded = load_generator(tmp_path / "prior.json")
    latent = torch.randn(2, 128, generator=torch.Generator().manual_seed(0))
    tolerance = 1e-2 if half else 0.0
    torch.testing.assert_close(
        loaded.network(latent), generator.network(latent), rtol=tolerance, atol=tolerance
    )
    assert (loaded.front_end, loaded.card) == (generator.front_end, {"licence": "none"})


def test_weights_that_float16_does_not_hold_are_refused(
    generator: TrainedGenerator, tmp_path: Path
) -> None:
    with torch.no_grad():
        next(generator.network.parameters())[0, 0] = 1e6
    with pytest.raises(ParameterError, match=r"has values that float16 does not hold"):
        save_generator(tmp_path / "prior", generator, half=True)
    assert not [*tmp_path.iterdir()]


def test_an_altered_bundle_is_refused(generator: TrainedGenerator, tmp_path: Path) -> None:
    save_generator(tmp_path / "prior", generator)
    text = (tmp_path / "prior.json").read_text()
    (tmp_path / "prior.json").write_text(text.replace('"shrink": 8', '"shrink": 4'))
    with pytest.raises(ParameterError, match="was altered"):
        load_generator(tmp_path / "prior")


def test_a_model_with_other_excerpts_is_refused(generator: TrainedGenerator) -> None:
    generator.require_fit(svd2015(), 115, 80)
    with pytest.raises(ParameterError, match=r"115 frames of 80 bands.* 30 frames of 64 bands"):
        generator.require_fit(svd2015(), 30, 64)
    with pytest.raises(ParameterError, match=r"trained with fmin 27\.5, .* has 30\.0"):
        generator.require_fit(replace(svd2015(), fmin=30.0), 115, 80)
    with pytest.raises(ParameterError, match="front end is NoneType"):
        generator.require_fit(None, 115, 80)
