"""Overlaps of windows: right, measured once, and never those of another window."""

from __future__ import annotations

import gc
import weakref

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch._subclasses import FakeTensorMode

from otoscope.errors import ParameterError
from otoscope.ops import frames, istft_ls, stft
from otoscope.ops.frames import bin_weights, frames_of, replace_magnitude
from tests.oracles import stft as definitions

ONE = torch.zeros(1)


@given(n_fft=st.integers(2, 60), hop=st.integers(1, 90), seed=st.integers(0, 9))
def test_overlap_is_that_of_endless_frames(n_fft: int, hop: int, seed: int) -> None:
    window = np.random.default_rng(seed).standard_normal(n_fft)
    count = 2 * (n_fft // hop + 1)
    W = definitions.overlap(window, hop, count)
    start = n_fft // hop * hop  # here every frame that could reach does
    *phases, floor = frames_of(torch.from_numpy(window), hop, like=ONE).overlap.tolist()
    expected = W[start : start + hop] if hop < n_fft else np.resize([*window**2, *[0] * hop], hop)
    np.testing.assert_allclose(phases, expected, rtol=1e-14, atol=1e-14)
    assert floor == 1e-14 * max(phases)


@pytest.mark.parametrize("n_fft", [2, 3, 4, 7, 8])
def test_bins_weigh_as_often_as_they_occur(n_fft: int) -> None:
    occurs = np.unique(np.abs(np.round(np.fft.fftfreq(n_fft) * n_fft)), return_counts=True)[1]
    assert bin_weights(torch.ones(n_fft)).tolist() == occurs.tolist()


@pytest.mark.parametrize(
    ("window", "hop", "constant"),
    [
        (torch.hann_window(64, dtype=torch.float64), 16, 1.5),
        (torch.hann_window(64, dtype=torch.float64).sqrt(), 32, 1),
        (torch.ones(64), 8, 8),
    ],
)
def test_overlap_is_constant_for_these(window: torch.Tensor, hop: int, constant: float) -> None:
    phases = frames_of(window, hop, like=ONE).overlap[:-1]
    torch.testing.assert_close(phases, torch.full_like(phases, constant), rtol=1e-14, atol=0)


@pytest.mark.parametrize(
    ("window", "hop", "uncovered"),
    [
        (torch.ones(8), 8, None),
        (torch.ones(8), 9, 8),
        (torch.hann_window(8), 7, None),
        (torch.hann_window(8), 8, 0),
        (torch.hann_window(8, periodic=False), 7, 0),
        (torch.tensor([1.0, 1, 0, 0, 0, 0, 1, 1]), 6, 2),
        (torch.tensor([1.0, 1e-8, 1, 1e-7]), 4, 1),  # 1e-16 is below the floor, 1e-14 not above it
        (torch.zeros(4), 2, 0),
    ],
)
def test_first_uncovered_sample(window: torch.Tensor, hop: int, uncovered: int | None) -> None:
    assert frames_of(window, hop, like=ONE).uncovered == uncovered


def test_window_takes_type_and_device_of_the_data() -> None:
    window = torch.hann_window(8, dtype=torch.float64)
    for dtype, real in (
        (torch.float32, torch.float32),
        (torch.float64, torch.float64),
        (torch.complex64, torch.float32),
        (torch.complex128, torch.float64),
    ):
        found = frames_of(window, 2, like=torch.zeros(1, dtype=dtype))
        assert found.window.dtype == real
        assert found.overlap.dtype == torch.float64
    assert frames_of(window, 2, like=torch.zeros(1, device="meta")).window.is_meta
    assert frames_of(window.flip(0).as_strided((4,), (2,)), 2, like=ONE).window.is_contiguous()


def test_a_window_is_measured_once() -> None:
    window = torch.hann_window(16)
    first = frames_of(window, 4, like=ONE)
    assert frames_of(window, 4, like=torch.ones(3, 3)) is first
    assert frames_of(window, 8, like=ONE) is not first
    assert frames_of(window, 4, like=ONE.double()) is not first
    assert frames_of(window.clone(), 4, like=ONE) is not first
    assert frames_of(window, 4, like=ONE) is first


@pytest.mark.parametrize("inference", [False, True])
def test_a_window_that_is_changed_in_place_is_measured_again(inference: bool) -> None:
    with torch.inference_mode(inference):
        window, y = torch.ones(16), torch.arange(40.0)
        before = frames_of(window, 4, like=y).overlap
        torch.testing.assert_close(before[:4], torch.full((4,), 4.0, dtype=torch.float64))
        window.mul_(torch.linspace(1, 2, 16))
        squares = (window.double() ** 2).view(4, 4).sum(0)
        torch.testing.assert_close(frames_of(window, 4, like=y).overlap[:4], squares)
        back = istft_ls(stft(y, window=window, hop_length=4), window=window, hop_length=4)
        torch.testing.assert_close(back, y)


@pytest.mark.parametrize("momentum", [0.0, 0.99, 2.0])
def test_a_replaced_magnitude_keeps_the_phase_and_momentum_carries_it_on(momentum: float) -> None:
    D, previous = np.random.default_rng(0).standard_normal((2, 3, 5, 2)).view(complex)[..., 0]
    magnitude = np.arange(15.0).reshape(3, 5)
    phase = np.angle(D + momentum * D - momentum * previous)
    spectrum, size, before = (torch.from_numpy(x) for x in (D, magnitude, previous))
    carried = replace_magnitude(spectrum, size, before, momentum)
    np.testing.assert_allclose(carried, magnitude * np.exp(1j * phase), atol=1e-12)
    alone = replace_magnitude(spectrum, size, momentum=momentum)
    np.testing.assert_allclose(alone, magnitude * D / abs(D), atol=1e-12)


def test_what_is_kept_goes_with_its_window() -> None:
    gc.collect()
    kept = len(frames._cache)
    window = torch.hann_window(16)
    frames_of(window, 4, like=ONE)
    assert len(frames._cache) == kept + 1
    gone = weakref.ref(window)
    del window
    gc.collect()
    assert gone() is None
    assert len(frames._cache) == kept


def test_windows_without_numbers_are_taken_at_their_word() -> None:
    with FakeTensorMode():
        found = frames_of(torch.zeros(8), 2, like=torch.zeros(1))
        assert found.uncovered is None
        assert found.overlap.shape == (3,)


@pytest.mark.parametrize(
    ("window", "hop", "message"),
    [
        (torch.ones(8), 0, r"hop_length is 0, must be an integer >= 1"),
        (torch.ones(8), -1, r"hop_length is -1, must be an integer >= 1"),
        (
            torch.ones(0),
            1,
            r"window is torch.float32 \(0,\); it must be real \[n_fft\], n_fft >= 2",
        ),
        (torch.ones(2, 4), 1, r"window is torch.float32 \(2, 4\)"),
        (torch.ones(8, dtype=torch.complex64), 1, r"window is torch.complex64 \(8,\)"),
        (torch.ones(8, dtype=torch.int64), 1, r"window is torch.int64 \(8,\)"),
        (torch.ones(8, requires_grad=True), 1, r"window requires a gradient.*: detach it"),
    ],
)
def test_refuses_what_is_no_window(window: torch.Tensor, hop: int, message: str) -> None:
    with pytest.raises(ParameterError, match=message):
        frames_of(window, hop, like=ONE)
