"""Projections are exact: inside the bound to 1e-6 dB, and nearer than anything else inside."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from otoscope.attack.bounds import Bound, Region, shrink
from otoscope.errors import ParameterError
from otoscope.signal.snr import segmental_snr_db, snr_db

bounds = st.builds(
    Bound,
    snr_db=st.floats(0.5, 80),
    norm=st.sampled_from(["l2", "linf"]),
    segmental_snr_db=st.none() | st.floats(0.5, 80),
    segment_length=st.integers(1, 40),
    amplitude=st.none() | st.floats(1.0, 1.2),
)


def uniform(seed: int, *shape: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return 2 * torch.rand(*shape, generator=generator, dtype=torch.float64) - 1


def inside(bound: Bound, sound: torch.Tensor, x: torch.Tensor) -> bool:
    """The bound's words, spelled out."""
    slack = 1e-6  # dB
    holds = bool((snr_db(x, sound) >= bound.snr_db - slack).all())
    if bound.norm == "linf":
        rms = x.square().mean(1, keepdim=True).sqrt()
        holds &= bool(((sound - x).abs() <= rms * 10 ** (-(bound.snr_db - slack) / 20)).all())
    if bound.segmental_snr_db is not None:
        worst = segmental_snr_db(x, sound, segment_length=bound.segment_length)
        holds &= bool((worst >= bound.segmental_snr_db - slack).all())
    if bound.amplitude is not None:
        holds &= bool((sound.abs() <= bound.amplitude).all())
    return holds


@given(bound=bounds, n=st.integers(1, 60), loud=st.floats(1e-4, 1e4), seed=st.integers(0, 999))
def test_the_bound_holds_and_no_point_of_it_is_nearer(
    bound: Bound, n: int, loud: float, seed: int
) -> None:
    x, difference = uniform(seed, 2, n), loud * uniform(seed + 1, 2, n)
    nearest = bound.project(difference, x)
    assert inside(bound, bound.place(x + difference, x), x)
    again = bound.project(nearest, x)
    torch.testing.assert_close(again, nearest, rtol=1e-9, atol=1e-15)
    # Of a convex set, p is the point nearest to d just if (d - p) . (q - p) <= 0 for all q in it.
    for other in range(20):
        q = bound.project(10.0 ** (other - 14) * uniform(seed + 2 + other, 2, n), x)
        for near_d in (q, bound.project(0.7 * difference, x), 0.5 * (q + nearest)):
            product = ((difference - nearest) * (near_d - nearest)).sum(1)
            scale = difference.norm(dim=1) * nearest.norm(dim=1)
            assert bool((product <= 1e-9 * scale + 1e-15).all())


def test_the_ball_is_the_closed_form() -> None:
    x, difference = uniform(0, 3, 50), uniform(1, 3, 50)
    radius = x.norm(dim=1, keepdim=True) / 10
    expected = difference * (radius / difference.norm(dim=1, keepdim=True)).clamp(max=1)
    found = Bound(snr_db=20.0, amplitude=None).project(difference, x)
    torch.testing.assert_close(found, expected, rtol=1e-12, atol=0)


@given(n=st.integers(1, 30), seed=st.integers(0, 999), radius=st.floats(0, 3))
def test_ball_and_box_equal_bisection(n: int, seed: int, radius: float) -> None:
    size, cap = uniform(seed, 1, n).abs(), 0.5 * uniform(seed + 1, 1, n).abs()
    cap[cap < 0.05] = 0
    cap[cap > 0.4] = math.inf
    low, high = 1.0, 1e12
    for _ in range(200):
        middle = math.sqrt(low * high)
        fits = float(torch.minimum(cap, size / middle).norm()) <= radius
        low, high = (low, middle) if fits else (middle, high)
    expected = torch.minimum(
        cap, size / (1.0 if float(torch.minimum(cap, size).norm()) <= radius else high)
    )
    found = shrink(size, cap, torch.tensor([radius], dtype=torch.float64))
    torch.testing.assert_close(found, expected, rtol=1e-9, atol=1e-11)


@given(
    snr=st.sampled_from([60.0, 80.0, 100.0]),
    norm=st.sampled_from(["l2", "linf"]),
    segmental=st.sampled_from([None, 60.0, 100.0]),
    n=st.integers(1, 600),
    seed=st.integers(0, 999),
)
def test_the_bound_holds_in_single_precision(
    snr: float, norm: Any, segmental: float | None, n: int, seed: int
) -> None:
    bound = Bound(snr_db=snr, norm=norm, segmental_snr_db=segmental, segment_length=37)
    x = uniform(seed, 2, n).float()
    wanted = x + 1e-2 * uniform(seed + 1, 2, n).float()
    placed = bound.place(wanted, x)
    assert placed.dtype == torch.float32
    assert inside(bound, placed.double(), x.double())
    # Not by staying put: of what may be used, rounding takes few steps of a float each sample.
    allowed = bound.project((wanted - x).double(), x.double())
    lost = (placed.double() - x.double() - allowed).abs()
    assert bool((lost <= 2**-21 * torch.maximum(x.abs(), placed.abs())).all())


def test_digital_silence_stays_silent_under_a_bound_on_segments() -> None:
    x = torch.tensor([[0.5, -0.5, 0.0, 0.0, 0.2]])
    bound = Bound(snr_db=10.0, segmental_snr_db=10.0, segment_length=2)
    placed = bound.place(x + torch.ones_like(x), x)
    assert torch.equal(placed[:, 2:4], torch.zeros(1, 2))
    assert bool((placed[:, [0, 1, 4]] != x[:, [0, 1, 4]]).all())


def test_clipped_samples_move_inwards_only() -> None:
    x = torch.tensor([[1.0, -1.0, 1.0, -1.0]])
    outwards = Bound(snr_db=6.0).place(x * 1.1, x)
    inwards = Bound(snr_db=6.0).place(x * 0.9, x)
    assert torch.equal(outwards, x)
    assert torch.equal(inwards, x * 0.9)
    both = Bound(snr_db=6.0).place(x * torch.tensor([1.1, 1.1, 0.9, 0.9]), x)
    torch.testing.assert_close(both, x * torch.tensor([1.0, 1.0, 0.9, 0.9]))


@pytest.mark.parametrize("norm", ["l2", "linf"])
def test_random_starts_lie_inside_and_fill_the_bound(norm: Any) -> None:
    bound, x = Bound(snr_db=20.0, norm=norm), 0.5 * uniform(0, 40, 3)
    starts = bound.draw(x, [torch.Generator().manual_seed(i) for i in range(40)])
    assert inside(bound, starts, x)
    reach = Region(bound, x).reach[:, 0]
    share = (starts - x).norm(dim=1) / (reach if norm == "l2" else reach * 3**0.5)
    assert 0.5 < float(share.mean()) < 0.9  # evenly in a ball of 3 dimensions: 3/4
    assert float(share.max()) > 0.9 * (1 if norm == "l2" else 0.8)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_the_type_stays(dtype: torch.dtype) -> None:
    x = uniform(0, 1, 9).to(dtype)
    assert Bound(snr_db=20.0).place(x + 1, x).dtype == dtype


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"snr_db": 0.0}, r"snr_db is 0.0, must be finite and > 0"),
        ({"snr_db": math.inf}, "snr_db is inf"),
        ({"snr_db": 9.0, "segmental_snr_db": -1.0}, "segmental_snr_db is -1.0"),
        ({"snr_db": 9.0, "norm": "l1"}, "norm is 'l1', must be 'l2' or 'linf'"),
        ({"snr_db": 9.0, "segment_length": 0}, "segment_length is 0"),
        ({"snr_db": 9.0, "amplitude": 0.0}, "amplitude is 0.0, must be > 0 or None"),
    ],
)
def test_bounds_that_bound_nothing_are_refused(wrong: dict[str, Any], message: str) -> None:
    with pytest.raises(ParameterError, match=message):
        Bound(**wrong)


def test_a_drawn_point_is_uniform_in_the_ball() -> None:
    """The fraction of the reach has the distribution function r^n."""
    x = uniform(0, 200, 6)
    bound = Bound(snr_db=20.0, amplitude=None)
    generators = [torch.Generator().manual_seed(i) for i in range(200)]
    fraction = (bound.draw(x, generators) - x).norm(dim=1) / Region(bound, x).reach[:, 0]
    ranks = (fraction**6).sort().values
    expected = (torch.arange(200, dtype=torch.float64) + 0.5) / 200
    assert float((ranks - expected).abs().max()) < 1.63 / 200**0.5  # Kolmogorov-Smirnov, 1 %


@pytest.mark.parametrize("norm", ["l2", "linf"])
@pytest.mark.parametrize("amplitude", [None, 0.9])
def test_where_a_sound_is_placed_does_not_depend_on_the_others(
    norm: Any, amplitude: float | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By torch's operators; the kernel's rows are its own. Some sums leave the bound, some clip."""
    monkeypatch.setattr("otoscope.attack.bounds.on_kernel", lambda *tensors: False)
    bound = Bound(snr_db=80.0, norm=norm, amplitude=amplitude)
    scale = torch.linspace(0.5, 0.9, 12)[:, None]
    x = scale * uniform(0, 12, 300).float().clamp(-0.95, 0.95) / 0.95
    sound = x + 0.1 * uniform(1, 12, 300).float()
    together = bound.place(sound, x)
    alone = [bound.place(sound[i : i + 1], x[i : i + 1]) for i in range(12)]
    assert torch.equal(together, torch.cat(alone))
