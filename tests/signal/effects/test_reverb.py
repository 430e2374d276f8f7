"""A made-up room decays as it says, and is applied by convolution."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from otoscope.errors import ParameterError
from otoscope.signal.effects.reverb import convolve, decaying_noise


def room(rt60: float, *, seed: int = 0, direct_db: float = 6.0) -> torch.Tensor:
    return decaying_noise(
        sr=16000,
        rt60=rt60,
        direct_db=direct_db,
        generator=torch.Generator().manual_seed(seed),
    )


@pytest.mark.parametrize("rt60", [0.2, 0.8])
def test_energy_falls_by_60_db_in_the_time_said(rt60: float) -> None:
    energy = room(rt60)[1:].square()
    blocks = energy[: len(energy) // 20 * 20].reshape(20, -1).mean(1)
    slope, _ = np.polyfit(np.arange(20) / 20 * rt60, 10 * blocks.log10().numpy(), 1)
    assert slope * rt60 == pytest.approx(-60, abs=2)  # 160 and more squared normals a block
    assert len(energy) + 1 == round(16000 * rt60)


@pytest.mark.parametrize("direct_db", [-3.0, 0.0, 12.0])
def test_the_direct_sound_is_as_much_over_the_rest_as_said(direct_db: float) -> None:
    tail = room(0.5, direct_db=direct_db)
    assert float(tail[0]) == 1
    ratio = -10 * float(tail[1:].square().sum().log10())
    assert ratio == pytest.approx(direct_db, abs=1e-9)


def test_the_generator_draws_the_room_and_a_longer_one_begins_alike() -> None:
    assert torch.equal(room(0.5, seed=1), room(0.5, seed=1))
    assert not torch.equal(room(0.5, seed=1), room(0.5, seed=2))
    short, long = room(0.2, seed=3)[1:], room(0.4, seed=3)[1:]
    assert bool((short.sign() == long[: len(short)].sign()).all())


def test_convolution_is_the_sum_that_defines_it() -> None:
    random = torch.Generator().manual_seed(0)
    y = torch.randn(2, 301, generator=random, dtype=torch.float64)
    impulse = torch.randn(77, generator=random, dtype=torch.float64)
    expected = np.stack([np.convolve(row, impulse.numpy())[:301] for row in y.numpy()])
    np.testing.assert_allclose(convolve(y, impulse).numpy(), expected, rtol=0, atol=1e-12)


def test_rooms_without_size_are_refused() -> None:
    for rt60 in (0.0, 1e-5, float("nan"), float("inf")):
        with pytest.raises(ParameterError, match="rt60 is"):
            room(rt60)
