"""The transform equals its formula and librosa; the inverse is exact where windows reach."""

from __future__ import annotations

import cmath
import math
from typing import Any

import librosa
import numpy as np
import pytest
import scipy.signal
import torch
from hypothesis import given
from hypothesis import strategies as st

from otoscope.errors import ParameterError
from otoscope.signal.stft import get_window, hann, istft, n_frames, stft


def noise(*shape: int, seed: int = 0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, generator=generator, dtype=torch.float64)


def test_equals_the_formula() -> None:
    y, window, hop = noise(19), noise(8), 3
    D = stft(y, window=window, hop_length=hop)
    assert D.shape == (4, 5)
    for frame in range(4):
        for k in range(5):
            total = sum(
                float(y[frame * hop + n] * window[n]) * cmath.exp(-2j * math.pi * k * n / 8)
                for n in range(8)
            )
            assert abs(complex(D[frame, k]) - total) < 1e-12


def test_equals_librosa_without_centring() -> None:
    y = noise(5000)
    S = librosa.stft(y.numpy(), n_fft=512, hop_length=130, center=False)
    D = stft(y, window=torch.hann_window(512, dtype=torch.float64), hop_length=130)
    np.testing.assert_allclose(D.numpy(), S.T, atol=1e-12)


@given(
    n_fft=st.sampled_from([2, 8, 15, 16, 64]),
    hop=st.integers(1, 64),
    extra=st.integers(0, 200),
    batch=st.sampled_from([(), (2,), (2, 3)]),
)
def test_inverse_gives_the_signal_back(
    n_fft: int, hop: int, extra: int, batch: tuple[int, ...]
) -> None:
    hop = min(hop, n_fft)
    y = noise(*batch, n_fft + extra)
    window = torch.hamming_window(n_fft, dtype=torch.float64)  # never 0
    D = stft(y, window=window, hop_length=hop)
    count = n_frames(n_fft + extra, n_fft=n_fft, hop_length=hop)
    assert D.shape == (*batch, count, n_fft // 2 + 1)
    back = istft(D, window=window, hop_length=hop, length=n_fft + extra)
    covered = (count - 1) * hop + n_fft
    torch.testing.assert_close(back[..., :covered], y[..., :covered], rtol=0, atol=1e-12)
    assert not back[..., covered:].any()


def test_inverse_is_the_least_squares_solution() -> None:
    window, hop, n = torch.hann_window(8, dtype=torch.float64), 3, 17
    frames = noise(4, 8)
    analysis = torch.stack([torch.eye(n)[3 * m : 3 * m + 8] for m in range(4)]).double()
    A = (analysis * window[:, None]).reshape(-1, n)
    # Bins but the first and last count twice in Parseval's sum, so frames are compared in time.
    best = torch.linalg.pinv(A) @ frames.reshape(-1)
    y = istft(torch.fft.rfft(frames), window=window, hop_length=hop)
    torch.testing.assert_close(y, best, rtol=0, atol=1e-12)


def test_gradient_is_exact() -> None:
    window = torch.hann_window(8, dtype=torch.float64)

    def there_and_back(y: torch.Tensor) -> torch.Tensor:
        D = stft(y, window=window, hop_length=3)
        return istft(D * D.abs(), window=window, hop_length=3)

    assert torch.autograd.gradcheck(there_and_back, (noise(2, 17).requires_grad_(),))


TORCH_WORDS = {"edge": "replicate"}
LIBROSA_WORDS = {"replicate": "edge"}
CASES = [
    # n_fft, win_length, hop_length, samples
    (256, 256, 64, 2001),
    (256, 100, 25, 1000),
    (500, 499, 167, 2003),
    (512, 512, 256, 2305),
    (255, 255, 60, 1024),
    (2048, 1500, 512, 5001),
]


@pytest.mark.parametrize(("n_fft", "win_length", "hop", "samples"), CASES)
@pytest.mark.parametrize("pad_mode", [None, "constant", "reflect", "edge", "replicate", "circular"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_equals_torch(
    n_fft: int, win_length: int, hop: int, samples: int, pad_mode: str | None, dtype: torch.dtype
) -> None:
    y = noise(2, samples).to(dtype)
    window = get_window("hann", n_fft=n_fft, win_length=win_length).to(dtype)
    center = pad_mode is not None
    ours: dict[str, Any] = {"window": window, "hop_length": hop, "center": center}
    theirs: dict[str, Any] = {"n_fft": n_fft, "hop_length": hop, "window": window, "center": center}
    D = stft(y, **ours, pad_mode=pad_mode or "constant")
    mode = TORCH_WORDS.get(pad_mode or "constant", pad_mode or "constant")
    expected = torch.stft(y, **theirs, pad_mode=mode, return_complex=True).mT
    rtol = 20 * torch.finfo(dtype).eps
    atol = rtol * n_fft**0.5  # of sums of n_fft terms of about 1
    torch.testing.assert_close(D, expected, rtol=rtol, atol=atol)
    if not center:
        return  # torch refuses windows that begin with 0
    for length in (None, samples, samples - 7, samples + n_fft):
        back = istft(D * 2, **ours, length=length)
        if length is not None and length > samples:
            assert back.shape == (2, length)
            continue  # torch fills up otherwise, with a warning
        expected = torch.istft(2 * D.mT, **theirs, length=length)
        # At the outermost samples torch divides by windows that are nearly 0.
        inside = slice(0, (D.shape[1] - 1) * hop)
        torch.testing.assert_close(back[:, inside], expected[:, inside], rtol=rtol, atol=atol)


@pytest.mark.parametrize(("n_fft", "win_length", "hop", "samples"), CASES)
@pytest.mark.parametrize("pad_mode", [None, "constant", "reflect", "replicate"])
@pytest.mark.parametrize("name", ["hann", "hamming", ("kaiser", 6.0)])
def test_equals_librosa(
    n_fft: int,
    win_length: int,
    hop: int,
    samples: int,
    pad_mode: str | None,
    name: str | tuple[str, float],
) -> None:
    y = noise(2, samples)
    center = pad_mode is not None
    theirs: dict[str, Any] = {
        "n_fft": n_fft,
        "hop_length": hop,
        "win_length": win_length,
        "window": name,
    }
    window = get_window(name, n_fft=n_fft, win_length=win_length)
    ours: dict[str, Any] = {"window": window, "hop_length": hop, "center": center}
    D = stft(y, **ours, pad_mode=pad_mode or "constant")
    # librosa's own padding errs in the last frame where it is "reflect" and hop >= n_fft / 2.
    mode: Any = LIBROSA_WORDS.get(pad_mode or "constant", pad_mode or "constant")
    pad = ((0, 0), (n_fft // 2, n_fft // 2)) if center else ((0, 0), (0, 0))
    padded = np.pad(y.numpy(), pad, mode=mode)
    expected = librosa.stft(padded, **theirs, center=False)
    np.testing.assert_allclose(D.mT.numpy(), expected, atol=1e-11)
    if 2 * hop < n_fft:
        itself = librosa.stft(y.numpy(), **theirs, center=center, pad_mode=mode)
        np.testing.assert_allclose(itself, expected, atol=1e-11)
    for length in (None, samples, samples - 7):
        back = istft(D, **ours, length=length)
        theirs_back = librosa.istft(D.mT.numpy(), **theirs, center=center, length=length)
        np.testing.assert_allclose(back.numpy(), theirs_back, atol=1e-11)


@pytest.mark.parametrize(("n_fft", "hop"), [(256, 64), (500, 125), (255, 85)])
def test_equals_scipy(n_fft: int, hop: int) -> None:
    y = noise(n_fft + 20 * hop)
    window = get_window("hamming", n_fft=n_fft)
    D = stft(y, window=window, hop_length=hop)
    scipy_stft = scipy.signal.ShortTimeFFT(window.numpy(), hop, 1.0, phase_shift=None)
    expected = scipy_stft.stft(y.numpy(), 0, len(D), k_offset=n_fft // 2)
    np.testing.assert_allclose(D.mT.numpy(), expected, atol=1e-11)
    changed = D * noise(*D.shape, seed=1)  # the spectrum of no signal
    _, back = scipy.signal.istft(
        changed.mT.numpy() / window.sum().item(),
        window=window.numpy(),
        nperseg=n_fft,
        noverlap=n_fft - hop,
        boundary=False,
    )
    ours = istft(changed, window=window, hop_length=hop)
    np.testing.assert_allclose(ours.numpy(), back, atol=1e-12)


@pytest.mark.parametrize("pad_mode", ["constant", "reflect", "edge", "circular"])
@pytest.mark.parametrize(("n_fft", "hop"), [(8, 3), (9, 4), (256, 128)])
def test_gradient_flows_through_padding(pad_mode: str, n_fft: int, hop: int) -> None:
    window = get_window("hann", n_fft=n_fft)

    def there_and_back(y: torch.Tensor) -> torch.Tensor:
        D = stft(y, window=window, hop_length=hop, center=True, pad_mode=pad_mode)
        return istft(D * D.abs(), window=window, hop_length=hop, center=True, length=y.shape[-1])

    y = noise(n_fft + 13).requires_grad_()
    assert torch.autograd.gradcheck(there_and_back, (y,), fast_mode=n_fft > 9)


@given(
    name=st.sampled_from(["hann", "boxcar", "blackman", ("tukey", 0.3), ("gaussian", 40)]),
    n_fft=st.sampled_from([15, 16, 256]),
    hop=st.integers(1, 128),
    samples=st.integers(1, 700),
)
def test_centred_inverse_gives_every_sample_back(
    name: str | tuple[str, float], n_fft: int, hop: int, samples: int
) -> None:
    hop, y = min(hop, n_fft // 3), noise(samples)
    window = get_window(name, n_fft=n_fft)
    frames: dict[str, Any] = {"window": window, "hop_length": hop, "center": True}
    D = stft(y, **frames)
    assert D.shape == (
        n_frames(samples + 2 * (n_fft // 2), n_fft=n_fft, hop_length=hop),
        n_fft // 2 + 1,
    )
    back = istft(D, **frames, length=samples)
    torch.testing.assert_close(back, y, rtol=0, atol=1e-10)


def test_arguments_that_do_not_fit_are_refused() -> None:
    window = torch.ones(8)
    with pytest.raises(ParameterError, match="one frame needs 8 samples"):
        stft(torch.zeros(7), window=window, hop_length=1)
    with pytest.raises(ParameterError, match="hop_length is 0"):
        stft(torch.zeros(8), window=window, hop_length=0)
    with pytest.raises(ParameterError, match=r"needs \[\.\.\., frame, 5\]"):
        istft(torch.zeros(3, 4, dtype=torch.complex64), window=window, hop_length=1)
    with pytest.raises(ParameterError, match=r"torch\.float32, must be complex"):
        istft(torch.zeros(3, 5), window=window, hop_length=1)
    with pytest.raises(ParameterError, match="length is -1"):
        istft(torch.zeros(3, 5) + 0j, window=window, hop_length=1, length=-1)
    with pytest.raises(ParameterError, match="one frame needs 8 samples"):
        stft(torch.tensor(1.0), window=window, hop_length=1, center=True)
    with pytest.raises(
        ParameterError, match="pad_mode is 'wrap', must be one of constant, reflect"
    ):
        stft(torch.zeros(8), window=window, hop_length=1, center=True, pad_mode="wrap")
    with pytest.raises(ParameterError, match="y has 4 samples; pad_mode 'reflect' by 4 needs 5"):
        stft(torch.zeros(4), window=window, hop_length=1, center=True, pad_mode="reflect")
    with pytest.raises(ParameterError, match="y has 0 samples; pad_mode 'edge' by 4 needs 1"):
        stft(torch.zeros(0), window=window, hop_length=1, center=True, pad_mode="edge")


def test_a_gap_between_windows_is_named() -> None:
    D = torch.zeros(4, 5, dtype=torch.complex64)
    with pytest.raises(ParameterError, match=r"sample 8 and every 10th .*NOLA"):
        istft(D, window=torch.ones(8), hop_length=10)


def test_windows_that_cannot_be_are_refused() -> None:
    with pytest.raises(ParameterError, match="win_length is 9, must be 1 to n_fft, 8"):
        get_window("hann", n_fft=8, win_length=9)
    with pytest.raises(ParameterError, match="window is 'hannn', must be a Tensor or what scipy"):
        get_window("hannn", n_fft=8)
    with pytest.raises(ParameterError, match=r"window has shape \(7,\), must be \[8\]"):
        get_window(torch.ones(7), n_fft=8)


def test_hann_is_one_window_a_size_even_when_first_asked_for_in_inference() -> None:
    hann.cache_clear()
    with torch.inference_mode():
        window = hann(64, periodic=False)
    assert not window.is_inference()
    assert hann(64, periodic=False) is window
    for periodic in (False, True):
        expected = scipy.signal.get_window("hann", 64, fftbins=periodic)
        np.testing.assert_allclose(hann(64, periodic=periodic), expected, rtol=0, atol=1e-15)
