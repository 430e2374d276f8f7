"""Gradients of the STFT operators, torch.compile, and what is not differentiable."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor
from torch.autograd import gradcheck, gradgradcheck

from otoscope.errors import ParameterError
from otoscope.ops import griffin_lim_step, istft_ls, magnitude_step, project, stft
from tests.conftest import Backend
from tests.support.spectra import MOMENTUM, STEP, Example, Options, same

Function = Callable[..., Tensor]


def differentiable(options: Options) -> dict[str, tuple[str, Function]]:
    """Functions of one or more tensors, and the tensors' names in an example."""

    def step(C: Tensor, S: Tensor, before: Tensor) -> Tensor:
        return project(C, magnitude=S, momentum=MOMENTUM, previous=before, **options)

    return {
        "stft": ("y", lambda y: stft(y, **options)),
        "istft_ls": ("C", lambda C: istft_ls(C, **options)),
        "project": ("C", lambda C: project(C, **options)),
        "project, magnitude": ("C S", lambda C, S: project(C, magnitude=S, **options)),
        "project, momentum": ("C S before", step),
    }


def check(name: str, n_fft: int, hop: int, device: torch.device | str) -> None:
    """Along random directions (fast_mode): the whole Jacobian has a million entries."""
    like = torch.zeros((), dtype=torch.float64, device=device)
    example = Example.of(n_fft, hop, 3, 1)
    (window,) = example.tensors("window", like)
    names, function = differentiable({"window": window, "hop_length": hop})[name]
    inputs = [tensor.requires_grad_() for tensor in example.tensors(names, like)]

    def bent(*inputs: Tensor) -> Tensor:
        return torch.view_as_real(function(*inputs) + 0j).sin()

    assert gradcheck(bent, inputs, fast_mode=True)
    assert gradgradcheck(bent, inputs, fast_mode=True)


@pytest.mark.parametrize("name", differentiable({}))
def test_gradients_of_first_and_second_order(backend: Backend, name: str) -> None:
    check(name, 256, 100, backend.device)


@pytest.mark.parametrize("name", differentiable({}))
@pytest.mark.parametrize(("n_fft", "hop"), [(256, 200), (256, 33), (90, 30), (45, 20)])
def test_gradients_at_other_sizes(name: str, n_fft: int, hop: int) -> None:
    check(name, n_fft, hop, "cpu")


def test_gradient_is_that_of_torch(backend: Backend) -> None:
    """Every entry, in float32 too: torch.stft and torch.istft differentiate themselves."""
    like = torch.zeros((), device=backend.device)
    y, C, window = Example.of(256, 64, 9).tensors("y C window", like)
    options: Options = {"n_fft": 256, "hop_length": 64, "window": window, "center": False}
    ours: Options = {"window": window, "hop_length": 64}
    pairs: list[tuple[Tensor, Function, Function]] = [
        (
            y,
            lambda y: stft(y, **ours),
            lambda y: torch.stft(y, **options, return_complex=True).mT,
        ),
        (C, lambda C: istft_ls(C, **ours), lambda C: torch.istft(C.mT, **options)),
    ]
    for given, function, theirs in pairs:
        given.requires_grad_()
        out = function(given)
        direction = torch.randn(
            out.shape, generator=torch.Generator().manual_seed(0), dtype=out.dtype
        ).to(out.device)
        (got,) = torch.autograd.grad(out, given, direction)
        (wanted,) = torch.autograd.grad(theirs(given), given, direction)
        # Gradients of DC's and Nyquist's imaginary parts are 0, though autograd's are not quite.
        torch.testing.assert_close(got, wanted, rtol=0, atol=2e-6 * float(wanted.abs().max()))


def test_steps_have_no_gradient(backend: Backend) -> None:
    like = torch.zeros((), device=backend.device)
    C, S, radius, window = Example.of(256, 64, 3).tensors("C S radius window", like)
    options: Options = {"window": window, "hop_length": 64}
    C.requires_grad_(), S.requires_grad_()
    results = (
        *griffin_lim_step(C, magnitude=S, **options),
        *magnitude_step(S, S, C, S, step=STEP, radius=radius, **options),
    )
    assert not any(result.requires_grad for result in results)


def functional(y: Tensor, C: Tensor, S: Tensor, window: Tensor) -> tuple[Tensor, ...]:
    options: Options = {"window": window, "hop_length": 64}
    radius = S.sum((1, 2)) / 9
    return (
        stft(y.relu(), **options) * 2,
        istft_ls(C * 2, **options).relu(),
        project(C + 1, **options).abs(),
        project(C, magnitude=S, **options).abs(),
        *magnitude_step(S, S, C, S + 1, step=STEP, radius=radius, **options),
    )


def all_of_them(y: Tensor, C: Tensor, S: Tensor, window: Tensor) -> tuple[Tensor, ...]:
    options: Options = {"window": window, "hop_length": 64}
    out = torch.empty_like(C)
    project(C, magnitude=S, momentum=MOMENTUM, previous=C.conj() * 2, out=out, **options)
    steps = griffin_lim_step(C, magnitude=S + 1, **options)
    return (out * 2, *steps, *functional(y, C, S, window))


@pytest.mark.parametrize("n_fft", [256, 240])
def test_compiles_without_a_graph_break(n_fft: int) -> None:
    inputs = Example.of(n_fft, 64, 5).tensors("y C S window", torch.zeros(()))
    torch.compiler.reset()
    compiled = torch.compile(all_of_them, fullgraph=True, backend="aot_eager")
    for got, wanted in zip(compiled(*inputs), all_of_them(*inputs), strict=True):
        torch.testing.assert_close(got, wanted)


@pytest.mark.filterwarnings("ignore:Torchinductor", "ignore::DeprecationWarning")
@pytest.mark.filterwarnings("ignore::FutureWarning")
@pytest.mark.parametrize("backend", ["aot_eager", pytest.param("inductor", marks=pytest.mark.slow)])
def test_compiles_with_gradients(backend: str) -> None:
    """Inductor computes F.fold of a transposed tensor wrongly: the overlap must not use it."""
    y, C, S, window = Example.of(256, 64, 5).tensors("y C S window", torch.zeros(()))
    options: Options = {"window": window, "hop_length": 64}
    leaves = [leaf.requires_grad_() for leaf in (y, C, S)]

    def function(y: Tensor, C: Tensor, S: Tensor) -> Tensor:
        consistent = project(C, magnitude=S, **options) + project(C, **options)
        return stft(y, **options).abs().sum() + istft_ls(consistent, **options).square().sum()

    torch.compiler.reset()
    compiled = torch.compile(function, fullgraph=True, backend=backend)
    got = torch.autograd.grad(compiled(*leaves), leaves)
    for ours, eager in zip(got, torch.autograd.grad(function(*leaves), leaves), strict=True):
        torch.testing.assert_close(ours, eager, rtol=1e-5, atol=1e-5)


@pytest.mark.slow
@pytest.mark.filterwarnings(
    "ignore::DeprecationWarning", "ignore::FutureWarning", "ignore:Torchinductor"
)
def test_compiles_with_inductor() -> None:
    inputs = Example.of(256, 64, 5).tensors("y C S window", torch.zeros(()))
    torch.compiler.reset()
    compiled = torch.compile(all_of_them, fullgraph=True)
    for got, wanted in zip(compiled(*inputs), all_of_them(*inputs), strict=True):
        torch.testing.assert_close(got, wanted, rtol=1e-4, atol=1e-4)


def test_vmap_is_a_batch() -> None:
    y, C, S, window = Example.of(256, 64, 3).tensors("y C S window", torch.zeros(()))
    options: Options = {"window": window, "hop_length": 64}
    calls: list[tuple[Function, tuple[Tensor, ...]]] = [
        (lambda y: stft(y, **options), (y,)),
        (lambda C: istft_ls(C, **options), (C,)),
        (lambda C: project(C, **options), (C,)),
        (lambda C, S: project(C, magnitude=S, **options), (C, S)),
    ]
    for function, inputs in calls:
        torch.testing.assert_close(torch.vmap(function)(*inputs), function(*inputs))


def test_refuses_vmap_of_steps() -> None:
    C, S, radius, window = Example.of(256, 64, 3).tensors("C S radius window", torch.zeros(()))
    options: Options = {"window": window, "hop_length": 64}
    calls: list[tuple[Function, tuple[Tensor, ...]]] = [
        (lambda C, S: griffin_lim_step(C, magnitude=S, **options)[0], (C, S)),
        (
            lambda C, S, r: magnitude_step(S, S, C, S, step=STEP, radius=r, **options)[0],
            (C, S, radius),
        ),
    ]
    for function, inputs in calls:
        with pytest.raises(ParameterError, match=r"does not run under torch\.vmap: pass it"):
            torch.vmap(function)(*inputs)


@pytest.mark.cuda
def test_a_cuda_graph_repeats_a_step_without_waiting(backend: Backend) -> None:
    if backend.name != "cuda":
        pytest.skip("CUDA graphs need a GPU")
    like = torch.zeros((), device="cuda")
    for n_fft, hop in ((1024, 256), (1024, 512), (8192, 2048), (2048, 256)):
        C, S, before, window = Example.of(n_fft, hop, 9).tensors("C S before window", like)
        options: Options = {"magnitude": S, "momentum": MOMENTUM, "previous": before}
        options.update(window=window, hop_length=hop)
        wanted, out = project(C, **options), torch.empty_like(C)
        torch.cuda.synchronize()
        torch.cuda.set_sync_debug_mode("error")
        try:
            project(C, out=out, **options)
        finally:
            torch.cuda.set_sync_debug_mode("default")
        same(out, wanted)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            project(C, out=out, **options)
        wanted = project(2j * C, **options)
        C.mul_(2j)
        graph.replay()
        same(out, wanted)
