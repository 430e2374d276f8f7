"""Steps of attacks, by kernels and by torch, against their formulas in double precision."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from otoscope import native
from otoscope.attack import kernels
from otoscope.attack.kernels import (
    are_finite,
    descend_,
    keep_best_,
    on_kernel,
    scale_magnitudes_,
    shift_into_ball_,
)
from otoscope.attack.objective import Objective
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
        shift(x, drawn(2, 4), ones, 0.0, None, 0.0, 1)
    with pytest.raises(ParameterError, match=r"radius: wrong shape: is \[1\], must be \[2\]"):
        shift(x, None, ones[:1], 0.0, None, 0.0, 1)
    with pytest.raises(ParameterError, match="difference: must be float32 or float64"):
        shift(x.half(), None, ones, 0.0, None, 0.0, 1)
    with pytest.raises(ParameterError, match="memory: wrong dtype"):
        native.host_kernel("descend")(x, x, x.float(), x, ones, 0.9, 1)
    D, weights = drawn(2, 3, 4, 2), drawn(5)
    with pytest.raises(ParameterError, match=r"weights: wrong shape: is \[5\], must be \[4\]"):
        native.host_kernel("scale_magnitudes")(D, D.clone(), weights, ones, True, 1)


@pytest.mark.parametrize("isa", ["baseline", "best"])
@pytest.mark.parametrize("dtype", TYPES)
@pytest.mark.parametrize(("batch", "n"), [(1, 1), (2, 17), (2, 40_001), (2, 0)])
def test_accelerated_steps_look_ahead_of_their_projection(
    isa: str, dtype: torch.dtype, batch: int, n: int
) -> None:
    native.use_isa(isa)
    difference, x, memory = (drawn(batch, n, dtype=dtype, seed=seed) for seed in range(3))
    radius = torch.tensor([0.5, 1e9][:batch], dtype=torch.float64)

    def inside(d: np.ndarray) -> np.ndarray:
        norm = np.linalg.norm(d, axis=1, keepdims=True)
        shrunk: np.ndarray = d * np.minimum(1, radius.numpy()[:, None] / np.where(norm, norm, 1))
        return shrunk

    z = inside(difference.double().numpy())
    ahead = inside(z + 0.7 * (z - memory.double().numpy()))
    moved = shift_into_ball_(difference, x, radius, memory=memory, momentum=0.7)
    assert moved is difference
    assert_near(memory, z)
    assert_near(moved, x.double().numpy() + ahead)
    native.use_isa("best")


@pytest.mark.parametrize("dtype", TYPES)
def test_the_best_candidates_are_kept(path: str, dtype: torch.dtype) -> None:
    del path
    nan = float("nan")
    best = [torch.zeros(4, 70_000, dtype=dtype), torch.tensor([0.5, 0.5, 0.5, 0.5], dtype=dtype)]
    best += [torch.full((4,), 0.1, dtype=dtype), torch.zeros(4, dtype=torch.bool)]
    log = torch.full((4, 3), nan, dtype=dtype), torch.zeros(4, dtype=torch.int64)
    rows = torch.tensor([0, 2, 3])
    score = torch.tensor([0.4, 2.0, nan], dtype=dtype)
    confidence, success = torch.tensor([0.4, 0.9, 0.2], dtype=dtype), torch.tensor([0, 1, 1]).bool()
    sounds = drawn(3, 70_000, dtype=dtype)
    keep_best_(best, log, rows, (sounds, score, confidence, success), 1)
    assert best[1].tolist() == [0.5, 0.5, 2.0, 0.5]
    torch.testing.assert_close(best[2], torch.tensor([0.1, 0.1, 0.9, 0.1], dtype=dtype))
    assert best[3].tolist() == [False, False, True, False]
    assert torch.equal(best[0][2], sounds[1])
    assert not best[0][[0, 1, 3]].any()
    assert torch.equal(log[0][rows, 1], confidence)
    assert int(log[0].isnan().sum()) == 9
    assert log[1].tolist() == [1, 0, 1, 1]


@pytest.mark.parametrize("dtype", TYPES)
@pytest.mark.parametrize("bad", [float("nan"), float("inf"), -float("inf")])
@pytest.mark.parametrize("at", [0, 64, 40_000])
def test_one_number_makes_a_gradient_not_finite(
    path: str, dtype: torch.dtype, bad: float, at: int
) -> None:
    del path
    values = drawn(2, 40_001, dtype=dtype) * torch.finfo(dtype).max ** 0.9  # squares overflow
    assert are_finite(values)
    values[1, at] = bad
    assert not are_finite(values)


@pytest.mark.parametrize("dtype", TYPES)
@pytest.mark.parametrize("kind", ["logits", "probabilities"])
@pytest.mark.parametrize("shape", [(3, 1), (3, 2), (3, 5), (3, 7, 1), (3, 7, 4)])
@pytest.mark.parametrize("of_frames", [False, True])
@pytest.mark.parametrize("targeted", [False, True])
def test_outputs_are_assessed_as_by_torch(
    dtype: torch.dtype, kind: Any, shape: tuple[int, ...], of_frames: bool, targeted: bool
) -> None:
    """The operators of `Objective.assess`, which its own tests check, and their gradient."""
    logits = 3 * drawn(*shape, dtype=dtype)
    pair = logits.sigmoid() if shape[-1] == 1 else logits.softmax(-1)
    values = pair if kind == "probabilities" else logits
    generator = torch.Generator().manual_seed(1)
    of_labels = shape[:-1] if of_frames else shape[:1]
    labels = torch.randint(max(2, shape[-1]), of_labels, generator=generator)
    for aggregation, loss, least in (
        ("soft", "strongest_other", None),
        ("hard", "cross_entropy", 0.3),
    ):
        aim = Objective(labels, targeted, kind, aggregation, least, loss)  # type: ignore[arg-type]
        leaf = values.clone().requires_grad_()
        expected = aim.assess(leaf)
        (slope,) = torch.autograd.grad(expected.loss.sum(), leaf)
        found, found_slope = aim.assess_with_slope(values)
        torch.testing.assert_close(found.loss, expected.loss.detach())
        torch.testing.assert_close(found.confidence, expected.confidence)
        assert torch.equal(found.success, expected.success)
        torch.testing.assert_close(found_slope, slope)


def test_assessment_refuses_labels_that_no_output_has() -> None:
    values, ones = drawn(2, 3), torch.ones(2, dtype=torch.float64)
    rest = (ones, ones.clone(), ones.bool(), values.clone(), (False,) * 4, 0.0, 1)
    assess = native.host_kernel("assess")
    with pytest.raises(ParameterError, match="labels: out of range"):
        assess(values, torch.tensor([0, 3]), *rest)
    with pytest.raises(ParameterError, match=r"labels: wrong shape: is \[1\], must be \[2\]"):
        assess(values, torch.tensor([0]), *rest)
    keep = native.host_kernel("keep_best")
    best = (drawn(2, 5), ones, ones.clone(), ones.bool())
    log = drawn(2, 4), torch.zeros(2, dtype=torch.int64)
    with pytest.raises(ParameterError, match="rows: out of range"):
        keep(torch.tensor([0, 2]), best, best, *log, 0, 1)
    with pytest.raises(ParameterError, match="iteration: out of range"):
        keep(torch.tensor([0, 1]), best, best, *log, 4, 1)
