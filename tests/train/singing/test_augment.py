"""Augmentation against scipy's affine transform and filters spelled out."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.ndimage
import torch

from otoscope.errors import ParameterError
from otoscope.train.singing.augment import Augmentation, filter_gains, stretch_and_shift

RNG = np.random.default_rng(0)


@pytest.mark.parametrize("stretch", [0.7, 0.93, 1.0, 1.3])
@pytest.mark.parametrize("shift", [0.7, 1.0, 1.3])
def test_stretch_and_shift_are_scipys_affine_transform(stretch: float, shift: float) -> None:
    x = RNG.random((2, 41, 50)).astype(np.float32)
    changed = stretch_and_shift(
        torch.from_numpy(x),
        np.array([stretch, 1.0]),
        np.array([shift, 1.0]),
        n_frames=27,
        n_bins=40,
    )
    expected = scipy.ndimage.affine_transform(
        x[0].astype(np.float64),
        (1 / stretch, 1 / shift),
        offset=(20 - 13 / stretch, 0),
        output_shape=(27, 40),
        order=3,
        mode="constant",
    )
    np.testing.assert_allclose(changed[0].numpy(), np.maximum(expected, 0), atol=3e-6)
    np.testing.assert_allclose(changed[1].numpy(), x[1, 7:34, :40], atol=3e-6)  # each for itself


def test_a_tone_moves_up_and_an_event_away_from_the_middle() -> None:
    x = torch.zeros(1, 81, 100)
    x[:, :, 40] = 1.0
    x[:, 60] += 1.0  # 20 frames after the middle
    one = np.ones(1)
    shifted = stretch_and_shift(x, one, 1.25 * one, n_frames=61, n_bins=90)[0]
    assert int(shifted[5].argmax()) == 50
    stretched = stretch_and_shift(x, 1.25 * one, one, n_frames=61, n_bins=90)[0]
    assert int(stretched[:, 10].argmax()) == 30 + 25


def test_bins_above_half_the_rate_are_silent() -> None:
    shifted = stretch_and_shift(
        torch.ones(1, 5, 20), np.ones(1), np.full(1, 0.5), n_frames=5, n_bins=20
    )
    np.testing.assert_allclose(shifted[0, 0, :10], 1.0, atol=1e-6)
    assert not shifted[0, 0, 10:].any()


def test_filter_is_gaussian_in_db_over_semitones() -> None:
    centre, width = 1000.0, 6.0
    hz = torch.tensor([0.0, centre, centre * 2 ** (width / 12), centre * 2 ** (-2 * width / 12)])
    gains = filter_gains(
        hz, centre_hz=np.array([centre]), semitones=np.array([width]), gain_db=np.array([-10.0])
    )
    db = 20 * np.log10(gains[0].numpy())
    expected = [0.0, -10.0, -10.0 * np.exp(-0.5), -10.0 * np.exp(-2.0)]
    np.testing.assert_allclose(db, expected, atol=1e-4)


def test_no_augmentation_cuts_the_middle() -> None:
    nothing = Augmentation(stretch=0.0, shift=0.0, filter_db=0.0, gain_db=0.0)
    assert nothing.frames(115) == 115
    x = torch.from_numpy(RNG.random((3, 19, 30)).astype(np.float32))
    y = nothing(x, np.random.default_rng(1), n_frames=15, bin_hz=torch.arange(20) * 21.5)
    np.testing.assert_allclose(y, x[:, 2:17, :20], atol=3e-6)


def test_the_longest_stretch_needs_no_frame_outside() -> None:
    augmentation = Augmentation()
    n = augmentation.frames(115)
    assert n % 2 == 1
    assert (n - 1) / 2 >= 57 / (1 - augmentation.stretch) - 1e-9


def test_the_same_generator_gives_the_same_excerpts() -> None:
    x = torch.ones(2, 165, 513)
    hz = torch.arange(372) * 21.5
    first, again, other = (
        Augmentation()(x, np.random.default_rng(seed), n_frames=115, bin_hz=hz)
        for seed in (1, 1, 2)
    )
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_an_impossible_stretch_is_refused() -> None:
    with pytest.raises(ParameterError, match=r"stretch is 1\.0, must be in"):
        Augmentation(stretch=1.0)
