"""The Frechet distance equals its formula, whatever the rank of the covariances."""

from __future__ import annotations

import math

import numpy as np
import pytest
import scipy.linalg
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor
from torchmetrics.image.fid import _compute_fid

from otoscope.errors import ParameterError
from otoscope.metrics import frechet_distance, frechet_of
from otoscope.metrics.feature_set import FeatureSet
from otoscope.metrics.gaussian import Normal, squared_distance
from tests.support.examples import examples

pytestmark = pytest.mark.filterwarnings("ignore::otoscope.metrics.FewRows")


def rows(generator: torch.Generator, *shape: int, decay: float = 0.0) -> Tensor:
    """Rows whose columns have standard deviations from 1 down to 10^-decay, mixed."""
    columns = shape[-1]
    mixing = torch.linalg.qr(torch.randn(columns, columns, generator=generator).double())[0]
    spread = torch.logspace(0, -decay, columns, dtype=torch.float64)
    drawn: Tensor = torch.randn(*shape, generator=generator, dtype=torch.float64) * spread @ mixing
    return drawn


def by_definition(x: Tensor, y: Tensor) -> float:
    """Compute the formula with scipy's matrix square root."""
    s1, s2 = np.cov(x.numpy(), rowvar=False), np.cov(y.numpy(), rowvar=False)
    shift = float(((x.mean(0) - y.mean(0)) ** 2).sum())
    return shift + float(np.trace(s1 + s2 - 2 * scipy.linalg.sqrtm(s1 @ s2).real))


def moments(x: Tensor) -> tuple[Tensor, Tensor]:
    return x.mean(-2), torch.stack([torch.cov(part.T) for part in x]) if x.ndim == 3 else torch.cov(
        x.T
    )


@pytest.mark.parametrize("columns", [2, 5, 40])
def test_equals_the_formula_with_scipys_square_root(columns: int, random: torch.Generator) -> None:
    x, y = rows(random, 400, columns), rows(random, 300, columns) * 1.3 + 0.2
    expected = by_definition(x, y)
    assert float(frechet_of(x, y)) == pytest.approx(expected, rel=1e-8)
    assert float(frechet_distance(*moments(x), *moments(y))) == pytest.approx(expected, rel=1e-8)


def test_equals_the_formula_of_torchmetrics(random: torch.Generator) -> None:
    x, y = rows(random, 500, 60, decay=1), rows(random, 500, 60, decay=1) + 0.1
    expected = _compute_fid(*moments(x), *moments(y))
    torch.testing.assert_close(frechet_of(x, y), expected, rtol=1e-9, atol=0)


def test_equals_the_closed_form_where_covariances_commute(random: torch.Generator) -> None:
    turn = torch.linalg.qr(torch.randn(30, 30, generator=random).double())[0]
    a, b = (torch.rand(30, generator=random, dtype=torch.float64) for _ in range(2))
    mean = torch.randn(30, generator=random).double()
    result = frechet_distance(mean, turn * a @ turn.T, 0 * mean, turn * b @ turn.T)
    torch.testing.assert_close(result, mean.square().sum() + (a.sqrt() - b.sqrt()).square().sum())


def test_a_single_column_is_the_papers_formula(random: torch.Generator) -> None:
    """Paper B, section 3: (m_r - m_g)^2 + s_r + s_g - 2 sqrt(s_r s_g), s unbiased."""
    real = torch.randn(1000, 1, generator=random).double()
    best = 3 * torch.randn(27, 50, 1, generator=random).double() + 2
    result = frechet_of(real, best)
    s_r, s_g = real.var(), best.var((1, 2))
    shift = (real.mean() - best.mean((1, 2))).square()
    torch.testing.assert_close(result, shift + s_r + s_g - 2 * (s_r * s_g).sqrt())
    torch.testing.assert_close(result, shift + (s_r.sqrt() - s_g.sqrt()).square())


@pytest.mark.parametrize("n_rows", [2, 5, 30, 31, 200])
def test_identical_sets_are_at_distance_0(n_rows: int, random: torch.Generator) -> None:
    x = rows(random, n_rows, 30, decay=3)
    assert 0 <= float(frechet_of(x, x.clone())) <= 1e-9 * float(x.var(0).sum())


@pytest.mark.parametrize("n_rows", [4, 20, 21, 300])
def test_a_shift_is_its_square(n_rows: int, random: torch.Generator) -> None:
    x = rows(random, n_rows, 20)
    shift = torch.randn(20, generator=random).double()
    torch.testing.assert_close(frechet_of(x, x + shift), shift.square().sum())


@pytest.mark.parametrize("offset", [1e4, 1e6])
@pytest.mark.parametrize("n_rows", [10, 500])
def test_a_common_offset_takes_no_digits(
    offset: float, n_rows: int, random: torch.Generator
) -> None:
    x, y = rows(random, n_rows, 12), 2 * rows(random, n_rows, 12)
    x, y = ((part + offset) - offset for part in (x, y))  # what float64 keeps at that offset
    torch.testing.assert_close(
        frechet_of(x + offset, y + offset), frechet_of(x, y), rtol=1e-9, atol=0
    )


@pytest.mark.parametrize("n_rows", [3, 17, 32])
def test_rows_of_low_rank_are_exact_as_in_the_space_that_they_span(
    n_rows: int, random: torch.Generator
) -> None:
    """In the spanned space covariances have full rank; columns of zeros add nothing."""
    x, y = rows(random, n_rows, 2), rows(random, 3 * n_rows, 2) + 1
    turn = torch.linalg.qr(torch.randn(64, 64, generator=random).double())[0]
    wide = [torch.cat([part, part.new_zeros(len(part), 62)], 1) @ turn for part in (x, y)]
    for a, b in (wide, wide[::-1]):
        torch.testing.assert_close(frechet_of(a, b), frechet_of(x, y), rtol=1e-9, atol=0)


def test_moments_of_low_rank_are_exact_too(random: torch.Generator) -> None:
    x, y = rows(random, 900, 3), rows(random, 800, 3) + 1
    turn = torch.linalg.qr(torch.randn(40, 40, generator=random).double())[0]
    wide = [torch.cat([part, part.new_zeros(len(part), 37)], 1) @ turn for part in (x, y)]
    torch.testing.assert_close(frechet_of(*wide), frechet_of(x, y), rtol=1e-9, atol=0)


@pytest.mark.parametrize("small", [1e-3, 1e-5, 1e-7])
@pytest.mark.parametrize("where", ["first", "last", "mixed"])
def test_tiny_variances_cost_no_digits(small: float, where: str, random: torch.Generator) -> None:
    """Half of the columns vary little: eigenvalues of the product alone would err by 1e-9."""
    spread = torch.ones(60, dtype=torch.float64)
    spread[30:] = small
    order = {
        "first": torch.arange(59, -1, -1),
        "last": torch.arange(60),
        "mixed": torch.randperm(60, generator=random),
    }[where]
    x = torch.randn(200, 60, generator=random).double() * spread[order]
    y = torch.randn(250, 60, generator=random).double() * spread[order]
    centred = [part - part.mean(0) for part in (x, y)]
    norm = torch.linalg.svdvals(centred[0] @ centred[1].T).sum() / math.sqrt(199 * 249)
    traces = x.var(0).sum() + y.var(0).sum()
    expected = (x.mean(0) - y.mean(0)).square().sum() + traces - 2 * norm
    torch.testing.assert_close(frechet_of(x, y), expected, rtol=0, atol=float(1e-9 * traces))


@examples(60)
@given(
    columns=st.integers(1, 24),
    n_real=st.integers(2, 60),
    n_generated=st.integers(2, 60),
    decay=st.integers(0, 9),
    kind=st.sampled_from(["same", "scaled", "constant", "other"]),
    seed=st.integers(0, 2**16),
)
def test_is_never_below_0_by_more_than_rounding(
    columns: int, n_real: int, n_generated: int, decay: int, kind: str, seed: int
) -> None:
    generator = torch.Generator().manual_seed(seed)
    x = rows(generator, n_real, columns, decay=decay)
    y = {
        "same": x,
        "scaled": x * 1e-5,
        "constant": x * 0 + 1,
        "other": rows(generator, n_generated, columns, decay=decay),
    }[kind]
    real, generated = FeatureSet.of(x).normal(), FeatureSet.of(y).normal()
    traces = float(real.trace + generated.trace)
    for pair in ((real, generated), (generated, real)):
        assert float(squared_distance(*pair)) >= -1e-9 * traces


def test_candidates_at_once_equal_each_alone(random: torch.Generator) -> None:
    real = rows(random, 100, 10)
    for n_rows in (6, 40):
        candidates = rows(random, 5, n_rows, 10) * torch.arange(1, 6)[:, None, None]
        candidates[3, :, 4:] = 0  # one of low rank among them
        result = frechet_of(real, candidates)
        torch.testing.assert_close(result, torch.stack([frechet_of(real, c) for c in candidates]))
        torch.testing.assert_close(
            frechet_distance(*moments(real), *moments(candidates)), result, rtol=1e-8, atol=0
        )


def test_blocks_of_a_product_change_nothing(random: torch.Generator) -> None:
    """More columns than a block of rows."""
    x, y = (torch.randn(700, 300, generator=random).double() for _ in range(2))
    expected = _compute_fid(*moments(x), *moments(y))
    torch.testing.assert_close(frechet_of(x, y), expected, rtol=1e-9, atol=0)


def test_points_have_no_spread() -> None:
    x, y = torch.zeros(5, 3), torch.ones(40, 3)
    assert float(frechet_of(x, y)) == 3.0


def test_ddof_divides(random: torch.Generator) -> None:
    x, y = rows(random, 10, 2), 3 * rows(random, 10, 2)
    y += x.mean(0) - y.mean(0)
    ratio = float(frechet_of(x, y, ddof=0) / frechet_of(x, y))
    assert ratio == pytest.approx(9 / 10)


def test_invalid_covariances_are_refused() -> None:
    mean, cov = torch.zeros(3), torch.eye(3)
    with pytest.raises(ParameterError, match=r"mean1 has shape \(3,\), cov1 \(2, 2\)"):
        frechet_distance(mean, torch.eye(2), mean, cov)
    with pytest.raises(ParameterError, match="mean1 has 3 columns, mean2 has 2"):
        frechet_distance(mean, cov, torch.zeros(2), torch.eye(2))
    with pytest.raises(ParameterError, match="cov2 holds NaN"):
        frechet_distance(mean, cov, mean, cov * torch.nan)
    with pytest.raises(ParameterError, match="cov1 has the eigenvalue -1, a variance below 0"):
        frechet_distance(mean, -cov, mean, cov)
    with pytest.raises(ParameterError, match="cov2 is not symmetric"):
        frechet_distance(mean, cov, mean, torch.ones(3, 3).triu())
    with pytest.raises(ParameterError, match="cov2 has the eigenvalue -1,"):  # one of many
        frechet_distance(mean, cov, mean.expand(2, 3), torch.stack([cov, cov - 2 * cov]))


def test_covariances_of_float32_and_low_rank_are_covariances(random: torch.Generator) -> None:
    """Eigenvalues below 0 within rounding are accepted."""
    x = rows(random, 100, 300).float()
    mean, cov = moments(x)
    assert float(torch.linalg.eigvalsh(cov.double())[0]) < 0
    shift = frechet_distance(mean, cov, mean + 1, cov)
    torch.testing.assert_close(shift, torch.tensor(300.0).double(), rtol=1e-5, atol=0)


@pytest.mark.parametrize("dead", [1, 30])
def test_a_singular_covariance_may_be_the_first_or_the_second(
    dead: int, random: torch.Generator
) -> None:
    x, y = rows(random, 200, 40), rows(random, 200, 40)
    x[:, :dead] = 0
    centred = [part - part.mean(0) for part in (x, y)]
    norm = torch.linalg.svdvals(centred[0] @ centred[1].T).sum() / 199
    shift = (x.mean(0) - y.mean(0)).square().sum()
    traces = x.var(0).sum() + y.var(0).sum()
    for pair in ((x, y), (y, x)):
        torch.testing.assert_close(
            frechet_of(*pair), shift + traces - 2 * norm, rtol=0, atol=float(1e-9 * traces)
        )


def test_a_distribution_keeps_its_factor() -> None:
    normal = Normal(torch.zeros(2).double(), torch.eye(2).double())
    assert normal.factor is normal.factor
