"""Excerpts: each row is the picture's or the floor; nothing else."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from otoscope.errors import ParameterError
from otoscope.signal.excerpts import cut, pad, sliding

FLOOR = torch.tensor([-9.0, -8.0])


def picture(frames: int) -> torch.Tensor:
    return torch.arange(2 * frames, dtype=torch.float32).reshape(frames, 2)


@given(st.integers(1, 9), st.integers(-12, 12), st.integers(1, 12))
def test_cut_takes_each_row_from_the_picture_or_the_floor(
    frames: int, first: int, length: int
) -> None:
    values = picture(frames)
    if first >= frames or first + length <= 0:
        with pytest.raises(ParameterError, match=f"outside the spectrogram, which has {frames}"):
            cut(values, first, length, floor=FLOOR)
        return
    excerpt = cut(values, first, length, floor=FLOOR)
    for row, frame in zip(excerpt, range(first, first + length), strict=True):
        assert row.equal(values[frame] if 0 <= frame < frames else FLOOR)


def test_one_excerpt_a_frame_with_half_its_length_of_floor() -> None:
    values = picture(20)
    excerpts = sliding(pad(values, 3, 3, floor=FLOOR), 7)
    assert excerpts.shape == (20, 7, 2)
    assert excerpts[:, 3].equal(values)


def test_sliding_is_a_view_with_its_hop() -> None:
    values = picture(10)
    excerpts = sliding(values, 4, hop=3)
    assert excerpts.shape == (3, 4, 2)
    assert excerpts[2].equal(values[6:10])
    assert excerpts.data_ptr() == values.data_ptr()


@pytest.mark.parametrize("length", [0, 11])
def test_sliding_needs_at_least_one_excerpt(length: int) -> None:
    with pytest.raises(ParameterError, match=r"must be in \[1, 10\]"):
        sliding(picture(10), length)
