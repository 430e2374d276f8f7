"""Arguments of the STFT operators: what is accepted, what is refused, and where results go."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Tensor

from otoscope.errors import ParameterError
from otoscope.ops import griffin_lim_step, istft_ls, magnitude_step, project, stft
from otoscope.ops.frames import frames_of
from tests.conftest import Backend
from tests.support.spectra import MOMENTUM, Example, Options, same

EXAMPLE = Example.of(256, 64, 5)
Y, C, S, BEFORE, GRADIENT, RADIUS, WINDOW = EXAMPLE.tensors(
    "y C S before gradient radius window", torch.zeros(())
)


@pytest.mark.parametrize("size", [(256, 64, 17), (1024, 512, 3), (240, 60, 4)])
def test_out_is_written_and_given_back(backend: Backend, size: tuple[int, int, int]) -> None:
    like = torch.zeros((), device=backend.device)
    C, S, before, window = Example.of(*size).tensors("C S before window", like)
    options: Options = {"window": window, "hop_length": size[1]}
    goal: Options = {"magnitude": S, "momentum": MOMENTUM, "previous": before, **options}
    for more in (options, options | {"magnitude": S}, goal):
        out = torch.full_like(C, math.nan)
        assert project(C, out=out, **more) is out
        same(out, project(C, **more))
    out = torch.full_like(C, math.nan)
    got, residual = griffin_lim_step(C, out=out, **goal)
    assert got is out
    wanted = griffin_lim_step(C, **goal)
    same(out, wanted[0])
    same(residual, wanted[1])
    rows = torch.full((4, *C.shape[1:]), math.nan, dtype=C.dtype, device=C.device)
    project(C, out=rows[1:3], **goal)
    same(rows[1:3], wanted[0])
    assert rows[[0, 3]].isnan().all()


def test_inputs_are_left_as_they_are(backend: Backend) -> None:
    given = [part.to(backend.device) for part in (Y, C, S, BEFORE, GRADIENT, RADIUS, WINDOW)]
    copies = [part.clone() for part in given]
    y, D, magnitude, before, gradient, radius, window = given
    options: Options = {"window": window, "hop_length": 64}
    stft(y, **options)
    istft_ls(D, **options)
    project(D, magnitude=magnitude, momentum=1, previous=before, **options)
    griffin_lim_step(D, magnitude=magnitude, momentum=1, previous=before, **options)
    magnitude_step(magnitude, gradient, D, magnitude, step=1, radius=radius, **options)
    for part, copy in zip(given, copies, strict=True):
        same(part, copy)


def test_a_window_of_another_type_is_converted(backend: Backend) -> None:
    D, window = C.to(backend.device), WINDOW.to(backend.device)
    wanted = project(D, window=window, hop_length=64)
    same(project(D, window=window.double(), hop_length=64), wanted)
    half = window.half()
    same(project(D, window=half, hop_length=64), project(D, window=half.float(), hop_length=64))


@pytest.mark.parametrize("momentum", [0.0, MOMENTUM])
def test_a_previous_spectrum_without_momentum_changes_nothing(momentum: float) -> None:
    options: Options = {"magnitude": S, "window": WINDOW, "hop_length": 64}
    still = project(C, momentum=momentum, previous=C, **options)
    torch.testing.assert_close(still, project(C, **options), rtol=0, atol=1e-5)


HANN = torch.hann_window(256)


@pytest.mark.parametrize(
    ("window", "hop", "sample"),
    [
        (torch.ones(256), 300, 256),  # the first between two windows
        (HANN, 256, 0),  # where all windows begin
        (HANN.roll(7), 256, 7),
        (torch.hann_window(240), 241, 0),
        (torch.zeros(8), 2, 0),
    ],
)
def test_first_sample_that_no_window_reaches_is_named(
    window: Tensor, hop: int, sample: int
) -> None:
    D = torch.zeros(3, len(window) // 2 + 1, dtype=torch.complex64)
    S, one = D.real, torch.ones(())
    options: Options = {"window": window, "hop_length": hop}
    message = rf"no window reaches sample {sample} and every {hop}th after it \(NOLA is violated\)"
    for function in (istft_ls, project):
        with pytest.raises(ParameterError, match=message):
            function(D, **options)
    with pytest.raises(ParameterError, match=message):
        griffin_lim_step(D, magnitude=S, **options)
    with pytest.raises(ParameterError, match=message):
        magnitude_step(S, S, D, S, step=1, radius=one, **options)


def spectrum(frames: int, bins: int) -> Tensor:
    return torch.zeros(frames, bins, dtype=torch.complex64)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"y": Y.half()}, r"y is torch.float16, must be float32 or float64"),
        ({"y": Y.int()}, r"y is torch.int32, must be float32"),
        ({"y": C}, r"y is torch.complex64, must be float32"),
        ({"y": Y[:, :255]}, r"y has shape \(2, 255\); one frame needs 256 samples"),
        ({"y": torch.tensor(1.0)}, r"y has shape \(\); one frame needs 256 samples"),
        ({"hop_length": 256.0}, r"hop_length is 256.0, must be an integer >= 1"),
        ({"hop_length": 0}, r"hop_length is 0, must be an integer >= 1"),
        ({"window": torch.ones(2, 256)}, r"window is torch.float32 \(2, 256\); it must be real"),
        ({"window": torch.ones(1)}, r"window is torch.float32 \(1,\).*n_fft >= 2"),
        ({"window": torch.ones(256, dtype=torch.int32)}, r"window is torch.int32 \(256,\)"),
        ({"window": torch.ones(256, requires_grad=True)}, r"window requires a gradient"),
    ],
)
def test_transform_refuses_what_does_not_fit(change: Options, message: str) -> None:
    given: Options = {"y": Y, "window": WINDOW, "hop_length": 64}
    with pytest.raises(ParameterError, match=message):
        stft(**(given | change))


@pytest.mark.parametrize("function", [istft_ls, project])
@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"spectrum": S}, r"spectrum is torch.float32, must be complex64 or complex128"),
        (
            {"spectrum": spectrum(2, 128)},
            r"spectrum has shape \(2, 128\); a window of 256 samples needs \[..., frame, 129\]",
        ),
        ({"spectrum": spectrum(0, 129)}, r"spectrum has shape \(0, 129\).*one frame or more"),
        ({"spectrum": spectrum(2, 129)[0]}, r"spectrum has shape \(129,\)"),
        ({"spectrum": spectrum(129, 2).mT.T}, r"spectrum has shape \(129, 2\)"),
        ({"hop_length": -3}, r"hop_length is -3, must be an integer >= 1"),
        ({"window": torch.ones(250)}, r"a window of 250 samples needs \[..., frame, 126\]"),
    ],
)
def test_inverse_and_projection_refuse_what_does_not_fit(
    function: type, change: Options, message: str
) -> None:
    with pytest.raises(ParameterError, match=message):
        function(**({"spectrum": C, "window": WINDOW, "hop_length": 64} | change))


@pytest.mark.filterwarnings("ignore:ComplexHalf")
def test_complex_half_is_refused() -> None:
    with pytest.raises(ParameterError, match=r"spectrum is torch.complex32, must be complex64"):
        project(C.to(torch.complex32), window=WINDOW, hop_length=64)


LEAF = C.clone().requires_grad_()
BUFFER = torch.empty_like(C)
ROOM = torch.empty(3, 5, 129, dtype=torch.complex64)


@pytest.mark.parametrize("function", [project, griffin_lim_step])
@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"magnitude": S.double()}, r"magnitude is torch.float64 .*; it must be torch.float32"),
        ({"magnitude": S[:1]}, r"magnitude is torch.float32 \(1, 5, 129\); it must be .*\(2, 5"),
        ({"magnitude": C}, r"magnitude is torch.complex64"),
        ({"magnitude": S.to("meta")}, r"magnitude is on meta"),
        ({"momentum": -0.1, "previous": BEFORE}, r"momentum is -0.1; it must be >= 0"),
        ({"momentum": math.nan, "previous": BEFORE}, r"momentum is nan; it must be >= 0"),
        ({"momentum": 0.5}, r"momentum is 0.5; .* above 0 it needs magnitude= and previous="),
        ({"momentum": 0.5, "previous": BEFORE[0]}, r"previous is torch.complex64 \(5, 129\)"),
        ({"momentum": 0.5, "previous": S}, r"previous is torch.float32"),
        ({"out": BUFFER[:1]}, r"out is torch.complex64 \(1, 5, 129\); it must be"),
        ({"out": BUFFER.to(torch.complex128)}, r"out is torch.complex128"),
        ({"out": BUFFER.mT.contiguous().mT}, r"out has strides \(645, 1, 5\).* contiguous"),
        ({"out": C}, r"out shares memory with an input"),
        ({"out": BEFORE, "previous": BEFORE, "momentum": 0.5}, r"out shares memory with an input"),
        ({"out": ROOM[1:], "spectrum": ROOM[:2]}, r"out shares memory with an input"),
        ({"out": ROOM[:2], "magnitude": ROOM[:2].imag}, r"out shares memory with an input"),
    ],
)
def test_steps_refuse_what_does_not_fit(function: type, change: Options, message: str) -> None:
    given = {"spectrum": C, "magnitude": S, "window": WINDOW, "hop_length": 64}
    with pytest.raises(ParameterError, match=message):
        function(**(given | change))


def test_momentum_needs_magnitudes() -> None:
    with pytest.raises(ParameterError, match=r"momentum is 0.5; .* needs magnitude="):
        project(C, momentum=0.5, previous=BEFORE, window=WINDOW, hop_length=64)


@pytest.mark.parametrize("name", ["spectrum", "magnitude"])
def test_out_refuses_to_give_a_gradient(name: str) -> None:
    given: Options = {"spectrum": C, "magnitude": S, "window": WINDOW, "hop_length": 64}
    given[name] = given[name].clone().requires_grad_()
    with pytest.raises(ParameterError, match=r"out= gives no gradient: leave it out"):
        project(**given, out=BUFFER)


def test_out_takes_a_leaf_where_no_gradient_is_wanted() -> None:
    with torch.no_grad():
        out = project(LEAF, out=torch.empty_like(C), window=WINDOW, hop_length=64)
    same(out, project(C, window=WINDOW, hop_length=64))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"gradient": S[..., :5]}, r"gradient is torch.float32 \(2, 5, 5\); it must be"),
        ({"magnitude": S.double()}, r"magnitude is torch.float64"),
        ({"original": C}, r"original is torch.complex64"),
        ({"spectrum": S}, r"spectrum is torch.float32, must be complex64"),
        ({"radius": torch.ones(3)}, r"radius has shape \(3,\), must be \(2,\): one number per"),
        ({"radius": torch.ones(())}, r"radius has shape \(\), must be \(2,\)"),
        ({"radius": torch.ones(2, device="meta")}, r"radius is on meta"),
    ],
)
def test_step_of_the_adversary_refuses_what_does_not_fit(change: Options, message: str) -> None:
    given: Options = {"magnitude": S, "gradient": S, "spectrum": C, "original": S, "radius": RADIUS}
    given |= {"window": WINDOW}
    with pytest.raises(ParameterError, match=message):
        magnitude_step(**(given | change), hop_length=64, step=0.1)


@pytest.mark.parametrize("n_fft", [256, 10])
def test_a_ball_of_radius_zero_is_its_centre(n_fft: int) -> None:
    D = torch.randn(2, 5, n_fft // 2 + 1, dtype=torch.complex64)
    window, X = torch.hann_window(n_fft), D.abs()
    options: Options = {"window": window, "hop_length": n_fft // 4}
    Y, _ = magnitude_step(X, X, D, X + 1, step=0.1, radius=torch.zeros(2), **options)
    torch.testing.assert_close(Y, X + 1, rtol=0, atol=0)


def opcheck_cases() -> dict[str, list[tuple[Any, ...]]]:
    """Use frames of 256 samples, which have a kernel, and of 10, which go through torch.fft."""
    collected: dict[str, list[tuple[Any, ...]]] = {}
    random = torch.Generator().manual_seed(0)
    for n_fft, hop in ((256, 64), (10, 3)):
        shape, complex_ = (2, 3, n_fft // 2 + 1), {"dtype": torch.complex64, "generator": random}
        y = torch.randn(2, 2 * hop + n_fft + 1, generator=random, requires_grad=True)
        D = torch.randn(shape, **complex_, requires_grad=True)  # type: ignore[call-overload]
        C, before = D.detach(), torch.randn(shape, **complex_)  # type: ignore[call-overload]
        magnitude, gradient = torch.rand(2, *shape, generator=random)
        frames = frames_of(torch.rand(n_fft, generator=random) + 0.1, hop, like=y)
        tail = (*frames[:2], hop)
        replacement = (C, magnitude, before, 0.5, *tail)
        radius = torch.ones(2, dtype=torch.float64)
        for name, *arguments in (
            ("stft", y, frames.window, hop),
            ("istft", D, *tail),
            ("istft", D, frames.window, None, hop),
            ("project", D, None, None, 0.0, *tail),
            ("project", *replacement),
            ("project", C, magnitude, None, 0.0, *tail),
            ("project_out", C, None, None, 0.0, *tail, torch.empty(shape, dtype=C.dtype)),
            ("project_out", *replacement, torch.empty(shape, dtype=C.dtype)),
            ("griffin_lim_step", *replacement, torch.empty(shape, dtype=C.dtype)),
            ("magnitude_step", magnitude, gradient, C, magnitude, *tail, 0.1, radius),
        ):
            collected.setdefault(str(name), []).append(tuple(arguments))
    return collected
