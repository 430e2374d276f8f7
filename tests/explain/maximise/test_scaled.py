"""The scaled prior: where inputs begin, and what a search reaches behind a BatchNorm."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from otoscope.errors import ParameterError
from otoscope.explain import ActivationMaximiser, FourierPrior, RawPrior, ScaledPrior
from otoscope.explain.maximise import Extremes, find_extremes
from otoscope.explain.maximise.ranking import scalar_frechet

SHAPE = (1, 12, 6)
MEAN, DEVIATION = torch.linspace(-70, -40, 6), torch.linspace(4, 9, 6)


def real(n: int = 40) -> Tensor:
    """Unstandardised spectrograms [n, 1, frame, band], in dB."""
    noise = torch.randn(n, *SHAPE, generator=torch.Generator().manual_seed(0))
    return MEAN + DEVIATION * noise


def normalised() -> nn.Module:
    """A network that standardises its own input: BatchNorm, a rectifier, one unit."""
    torch.manual_seed(0)
    net = nn.Sequential(
        nn.BatchNorm2d(1), nn.Conv2d(1, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(160, 1)
    )
    with torch.no_grad():
        for _ in range(60):
            net(real())
    return net.eval()


def extremes(net: nn.Module, k: int = 8) -> Extremes:
    return ActivationMaximiser(net, RawPrior(SHAPE), layer="4", unit=0).extremes(real(), k=k)


def test_extremes_hold_the_moments_of_all_excerpts() -> None:
    excerpts = real(23)
    seen = find_extremes(lambda x: x.flatten(1)[:, 0], excerpts, 2, max_batch=5)
    rows = excerpts.double().reshape(-1, 6)
    torch.testing.assert_close(seen.mean, rows.mean(0))
    torch.testing.assert_close(seen.deviation, rows.std(0, correction=0))


@pytest.mark.parametrize("prior", [FourierPrior(SHAPE), RawPrior(SHAPE, scale=1.0, blur=1.0)])
def test_first_inputs_have_the_mean_and_the_deviation_of_real_ones(prior: FourierPrior) -> None:
    scaled = ScaledPrior.like(prior, extremes(normalised()))
    latents = scaled.sample(200, 0)
    cells = scaled.decode(latents).reshape(-1, 6)
    torch.testing.assert_close(cells.mean(0), MEAN, rtol=0, atol=2.0)
    torch.testing.assert_close(cells.std(0), DEVIATION, rtol=0.15, atol=0)
    assert scaled.penalty(latents).equal(prior.penalty(latents))
    assert scaled.has_after_step is prior.has_after_step
    assert scaled.after_step(latents, 10).equal(prior.after_step(latents, 10))


def test_behind_a_batchnorm_only_the_scaled_search_drives_the_unit_as_real_sounds_do() -> None:
    net = normalised()
    seen = extremes(net)
    plain = FourierPrior(SHAPE)
    start, scaled = (
        ActivationMaximiser(net, prior, layer="4", unit=0).run(iterations=60, seeds=4)
        for prior in (plain, ScaledPrior.like(plain, seen))
    )
    furthest = float(seen.activations[0])
    assert bool((scaled.activation > furthest).all())
    near = scalar_frechet(seen.activations, scaled.trace[:, 0].double())
    far = scalar_frechet(seen.activations, start.trace[:, 0].double())
    assert near < far / 10  # the first inputs: a plain prior is far from any real sound


def test_a_unit_without_gradient_is_flat_whatever_the_penalty() -> None:
    linear = nn.Linear(72, 2)
    nn.init.constant_(linear.bias, -1e6)
    dead = nn.Sequential(nn.Flatten(), linear, nn.ReLU())
    for jitter in ((0, 0), (1, 1)):
        maximiser = ActivationMaximiser(dead, RawPrior(SHAPE), layer="2", unit=0, jitter=jitter)
        result = maximiser.run(iterations=4, seeds=3, penalty=0.1)
        assert result.flat.tolist() == [True] * 3
        assert result.to_dataframe()["flat"].all()
    lively = ActivationMaximiser(dead, RawPrior(SHAPE), layer="1", unit=0)
    assert not lively.run(iterations=4, seeds=3, penalty=0.1).flat.any()


def test_silence_gives_nothing_to_scale_by_and_a_constant_band_hardly_moves() -> None:
    prior = FourierPrior((1, 2, 3))
    silence = find_extremes(lambda x: x.flatten(1)[:, 0], torch.zeros(4, 1, 2, 3), 1)
    assert ScaledPrior.like(prior, silence) is prior
    sounds = torch.randn(4, 1, 2, 3) * torch.tensor([1.0, 2.0, 0.0])
    scaled = ScaledPrior.like(prior, find_extremes(lambda x: x.flatten(1)[:, 0], sounds, 1))
    assert isinstance(scaled, ScaledPrior)
    assert float(scaled.deviation[2]) == pytest.approx(1e-3 * float(scaled.deviation.max()))


@pytest.mark.parametrize(
    ("mean", "deviation", "message"),
    [
        (torch.tensor(float("nan")), torch.tensor(1.0), "mean has NaN or infinity"),
        (torch.tensor(0.0), torch.tensor([1.0, 0.0]), "deviation goes from 0 to 1, must be"),
    ],
)
def test_moments_out_of_range_are_refused(mean: Tensor, deviation: Tensor, message: str) -> None:
    with pytest.raises(ParameterError, match=message):
        ScaledPrior(RawPrior(SHAPE), mean, deviation)
