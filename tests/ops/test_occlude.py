"""occlude selects exactly what its definition selects, on every backend."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from otoscope.errors import ParameterError
from otoscope.ops import Noise, coalitions, occlude, pack
from tests.conftest import Backend
from tests.oracles import noise as noise_oracle
from tests.oracles import occlude as occlude_oracle
from tests.support.examples import examples

FLOATS = (torch.float16, torch.bfloat16, torch.float32, torch.float64)


def case(
    device: torch.device | str = "cpu",
    *,
    excerpts: int = 2,
    samples: int = 5,
    frames: int = 23,
    mels: int = 16,
    segments: int = 6,
    dtype: torch.dtype = torch.float32,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    random = torch.Generator().manual_seed(samples + 10 * frames + 100 * mels)
    patch, content = torch.randn(2, excerpts, frames, mels, generator=random, dtype=torch.float64)
    segment = torch.randint(segments, (frames, mels), generator=random)
    keep = torch.rand(samples, segments, generator=random) < 0.5
    return (
        patch.to(device, dtype),
        content.to(device, dtype),
        segment.to(device),
        keep.to(device),
    )


def same(got: Tensor, wanted: Tensor) -> None:
    torch.testing.assert_close(got, wanted, rtol=0, atol=0)


# 1.2 million cells span many tiles and blocks; 9315 = 115 * 81 leaves every row unaligned.
@pytest.mark.parametrize(
    ("excerpts", "samples", "frames", "mels", "segments"),
    [
        (1, 1, 1, 1, 1),
        (2, 5, 23, 16, 6),
        (1, 131, 115, 80, 10),
        (3, 7, 115, 81, 65),
        (1, 3, 40, 33, 200),
        (2, 0, 4, 4, 3),
        (0, 3, 4, 4, 3),
        (1, 2, 0, 4, 3),
    ],
)
def test_equals_definition(
    backend: Backend, excerpts: int, samples: int, frames: int, mels: int, segments: int
) -> None:
    args = case(
        backend.device,
        excerpts=excerpts,
        samples=samples,
        frames=frames,
        mels=mels,
        segments=segments,
    )
    same(occlude(*args), occlude_oracle.occlude(*args))


@examples(60)
@given(
    excerpts=st.integers(0, 3),
    samples=st.integers(0, 9),
    frames=st.integers(0, 40),
    mels=st.integers(1, 70),
    segments=st.integers(1, 150),
    types=st.tuples(st.sampled_from(FLOATS), st.sampled_from(FLOATS)),
    form=st.sampled_from(["full", "band", "excerpt", "frame", "number"]),
    affine=st.booleans(),
)
def test_equals_definition_for_any_shape_type_and_content(
    backend: Backend,
    excerpts: int,
    samples: int,
    frames: int,
    mels: int,
    segments: int,
    types: tuple[torch.dtype, torch.dtype],
    form: str,
    affine: bool,
) -> None:
    patch, content, segment, keep = case(
        backend.device,
        excerpts=excerpts,
        samples=samples,
        frames=frames,
        mels=mels,
        segments=segments,
        dtype=types[0],
    )
    content = {
        "full": content,
        "band": content[:1, :1, :].reshape(-1) if content.numel() else content.new_ones(mels),
        "excerpt": content[:, :1, :1] if content.numel() else content.new_ones(1, 1, 1),
        "frame": content[:1, :, :1] if content.numel() else content.new_ones(1, 1, 1),
        "number": content.new_tensor(-1.5),
    }[form]
    shift = torch.linspace(-1, 1, mels, device=backend.device) if affine else None
    scale = torch.linspace(0.5, 2, mels, device=backend.device) if affine else None
    got = occlude(patch, content, segment, keep, shift=shift, scale=scale, dtype=types[1])
    same(got, occlude_oracle.occlude(patch, content, segment, keep, shift, scale, types[1]))


def test_values_that_are_not_numbers_pass_through(backend: Backend) -> None:
    patch, content, segment, keep = case(backend.device)
    patch[0, 0, 0], content[0, 1, 1] = float("nan"), float("inf")
    got = occlude(patch, content, segment, keep)
    wanted = occlude_oracle.occlude(patch, content, segment, keep)
    torch.testing.assert_close(got, wanted, rtol=0, atol=0, equal_nan=True)


def test_takes_non_contiguous_tensors(backend: Backend) -> None:
    patch, content, segment, keep = case(backend.device, frames=16, mels=16)
    args = (patch.mT, content[:, ::2].repeat(1, 2, 1).mT, segment.T, keep[::2])
    same(occlude(*args), occlude_oracle.occlude(*args))


def test_a_patch_without_excerpt_axis_gives_a_result_without_it(backend: Backend) -> None:
    patch, content, segment, keep = case(backend.device, excerpts=1)
    same(
        occlude(patch[0], content[0], segment, keep),
        occlude_oracle.occlude(patch, content, segment, keep)[0],
    )


@pytest.mark.parametrize("samples", [4, 700])
def test_out_is_written_in_either_layout(backend: Backend, samples: int) -> None:
    patch, content, segment, keep = case(backend.device, samples=samples, frames=64, mels=64)
    wanted = occlude_oracle.occlude(patch, content, segment, keep)
    for shape in [(2, samples, 64, 64), (2 * samples, 1, 64, 64)]:
        out = torch.full(shape, float("nan"), device=backend.device)
        assert occlude(patch, content, segment, keep, out=out) is out
        same(out.view_as(wanted), wanted)


def test_streamed_output_equals_definition() -> None:
    """More than 8 MB: the end of it is stored past the cache."""
    args = case(excerpts=2, samples=700, frames=64, mels=64)
    same(occlude(*args), occlude_oracle.occlude(*args))


@pytest.mark.parametrize("threads", [1, 2, 3])
def test_thread_counts_and_batch_splits_are_bit_equal(threads: int) -> None:
    patch, _, segment, keep = case(samples=300, frames=115, mels=80)
    wanted = occlude(patch, Noise(5), segment, keep)
    grad = torch.randn(wanted.shape, generator=torch.Generator().manual_seed(1))
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        parts = [
            occlude(patch, Noise(5, first_sample=i), segment, keep[i : i + 77])
            for i in range(0, 300, 77)
        ]
        sums = gradients(occlude, patch, patch * 0, segment, keep, grad)
    finally:
        torch.set_num_threads(before)
    same(torch.cat(parts, 1), wanted)
    for got, one in zip(
        sums, gradients(occlude, patch, patch * 0, segment, keep, grad), strict=True
    ):
        same(got, one)


def test_noise_is_that_of_the_definition(backend: Backend) -> None:
    patch, _, segment, keep = case(backend.device, samples=3, frames=7, mels=5)
    got = occlude(patch, Noise(2**63 + 9, first_excerpt=4, first_sample=6), segment, keep)
    drawn = torch.stack(
        [
            torch.stack([noise_oracle.noise(2**63 + 9, 4 + e, 6 + s, 35) for s in range(3)])
            for e in range(2)
        ]
    ).view(2, 3, 7, 5)
    stays = keep[:, segment]
    wanted = torch.where(stays, patch[:, None], drawn.to(patch))
    # AS 241's PPND7 promises about one part in 10^7; float32 arithmetic adds a few of its own.
    torch.testing.assert_close(got, wanted, rtol=2e-6, atol=2e-7)


def test_noise_is_equal_on_all_backends(backend: Backend) -> None:
    patch, _, segment, keep = case(samples=4, frames=9, mels=12)
    loc, spread = torch.linspace(-2, 1, 12), torch.linspace(0.1, 3, 12)

    def run(device: torch.device | str) -> Tensor:
        noise = Noise(3, loc.to(device), spread.to(device))
        moved = (patch.to(device), noise, segment.to(device), keep.to(device))
        return occlude(*moved, dtype=torch.float16).cpu()

    here = run(backend.device)
    module = __import__("otoscope._cpu", fromlist=["occlude"])
    out = torch.empty(2, 4, 9, 12, dtype=torch.float16)
    module.occlude(
        patch,
        loc.view(1, 1, 12),
        spread.view(1, 1, 12),
        (3, 0, 0),
        segment.int(),
        pack(keep).bits.cpu(),
        6,
        None,
        None,
        out,
        1,
    )
    same(here, out)


def test_noise_is_standard_normal() -> None:
    patch = torch.zeros(1, 100, 1000)
    keep = torch.zeros(10, 1, dtype=torch.bool)
    drawn = occlude(patch, Noise(1), torch.zeros(100, 1000, dtype=torch.int32), keep).double()
    # A million draws: four standard errors.
    assert abs(float(drawn.mean())) < 4e-3
    assert abs(float(drawn.var()) - 1) < 4 * 2**0.5 * 1e-3
    assert abs(float((drawn**4).mean()) - 3) < 4 * 96**0.5 * 1e-3
    assert abs(float((drawn[..., 1:] * drawn[..., :-1]).mean())) < 4e-3


def gradients(
    function: Callable[..., Tensor],
    patch: Tensor,
    content: Tensor,
    segment: Tensor,
    keep: Tensor,
    grad: Tensor,
    **options: Tensor,
) -> tuple[Tensor, ...]:
    patch, content = patch.clone().requires_grad_(), content.clone().requires_grad_()
    out = function(patch, content, segment, keep, **options)
    return torch.autograd.grad(out, (patch, content), grad)


@pytest.mark.parametrize("samples", [0, 1, 37])
@pytest.mark.parametrize("form", ["full", "band", "excerpt"])
def test_gradient_equals_that_of_definition(backend: Backend, samples: int, form: str) -> None:
    patch, content, segment, keep = case(backend.device, samples=samples, dtype=torch.float64)
    content = {"full": content, "band": content[0, 0], "excerpt": content[:, :1, :1]}[form]
    scale = torch.linspace(0.5, 2, 16, device=backend.device, dtype=torch.float64)
    grad = torch.randn(2, samples, 23, 16, device=backend.device, dtype=torch.float64)
    args = (patch, content, segment, keep, grad)
    wanted = gradients(occlude_oracle.occlude, *args, scale=scale)
    got = gradients(occlude, *args, scale=scale)
    for ours, theirs in zip(got, wanted, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-12, atol=1e-12)


def test_gradient_of_half_precision_is_summed_in_double(backend: Backend) -> None:
    patch, content, segment, keep = case(backend.device, samples=400, dtype=torch.float16)
    grad = torch.rand(2, 400, 23, 16, device=backend.device).half()
    got = gradients(occlude, patch, content, segment, keep, grad)
    wanted = gradients(
        occlude_oracle.occlude, patch.double(), content.double(), segment, keep, grad.double()
    )
    for ours, exact in zip(got, wanted, strict=True):
        same(ours, exact.half())


def test_gradcheck_first_and_second_order(backend: Backend) -> None:
    patch, content, segment, keep = case(
        backend.device, excerpts=1, samples=3, frames=3, mels=2, segments=3, dtype=torch.float64
    )
    scale = torch.tensor([0.5, 2.0], dtype=torch.float64, device=backend.device)

    def function(patch: Tensor, content: Tensor) -> Tensor:
        return occlude(patch, content, segment, keep, scale=scale).sin()

    inputs = (patch.requires_grad_(), content[:, :1].clone().requires_grad_())
    assert torch.autograd.gradcheck(function, inputs)
    assert torch.autograd.gradgradcheck(function, inputs)


def test_location_of_noise_has_a_gradient(backend: Backend) -> None:
    patch, _, segment, keep = case(backend.device)
    loc = torch.zeros(16, device=backend.device, requires_grad=True)
    occlude(patch, Noise(0, loc), segment, keep).sum().backward()
    assert loc.grad is not None
    same(loc.grad.round(), (2.0 * (~keep[:, segment]).sum((0, 1))).to(loc))


def test_compiles_without_a_graph_break() -> None:
    patch, content, segment, keep = case()

    def function(patch: Tensor, content: Tensor, segment: Tensor, keep: Tensor) -> Tensor:
        return (occlude(patch.relu(), content, segment, keep) * 2).sum()

    with torch.no_grad():
        compiled = torch.compile(function, fullgraph=True, backend="aot_eager")
        same(compiled(patch, content, segment, keep), function(patch, content, segment, keep))
    torch.compiler.reset()
    patch.requires_grad_()
    torch.compile(function, fullgraph=True, backend="aot_eager")(
        patch, content, segment, keep
    ).backward()
    got, patch.grad = patch.grad, None
    function(patch, content, segment, keep).backward()
    assert got is not None
    assert patch.grad is not None
    same(got, patch.grad)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")
def test_compiles_with_inductor() -> None:
    args = case()

    def function(*args: Tensor) -> Tensor:
        return occlude(args[0].relu(), *args[1:]) * 2

    same(torch.compile(function, fullgraph=True)(*args), function(*args))


def test_vmap_is_a_batch_of_patches_and_contents() -> None:
    patch, content, segment, keep = case(excerpts=3)
    expected = occlude(patch, content, segment, keep)
    over_patches = torch.vmap(lambda p: occlude(p, 0.5, segment, keep))(patch)
    same(over_patches, occlude(patch, 0.5, segment, keep))
    same(torch.vmap(lambda p, c: occlude(p, c, segment, keep))(patch, content), expected)
    over_contents = torch.vmap(lambda c: occlude(patch, c, segment, keep))(content)
    same(over_contents[1], occlude(patch, content[1], segment, keep))
    batched = torch.vmap(lambda p, c: occlude(p, c, segment, keep), in_dims=(0, None))
    same(batched(patch.expand(2, 3, 23, 16), content), expected.expand(2, *expected.shape))


def test_refuses_vmap_over_what_is_not_a_batch() -> None:
    patch, _, segment, keep = case()
    with pytest.raises(ParameterError, match=r"does not run under torch\.vmap"):
        torch.vmap(lambda p: occlude(p, Noise(0), segment, keep))(patch)
    with pytest.raises(ParameterError, match=r"does not run under torch\.vmap"):
        torch.vmap(lambda k: occlude(patch, 0.0, segment, k))(keep[:, None])


def test_exact_coalitions_run_without_unpacking(backend: Backend) -> None:
    patch, content, segment, _ = case(backend.device)
    rows = coalitions(6, "exact", device=backend.device)
    same(
        occlude(patch, content, segment, rows),
        occlude_oracle.occlude(patch, content, segment, rows.unpack()),
    )
