"""Designs: their coalitions, counts and refusals."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from otoscope.errors import ParameterError
from otoscope.explain.design import DESIGNS, draw_design
from tests.support.examples import examples


@given(
    kind=st.sampled_from(["bernoulli", "uniform_size", "kernelshap", "permutation"]),
    n=st.integers(1, 70),
    n_samples=st.integers(71, 300),
    seed=st.integers(0, 2**40),
)
@examples(40)
def test_folding_loses_nothing(kind: str, n: int, n_samples: int, seed: int) -> None:
    folded = draw_design(kind, n, n_samples=n_samples, seed=seed)
    plain = draw_design(kind, n, n_samples=n_samples, seed=seed, merge=False)
    rows = folded.coalitions.unpack()
    assert torch.equal(rows[folded.row_of_sample], plain.coalitions.unpack())
    assert torch.equal(folded.counts, folded.row_of_sample.bincount().double())
    assert len(rows.unique(dim=0)) == len(rows)
    assert len(plain.coalitions) == plain.n_samples == folded.n_samples <= n_samples


def test_exact_has_all_coalitions_once() -> None:
    design = draw_design("exact", 10)
    assert len(design.coalitions) == 1024
    assert design.is_complete
    assert not design.is_random
    assert (design.counts == 1).all()
    assert (draw_design("exact", 10, n_samples=70_000).counts == 70_000 / 1024).all()


@pytest.mark.parametrize("kind", ["bernoulli", "uniform_size", "kernelshap"])
def test_first_sample_is_the_whole_patch(kind: str) -> None:
    design = draw_design(kind, 9, n_samples=50, seed=4)
    assert design.coalitions.unpack()[design.row_of_sample[0]].all()


def test_bernoulli_keeps_half() -> None:
    design = draw_design("bernoulli", 20, n_samples=5000, seed=1)
    share = design.coalitions.unpack()[design.row_of_sample[1:]].double().mean(0)
    assert (share - 0.5).abs().max() < 5 * 0.5 / math.sqrt(4999)


def test_uniform_size_takes_one_to_all_away() -> None:
    design = draw_design("uniform_size", 10, n_samples=11_000, seed=1)
    off = (~design.coalitions.unpack()[design.row_of_sample[1:]]).sum(1).bincount(minlength=11)
    assert off[0] == 0
    assert (off[1:] - 1100).abs().max() < 5 * math.sqrt(1100)


def test_leave_one_out_takes_each_away() -> None:
    design = draw_design("leave_one_out", 5)
    keep = design.coalitions.unpack()[design.row_of_sample]
    assert torch.equal(~keep, torch.cat([torch.zeros(1, 5), torch.eye(5)]).bool())


def test_kernelshap_draws_sizes_by_the_shapley_kernel() -> None:
    n, n_samples = 6, 20_002
    design = draw_design("kernelshap", n, n_samples=n_samples, seed=3)
    size = design.coalitions.unpack()[design.row_of_sample].sum(1)
    assert size[:2].tolist() == [n, 0]
    kernel = torch.tensor([1 / (k * (n - k)) for k in range(1, n)])
    wanted = 20_000 * kernel / kernel.sum()
    assert ((size[2:].bincount(minlength=n)[1:] - wanted).abs() < 5 * wanted.sqrt()).all()


def test_permutation_grows_from_none_to_all() -> None:
    design = draw_design("permutation", 4, n_samples=23, seed=1)
    paths = design.coalitions.unpack()[design.row_of_sample.reshape(4, 5)]
    assert paths.sum(2).tolist() == [[0, 1, 2, 3, 4]] * 4
    assert (paths[:, 1:] >= paths[:, :-1]).all()


def test_same_seed_same_design() -> None:
    for kind in DESIGNS:
        a, b, c = (draw_design(kind, 12, seed=seed) for seed in (1, 1, 2))
        assert torch.equal(a.coalitions.bits, b.coalitions.bits)
        assert torch.equal(a.row_of_sample, b.row_of_sample)
        assert torch.equal(a.row_of_sample, c.row_of_sample) != a.is_random


@pytest.mark.parametrize(
    ("kind", "n", "n_samples", "message"),
    [
        ("exact", 20, None, r"costs 2\^20 = 1,048,576 passes; use at most 12 .*'kernelshap'"),
        ("exact", 2, 0, "n_samples is 0"),
        ("leave_one_out", 3, 9, "has 4 coalitions"),
        ("bernoulli", 3, 0, "n_samples is 0, must be >= 1"),
        ("kernelshap", 3, 2, "n_samples is 2, must be >= 3"),
        ("permutation", 9, 9, "n_samples is 9, must be >= 10"),
        ("all", 3, None, "design is 'all', must be one of exact, bernoulli"),
        ("exact", 0, None, "n_segments is 0"),
    ],
)
def test_bad_designs_are_refused(kind: str, n: int, n_samples: int | None, message: str) -> None:
    with pytest.raises(ParameterError, match=message):
        draw_design(kind, n, n_samples=n_samples)
