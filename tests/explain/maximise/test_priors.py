"""Priors and Adam: what they draw, what they cost, and how they step."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.ndimage import gaussian_filter
from torch import Tensor

from otoscope.errors import ParameterError
from otoscope.explain import FourierPrior, Prior, RawPrior
from otoscope.explain.maximise.ascent import RowAdam

PRIORS = [RawPrior((1, 9, 6)), FourierPrior((1, 9, 6)), FourierPrior((2, 8, 7))]


@pytest.mark.parametrize("prior", PRIORS, ids=str)
def test_a_row_is_drawn_by_its_seed_alone(prior: Prior) -> None:
    rows = prior.sample(5, 10)
    for i in range(5):
        assert rows[i : i + 1].equal(prior.sample(1, 10 + i))
    before = torch.random.get_rng_state()
    prior.sample(2, 0)
    assert torch.random.get_rng_state().equal(before)


@pytest.mark.parametrize("prior", PRIORS, ids=str)
def test_decoded_rows_have_the_shape_and_know_nothing_of_each_other(prior: Any) -> None:
    rows = prior.sample(3, 0).requires_grad_()
    made = prior.decode(rows)
    assert made.shape == (3, *prior.shape)
    (gradient,) = torch.autograd.grad(made[1].square().sum(), rows)
    assert not bool(gradient[[0, 2]].any())
    assert bool(gradient[1].any())


def test_waves_are_those_of_numpys_inverse_transform() -> None:
    """Every latent number is a wave: cosine or sine, over frames and bands, by 1/f."""
    n_frames, n_bands = 10, 8
    prior = FourierPrior((n_frames, n_bands))
    latent = prior.sample(1, 0).double()
    f = np.hypot(np.fft.fftfreq(n_frames)[:, None], np.fft.rfftfreq(n_bands)[None])
    weight = 1 / np.maximum(f, 1 / max(n_frames, n_bands))
    numbers = latent[0, ..., 0].numpy() + 1j * latent[0, ..., 1].numpy()
    expected = np.fft.irfft2(weight * numbers, s=(n_frames, n_bands))
    made = prior.decode(latent)[0].numpy()
    scale = float(np.vdot(expected, made) / np.vdot(expected, expected))
    np.testing.assert_allclose(made, scale * expected, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("shape", [(12, 8), (9, 7), (1, 30, 11)])
@pytest.mark.parametrize("decay", [0.0, 1.0, 2.0])
def test_first_pictures_have_the_deviation_asked_for(shape: tuple[int, ...], decay: float) -> None:
    """Exactly in expectation: each latent's share of the variance, summed over all of them."""
    prior = FourierPrior(shape, decay=decay, scale=0.7)
    latent = prior.sample(1, 0).double()
    n_latents = latent.numel()
    waves = prior.decode(torch.eye(n_latents).double().view(n_latents, *latent.shape[1:]))
    variance = waves.square().sum(0)
    torch.testing.assert_close(variance, torch.full_like(variance, 0.49))


def test_larger_decay_is_smoother() -> None:
    roughness = []
    for decay in (0.0, 1.0, 2.0):
        prior = FourierPrior((40, 30), decay=decay)
        made = prior.decode(prior.sample(4, 0))
        roughness.append(float(made.diff(dim=-1).square().mean() / made.square().mean()))
    assert roughness == sorted(roughness, reverse=True)
    assert roughness[0] == pytest.approx(2, rel=0.1)  # white: neighbours have nothing in common


@given(st.integers(1, 6), st.integers(2, 5), st.floats(0, 3), st.floats(0, 3))
def test_penalty_is_the_weighted_sum(frames: int, bands: int, l2: float, variation: float) -> None:
    frames += 1
    x = torch.randn(2, 1, frames, bands, generator=torch.Generator().manual_seed(frames)).double()
    expected = []
    for row in x[:, 0].numpy():
        neighbours = sum(
            abs(row[i + 1, j] - row[i, j]) for i in range(frames - 1) for j in range(bands)
        ) + sum(abs(row[i, j + 1] - row[i, j]) for i in range(frames) for j in range(bands - 1))
        expected.append(l2 * (row**2).sum() + variation * neighbours)
    prior = RawPrior((1, frames, bands), l2=l2, variation=variation)
    torch.testing.assert_close(prior.penalty(x), torch.tensor(np.array(expected)))
    torch.testing.assert_close(FourierPrior((3, 3)).penalty(x), x.square().sum((1, 2, 3)))


def test_blur_is_scipys_gaussian_each_so_many_steps() -> None:
    x = torch.randn(2, 1, 20, 15, generator=torch.Generator().manual_seed(0)).double()
    prior = RawPrior((1, 20, 15), blur=1.3, blur_every=4)
    for step in range(1, 4):
        assert prior.after_step(x, step).equal(x)
    radius = math.ceil(3 * 1.3)
    expected = gaussian_filter(x.numpy(), 1.3, axes=(2, 3), mode="nearest", radius=radius)
    np.testing.assert_allclose(prior.after_step(x, 4).numpy(), expected, rtol=1e-10, atol=1e-12)
    assert RawPrior((1, 20, 15)).after_step(x, 4).equal(x)


def test_blur_of_a_picture_narrower_than_it_keeps_a_constant() -> None:
    x = torch.full((1, 1, 2, 3), 5.0)
    torch.testing.assert_close(RawPrior((1, 2, 3), blur=4.0, blur_every=1).after_step(x, 1), x)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: RawPrior(()), r"shape is \(\), must be 1 sizes"),
        (lambda: RawPrior((4,), blur=1.0), r"shape is \(4,\), must be 2 sizes"),
        (lambda: RawPrior((4, 0)), r"shape is \(4, 0\)"),
        (lambda: RawPrior((4,), l2=-1.0), "l2 is -1"),
        (lambda: RawPrior((4, 4), variation=math.nan), "variation is nan"),
        (lambda: RawPrior((4, 4), blur_every=0), "blur_every is 0"),
        (lambda: RawPrior((4, 4), scale=0.0), "scale is 0"),
        (lambda: FourierPrior((4,)), r"shape is \(4,\), must be 2 sizes"),
        (lambda: FourierPrior((4, 4), decay=-1.0), "decay is -1"),
    ],
)
def test_what_cannot_be_a_prior_is_told(make: Any, message: str) -> None:
    with pytest.raises(ParameterError, match=message):
        make()


def test_rows_step_as_torchs_adam_does_each_at_its_rate() -> None:
    random = torch.Generator().manual_seed(0)
    gradients = torch.randn(30, 3, 4, 2, generator=random, dtype=torch.float64)
    gradients[5:20, :, 0] = 0
    rates = torch.tensor([0.1, 0.01, 1.0], dtype=torch.float64)
    ours = torch.zeros(3, 4, 2, dtype=torch.float64)
    theirs = [torch.zeros(4, 2, dtype=torch.float64, requires_grad=True) for _ in rates]
    adams = [torch.optim.Adam([z], lr=float(r)) for z, r in zip(theirs, rates, strict=True)]
    adam = RowAdam(rates)
    for gradient in gradients:
        ours = ours + adam.step(gradient)
        for z, one, row in zip(theirs, adams, gradient, strict=True):
            z.grad = row.clone()
            one.step()
    torch.testing.assert_close(ours, torch.stack(theirs).detach(), rtol=1e-12, atol=1e-14)


def test_rows_that_are_kept_go_on_as_if_nothing_had_happened() -> None:
    random = torch.Generator().manual_seed(0)
    gradients = torch.randn(6, 4, 5, generator=random)
    stays = torch.tensor([True, False, False, True])

    def steps(rows: Tensor, *, drop: bool) -> Tensor:
        adam = RowAdam(torch.tensor([0.1, 0.2, 0.3, 0.4])[rows])
        for i, gradient in enumerate(gradients[:, rows]):
            if drop and i == 3:
                adam.keep(stays)
            last = adam.step(gradient[stays] if drop and i >= 3 else gradient)
        return last

    assert steps(torch.arange(4), drop=True).equal(steps(stays, drop=False))
