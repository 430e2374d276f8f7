"""Patches: checks, duration, playback."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from otoscope.errors import ParameterError
from otoscope.protocols import ListeningModel, Patch
from otoscope.signal.mel.domain import Domain

CENTRES = torch.tensor([100.0, 500.0, 2000.0])


def patch(**changes: Any) -> Patch:
    settings: dict[str, Any] = {
        "values": torch.zeros(10, 3),
        "y": torch.ones(800),
        "sr": 8000,
        "hop_length": 80,
        "mel_hz": CENTRES,
    }
    return Patch(**{**settings, **changes})


def test_sound_becomes_float32_on_the_cpu() -> None:
    y = patch(y=np.ones(800)).y
    assert isinstance(y, torch.Tensor)
    assert y.dtype == torch.float32


def test_a_picture_needs_no_sound() -> None:
    bare = Patch(torch.zeros(4, 5))
    assert (bare.y, bare.duration, bare.start) == (None, None, 0.0)


def test_values_may_be_an_array() -> None:
    assert Patch(np.zeros((4, 5))).values.shape == (4, 5)  # type: ignore[arg-type]


def test_duration_counts_frames_times_hop() -> None:
    assert patch().duration == pytest.approx(0.1)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"values": torch.zeros(3)}, r"shape \(3,\)"),
        ({"values": torch.zeros(0, 3)}, "not empty"),
        ({"values": torch.zeros(10, 3, dtype=torch.complex64)}, "dtype torch.complex64"),
        ({"values": torch.full((10, 3), torch.nan)}, "values: 30 of 30 numbers"),
        ({"y": torch.zeros(2, 100)}, r"y has shape \(2, 100\)"),
        ({"y": torch.tensor([0, torch.inf])}, "y: 1 of 2 numbers"),
        ({"sr": None}, "y came without sr"),
        ({"sr": 0}, "sr is 0"),
        ({"hop_length": 0}, "hop_length is 0"),
        ({"start": float("nan")}, "start is nan"),
        ({"mel_hz": CENTRES[:2]}, "values has 3 bands"),
        ({"mel_hz": CENTRES.flip(0)}, "rise from band to band"),
        ({"domain": Domain(torch.zeros(2), torch.ones(2))}, "domain has 2 bands, values 3"),
    ],
)
def test_unfit_arguments_are_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ParameterError, match=message):
        patch(**changes)


def test_kept_frames_are_heard() -> None:
    keep = torch.zeros(10, 3, dtype=torch.bool)
    keep[4:6] = True
    y = patch().listen(keep)
    assert y.shape == (800,)
    assert y[370:430].min() == 1
    assert not y[:320].any()
    assert not y[480:].any()


def test_listening_needs_sound_and_the_right_shape() -> None:
    with pytest.raises(ParameterError, match="the patch has no sound"):
        Patch(torch.zeros(10, 3)).listen(torch.ones(10, 3))
    with pytest.raises(ParameterError, match=r"gain has shape \(9, 3\)"):
        patch().listen(torch.ones(9, 3))


def test_a_plain_module_is_no_listening_model() -> None:
    assert not isinstance(torch.nn.Linear(2, 2), ListeningModel)


@pytest.mark.parametrize("dtype", [torch.uint8, torch.int64, torch.bool])
def test_images_and_piano_rolls_become_numbers(dtype: torch.dtype) -> None:
    roll = torch.eye(4)
    assert torch.equal(Patch(roll.to(dtype), layout="frame mel").values, roll)
    with pytest.raises(ParameterError, match="not empty, real"):
        Patch(roll.to(torch.complex64))
