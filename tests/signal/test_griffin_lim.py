"""Griffin and Lim: librosa's results, the papers' equations, and what the theory promises."""

from __future__ import annotations

from importlib import import_module
from itertools import pairwise
from typing import Any

import librosa
import numpy as np
import pytest
import soundfile
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from otoscope.data.songs import sample
from otoscope.errors import ParameterError
from otoscope.signal import griffin_lim, istft, stft
from otoscope.signal.griffin_lim import Projection
from otoscope.signal.stft import get_window
from tests.support.examples import examples

WINDOW = torch.hann_window(64, dtype=torch.float64)


def noise(*shape: int, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, generator=generator, dtype=torch.float64)


def weighted_norm(C: Tensor, n_fft: int) -> float:
    """Norm with DC and Nyquist once and every other bin twice."""
    once = [0, n_fft // 2] if n_fft % 2 == 0 else [0]
    square = 2 * C.abs() ** 2
    square[..., once] /= 2
    return float(square.sum().sqrt())


GRID = [
    # n_fft, win_length, hop_length, window, center, pad_mode
    (256, None, None, "hann", True, "constant"),
    (256, 128, None, "hann", True, "constant"),
    (500, 400, 100, "hamming", True, "reflect"),
    (512, None, 170, ("kaiser", 8.0), True, "edge"),
    (255, None, 60, "hann", True, "constant"),
    (256, None, 128, "hann", True, "constant"),
    (256, None, None, "hann", False, "constant"),
    (500, 400, 130, "hamming", False, "constant"),
]


@pytest.mark.parametrize(("n_fft", "win_length", "hop", "window", "center", "pad_mode"), GRID)
@pytest.mark.parametrize("momentum", [0, 0.99])
@pytest.mark.parametrize("init", ["random", None])
@pytest.mark.parametrize("extra", [None, 0, 7])
def test_equals_librosa(
    n_fft: int,
    win_length: int | None,
    hop: int | None,
    window: Any,
    center: bool,
    pad_mode: Any,
    momentum: float,
    init: Any,
    extra: int | None,
) -> None:
    shared: dict[str, Any] = {"win_length": win_length, "window": window, "center": center}
    shared |= {"pad_mode": pad_mode, "hop_length": hop}
    S = np.abs(librosa.stft(noise(2, 3000).numpy(), n_fft=n_fft, **shared))
    samples = librosa.griffinlim(S, n_iter=0, n_fft=n_fft, **shared).shape[-1]
    shared |= {"n_fft": n_fft, "momentum": momentum, "init": init, "n_iter": 8, "random_state": 3}
    shared["length"] = None if extra is None else samples + extra
    expected = librosa.griffinlim(S, **shared)
    y = griffin_lim(torch.from_numpy(S).mT, **shared)
    # Rounding grows: each iteration turns cells that are nearly 0 by much.
    np.testing.assert_allclose(y.numpy(), expected, rtol=0, atol=1e-9)


def test_float32_is_as_near_to_librosa_as_librosa_to_itself() -> None:
    S = np.abs(librosa.stft(noise(9000).numpy(), n_fft=512))
    shared: dict[str, Any] = {"n_iter": 16, "random_state": 0}
    exact = librosa.griffinlim(S, **shared)
    single = librosa.griffinlim(S.astype(np.float32), **shared)
    y = griffin_lim(torch.from_numpy(S).float().mT, **shared)
    assert y.dtype == torch.float32
    assert np.abs(y.numpy() - exact).max() < 3 * np.abs(single - exact).max() + 1e-6


def test_reflection_is_that_of_numpy_where_librosa_errs() -> None:
    y, n_fft, hop = noise(36 * 256), 512, 256
    frames: dict[str, Any] = {"hop_length": hop, "n_fft": n_fft}
    S = np.abs(librosa.stft(y.numpy(), **frames, pad_mode="reflect"))
    phase = np.exp(2j * np.pi * np.random.RandomState(0).random(S.shape))
    for _ in range(4):  # by definition, with numpy's padding
        x = np.pad(librosa.istft(S * phase, **frames), n_fft // 2, mode="reflect")
        phase = np.exp(1j * np.angle(librosa.stft(x, **frames, center=False)))
    expected = librosa.istft(S * phase, **frames)
    ours = griffin_lim(
        torch.from_numpy(S).mT, hop_length=hop, n_iter=4, pad_mode="reflect", momentum=0
    )
    np.testing.assert_allclose(ours.numpy(), expected, atol=1e-10)


def test_admm_is_the_papers_three_updates() -> None:
    rho, hop = 0.1, 16
    S = noise(20, 33).abs()
    start = torch.polar(torch.ones_like(S), noise(20, 33, seed=1))

    def consistent(C: Tensor) -> Tensor:
        y = istft(C, window=WINDOW, hop_length=hop)
        return torch.stft(y, 64, hop, window=WINDOW, center=False, return_complex=True).mT

    Z, U = S * start, torch.zeros_like(start)
    for _ in range(5):
        X = torch.polar(S, (Z - U).angle())
        Z = (rho * (X + U) + consistent(X + U)) / (1 + rho)
        U = U + X - Z
    X = torch.polar(S, (Z - U).angle())
    expected = istft(X, window=WINDOW, hop_length=hop)
    y = griffin_lim(
        S, window=WINDOW, hop_length=hop, center=False, n_iter=5, init=start, algorithm="admm"
    )
    torch.testing.assert_close(y, expected, rtol=0, atol=1e-10)


@pytest.mark.parametrize("center", [True, False])
@pytest.mark.parametrize("hop", [16, 20, 32])
def test_residual_never_rises_without_momentum(center: bool, hop: int) -> None:
    frames: dict[str, Any] = {"window": WINDOW, "hop_length": hop, "center": center}
    S = stft(noise(1000), **frames).abs()
    residual = [
        weighted_norm(stft(griffin_lim(S, n_iter=n, momentum=0, **frames), **frames).abs() - S, 64)
        for n in range(16)
    ]
    assert all(after <= before * (1 + 1e-12) for before, after in pairwise(residual))
    assert residual[-1] < residual[0] / 1.5


def test_residual_rises_with_plain_overlap_add() -> None:
    hop, samples = 16, 64 + 19 * 16
    S = stft(noise(samples), window=WINDOW, hop_length=hop).abs()
    place = torch.arange(64) + hop * torch.arange(20)[:, None]

    def added(frames: Tensor) -> Tensor:
        return torch.zeros(samples, dtype=torch.float64).index_put(
            (place,), frames, accumulate=True
        )

    C, residual = S * torch.exp(1j * noise(20, 33, seed=1)), []
    for _ in range(200):
        y = added(torch.fft.irfft(C)) / added(WINDOW.expand(20, -1)).clamp(min=1e-9)
        Z = stft(y, window=WINDOW, hop_length=hop)
        residual.append(weighted_norm(Z.abs() - S, 64))
        C = torch.polar(S, Z.angle())
    assert any(after > before * (1 + 1e-6) for before, after in pairwise(residual))


@pytest.mark.parametrize(("n_fft", "hop"), [(1024, 256), (1024, 512)])
@pytest.mark.parametrize("name", ["piano-ballad", "mambo"])
def test_faster_algorithms_come_nearer_on_music(n_fft: int, hop: int, name: str) -> None:
    song, _ = soundfile.read(sample(name).path, frames=22050, start=66150, dtype="float32")
    frames: dict[str, Any] = {"window": torch.hann_window(n_fft), "hop_length": hop, "center": True}
    S = stft(torch.from_numpy(song), **frames).abs()

    def spectral_convergence(algorithm: Any) -> float:
        y = griffin_lim(S, n_iter=100, algorithm=algorithm, hop_length=hop)
        return float((stft(y, **frames).abs() - S).norm() / S.norm())

    plain, fast, admm = (spectral_convergence(name) for name in ("plain", "fast", "admm"))
    assert fast < plain
    assert admm < plain


@examples(60)
@given(
    n_fft=st.sampled_from([8, 15, 64, 256]),
    part=st.integers(1, 8),
    count=st.integers(2, 60),
    extra=st.integers(0, 300),
    pad_mode=st.sampled_from(["constant", "reflect", "edge", "circular"]),
    step=st.booleans(),
)
def test_projection_is_cutting_and_padding(
    n_fft: int, part: int, count: int, extra: int, pad_mode: str, step: bool
) -> None:
    hop = max(1, n_fft // part - 1)
    count += n_fft // 2 // hop + 1  # samples to mirror
    length = (count - 1) * hop + n_fft % 2 + extra % hop
    window = get_window("hamming", n_fft=n_fft)
    P = Projection(window=window, hop_length=hop, center=True, pad_mode=pad_mode, length=length)
    real = noise(3, 2, count, n_fft // 2 + 1)
    C, before, S = torch.complex(real, real.flip(1)), torch.complex(real.flip(2), real), real.abs()
    options: dict[str, Any] = {}
    target = C
    if step:
        options = {"magnitude": S, "momentum": 0.5, "previous": before}
        target = torch.polar(S, (C + 0.5 * (C - before)).angle())
    y = istft(target, window=window, hop_length=hop, center=True, length=length)
    expected = stft(y, window=window, hop_length=hop, center=True, pad_mode=pad_mode)
    torch.testing.assert_close(
        P(C, out=torch.empty_like(C), **options), expected, rtol=0, atol=1e-9
    )


@pytest.mark.parametrize("center", [True, False])
def test_projection_is_orthogonal(center: bool) -> None:
    P = Projection(
        window=WINDOW,
        hop_length=16,
        center=center,
        pad_mode="constant",
        length=39 * 16 + 64 * (not center),
    )
    real = noise(2, 40, 33)
    C, D = torch.complex(*real), torch.complex(*real.flip(1))
    PC, PD = (P(X, out=torch.empty_like(X)) for X in (C, D))
    torch.testing.assert_close(P(PC, out=torch.empty_like(C)), PC, rtol=0, atol=1e-12)
    weights = torch.full((33,), 2.0, dtype=torch.float64)
    weights[[0, 32]] = 1
    left_product, right_product = (
        (weights * a.conj() * b).real.sum() for a, b in ((PC, D), (C, PD))
    )
    torch.testing.assert_close(left_product, right_product, rtol=1e-12, atol=1e-10)


@pytest.mark.parametrize("algorithm", ["plain", "fast", "admm"])
@pytest.mark.parametrize("n_iter", [0, 1, 5])
def test_the_right_phases_are_a_fixed_point(algorithm: Any, n_iter: int) -> None:
    y = noise(1000)
    D = stft(y, window=WINDOW, hop_length=16, center=True)
    back = griffin_lim(
        D.abs(), n_iter=n_iter, init=D, hop_length=16, length=1000, algorithm=algorithm
    )
    torch.testing.assert_close(back, y, rtol=0, atol=1e-10)


def test_penalty_one_of_admm_is_the_plain_algorithm(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(import_module("otoscope.signal.griffin_lim"), "RHO", 1.0)
    S = noise(20, 33).abs()
    plain = griffin_lim(S, n_iter=6, algorithm="plain")
    admm = griffin_lim(S, n_iter=6, algorithm="admm")
    torch.testing.assert_close(plain, admm, rtol=0, atol=1e-9)


def test_same_seed_same_sound() -> None:
    S = torch.ones(5, 33)

    def sound(random_state: Any = 0, seed: int | None = None) -> Tensor:
        rng = None if seed is None else torch.Generator().manual_seed(seed)
        return griffin_lim(S, n_iter=2, random_state=random_state, rng=rng)

    assert sound().equal(sound())
    assert sound(seed=3).equal(sound(seed=3))
    assert sound(3).equal(sound(np.random.RandomState(3)))
    numpy_generator = np.random.default_rng(3)
    first = sound(numpy_generator)
    assert first.equal(sound(np.random.default_rng(3)))
    others = [sound(numpy_generator), sound(None), sound(None), sound(seed=3), sound(seed=4)]
    assert all(not y.equal(z) for y, z in pairwise([first, *others, sound()]))


@pytest.mark.parametrize("algorithm", ["plain", "fast", "admm"])
def test_arguments_are_left_as_they_were_and_batches_equal_their_members(algorithm: Any) -> None:
    S, angle = noise(3, 2, 20, 33).abs(), noise(3, 2, 20, 33, seed=1)
    init = torch.polar(torch.ones_like(S), angle)
    kept = S.clone(), init.clone()
    y = griffin_lim(S, init=init, algorithm=algorithm)
    assert S.equal(kept[0])
    assert init.equal(kept[1])
    alone = griffin_lim(S[2, 1], init=init[2, 1], algorithm=algorithm)
    torch.testing.assert_close(y[2, 1], alone, rtol=0, atol=1e-9)


@pytest.mark.parametrize("algorithm", ["plain", "fast", "admm"])
@pytest.mark.parametrize("center", [True, False])
def test_silence_stays_silent(algorithm: Any, center: bool) -> None:
    y = griffin_lim(torch.zeros(9, 33), algorithm=algorithm, center=center)
    assert y.shape == ((8 * 16,) if center else (8 * 16 + 64,))
    assert not y.any()


def test_one_frame() -> None:
    D = stft(noise(64), window=WINDOW, hop_length=16)
    y = griffin_lim(D.abs(), window=WINDOW, center=False, init=D)
    torch.testing.assert_close(y[1:], noise(64)[1:], rtol=0, atol=1e-10)  # hann begins with 0
    assert griffin_lim(D.abs(), length=15).shape == (15,)
    with pytest.raises(ParameterError, match="length is 0; with 1 frames in S it must be 1 to 15"):
        griffin_lim(D.abs())


def test_arguments_that_cannot_be_are_refused() -> None:
    S = torch.ones(5, 33)
    hole = S.clone()
    hole[2, 3] = torch.nan
    with pytest.raises(ParameterError, match="from nan to nan; magnitudes are finite"):
        griffin_lim(hole)
    with pytest.raises(ParameterError, match=r"from -1\.0 to -1\.0; magnitudes"):
        griffin_lim(-S)
    with pytest.raises(ParameterError, match=r"S is torch\.complex64 \(5, 33\).*S=D\.abs\(\)"):
        griffin_lim(S + 0j)
    with pytest.raises(ParameterError, match=r"S is torch\.float32 \(33,\)"):
        griffin_lim(S[0])
    with pytest.raises(ParameterError, match=r"\(5, 33\).* needs \[\.\.\., frame, 65\]"):
        griffin_lim(S, n_fft=128)
    with pytest.raises(ParameterError, match=r"momentum is 1\.5, must be in \[0, 1\]"):
        griffin_lim(S, momentum=1.5)
    with pytest.raises(ParameterError, match="momentum is nan"):
        griffin_lim(S, momentum=float("nan"))
    with pytest.raises(ParameterError, match="n_iter is -1"):
        griffin_lim(S, n_iter=-1)
    with pytest.raises(ParameterError, match="hop_length is 0"):
        griffin_lim(S, hop_length=0)
    with pytest.raises(ParameterError, match="algorithm is 'quick'"):
        griffin_lim(S, algorithm="quick")  # type: ignore[arg-type]
    with pytest.raises(ParameterError, match="init is 'zero'"):
        griffin_lim(S, init="zero")  # type: ignore[arg-type]
    with pytest.raises(ParameterError, match=r"init is torch\.float32 \(5, 33\), must be complex"):
        griffin_lim(S, init=S)
    with pytest.raises(ParameterError, match=r"init is .* finite"):
        griffin_lim(S, init=hole + 0j)
    with pytest.raises(ParameterError, match=r"sample 0 and every 70th .*NOLA"):
        griffin_lim(S, hop_length=70)
    with pytest.raises(ParameterError, match=r"length is 100; .* must be 64 to 79"):
        griffin_lim(S, length=100)
    with pytest.raises(ParameterError, match="pad_mode is 'wrap'"):
        griffin_lim(S, pad_mode="wrap")
