"""Layouts name the axes of a model's input; transposed pictures are noticed."""

from __future__ import annotations

from itertools import permutations
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from otoscope.data import sample
from otoscope.errors import ParameterError
from otoscope.explain import SoundLIME
from otoscope.protocols import Patch, TransposedPicture, parse_layout
from otoscope.protocols.layout import square_looks_transposed
from otoscope.signal import librosa_mel, read_audio
from tests.support.examples import examples

PICTURE: Any = torch.randn(7, 5, generator=torch.Generator().manual_seed(0))


@st.composite
def layouts(draw: st.DrawFn) -> list[str]:
    axes = ["b", "frame", "mel", *draw(st.lists(st.sampled_from(["1", "3"]), max_size=2))]
    return draw(st.permutations(axes))


@examples(60)
@given(layouts())
def test_a_layout_is_einsums_and_its_inverse_gives_the_pictures_back(axes: list[str]) -> None:
    batch = torch.randn(4, 1, 7, 5, generator=torch.Generator().manual_seed(1))
    letters = {"b": "b", "frame": "f", "mel": "m"}
    order = "".join(letters[axis] for axis in axes if axis in letters)
    expected = torch.einsum(f"bfm->{order}", batch[:, 0])
    for place, axis in enumerate(axes):
        if axis not in letters:
            expected = expected.unsqueeze(place).repeat_interleave(int(axis), place)
    layout = parse_layout(" ".join(axes))
    assert layout.arrange(batch).equal(expected)
    pictures, is_batch = layout.pictures(expected)
    assert pictures.equal(batch[:, 0])
    assert is_batch


def test_the_batch_and_axes_of_a_fixed_size_may_be_left_out() -> None:
    for names in ("b 1 mel frame", "mel b frame 3", "b c freq time", "batch, channel, f, t"):
        layout = parse_layout(names)
        for values, is_batch in ((PICTURE.T, False), (PICTURE.T[None].repeat(2, 1, 1), True)):
            if is_batch and "mel b" in names:
                values = values.transpose(0, 1)
            pictures, has_batch = layout.pictures(values)
            assert has_batch == is_batch
            assert all(picture.equal(PICTURE) for picture in pictures)
    pictures, is_batch = parse_layout("b frame mel 1").pictures(PICTURE[..., None])
    assert not is_batch  # and no batch of pictures of one band
    assert pictures[0].equal(PICTURE)
    sounds, is_batch = parse_layout("b 1 sample").pictures(torch.arange(3.0))
    assert sounds.tolist() == [[[0.0], [1.0], [2.0]]]
    assert not is_batch


@pytest.mark.parametrize(
    "layout",
    ["", "b mel", "b frame mel mel", "frame mel", "b sample mel", "b x", "b 0 sample", "b -1"],
)
def test_an_incomplete_layout_is_refused(layout: str) -> None:
    with pytest.raises(ParameterError, match="name each axis of the model's input once"):
        parse_layout(layout)


def test_a_shape_that_contradicts_the_layout_is_one_error() -> None:
    layout = parse_layout("b 3 mel frame")
    with pytest.raises(ParameterError, match=r"patch has shape \(9,\), the layout is 'b 3 mel fra"):
        layout.pictures(torch.zeros(9))
    with pytest.raises(ParameterError, match=r"contradicts .* 'b 3 mel frame': axis 1 must have s"):
        layout.pictures(torch.zeros(2, 1, 5, 7))
    with pytest.raises(ParameterError, match="3 different channels along axis 1; a picture has on"):
        layout.pictures(torch.randn(2, 3, 5, 7))


def test_a_patch_keeps_frame_and_mel_whatever_the_layout() -> None:
    for axes in permutations(["b", "frame", "mel"]):
        values = parse_layout(" ".join(axes)).arrange(PICTURE[None, None])
        assert Patch(values, layout=" ".join(axes)).values.equal(PICTURE)
    assert Patch(PICTURE.T.numpy(), layout="mel frame").values.equal(PICTURE)
    assert Patch(torch.arange(5.0), layout="sample").values.shape == (5, 1)
    with pytest.raises(ParameterError, match="2 pictures in layout 'b mel frame'; a patch is one"):
        Patch(torch.zeros(2, 5, 7), layout="b mel frame")


def test_a_transposed_picture_is_noticed_by_its_size_its_bands_and_its_sound() -> None:
    for shape in ((80, 115), (128, 431), (64, 96 * 2), (13, 500)):
        with pytest.warns(TransposedPicture, match=f"{shape[0]} frames and {shape[1]} bands looks"):
            Patch(torch.zeros(shape))
        Patch(torch.zeros(shape), layout="frame mel")  # as they say
        Patch(torch.zeros(shape[::-1]))
        Patch(torch.zeros(shape), layout="mel frame")
    for shape in ((100, 40), (96, 64), (64, 96), (128, 128), (80, 513), (12, 14), (50, 60)):
        Patch(torch.zeros(shape))  # no warning
    random = torch.rand(64, 64, generator=torch.Generator().manual_seed(0))
    smooth = random.cumsum(0)  # along its first axis, as frames are in time
    Patch(random)  # nothing is to be seen
    Patch(smooth)
    with pytest.warns(TransposedPicture, match=r"64 bands looks transposed \(it is smoother"):
        Patch(smooth.T)
    Patch(smooth.T, layout="mel frame")
    Patch(smooth.T, layout="frame mel")  # as they say
    bands = torch.arange(1.0, 41.0)
    with pytest.raises(ParameterError, match=r"mel_hz .* if its axes .* say layout='mel frame'"):
        Patch(torch.zeros(40, 40 + 60), mel_hz=bands)
    sound = torch.zeros(100 * 16)
    with pytest.raises(ParameterError, match="1600 samples: as many as 100 frames of 16; if its"):
        Patch(torch.zeros(50, 100), y=sound, sr=8000, hop_length=16)
    Patch(torch.zeros(50, 100), y=sound, sr=8000, hop_length=16, layout="mel frame")


@pytest.mark.parametrize("is_standardised", [False, True])
def test_square_pictures_of_music_are_told_apart_by_their_values(is_standardised: bool) -> None:
    y, sr = read_audio(sample().path)
    front_end = librosa_mel(sr=round(sr), n_fft=1024, hop_length=315, n_mels=64)
    values = front_end.log_mel(y)
    if is_standardised:
        values = (values - values.mean(0)) / values.std(0)
    squares = values[: len(values) // 64 * 64].unflatten(0, (-1, 64))
    for square in squares:
        Patch(square)  # no warning
    seen = sum(square_looks_transposed(square.T) for square in squares)
    assert seen >= 0.8 * len(squares)


def test_a_transposed_picture_without_channel_has_the_remedy_for_its_axes() -> None:
    """[mel, frame] given to a network of [batch, mel, frame], which nothing says."""
    net = torch.nn.Sequential(
        torch.nn.Conv1d(40, 2, 3), torch.nn.AdaptiveMaxPool1d(1), torch.nn.Flatten()
    )
    with (
        pytest.warns(TransposedPicture),
        pytest.raises(
            ParameterError, match=r"mel, frame\], as it looks, give layout='b mel frame'"
        ),
    ):
        SoundLIME(net, target=0).explain(torch.rand(40, 100))
