"""The STFT operators equal their formulae, on every backend."""

from __future__ import annotations

import math

import numpy as np
import pytest
import scipy.signal
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from otoscope.ops import griffin_lim_step, istft_ls, magnitude_step, project, stft
from tests.conftest import Backend
from tests.oracles import stft as definitions
from tests.support.examples import examples
from tests.support.spectra import MOMENTUM, STEP, Example, Options, near, near_signal, same

SIZES = [
    *((2**k, 2**k // 4, 3, 1) for k in range(8, 14)),  # a kernel each
    *((256, 64, frames, 2) for frames in (1, 2, 4, 5, 7, 8, 9, 17)),  # beside widths of lanes
    *((256, hop, 5, 2) for hop in (128, 32, 63, 1, 200, 256)),
    # Full groups of frames, and one more, at half and a quarter of a frame.
    *(
        (256, 128, 33, 1),
        (512, 128, 17, 1),
        (1024, 256, 9, 1),
        (1024, 512, 9, 1),
        (2048, 1024, 5, 1),
    ),
    *((1024, 315, 4, 1), (2048, 256, 9, 1), (4096, 2048, 3, 1)),
    *((256, 64, 300, 1), (512, 200, 67, 3)),  # more than one chunk
    *((256, 64, 3, 0), (240, 60, 3, 0)),
    *((240, 60, 7, 2), (300, 75, 4, 1), (255, 85, 9, 2), (100, 33, 1, 1)),  # on torch.fft
]
EVERY_SIZE = pytest.mark.parametrize("size", SIZES, ids=lambda s: "-".join(map(str, s)))


@pytest.fixture(params=[torch.float32, torch.float64], ids=["float32", "float64"])
def like(request: pytest.FixtureRequest, backend: Backend) -> Tensor:
    """A tensor of the type and on the device to test."""
    return torch.zeros((), dtype=request.param, device=backend.device)


@EVERY_SIZE
def test_transforms_equal_their_definitions(like: Tensor, size: tuple[int, int, int, int]) -> None:
    example = Example.of(*size)
    y, C, window = example.tensors("y C window", like)
    near(stft(y, window=window, hop_length=size[1]), example.D, size[0])
    near_signal(istft_ls(C, window=window, hop_length=size[1]), example)


@EVERY_SIZE
def test_projection_equals_its_definition(like: Tensor, size: tuple[int, int, int, int]) -> None:
    example = Example.of(*size)
    C, window = example.tensors("C window", like)
    near(project(C, window=window, hop_length=size[1]), example.P, size[0])


@EVERY_SIZE
def test_step_of_griffin_and_lim_equals_its_definition(
    like: Tensor, size: tuple[int, int, int, int]
) -> None:
    example = Example.of(*size)
    C, S, before, window = example.tensors("C S before window", like)
    options: Options = {"magnitude": S, "momentum": MOMENTUM, "previous": before, "window": window}
    wanted, residual = example.step
    near(project(C, hop_length=size[1], **options), wanted, size[0])
    got, norm = griffin_lim_step(C, hop_length=size[1], **options)
    near(got, wanted, size[0])
    assert norm.dtype == torch.float64
    # Each |Z| - S is as exact as Z, and their errors add up as independent ones do.
    eps = torch.finfo(like.dtype).eps
    np.testing.assert_allclose(norm.cpu().numpy(), residual, rtol=4 * eps * math.log2(size[0]))


@EVERY_SIZE
def test_step_of_the_adversary_equals_its_definition(
    like: Tensor, size: tuple[int, int, int, int]
) -> None:
    example = Example.of(*size)
    S, gradient, C, window, radius = example.tensors("S gradient C window radius", like)
    Y, got = magnitude_step(
        S, gradient, C, C.abs(), window=window, hop_length=size[1], step=STEP, radius=radius
    )
    near(Y, example.adversary[0], size[0])
    near(got, example.adversary[1], size[0])


@examples(15)
@given(
    n_fft=st.sampled_from([256, 512, 90]),
    hop=st.integers(1, 90) | st.integers(1, 512),
    frames=st.integers(1, 40),
    batch=st.integers(1, 3),
)
def test_projection_equals_its_definition_for_any_shape(
    backend: Backend, n_fft: int, hop: int, frames: int, batch: int
) -> None:
    hop = min(hop, n_fft)
    example = Example.of(n_fft, hop, frames, batch)
    C, window = example.tensors("C window", torch.zeros((), device=backend.device).double())
    near(project(C, window=window, hop_length=hop), example.P, n_fft)


def test_frames_may_lie_apart(like: Tensor) -> None:
    example = Example.of(256, 300, 4)
    y, window = example.tensors("y window", like)
    near(stft(y, window=window, hop_length=300), example.D, 256)


def test_transforms_agree_with_torch_scipy_and_librosa(like: Tensor) -> None:
    librosa = pytest.importorskip("librosa")
    n_fft, hop = 512, 128
    window = np.hamming(n_fft).astype(np.float32).astype(float)  # torch wants no 0 at the ends
    y = np.random.default_rng(0).standard_normal(hop * 20 + n_fft)
    C = Example.of(n_fft, hop, 21, 1).C
    w, wave, spectrum = (torch.from_numpy(a).to(like.device) for a in (window, y, C))
    w, wave = w.to(like.dtype), wave.to(like.dtype)
    spectrum = spectrum.to(like.dtype.to_complex())
    D = stft(wave, window=w, hop_length=hop)
    sides: Options = {"window": window, "nperseg": n_fft, "noverlap": n_fft - hop}
    theirs = scipy.signal.stft(y, **sides, boundary=None, padded=False)[2] * window.sum()
    near(D, theirs.T, n_fft)
    near(D, librosa.stft(y, n_fft=n_fft, hop_length=hop, window=window, center=False).T, n_fft)
    options: Options = {"n_fft": n_fft, "hop_length": hop, "window": w, "center": False}
    near(D, torch.stft(wave, **options, return_complex=True).mT.cpu().numpy(), n_fft)
    x = istft_ls(spectrum, window=w, hop_length=hop)[0]
    largest = np.abs(definitions.istft_ls(C, window, hop)).max()
    theirs = scipy.signal.istft(C[0].T / window.sum(), **sides, boundary=False)[1]
    near(x, theirs, n_fft, largest)
    theirs = librosa.istft(C[0].T, n_fft=n_fft, hop_length=hop, window=window, center=False)
    near(x, theirs, n_fft, largest)
    near(x, torch.istft(spectrum[0].mT, **options).cpu().numpy(), n_fft, largest)


@pytest.mark.parametrize("n_fft", [256, 240])
def test_imaginary_parts_of_dc_and_nyquist_do_not_count(like: Tensor, n_fft: int) -> None:
    C, window = Example.of(n_fft, 60, 9).tensors("C window", like)
    real = C.clone()
    real.imag[..., [0, -1]] = 0
    for function in (istft_ls, project):
        got, wanted = (function(D, window=window, hop_length=60) for D in (C, real))
        same(got, wanted)
    D = project(C, window=window, hop_length=60)
    assert not D.imag[..., [0, -1]].any()


@pytest.mark.parametrize("n_fft", [256, 240])
def test_phase_of_silence_is_zero(like: Tensor, n_fft: int) -> None:
    example = Example.of(n_fft, 60, 9)
    C, S, window = example.tensors("C S window", like)
    C[:, 2:5], C[:, 6, 7] = 0, -0.0
    zeros = C.cpu().numpy().copy()
    if like.dtype == torch.float32:
        C.imag[:, 3] = 1e-20  # below 1e-19, as the door says
    wanted = definitions.project(
        definitions.replace_magnitude(zeros, example.S), example.window, 60
    )
    near(project(C, window=window, hop_length=60, magnitude=S), wanted, n_fft)
    silence = project(C, window=window, hop_length=60, magnitude=0 * S)
    assert not silence.any()


@pytest.mark.parametrize("n_fft", [256, 240])
def test_what_is_not_a_number_passes_to_the_frames_that_overlap(like: Tensor, n_fft: int) -> None:
    C, S, window = Example.of(n_fft, 60, 17).tensors("C S window", like)
    options: Options = {"window": window, "hop_length": 60}
    broken, magnitude = C.clone(), S.clone()
    broken[0, 8, 5], magnitude[0, 8, 5] = math.nan, math.nan
    reached = torch.zeros(2, 17, dtype=torch.bool, device=like.device)
    span = (n_fft - 1) // 60
    reached[0, 8 - span : 8 + span + 1] = True
    for got, clean in (
        (project(broken, **options), project(C, **options)),
        (project(C, magnitude=magnitude, **options), project(C, magnitude=S, **options)),
        (project(broken, magnitude=S, **options), project(C, magnitude=S, **options)),
    ):
        assert torch.equal(got.isnan().any(-1), reached)
        near(got[~reached], clean[~reached].cpu().numpy(), n_fft)
    D = stft(istft_ls(broken, **options), **options)
    assert torch.equal(D.isnan().any(-1), reached)
    residual = griffin_lim_step(C, magnitude=magnitude, **options)[1]
    assert residual.isnan().tolist() == [True, False]


def test_takes_any_batch_axes_and_layout(backend: Backend) -> None:
    example = Example.of(256, 64, 6, 4)
    C, S, y, window = example.tensors("C S y window", torch.zeros((), device=backend.device))
    options: Options = {"window": window.repeat_interleave(2)[::2], "hop_length": 64}
    for D in (C.mT.contiguous().mT, C.view(2, 2, 6, 129), C[::2], C[1]):
        part = S.reshape(D.shape) if D.numel() == C.numel() else S[::2] if D.ndim == 3 else S[1]
        flat, magnitude = D.reshape(-1, 6, 129), part.reshape(-1, 6, 129)
        got, residual = griffin_lim_step(D, magnitude=part, **options)
        wanted = griffin_lim_step(flat, magnitude=magnitude, **options)
        assert residual.shape == D.shape[:-2]
        same(got.reshape(flat.shape), wanted[0])
        same(residual.reshape(-1), wanted[1])
        assert project(D, **options).shape == D.shape
        assert istft_ls(D, **options).shape == (*D.shape[:-2], 5 * 64 + 256)
        radius = torch.ones(D.shape[:-2], device=backend.device)
        steps = magnitude_step(part, part, D, part, step=0.1, radius=radius, **options)
        assert steps[0].shape == steps[1].shape == D.shape
    near(stft(y.view(2, 2, -1), **options).reshape(C.shape), example.D, 256)
    near(stft(y.T.contiguous()[:, 1], **options), example.D[1], 256)


def results(example: Example, like: Tensor) -> list[Tensor]:
    y, C, S, before, gradient, radius, window = example.tensors(
        "y C S before gradient radius window", like
    )
    options: Options = {"window": window, "hop_length": example.hop_length}
    phases: Options = {"magnitude": S, "momentum": MOMENTUM, "previous": before}
    return [
        stft(y, **options),
        istft_ls(C, **options),
        project(C, **options),
        *griffin_lim_step(C, **phases, **options),
        *magnitude_step(S, gradient, C, S, step=STEP, radius=radius, **options),
    ]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("size", [(256, 64, 300, 3), (2048, 512, 37, 1), (240, 60, 30, 2)])
def test_thread_counts_are_bit_equal(dtype: torch.dtype, size: tuple[int, int, int, int]) -> None:
    example, like, before = Example.of(*size), torch.zeros((), dtype=dtype), torch.get_num_threads()
    try:
        torch.set_num_threads(1)
        wanted = results(example, like)
        for threads in (2, 3, 4):
            torch.set_num_threads(threads)
            for got, one in zip(results(example, like), wanted, strict=True):
                same(got, one)
    finally:
        torch.set_num_threads(before)


def test_runs_are_bit_equal(like: Tensor) -> None:
    example = Example.of(256, 64, 40, 3)
    for got, before in zip(results(example, like), results(example, like), strict=True):
        same(got, before)


def test_examples_of_a_batch_do_not_meet(like: Tensor) -> None:
    C, S, window = Example.of(256, 64, 11, 3).tensors("C S window", like)
    options: Options = {"window": window, "hop_length": 64}
    together, residuals = griffin_lim_step(C, magnitude=S, **options)
    for one, (C_one, S_one) in enumerate(zip(C, S, strict=True)):
        alone, residual = griffin_lim_step(C_one, magnitude=S_one, **options)
        near(alone, together[one].cpu().numpy(), 256)
        torch.testing.assert_close(residual, residuals[one], rtol=1e-6, atol=0)
