"""The CUDA bodies on the host: work that a GPU would do, and what only some chips can do."""

from __future__ import annotations

from collections.abc import Iterator
from importlib import import_module
from typing import Any

import pytest
import torch

from otoscope.ops import coalitions, istft_ls, moments, project
from otoscope.ops.occlude import occlude
from tests.conftest import emulate
from tests.ops.test_moments import DTYPES, check, drawn


@pytest.fixture(params=[0, 1, 2], ids=["forward", "reverse", "shuffled"])
def emulated(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Run the operators on the CUDA bodies, in one order of threads."""
    emulate(request.param, monkeypatch)
    module = import_module("otoscope._emulated")
    yield module
    module.use_matrix_units(False)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("units", [True, False], ids=["matrix units", "no matrix units"])
@pytest.mark.parametrize(("rows", "columns"), [(3, 1), (18, 63), (700, 130), (1100, 68)])
def test_scatter_is_right_with_and_without_matrix_units(
    emulated: Any, units: bool, dtype: torch.dtype, rows: int, columns: int
) -> None:
    emulated.use_matrix_units(units)
    x = drawn(rows, columns, offset=3.0).to(dtype)
    check(moments(x), x)


def test_many_sets_have_moments_of_their_own_on_matrix_units(emulated: Any) -> None:
    emulated.use_matrix_units(True)
    x = torch.stack([drawn(530, 70, offset=float(seed), seed=seed) for seed in range(3)])
    state = moments(x)
    for i, rows in enumerate(x):
        check(type(state)(*(part[i] for part in state)), rows)


@pytest.mark.parametrize(("n_fft", "hop"), [(1024, 256), (1024, 512), (256, 63), (8192, 2048)])
def test_frames_are_added_to_the_samples_that_they_reach(
    emulated: Any, n_fft: int, hop: int
) -> None:
    frames, batch = 150 * 256 // n_fft + 20, 2
    D = torch.randn(batch, frames, n_fft // 2 + 1, dtype=torch.complex64)
    window = torch.hann_window(n_fft)
    for operator in (project, istft_ls):
        before = emulated.tallied()
        operator(D, window=window, hop_length=hop)
        visits = emulated.tallied() - before
        # Each frame has n_fft samples; those at the ends of a tile are computed twice.
        assert batch * frames * n_fft <= visits <= 2.5 * batch * frames * n_fft


@pytest.mark.parametrize("hop", [256, 512])
def test_tiles_of_any_size_give_the_same_bits(emulated: Any, hop: int) -> None:
    D = torch.randn(9, 40, 513, dtype=torch.complex64)
    window = torch.hann_window(1024)
    together = project(D, window=window, hop_length=hop)
    for i in (0, 8):
        alone = project(D[i : i + 1], window=window, hop_length=hop)
        assert torch.equal(alone[0], together[i])


@pytest.mark.parametrize("cells", [(23, 16), (9, 7)])
@pytest.mark.parametrize("dtype", DTYPES)
def test_sums_over_samples_in_splits_are_those_of_the_cpu(
    dtype: torch.dtype, cells: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Exactly: sums of small integers have no rounding, whatever their order."""
    random = torch.Generator().manual_seed(0)
    keep = coalitions(6, "bernoulli", 301)
    segment = torch.randint(6, cells, generator=random)
    patch, content = torch.randint(9, (2, 2, *cells), generator=random).double()
    grad = torch.randint(-8, 9, (2, 301, *cells), generator=random).to(dtype)

    def gradients() -> tuple[torch.Tensor, ...]:
        leaves = [t.clone().requires_grad_() for t in (patch, content)]
        out = occlude(leaves[0], leaves[1], segment, keep, dtype=dtype)
        return torch.autograd.grad(out, leaves, grad)

    expected = gradients()
    emulate(2, monkeypatch)
    for ours, theirs in zip(gradients(), expected, strict=True):
        assert torch.equal(ours, theirs)
