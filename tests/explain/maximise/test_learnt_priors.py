"""Priors that know real excerpts: their magnitudes, or a generator trained on them."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from otoscope.errors import ParameterError
from otoscope.explain import ActivationMaximiser, GeneratorPrior, MacoPrior
from otoscope.models import MelGenerator


def excerpts(n_frames: int = 9, n_bands: int = 6, n: int = 5) -> Tensor:
    generator = torch.Generator().manual_seed(n_frames)
    return torch.randn(n, 1, n_frames, n_bands, generator=generator) * 3 - 7


def alone(n_frames: int, n_bands: int) -> set[tuple[int, int]]:
    """Coefficients that are their own conjugates: no frequency, or half the sampling rate."""
    rows = [0] + [n_frames // 2] * (n_frames % 2 == 0)
    columns = [0] + [n_bands // 2] * (n_bands % 2 == 0)
    return {(row, column) for row in rows for column in columns}


@pytest.mark.parametrize("shape", [(9, 6), (8, 6), (8, 7), (9, 7), (115, 80), (1, 1), (2, 2)])
def test_what_is_made_has_the_mean_magnitudes_of_the_real_ones(shape: tuple[int, int]) -> None:
    real = excerpts(*shape)
    prior = MacoPrior.of(real)
    mean = real.double().numpy().mean((0, 1, 2))
    expected = np.abs(np.fft.rfft2(real[:, 0].double().numpy() - mean, norm="ortho")).mean(0)
    made = prior.decode(prior.sample(3, 7).double())
    assert made.shape == (3, 1, *shape)
    found = np.abs(np.fft.rfft2(made[:, 0].numpy() - mean, norm="ortho"))
    for row in range(shape[0]):
        for column in range(shape[1] // 2 + 1):
            if (row, column) in alone(*shape):
                assert (found[:, row, column] <= expected[row, column] + 1e-5).all()
            else:
                np.testing.assert_allclose(
                    found[:, row, column], expected[row, column], rtol=1e-4, atol=1e-5
                )


def test_phases_are_uniform_and_drawn_by_their_seed_alone() -> None:
    prior = MacoPrior.of(excerpts(40, 40))
    phases = prior.sample(4, 3)
    assert phases[2:3].equal(prior.sample(1, 5))
    assert float(phases.abs().max()) <= math.pi
    shares = torch.histc(phases, 8, -math.pi, math.pi) / phases.numel()
    torch.testing.assert_close(shares, torch.full((8,), 1 / 8), atol=0.02, rtol=0)
    assert not prior.penalty(phases).any()


def test_a_search_moves_the_phases_alone() -> None:
    net = nn.Sequential(nn.Flatten(), nn.Linear(54, 1))
    prior = MacoPrior.of(excerpts())
    maximiser = ActivationMaximiser(net, prior, layer="1", unit=0, keep="objective")
    result = maximiser.run(rate=0.1, iterations=200, seeds=2)
    assert bool((result.activation > result.trace[:, 0] + 1).all())
    size = torch.fft.rfft2(result.input[:, 0] - prior.mean, norm="ortho").abs()[:, 1:, 1:3]
    torch.testing.assert_close(size, prior.magnitude[1:, 1:3].expand_as(size), rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize(
    ("mean", "magnitude", "match"),
    [
        (torch.zeros(6), torch.zeros(9, 5), r"magnitude \(9, 5\)"),
        (torch.zeros(6, 1), torch.zeros(9, 4), r"mean has shape \(6, 1\)"),
        (torch.zeros(6), -torch.ones(9, 4), "magnitude >= 0"),
        (torch.full((6,), math.nan), torch.zeros(9, 4), "must be finite"),
    ],
)
def test_impossible_spectra_are_refused(mean: Tensor, magnitude: Tensor, match: str) -> None:
    with pytest.raises(ParameterError, match=match):
        MacoPrior(mean, magnitude)


def test_without_excerpts_there_are_no_magnitudes() -> None:
    with pytest.raises(ParameterError, match=r"excerpts have shape \(0, 1, 9, 6\)"):
        MacoPrior.of(excerpts(n=0))
    with pytest.raises(ParameterError, match="n is 0"):
        MacoPrior.of(excerpts()).sample(0, 0)


@dataclass(eq=False)
class Doubling(nn.Module):
    def __post_init__(self) -> None:
        super().__init__()

    def forward(self, latent: Tensor) -> Tensor:
        return 2 * latent


def test_latents_of_a_generator_are_normal_and_pay_their_squares() -> None:
    prior = GeneratorPrior(Doubling(), 500)
    latents = prior.sample(4, 3)
    assert latents[2:3].equal(prior.sample(1, 5))
    assert float(latents.std()) == pytest.approx(1, abs=0.05)
    assert torch.equal(prior.decode(latents), 2 * latents)
    torch.testing.assert_close(prior.penalty(latents), (latents**2).sum(1))
    with pytest.raises(ParameterError, match="latent_size is 0"):
        GeneratorPrior(Doubling(), 0)


def test_a_search_through_a_generator_climbs_and_leaves_its_weights_alone() -> None:
    network = MelGenerator(shrink=8, floor=-1.0)
    before = [parameter.clone() for parameter in network.parameters()]
    net = nn.Sequential(nn.Flatten(), nn.Linear(115 * 80, 1))
    prior = GeneratorPrior(network.eval(), 128)
    result = ActivationMaximiser(net, prior, layer="1", unit=0).run(rate=0.1, iterations=9, seeds=2)
    assert bool((result.activation > result.trace[:, 0]).all())
    torch.testing.assert_close(result.input, prior.decode(result.latent))
    assert all(torch.equal(a, b) for a, b in zip(before, network.parameters(), strict=True))
    assert all(parameter.grad is None for parameter in network.parameters())


class Odd(nn.Module):
    """A generator with dropout and batch statistics; it may write into its latents."""

    def __init__(self, *, writes: bool = False) -> None:
        super().__init__()
        self.norm, self.layer = nn.BatchNorm1d(8), nn.Linear(8, 20 * 16)
        self.dropout, self.writes = nn.Dropout(), writes

    def forward(self, z: Tensor) -> Tensor:
        z = z.mul_(1.0) if self.writes else z
        made: Tensor = self.dropout(self.layer(self.norm(z))).view(-1, 1, 20, 16)
        return made


def climbed(generator: nn.Module, latent_size: int = 8) -> Tensor:
    torch.manual_seed(0)
    net = nn.Sequential(nn.Conv2d(1, 4, 3), nn.Flatten(), nn.LazyLinear(2))
    net(torch.zeros(1, 1, 20, 16))
    prior = GeneratorPrior(generator, latent_size)
    result = ActivationMaximiser(net, prior, layer="0", unit=0).run(rate=0.1, iterations=3, seeds=2)
    return result.activation


def test_a_generator_in_train_mode_is_run_in_eval_mode_and_kept() -> None:
    torch.manual_seed(0)
    generator = Odd().train()
    generator.norm.running_mean.add_(0.5)  # type: ignore[union-attr]
    before = {name: value.clone() for name, value in generator.state_dict().items()}
    first, second = climbed(generator), climbed(generator)
    assert torch.equal(first, second)
    assert generator.training
    assert all(torch.equal(value, before[name]) for name, value in generator.state_dict().items())
    assert torch.equal(first, climbed(generator.eval()))


def test_a_generator_may_write_into_its_latents_and_be_of_another_type() -> None:
    torch.manual_seed(0)
    generator = Odd().eval()
    expected = climbed(generator)
    generator.writes = True
    assert torch.equal(climbed(generator), expected)
    torch.testing.assert_close(climbed(generator.double()), expected, rtol=1e-5, atol=1e-6)


def test_what_a_generator_cannot_make_is_said() -> None:
    with pytest.raises(ParameterError, match=r"the generator was given \[2, 9\] and raised"):
        climbed(Odd().eval(), latent_size=9)
    with pytest.raises(ParameterError, match=r"made \[16\] of 2 latents, must be a Tensor"):
        GeneratorPrior(nn.Flatten(0), 8).decode(torch.zeros(2, 8))
