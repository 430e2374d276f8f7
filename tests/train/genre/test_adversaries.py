"""Adversaries in training: the step by hand, the ball, and that no network is changed."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import torch.nn.functional as F

from otoscope.errors import ParameterError
from otoscope.models.genre import ConvDNN, FrameDNN
from otoscope.train.genre import one_step, pgd


def frames(n: int = 6) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    return torch.randn(n, 40, generator=generator), torch.arange(n) % 3


def test_the_single_step_is_along_the_signs_of_the_fixed_network() -> None:
    fixed, trained = FrameDNN(3, n_bins=40, seed=1), FrameDNN(3, n_bins=40, seed=2)
    values, labels = frames()
    moved = one_step(fixed, 0.25)(trained, values, labels)
    # by central differences, in double precision
    network, at = FrameDNN(3, n_bins=40, seed=1).double(), values.double()
    for row, bin_ in ((0, 3), (4, 17), (5, 39)):
        shift = torch.zeros_like(at)
        shift[row, bin_] = 1e-6
        losses = [
            float(F.cross_entropy(network.frames(at + sign * shift), labels).detach())
            for sign in (1, -1)
        ]
        step = float(moved[row, bin_] - values[row, bin_])
        assert step == pytest.approx(0.25 if losses[0] > losses[1] else -0.25, abs=1e-6)


def test_the_network_in_training_is_left_as_it_is() -> None:
    network = FrameDNN(3, n_bins=40, dropout=True).train()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    for adversary in (one_step(network, 0.1), pgd(3, 1.0)):
        values, labels = frames()
        first, second = (adversary(network, values, labels) for _ in range(2))
        assert torch.equal(first, second)  # without dropout
        assert not first.requires_grad
    assert network.training
    assert all(parameter.grad is None for parameter in network.parameters())
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())


@pytest.mark.parametrize("system", ["frames", "windows"])
def test_projected_descent_raises_the_loss_to_the_edge_of_the_ball(system: str) -> None:
    network: Any = FrameDNN(3, n_bins=40)
    values, labels = frames()
    reach = 2.0
    if system == "windows":
        network = ConvDNN(3, n_bins=129, channels=2, hidden=4)
        values = torch.randn(6, 1, 100, 129, generator=torch.Generator().manual_seed(1))
        reach = 2.0 * 10  # of 100 frames
    moved = pgd(8, 2.0)(network, values, labels)
    norms = (moved - values).flatten(1).norm(dim=1)
    assert bool((norms <= reach * 1.0001).all())
    assert float(norms.mean()) > 0.5 * reach
    logits = network.frames if system == "frames" else network.windows
    before, after = (float(F.cross_entropy(logits(x), labels).detach()) for x in (values, moved))
    assert after > before


def test_names_tell_the_recipe_and_the_fixed_network() -> None:
    def name(adversary: Any) -> str:
        return str(adversary.__name__)

    assert name(pgd(3, 1.0)) != name(pgd(4, 1.0)) != name(pgd(4, 2.0))
    one, other = FrameDNN(2, seed=0), FrameDNN(2, seed=1)
    assert name(one_step(one, 0.1)) == name(one_step(FrameDNN(2, seed=0), 0.1))
    assert name(one_step(one, 0.1)) != name(one_step(other, 0.1))


@pytest.mark.parametrize("wrong", [0.0, -1.0, float("nan"), float("inf")])
def test_wrong_lengths_are_refused(wrong: float) -> None:
    with pytest.raises(ParameterError, match="must be finite and > 0"):
        one_step(FrameDNN(2), wrong)
    with pytest.raises(ParameterError, match="must be finite and > 0"):
        pgd(3, wrong)
    with pytest.raises(ParameterError, match="steps"):
        pgd(0, 1.0)
