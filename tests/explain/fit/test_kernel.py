"""The kernel's closed form against the paper's formula and the numbers of the specification."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from otoscope.errors import ParameterError
from otoscope.explain.fit.kernel import effective_samples, kernel_weights


def test_cosine_weights_of_ten_segments() -> None:
    weights = kernel_weights(torch.arange(10, -1, -1), 10)
    published = [1, 0.979, 0.915, 0.808, 0.666, 0.503, 0.339, 0.195, 0.0868, 0.0237, 3.35e-4]
    torch.testing.assert_close(
        weights, torch.tensor(published, dtype=torch.float64), rtol=2e-3, atol=0
    )  # printed to three digits


def test_l2_weights_of_ten_segments() -> None:
    weights = kernel_weights(torch.tensor([10, 9, 8, 7, 0]), 10, kernel="l2").tolist()
    assert weights == pytest.approx([1, 3.3546e-4, 1.1254e-7, 3.7751e-11, 1.8049e-35], rel=1e-4)


@given(n=st.integers(1, 40), data=st.data(), width=st.floats(0.1, 10))
def test_weight_is_the_papers_formula(n: int, data: st.DataObject, width: float) -> None:
    row = data.draw(st.lists(st.booleans(), min_size=n, max_size=n))
    kept = sum(row)
    l2 = math.dist(row, [1] * n)
    dot, norm = kept, math.sqrt(kept) * math.sqrt(n)
    cosine = 1 - dot / norm if kept else 1.0
    for kernel, distance in (("l2", l2), ("cosine", cosine)):
        wanted = math.exp(-(distance**2) / (2 * width**2))
        got = kernel_weights(torch.tensor([kept]), n, kernel=kernel, width=width)  # type: ignore[arg-type]
        assert float(got) == pytest.approx(wanted, rel=1e-9, abs=1e-300)


def test_effective_samples_of_the_papers_seventy_thousand() -> None:
    kept = torch.tensor([bin(i).count("1") for i in range(1024)])
    weights = 70_000 / 1024 * kernel_weights(kept, 10, kernel="l2")
    assert effective_samples(weights) == pytest.approx(1.007, abs=5e-4)


def test_effective_samples_of_equal_weights_is_their_number() -> None:
    assert effective_samples(torch.full((7,), 0.3)) == pytest.approx(7)
    assert effective_samples(torch.zeros(3)) == 0


def test_bad_kernel_is_refused() -> None:
    with pytest.raises(ParameterError, match="kernel is 'l3'"):
        kernel_weights(torch.zeros(1), 1, kernel="l3")  # type: ignore[arg-type]
    with pytest.raises(ParameterError, match="kernel_width is 0"):
        kernel_weights(torch.zeros(1), 1, width=0)
