"""Rows that stop early: those that exploded, and those whose best input no longer gets better."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from otoscope.errors import ParameterError
from otoscope.explain import ActivationMaximiser, RawPrior
from otoscope.explain.maximise import Stopping

SIZE, N = 7, 800


PATIENCE = 100


def network() -> nn.Sequential:
    """A unit with a largest value near its bias, some ways off."""
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(SIZE, 20), nn.Tanh(), nn.Linear(20, 1))


def by_optimiser(net: nn.Module, latent: Tensor, rate: float, penalty: float) -> list[float]:
    """Maximise one latent by torch.optim.Adam; return the activation before each step."""
    z = latent.clone().requires_grad_()
    adam, seen = torch.optim.Adam([z], lr=rate), []
    for _ in range(N):
        adam.zero_grad()
        activation = net(z)[0, 0]
        seen.append(float(activation.detach()))
        (penalty * z.square().sum() - activation).backward()
        adam.step()
    return seen


@pytest.mark.parametrize(("rate", "penalty"), [(0.1, 0.1), (0.03, 0.01)])
def test_a_stationary_row_equals_the_optimiser_until_it_stops(rate: float, penalty: float) -> None:
    net, prior = network(), RawPrior((SIZE,))
    stopped, whole = (
        ActivationMaximiser(net, prior, layer="2", unit=0, stopping=stopping).run(
            rate=rate, penalty=penalty, iterations=N, seeds=3
        )
        for stopping in (Stopping(patience=PATIENCE), Stopping())
    )
    assert bool((stopped.steps < N).all())
    assert not bool(stopped.exploded.any())
    torch.testing.assert_close(stopped.activation, whole.activation, atol=1e-4, rtol=0)
    for row in range(3):
        n = int(stopped.steps[row])
        seen = by_optimiser(net, prior.sample(1, row), rate, penalty)
        best = torch.tensor(seen).cummax(0).values
        torch.testing.assert_close(stopped.trace[row, :n], best[:n], atol=1e-5, rtol=1e-5)
        assert bool((stopped.trace[row, n:] == stopped.trace[row, n - 1]).all())
        gains = torch.tensor(seen[: n - PATIENCE]).max() - torch.tensor(seen[:n]).max()
        assert (
            float(gains.abs()) <= PATIENCE * 1e-5
        )  # none of its steps gained more than the tolerance


@pytest.mark.parametrize("maximise", [True, False])
def test_a_row_beyond_the_bound_stops_there_and_is_marked(maximise: bool) -> None:
    net = nn.Sequential(nn.Linear(SIZE, 1, bias=False))
    net[0].weight.data = torch.ones(1, SIZE)
    maximiser = ActivationMaximiser(
        net, RawPrior((SIZE,)), layer="0", unit=0, maximise=maximise, stopping=Stopping(bound=5.0)
    )
    result = maximiser.grid(
        rates=(0.1, 1e-4), penalties=(0.0,), iterations=(5, 60), seeds=4
    ).results
    few, many, slow = result[0], result[1], result[3]
    assert bool(many.exploded.all())
    assert not bool(few.exploded.any() or slow.exploded.any() or many.failed.any())
    for row in range(4):
        trace = many.trace[row].abs()
        assert int(many.steps[row]) == 1 + int((trace <= 5).sum())
        assert 5 < float(many.activation[row].abs()) <= 5 + SIZE * 0.1 + 1e-4
    assert many.to_dataframe()["exploded"].all()


@pytest.mark.parametrize("settings", [{"bound": 0.0}, {"patience": -1}, {"tolerance": -1e-9}])
def test_impossible_conditions_are_refused(settings: dict[str, float]) -> None:
    with pytest.raises(ParameterError, match=r"bound is .* patience .* tolerance"):
        Stopping(**settings)  # type: ignore[arg-type]
