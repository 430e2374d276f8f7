"""Forward-mode derivatives are right or refused, never 0 without a word; meta tensors pass."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.autograd import forward_ad
from torch.autograd.functional import jacobian
from torch.func import grad, hessian, jacfwd, jacrev, jvp, vjp, vmap

from otoscope import ops
from otoscope.errors import ParameterError
from tests.support.spectra import Options

# torch compiles decompositions of its own at the first dual tensor.
pytestmark = pytest.mark.filterwarnings("ignore:.*torch.jit.script.*:DeprecationWarning")

SEGMENT = (torch.arange(6) // 2)[:, None].expand(6, 3)
KEEP = torch.tensor([[True, False, True], [False, True, True]])
SCALE = torch.tensor([1.0, 2.0, 3.0], dtype=torch.float64)


def double(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def spectrum(*shape: int, seed: int = 0) -> Tensor:
    return torch.complex(double(*shape, seed=seed), double(*shape, seed=seed + 1))


def frames(n_fft: int = 16) -> Options:
    return {"window": torch.hann_window(n_fft, dtype=torch.float64), "hop_length": n_fft // 4}


def occluded(patch: Tensor, content: Tensor) -> Tensor:
    return ops.occlude(patch, content, SEGMENT, KEEP, shift=SCALE, scale=SCALE)


CASES: dict[str, tuple[Callable[..., Tensor], tuple[Tensor, ...]]] = {
    "stft": (lambda y: ops.stft(y, **frames()), (double(40),)),
    "stft on a kernel": (lambda y: ops.stft(y, **frames(256)), (double(2, 400),)),
    "istft_ls": (lambda C: ops.istft_ls(C, **frames()), (spectrum(3, 9),)),
    "project": (lambda C: ops.project(C, **frames()), (spectrum(3, 9),)),
    "project with a magnitude": (
        lambda C, S, D: ops.project(
            C, magnitude=S.exp(), previous=D, momentum=0.5, **frames()
        ),
        (spectrum(3, 9), double(3, 9), spectrum(3, 9, seed=5)),
    ),
    "occlude": (occluded, (double(2, 6, 3), double(2, 1, 3))),
    "occlude with one content": (
        lambda p: ops.occlude(p, 0.5, SEGMENT, KEEP), (double(2, 6, 3),)
    ),
    "occlude with noise": (
        lambda p, loc: ops.occlude(p, ops.Noise(3, loc), SEGMENT, KEEP),
        (double(6, 3), double(3)),
    ),
}  # fmt: skip
EVERY = pytest.mark.parametrize("name", CASES)


@EVERY
def test_a_directional_derivative_is_a_quotient_of_differences(name: str) -> None:
    function, inputs = CASES[name]
    directions = tuple(torch.randn_like(x) for x in inputs)
    step = 1e-6
    ahead, behind = (
        function(*(x + sign * step * d for x, d in zip(inputs, directions, strict=True)))
        for sign in (1, -1)
    )
    value, derivative, *_ = jvp(function, inputs, directions)
    torch.testing.assert_close(value, function(*inputs))
    torch.testing.assert_close(derivative, (ahead - behind) / (2 * step), rtol=1e-6, atol=1e-6)
    with forward_ad.dual_level():
        duals = [forward_ad.make_dual(*pair) for pair in zip(inputs, directions, strict=True)]
        torch.testing.assert_close(forward_ad.unpack_dual(function(*duals)).tangent, derivative)


@EVERY
def test_jacobians_of_both_modes_are_equal(name: str) -> None:
    function, inputs = CASES[name]

    def real(x: Tensor) -> Tensor:
        first = torch.view_as_complex(x) if inputs[0].is_complex() else x
        output = function(first, *inputs[1:])
        return torch.view_as_real(output) if output.is_complex() else output

    at = torch.view_as_real(inputs[0]) if inputs[0].is_complex() else inputs[0]
    torch.testing.assert_close(jacfwd(real)(at), jacobian(real, at))
    leaf, direction = at.detach().requires_grad_(), torch.randn_like(at)
    (gradient,) = torch.autograd.grad((real(leaf) ** 3).sum(), leaf, create_graph=True)
    (twice,) = torch.autograd.grad((gradient * direction).sum(), leaf)
    with forward_ad.dual_level():
        energy = (real(forward_ad.make_dual(leaf, direction)) ** 3).sum()
        (over_reverse,) = torch.autograd.grad(energy, leaf, create_graph=True)
        torch.testing.assert_close(forward_ad.unpack_dual(over_reverse).tangent, twice)
        slope = forward_ad.unpack_dual(energy).tangent
        torch.testing.assert_close(torch.autograd.grad(slope, leaf)[0], twice)


def refused() -> dict[str, tuple[Callable[[Tensor], Any], Tensor]]:
    C, S, y = spectrum(1, 3, 9), double(1, 3, 9).abs(), double(1, 40)
    window, overlap = frames()["window"], torch.ones(5, dtype=torch.float64)
    patch, ids = double(1, 6, 3), SEGMENT.int().contiguous()
    out, bits = torch.empty(1, 2, 6, 3, dtype=torch.float64), ops.pack(KEEP).bits
    otoscope = torch.ops.otoscope
    state = ops.Moments.none(3)
    return {
        "magnitude_step": (
            lambda S: ops.magnitude_step(S, S, C, S, step=0.1, radius=torch.ones(1), **frames()),
            S,
        ),
        "griffin_lim_step": (lambda S: ops.griffin_lim_step(C, magnitude=S, **frames())[0], S),
        "project into a buffer": (
            lambda C: ops.project(C, out=torch.empty_like(C), **frames()),
            C,
        ),
        "occlude into a buffer": (lambda p: ops.occlude(p, 0.0, SEGMENT, KEEP, out=out), patch),
        "moments": (lambda x: ops.moments(x).mean, double(4, 3)),
        "moments_merge": (
            lambda m: ops.moments_merge((state.count, m, state.scatter), state),
            state.mean,
        ),
        "a window": (lambda w: ops.stft(y, window=w, hop_length=4), window),
        "a window of istft_ls": (lambda w: ops.istft_ls(C, window=w, hop_length=4), window),
        "a scale": (lambda s: ops.occlude(patch, 0.0, SEGMENT, KEEP, scale=s), SCALE),
        "a shift": (lambda s: ops.occlude(patch, 0.0, SEGMENT, KEEP, shift=s), SCALE),
        "the spread of noise": (
            lambda s: ops.occlude(patch, ops.Noise(0, scale=s), SEGMENT, KEEP),
            SCALE,
        ),
        "torch.ops stft": (lambda w: otoscope.stft(y, w, 4), window),
        "torch.ops istft": (lambda w: otoscope.istft(C, window, w, 4), overlap),
        "torch.ops occlude_out": (
            lambda p: otoscope.occlude_out(
                p, p[:, :1], None, [0, 0, 0], ids, bits, 3, None, None, out
            ),
            patch,
        ),
        "torch.ops griffin_lim_step": (
            lambda S: otoscope.griffin_lim_step(C, S, None, 0.0, window, overlap, 4, C.clone()),
            S,
        ),
    }


@pytest.mark.parametrize("name", refused())
def test_a_derivative_that_an_operator_lacks_is_refused(name: str) -> None:
    function, at = refused()[name]
    with pytest.raises(ParameterError, match="has no forward-mode derivative in"):
        jvp(function, (at,), (torch.ones_like(at),))
    with forward_ad.dual_level(), pytest.raises(ParameterError, match="no forward-mode deriv"):
        function(forward_ad.make_dual(at, torch.ones_like(at)))


def test_constants_pass_inside_a_derivative() -> None:
    y, C, S = double(40), spectrum(3, 9), double(3, 9).abs()

    def function(x: Tensor) -> Tensor:
        step = ops.griffin_lim_step(C, magnitude=S, **frames())[1]
        return x * (step + ops.moments(S).count) * ops.stft(y, **frames()).abs().sum()

    value, derivative, *_ = jvp(function, (torch.ones(()),), (torch.ones(()),))
    torch.testing.assert_close(value, derivative)


@pytest.mark.parametrize("transform", [grad, jacrev, hessian, lambda f: lambda x: vjp(f, x)])
@pytest.mark.parametrize("name", ["stft", "occlude", "moments", "griffin_lim_step"])
def test_function_transforms_in_reverse_are_refused(name: str, transform: Any) -> None:
    C = spectrum(1, 3, 9)
    functions: dict[str, tuple[Callable[[Tensor], Tensor], Tensor]] = {
        "stft": (lambda y: ops.stft(y, **frames()).abs().sum(), double(40)),
        "occlude": (lambda p: ops.occlude(p, 0.0, SEGMENT, KEEP).sum(), double(6, 3)),
        "moments": (lambda x: ops.moments(x).mean.sum(), double(4, 3)),
        "griffin_lim_step": (
            lambda S: ops.griffin_lim_step(C, magnitude=S, **frames())[1].sum(),
            C.abs(),
        ),
    }
    function, at = functions[name]
    with pytest.raises(ParameterError, match=r"does not run under torch\.func\.grad, vjp, jacrev"):
        transform(function)(at)


def test_constants_pass_inside_function_transforms() -> None:
    y, x, rows = double(40), double(3), double(4, 3)

    def energy(x: Tensor) -> Tensor:
        moments = ops.moments(rows).mean
        return (x * moments).sum() * ops.stft(y, **frames()).abs().sum()

    expected = ops.moments(rows).mean * ops.stft(y, **frames()).abs().sum()
    torch.testing.assert_close(grad(energy)(x), expected)
    both = vmap(grad(energy))(torch.stack([x, 2 * x]))
    torch.testing.assert_close(both, expected.expand(2, 3))


def test_a_spread_that_requires_a_gradient_is_refused() -> None:
    spread = torch.ones(3, requires_grad=True)
    with pytest.raises(ParameterError, match="scale of the noise requires a gradient"):
        ops.occlude(torch.rand(6, 3), ops.Noise(0, scale=spread), SEGMENT, KEEP)


def on_meta(*shape: int, dtype: torch.dtype = torch.float32) -> Tensor:
    return torch.empty(shape, dtype=dtype, device="meta")


def test_shapes_on_meta_are_those_of_numbers() -> None:
    options: Options = {"window": on_meta(16), "hop_length": 4}
    C = on_meta(2, 3, 9, dtype=torch.complex64)
    S, ids, keep = C.abs(), on_meta(6, 3, dtype=torch.int64), on_meta(4, 5, dtype=torch.bool)
    assert ops.stft(on_meta(2, 40), **options).shape == (2, 7, 9)
    assert ops.istft_ls(C, **options).shape == (2, 24)
    assert ops.project(C, **options).shape == C.shape
    assert ops.project(C, magnitude=S, out=torch.empty_like(C), **options).shape == C.shape
    assert ops.griffin_lim_step(C, magnitude=S, **options)[1].shape == (2,)
    steps = ops.magnitude_step(S, S, C, S, step=1.0, radius=on_meta(2), **options)
    assert steps[0].shape == S.shape
    assert ops.occlude(on_meta(6, 3), 0.0, ids, keep).shape == (4, 6, 3)
    assert ops.occlude(on_meta(2, 6, 3), ops.Noise(0), ids, keep).is_meta
    assert ops.moments(on_meta(7, 3)).scatter.shape == (3, 3)
    assert ops.SegmentMap(ids, 5).n == 5
    with pytest.raises(ParameterError, match=r"on meta: it holds no number .* give n="):
        ops.SegmentMap(ids)
