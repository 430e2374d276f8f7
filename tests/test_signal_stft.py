"""The transform equals its formula and librosa; the inverse is exact where windows reach."""

from __future__ import annotations

import cmath
import math
from itertools import pairwise

import librosa
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from otoscope.errors import ParameterError
from otoscope.signal.griffin_lim import griffin_lim
from otoscope.signal.stft import istft, n_frames, stft


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


@settings(deadline=None)
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


def test_arguments_that_do_not_fit_are_refused() -> None:
    window = torch.ones(8)
    with pytest.raises(ParameterError, match="one frame needs 8 samples"):
        stft(torch.zeros(7), window=window, hop_length=1)
    with pytest.raises(ParameterError, match="hop_length is 0"):
        stft(torch.zeros(8), window=window, hop_length=0)
    with pytest.raises(ParameterError, match=r"needs complex \[frame, 5\]"):
        istft(torch.zeros(3, 4, dtype=torch.complex64), window=window, hop_length=1)
    with pytest.raises(ParameterError, match=r"dtype torch\.float32"):
        istft(torch.zeros(3, 5), window=window, hop_length=1)


def residual(y: torch.Tensor, S: torch.Tensor, window: torch.Tensor) -> float:
    return float((stft(y, window=window, hop_length=16).abs() - S).norm() / S.norm())


def test_griffin_lim_never_gets_worse_and_momentum_helps() -> None:
    window = torch.hann_window(64, dtype=torch.float64)
    S = stft(noise(1000), window=window, hop_length=16).abs()
    plain = [
        residual(griffin_lim(S, window=window, hop_length=16, n_iter=n), S, window)
        for n in range(12)
    ]
    assert all(later <= earlier + 1e-12 for earlier, later in pairwise(plain))
    fast = griffin_lim(S, window=window, hop_length=16, n_iter=60, momentum=0.99)
    slow = griffin_lim(S, window=window, hop_length=16, n_iter=60)
    assert residual(fast, S, window) < residual(slow, S, window) < plain[0]


def test_griffin_lim_repeats_with_its_seed_and_survives_silence() -> None:
    window = torch.hann_window(64)
    S = torch.ones(5, 33)
    first, second, other = (
        griffin_lim(S, window=window, hop_length=16, n_iter=2, seed=seed) for seed in (1, 1, 2)
    )
    assert first.equal(second)
    assert not first.equal(other)
    assert not griffin_lim(torch.zeros(5, 33), window=window, hop_length=16).any()
