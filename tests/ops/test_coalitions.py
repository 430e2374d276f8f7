"""Coalitions are packed, listed and drawn as their definitions say."""

from __future__ import annotations

import itertools
from importlib import import_module
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import chisquare

from otoscope.errors import ParameterError
from otoscope.ops import Coalitions, coalitions, pack
from tests.conftest import Backend
from tests.oracles import coalitions as coalitions_oracle
from tests.oracles import noise as noise_oracle
from tests.support.examples import examples


def test_philox_gives_the_published_vectors() -> None:
    """The known answers that come with Random123."""
    assert noise_oracle.philox((0, 0, 0, 0), 0) == [0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8]
    full = 0xFFFFFFFF
    assert noise_oracle.philox((full,) * 4, full << 32 | full) == [
        0x408F276D,
        0x41C83B0E,
        0xA20BC7C6,
        0x6D5451FD,
    ]


@examples(60)
@given(samples=st.integers(0, 300), segments=st.integers(1, 200), seed=st.integers(0, 2**31))
def test_unpacking_inverts_packing(
    backend: Backend, samples: int, segments: int, seed: int
) -> None:
    random = torch.Generator().manual_seed(seed)
    keep = (torch.rand(samples, segments, generator=random) < 0.5).to(backend.device)
    packed = pack(keep)
    assert len(packed) == samples
    assert torch.equal(packed.unpack(), keep)
    for row, bits in zip(keep[:3].cpu(), packed.bits[:3].cpu(), strict=True):
        number = sum(1 << j for j, stays in enumerate(row.tolist()) if stays)
        assert [number >> 64 * w & (1 << 64) - 1 for w in range(len(bits))] == [
            int(b) % (1 << 64) for b in bits
        ]


def test_exact_lists_every_coalition_once() -> None:
    rows = coalitions(5, "exact").unpack().int().tolist()
    assert rows == [list(bits[::-1]) for bits in itertools.product([0, 1], repeat=5)]


@pytest.mark.parametrize("n", [1, 3, 64, 65, 130])
def test_leave_one_out_lacks_one_segment_a_row(n: int) -> None:
    assert torch.equal(coalitions(n, "leave_one_out").unpack(), ~torch.eye(n, dtype=torch.bool))


@pytest.mark.parametrize(("n", "probability"), [(1, 0.5), (7, 0.3), (64, 0.5), (131, 0.9)])
def test_bernoulli_rows_are_those_of_the_definition(
    backend: Backend, n: int, probability: float
) -> None:
    first = 2**32 - 2  # the count crosses a word of the counter
    drawn = coalitions(
        n,
        "bernoulli",
        4,
        probability=probability,
        seed=-7,
        first_sample=first,
        device=backend.device,
    )
    wanted = [coalitions_oracle.bernoulli(n, first + i, -7 % 2**64, probability) for i in range(4)]
    assert drawn.unpack().tolist() == wanted


@pytest.mark.parametrize("probability", [0.0, 1.0])
def test_bernoulli_reaches_both_ends(probability: float) -> None:
    rows = coalitions(70, "bernoulli", 5, probability=probability).unpack()
    assert bool((rows == bool(probability)).all())


@pytest.mark.parametrize("design", ["bernoulli", "by_size"])
def test_rows_do_not_depend_on_the_split(backend: Backend, design: str) -> None:
    whole = coalitions(9, design, 20, seed=3, device=backend.device)  # type: ignore[arg-type]
    part = coalitions(9, design, 7, seed=3, first_sample=13, device=backend.device)  # type: ignore[arg-type]
    assert torch.equal(whole[13:20].bits, part.bits)


def test_by_size_draws_sizes_by_weight_and_subsets_uniformly(backend: Backend) -> None:
    weights = torch.tensor([1.0, 0.0, 2.0, 1.0, 0.0])
    rows = coalitions(4, "by_size", 6000, size_weights=weights, seed=1, device=backend.device)
    keep = rows.unpack().cpu()
    sizes = torch.bincount(keep.sum(1), minlength=5)
    assert sizes[1] == sizes[4] == 0
    assert chisquare(sizes[[0, 2, 3]].numpy(), [1500, 3000, 1500]).pvalue > 1e-4
    codes = (keep.int() * torch.tensor([1, 2, 4, 8])).sum(1)[keep.sum(1) == 2]
    counts = torch.bincount(codes)
    assert chisquare(counts[counts > 0].numpy()).pvalue > 1e-4
    assert int((counts > 0).sum()) == 6


def test_by_size_draws_by_kernel_shap_weights_unless_told() -> None:
    sizes = coalitions(5, "by_size", 20000, seed=2).unpack().sum(1)
    share = torch.tensor([1 / (k * (5 - k)) for k in range(1, 5)], dtype=torch.float64)
    wanted = 20000 * share / share.sum()
    counts = torch.bincount(sizes, minlength=6)
    assert counts[0] == counts[5] == 0
    assert chisquare(counts[1:5].numpy(), wanted.numpy()).pvalue > 1e-4


@pytest.mark.parametrize(
    ("arguments", "options", "message"),
    [
        ((0, "exact"), {}, "n_segments is 0; it must be an integer, at least 1"),
        ((31, "exact"), {}, r'design "exact" of 31 segments has 2\^31 coalitions'),
        ((4, "exact", 3), {}, 'n_samples is 3; design "exact" has a fixed number'),
        ((4, "bernoulli"), {}, 'n_samples is None; design "bernoulli" needs a number >= 0'),
        ((4, "bernoulli", 3), {"probability": 1.5}, r"probability is 1.5; it must be in \[0, 1\]"),
        ((4, "none"), {}, 'design is "none"; it must be "exact"'),
        ((2, "by_size", 3), {"size_weights": torch.ones(2)}, "they must be 3 non-negative numbers"),
        ((2, "by_size", 3), {"size_weights": torch.zeros(3)}, "size_weights are all 0"),
    ],
)
def test_refuses_what_makes_no_design(
    arguments: tuple[object, ...], options: dict[str, object], message: str
) -> None:
    with pytest.raises(ParameterError, match=message):
        coalitions(*arguments, **options)  # type: ignore[arg-type]


def test_refuses_bits_of_another_shape() -> None:
    with pytest.raises(ParameterError, match=r"65 segments need torch.int64 \[sample, 2\]"):
        Coalitions(torch.zeros(3, 1, dtype=torch.int64), 65)


def opcheck_cases() -> dict[str, list[tuple[Any, ...]]]:
    random = torch.Generator().manual_seed(0)
    bits = torch.zeros(3, 1, dtype=torch.int64)
    size_cdf = torch.tensor([1, 2, 3, 4, 2**32])
    return {
        "pack": [(torch.rand(4, 70, generator=random) < 0.5,)],
        "draw_coalitions": [
            (bits.clone(), 4, -3, 5, 2**31, None),
            (bits.clone(), 4, 3, 0, 2**31, size_cdf),
        ],
    }


def test_the_table_of_sizes_is_made_once(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[int] = []
    module = import_module("otoscope.ops.coalitions")  # the package has a function of this name
    table = module._size_cdf

    def counted(n_segments: int, weights: torch.Tensor | None) -> torch.Tensor:
        made.append(n_segments)
        result: torch.Tensor = table(n_segments, weights)
        return result

    monkeypatch.setattr(module, "_size_cdf", counted)
    module._default_size_table.cache_clear()
    weights = torch.arange(8.0)
    for seed in range(3):
        coalitions(7, "by_size", 4, seed=seed)
        coalitions(7, "by_size", 4, seed=seed, size_weights=weights)
    assert made == [7, 7]
    before = coalitions(7, "by_size", 9, size_weights=weights).bits
    weights[:] = torch.tensor([1.0] + [0.0] * 7)  # other numbers: another table
    assert before.any()
    assert not coalitions(7, "by_size", 9, size_weights=weights).bits.any()
    assert made == [7, 7, 7]
