"""Steps of attacks, by kernels and by torch, against their formulas in double precision."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
import torch
from torch import Tensor

from otoscope import native
from otoscope.attack import kernels
from otoscope.attack.kernels import descend_, on_kernel, scale_magnitudes_, shift_into_ball_
from otoscope.errors import ParameterError

TYPES = [torch.float32, torch.float64]


@pytest.fixture(params=["baseline", "best", "torch"])
def path(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Kernels of both instruction sets, then torch's operators, as on a GPU."""
    usual = native.isa()
    if request.param == "torch":
        monkeypatch.setattr(kernels, "on_kernel", lambda *tensors: False)
    else:
        native.use_isa(request.param)
    yield request.param
    native.use_isa(usual)


def drawn(*shape: int, dtype: torch.dtype = torch.float64, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, generator=generator, dtype=torch.float64).to(dtype)


def assert_near(found: Tensor, expected: np.ndarray, times: float = 32) -> None:
    """Equal to some roundings of the largest number of the rows."""
    scale = float(np.abs(expected).max(initial=0)) or 1.0
    eps = torch.finfo(found.dtype).eps
    wide = found.to(torch.complex128 if found.is_complex() else torch.float64).numpy()
    np.testing.assert_allclose(wide, expected, rtol=0, atol=times * eps * scale)


@pytest.mark.parametrize("dtype", TYPES)
@pytest.mark.parametrize("normalises", [True, False])
@pytest.mark.parametrize(
    ("batch", "frames", "bins"), [(1, 1, 1), (2, 3, 5), (3, 1, 64), (2, 7, 129), (0, 2, 3)]
)
def test_magnitudes_step_against_their_slope_and_phases_stay(
    path: str, dtype: torch.dtype, normalises: bool, batch: int, frames: int, bins: int
) -> None:
    del path
    D, G = (
        torch.view_as_complex(drawn(batch, frames, bins, 2, dtype=dtype, seed=seed))
        for seed in range(2)
    )
    D[:, :, :: max(2, bins // 3)] = 0  # digital silence: of phase 0
    weights, length = drawn(bins, dtype=dtype).abs(), 0.3 + drawn(batch).abs()
    d, g, w = (t.cpu().numpy().astype(complex) for t in (D, G, weights))
    size = np.abs(d)
    phase = np.where(size > 0, d / np.where(size > 0, size, 1), 1)
    slope = w.real * (g * phase.conj()).real
    norms = np.sqrt((slope**2).sum((1, 2), keepdims=True)) if normalises else 1
    steps = length.numpy()[:, None, None] * slope / np.where(norms, norms, 1)
    moved = scale_magnitudes_(D, G, weights, length, normalises=normalises)
    assert moved is D
    assert_near(D, np.maximum(size - steps, 0) * phase)


def test_a_slope_of_zero_moves_nothing(path: str) -> None:
    del path
    D = torch.view_as_complex(drawn(1, 4, 5, 2))
    before, length = D.clone(), torch.ones(1, dtype=torch.float64)
    scale_magnitudes_(D, torch.zeros_like(D), drawn(5), length, normalises=True)
    torch.testing.assert_close(D, before)


def test_nan_of_a_gradient_is_not_hidden_as_silence(path: str) -> None:
    del path
    D, G = (torch.view_as_complex(drawn(1, 2, 5, 2, seed=seed)) for seed in range(2))
    G[0, 1, 2] = torch.nan
    length = torch.ones(1, dtype=torch.float64)
    scale_magnitudes_(D, G, torch.ones(5, dtype=torch.float64), length, normalises=False)
    assert bool(D[0, 1, 2].isnan())
    assert int(D.isnan().sum()) == 1


@pytest.mark.parametrize("dtype", TYPES)
@pytest.mark.parametrize(("batch", "n"), [(1, 1), (2, 17), (3, 64), (2, 40_001), (0, 5), (2, 0)])
def test_descent_adds_unit_gradients_with_momentum(
    path: str, dtype: torch.dtype, batch: int, n: int
) -> None:
    del path
    sound, memory, gradient, x = (drawn(batch, n, dtype=dtype, seed=seed) for seed in range(4))
    if batch > 1 and n:
        gradient[1], memory[1] = 0, 0  # no direction: the sound stays
    length = drawn(batch, seed=5).abs()
    s, m, g, c = (t.double().numpy() for t in (sound, memory, gradient, x))
    norm = np.linalg.norm(g, axis=1, keepdims=True)
    m = 0.9 * m + g / np.where(norm > 0, norm, 1)
    norm = np.linalg.norm(m, axis=1, keepdims=True)
    expected = s - length.numpy()[:, None] * m / np.where(norm > 0, norm, 1) - c
    assert descend_(sound, memory, gradient, x, length=length, momentum=0.9) is sound
    assert_near(memory, m)
    assert_near(sound, expected)


@pytest.mark.parametrize("isa", ["baseline", "best"])
@pytest.mark.parametrize("dtype", TYPES)
@pytest.mark.parametrize(("batch", "n"), [(1, 1), (2, 17), (3, 64), (2, 40_001), (0, 5), (2, 0)])
def test_differences_go_into_their_balls(isa: str, dtype: torch.dtype, batch: int, n: int) -> None:
    native.use_isa(isa)
    difference, x = (drawn(batch, n, dtype=dtype, seed=seed) for seed in range(2))
    radius = torch.tensor([0.5, 1e9, 0.0][:batch], dtype=torch.float64)
    d, norm = difference.double().numpy(), difference.double().norm(dim=1, keepdim=True).numpy()
    inside = d * np.minimum(1, radius.numpy()[:, None] / np.where(norm > 0, norm, 1))
    assert_near(shift_into_ball_(difference.clone(), None, radius), inside)
    assert_near(shift_into_ball_(difference.clone(), x, radius), x.double().numpy() + inside)
    native.use_isa("best")


@pytest.mark.parametrize("isa", ["baseline", "best"])
@pytest.mark.parametrize("seed", range(20))
def test_no_rounding_leaves_the_ball(isa: str, seed: int) -> None:
    """At 100 dB below the sound, differences are hardly more than its roundings."""
    native.use_isa(isa)
    x = drawn(4, 1 + 9 * seed, dtype=torch.float32, seed=seed)
    radius = 1e-5 * x.double().norm(dim=1)
    slack = 2 * torch.finfo(torch.float32).eps
    placed = shift_into_ball_(drawn(*x.shape, dtype=x.dtype, seed=99), x, radius, slack=slack)
    assert bool(((placed.double() - x.double()).norm(dim=1) <= radius).all())
    native.use_isa("best")


def test_sums_are_the_same_for_any_number_of_threads() -> None:
    threads, results = torch.get_num_threads(), []
    for n in (1, 3):
        torch.set_num_threads(n)
        x, difference = drawn(3, 70_001, dtype=torch.float32), drawn(3, 70_001, seed=1).float()
        shift_into_ball_(difference, x, torch.ones(3, dtype=torch.float64))
        results.append(difference)
    torch.set_num_threads(threads)
    assert torch.equal(*results)


def test_kernels_take_what_a_search_has_and_torch_the_rest() -> None:
    x = drawn(4, 6, dtype=torch.float32)
    assert on_kernel(x, x)
    assert not on_kernel(x, x.double())
    assert not on_kernel(x.T)
    assert not on_kernel(x.half())
    assert not on_kernel(x.to("meta"))


def test_transposed_tensors_give_what_contiguous_ones_do() -> None:
    parts = [drawn(3, 40, seed=seed) for seed in range(4)]
    length = torch.ones(3, dtype=torch.float64)
    expected = descend_(*(p.clone() for p in parts), length=length, momentum=0.5)
    turned = descend_(*(p.T.contiguous().T for p in parts), length=length, momentum=0.5)
    torch.testing.assert_close(turned, expected)


def test_kernels_refuse_tensors_of_other_sizes() -> None:
    x, ones = drawn(2, 5), torch.ones(2, dtype=torch.float64)
    shift = native.host_kernel("shift_into_ball")
    with pytest.raises(ParameterError, match=r"x: wrong shape: is \[2, 4\], must be \[2, 5\]"):
        shift(x, drawn(2, 4), ones, 0.0, 1)
    with pytest.raises(ParameterError, match=r"radius: wrong shape: is \[1\], must be \[2\]"):
        shift(x, None, ones[:1], 0.0, 1)
    with pytest.raises(ParameterError, match="difference: must be float32 or float64"):
        shift(x.half(), None, ones, 0.0, 1)
    with pytest.raises(ParameterError, match="memory: wrong dtype"):
        native.host_kernel("descend")(x, x, x.float(), x, ones, 0.9, 1)
    D, weights = drawn(2, 3, 4, 2), drawn(5)
    with pytest.raises(ParameterError, match=r"weights: wrong shape: is \[5\], must be \[4\]"):
        native.host_kernel("scale_magnitudes")(D, D.clone(), weights, ones, True, 1)
