"""The default surrogate: torch's solver against scikit-learn's, threads, ties, imports."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
import torch
from sklearn.linear_model import LinearRegression, Ridge

from otoscope.explain.fit.contributions import ranked
from otoscope.explain.fit.least_squares import weighted_least_squares

USED = """
import sys
import numpy, torch
import otoscope as oto

called = []
for name in ("lstsq", "pinv", "solve", "svd", "qr", "inv"):
    setattr(numpy.linalg, name, lambda *_: called.append("numpy.linalg"))
lime = oto.SoundLIME(lambda batch: batch.mean((1, 2, 3)), segments="temporal:4", content=0.0)
lime.explain(torch.rand(40, 8))
heavy = {"sklearn", "scipy.stats", "pandas", "numba", "matplotlib"} & set(sys.modules)
print(sorted(heavy), called)
"""


@pytest.mark.parametrize("alpha", [0.0, 0.3])
def test_equals_scikit_learn(alpha: float) -> None:
    rng = np.random.default_rng(0)
    rows = rng.integers(0, 2, (60, 7)).astype(float)
    outputs, weights = rng.normal(size=(60, 3)), np.exp(-rng.uniform(0, 12, 60))
    tensors = map(torch.from_numpy, (rows, outputs, weights))
    coefficients, intercepts = weighted_least_squares(*tensors, alpha=alpha)
    theirs = Ridge(alpha=alpha, solver="cholesky") if alpha else LinearRegression()
    theirs.fit(rows, outputs, sample_weight=weights)
    np.testing.assert_allclose(coefficients, theirs.coef_, rtol=0, atol=1e-9)
    np.testing.assert_allclose(intercepts, theirs.intercept_, rtol=0, atol=1e-9)


def test_an_explanation_wakes_no_other_threads_and_imports_nothing_heavy() -> None:
    """NumPy's BLAS keeps threads that spin: two threads once took four times as long as one."""
    run = subprocess.run(
        [sys.executable, "-c", USED], capture_output=True, text=True, check=True, timeout=120
    )
    assert run.stdout.strip() == "[] []"


def test_values_equal_to_rounding_keep_their_order() -> None:
    values = torch.tensor([0.1, 0.3, 0.3 + 1e-15, -0.2, 0.1 + 1e-6], dtype=torch.float64)
    assert ranked(values).tolist() == [1, 2, 4, 0, 3]
    assert ranked(torch.zeros(3)).tolist() == [0, 1, 2]
