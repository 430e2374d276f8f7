"""Shapley values and interactions against their definitions, and captum as a second opinion."""

from __future__ import annotations

import itertools
import json
import math
import subprocess
import sys
from collections.abc import Callable
from importlib.util import find_spec

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import t as student_t
from torch import Tensor

from otoscope import ops
from otoscope.errors import ParameterError
from otoscope.explain.design import draw_design
from otoscope.explain.fit.shapley import (
    kernel_shap,
    kernel_shap_error,
    permutation_shapley,
    shapley_interactions,
    shapley_values,
)
from tests.support.examples import examples

Game = Callable[[frozenset[int]], float]


def random_game(n: int, seed: int) -> tuple[Tensor, Tensor, Game]:
    """Outputs of two targets for all coalitions, and the first target as a set function."""
    keep = ops.coalitions(n, "exact").unpack()
    outputs = torch.randn(
        2**n, 2, generator=torch.Generator().manual_seed(seed), dtype=torch.float64
    )
    return keep, outputs, lambda members: float(outputs[sum(1 << i for i in members), 0])


def by_permutations(game: Game, n: int) -> list[float]:
    values = [0.0] * n
    for order in itertools.permutations(range(n)):
        for i, player in enumerate(order):
            values[player] += game(frozenset(order[: i + 1])) - game(frozenset(order[:i]))
    return [value / math.factorial(n) for value in values]


def interaction_by_definition(game: Game, n: int, i: int, j: int) -> float:
    others = [k for k in range(n) if k not in (i, j)]
    total = 0.0
    for size in range(n - 1):
        share = math.factorial(n - size - 2) * math.factorial(size) / math.factorial(n - 1)
        for joined in itertools.combinations(others, size):
            t = frozenset(joined)
            total += share * (game(t | {i, j}) - game(t | {i}) - game(t | {j}) + game(t))
    return total


@given(n=st.integers(1, 6), seed=st.integers(0, 2**32))
@examples(25)
def test_values_are_mean_gains_over_all_orders(n: int, seed: int) -> None:
    keep, outputs, game = random_game(n, seed)
    values = shapley_values(keep, outputs)
    assert values[0].tolist() == pytest.approx(by_permutations(game, n), abs=1e-12)
    torch.testing.assert_close(values.sum(1), outputs[-1] - outputs[0], rtol=0, atol=1e-12)


@given(n=st.integers(2, 6), seed=st.integers(0, 2**32))
@examples(25)
def test_interactions_follow_their_definition(n: int, seed: int) -> None:
    keep, outputs, game = random_game(n, seed)
    index = shapley_interactions(keep, outputs)[0]
    for i, j in itertools.combinations(range(n), 2):
        assert float(index[i, j]) == pytest.approx(interaction_by_definition(game, n, i, j))
    torch.testing.assert_close(index, index.T, rtol=0, atol=1e-12)
    assert (index.diagonal() == 0).all()


def test_interactions_of_one_segment_are_zero() -> None:
    keep, outputs, _ = random_game(1, 0)
    assert shapley_interactions(keep, outputs).tolist() == [[[0.0]], [[0.0]]]


def test_order_of_the_table_does_not_matter(random: torch.Generator) -> None:
    keep, outputs, _ = random_game(5, 3)
    mixed = torch.randperm(32, generator=random)
    torch.testing.assert_close(
        shapley_values(keep[mixed], outputs[mixed]), shapley_values(keep, outputs)
    )


@given(n=st.integers(2, 7), seed=st.integers(0, 2**32))
@examples(25)
def test_kernel_shap_of_the_whole_table_is_exact(n: int, seed: int) -> None:
    keep, outputs, _ = random_game(n, seed)
    size = keep.sum(1).double()
    choose = torch.tensor([math.comb(n, int(k)) for k in size], dtype=torch.float64)
    inner = (size > 0) & (size < n)
    weights = torch.where(inner, (n - 1) / (choose * size * (n - size)), 1.0)
    torch.testing.assert_close(
        kernel_shap(keep, weights, outputs), shapley_values(keep, outputs), rtol=0, atol=1e-9
    )


@pytest.mark.parametrize("design", ["kernelshap", "permutation"])
def test_estimates_approach_the_exact_values_and_are_efficient(design: str) -> None:
    n = 6
    table, outputs, _ = random_game(n, 11)
    drawn = draw_design(design, n, n_samples=70_000, seed=2)
    keep = drawn.coalitions.unpack()
    f = outputs[drawn.coalitions.bits[:, 0]]
    if design == "kernelshap":
        values = kernel_shap(keep, drawn.counts, f)
    else:
        paths = drawn.row_of_sample.reshape(-1, n + 1)
        values, error = permutation_shapley(keep[paths], f[paths])
        assert error is not None
        off = (values - shapley_values(table, outputs)).abs() / error
        assert off.max() < 4  # standard errors, of 12 numbers
    torch.testing.assert_close(values.sum(1), outputs[-1] - outputs[0], rtol=0, atol=1e-9)
    torch.testing.assert_close(values, shapley_values(table, outputs), rtol=0, atol=0.05)


def test_all_orders_are_exact_and_their_error_is_that_of_the_mean() -> None:
    n = 4
    table, outputs, _ = random_game(n, 5)
    orders = np.array(list(itertools.permutations(range(n))))
    joins_at = torch.from_numpy(orders)[:, None, :]
    keep = joins_at < torch.arange(n + 1)[:, None]
    code = (keep.long() << torch.arange(n)).sum(-1)
    values, error = permutation_shapley(keep, outputs[code])
    torch.testing.assert_close(values, shapley_values(table, outputs), rtol=0, atol=1e-12)
    assert error is not None
    assert (error > 0).all()
    assert permutation_shapley(keep[:1], outputs[code[:1]])[1] is None


def test_agrees_with_captum() -> None:
    attr = pytest.importorskip("captum.attr", reason="captum is not installed (extra 'test')")
    n = 5
    keep, outputs, _ = random_game(n, 8)

    def forward(x: Tensor) -> Tensor:
        return outputs[(x.long() << torch.arange(n)).sum(1), 0]

    everything = torch.ones(1, n)
    exact = torch.as_tensor(attr.ShapleyValues(forward).attribute(everything))[0]
    torch.testing.assert_close(shapley_values(keep, outputs)[0].float(), exact.float())
    torch.manual_seed(0)  # captum draws from the global generator
    sampled = attr.KernelShap(forward).attribute(everything, n_samples=4000)[0]
    # captum weighs the two ends by 1e6 and samples: it approaches the exact values
    torch.testing.assert_close(shapley_values(keep, outputs)[0].float(), sampled, rtol=0, atol=0.15)


SHAPIQ = """
import json, sys
import numpy as np
import shapiq

table = np.array(json.load(sys.stdin))
n = len(table).bit_length() - 1

def game(coalitions):
    return table[(np.asarray(coalitions, int) << np.arange(n)).sum(-1)]

computer = shapiq.ExactComputer(game, n_players=n)
values, index = computer("SV", 1), computer("SII", 2)
pairs = [[index[(i, j)] if i < j else 0 for j in range(n)] for i in range(n)]
json.dump([[values[(i,)] for i in range(n)], pairs], sys.stdout)
"""


@pytest.mark.slow  # its import takes seconds
def test_values_and_interactions_agree_with_shapiq() -> None:
    if find_spec("shapiq") is None:
        pytest.skip("shapiq is not installed (extra 'bench')")
    keep, outputs, _ = random_game(6, 5)
    done = subprocess.run(  # a process of its own: shapiq needs numba, which tests replace
        [sys.executable, "-c", SHAPIQ],
        input=json.dumps(outputs[:, 0].tolist()),
        capture_output=True,
        text=True,
        timeout=300,
    )
    if "ModuleNotFoundError" in done.stderr:
        pytest.skip(f"shapiq lacks a package: {done.stderr.splitlines()[-1]}")
    assert done.returncode == 0, done.stderr
    values, pairs = json.loads(done.stdout)
    assert shapley_values(keep, outputs)[0].tolist() == pytest.approx(values, abs=1e-12)
    ours = shapley_interactions(keep, outputs)[0].triu(1)
    torch.testing.assert_close(ours, torch.tensor(pairs, dtype=torch.float64), rtol=0, atol=1e-12)


@pytest.mark.parametrize(
    ("design", "n_samples"), [("paired", 62), ("paired", 122), ("kernelshap", 122)]
)
def test_error_bars_cover_the_exact_values(design: str, n_samples: int) -> None:
    """Over 150 seeds, values are unbiased, and intervals of 95 % hold the exact ones."""
    n, seeds = 8, 150
    table, outputs, _ = random_game(n, 21)
    exact = shapley_values(table, outputs)
    estimates, errors = [], []
    for seed in range(seeds):
        drawn = draw_design(design, n, n_samples=n_samples, seed=seed)
        assert len(drawn.coalitions) <= n_samples
        keep, f = drawn.coalitions.unpack(), outputs[drawn.coalitions.bits[:, 0]]
        values = kernel_shap(keep, drawn.counts, f)
        groups = drawn.row_of_sample[2:].reshape(-1, 2 if design == "paired" else 1)
        error = kernel_shap_error(keep, f, groups, values)
        assert error is not None
        estimates.append(values)
        errors.append(error)
    values, error = torch.stack(estimates), torch.stack(errors)
    spread = values.std(0)
    assert ((values.mean(0) - exact).abs() < 4 * spread / seeds**0.5 + 0.02 * spread).all()
    ratio = float((error.square().mean(0).sqrt() / spread).mean())
    assert ratio == pytest.approx(1, abs=0.15)  # of 8 values, of 150 draws each
    within = float(student_t.ppf(0.975, len(groups) - n + 1))
    covered = float(((values - exact).abs() < within * error).double().mean())
    assert 0.9 < covered < 0.985


def test_pairs_are_complements_and_err_less_than_single_draws() -> None:
    n = 8
    table = random_game(n, 4)[0]
    weights = torch.randn(n, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    outputs = (table.double() @ weights).square()[:, None]  # pairs of segments interact
    exact, off = shapley_values(table, outputs), {}
    for design in ("paired", "kernelshap"):
        squares = []
        for seed in range(60):
            drawn = draw_design(design, n, n_samples=82, seed=seed)
            keep = drawn.coalitions.unpack()
            if design == "paired":
                first, second = keep[drawn.row_of_sample[2:].reshape(-1, 2)].unbind(1)
                assert torch.equal(first, ~second)
            values = kernel_shap(keep, drawn.counts, outputs[drawn.coalitions.bits[:, 0]])
            squares.append((values - exact).square().mean())
        off[design] = float(torch.stack(squares).mean())
    assert off["paired"] < 0.7 * off["kernelshap"]


def test_pairs_of_few_segments_are_all_coalitions() -> None:
    assert draw_design("paired", 5, n_samples=32).is_complete
    assert not draw_design("paired", 5, n_samples=31).is_complete
    with pytest.raises(ParameterError, match="n_samples is 19, must be >= 20 for this design"):
        draw_design("paired", 8, n_samples=19)
