"""Files of statistics: round trip, files of other tools, invalid files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from otoscope.errors import ParameterError
from otoscope.metrics import FeatureSet, Statistics, frechet_of, statistics

pytestmark = pytest.mark.filterwarnings("ignore::otoscope.metrics.FewRows")


def drawn(random: torch.Generator, n_rows: int) -> torch.Tensor:
    return torch.randn(n_rows, 6, generator=random, dtype=torch.float64) + 3


@pytest.mark.parametrize("n_rows", [4, 50])
def test_saved_statistics_are_loaded(n_rows: int, random: torch.Generator, tmp_path: Path) -> None:
    x = drawn(random, n_rows)
    settings = {"model": "musicnn-mtt", "hop": 187}
    statistics.save(tmp_path / "s.npz", Statistics.of(FeatureSet.of(x), ddof=0, settings=settings))
    loaded = statistics.load(tmp_path / "s.npz")
    assert (loaded.count, loaded.ddof, loaded.settings) == (n_rows, 0, settings)
    torch.testing.assert_close(loaded.covariance, torch.cov(x.T, correction=0))
    assert (loaded.rows is not None) == (n_rows == 4)
    more = drawn(random, 20)
    again = loaded.features().added(more)
    torch.testing.assert_close(again.moments.mean, torch.cat([x, more]).mean(0))
    torch.testing.assert_close(
        again.moments.covariance(), torch.cov(torch.cat([x, more]).T), rtol=1e-9, atol=1e-12
    )
    torch.testing.assert_close(
        frechet_of(loaded, more, ddof=0), frechet_of(x, more, ddof=0), rtol=1e-9, atol=0
    )


def test_files_hold_mu_and_cov_as_other_tools_do(random: torch.Generator, tmp_path: Path) -> None:
    x = drawn(random, 30)
    statistics.save(tmp_path / "s.npz", Statistics.of(FeatureSet.of(x)))
    with np.load(tmp_path / "s.npz") as loaded:
        np.testing.assert_allclose(loaded["mu"], x.numpy().mean(0))
        np.testing.assert_allclose(loaded["cov"], np.cov(x.numpy(), rowvar=False))


@pytest.mark.parametrize("name", ["cov", "sigma"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_files_of_other_tools_are_read(
    name: str, dtype: str, random: torch.Generator, tmp_path: Path
) -> None:
    x, y = drawn(random, 300), drawn(random, 200) * 2
    arrays: dict[str, Any] = {
        "mu": x.numpy().mean(0).astype(dtype),
        name: np.cov(x.numpy(), rowvar=False).astype(dtype),
    }
    np.savez(tmp_path / "other.npz", **arrays)
    loaded = statistics.load(tmp_path / "other.npz")
    assert loaded.count is None
    assert float(frechet_of(loaded, y)) == pytest.approx(float(frechet_of(x, y)), rel=1e-5)
    with pytest.raises(ParameterError, match="no count: no more rows can be added"):
        loaded.features()


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"mu": np.zeros(3)}, "holds mu; statistics hold mu and cov"),
        ({"cov": np.eye(3)}, "holds cov; statistics hold mu and cov"),
        ({}, "holds nothing"),
        ({"mu": np.zeros(3), "cov": np.eye(2)}, r"mu has shape \(3,\), cov \(2, 2\)"),
        ({"mu": np.zeros((1, 3)), "cov": np.eye(3)}, r"mu has shape \(1, 3\)"),
        ({"mu": np.zeros(3), "cov": np.full((3, 3), np.nan)}, "cov holds NaN"),
        ({"mu": np.array([0, np.inf]), "cov": np.eye(2)}, "mu holds NaN or infinity"),
        ({"mu": np.zeros(2), "cov": np.array([[1.0, 0.5], [0.0, 1.0]])}, "not symmetric"),
        ({"mu": np.zeros(2), "cov": np.diag([1.0, -1.0])}, "variance below 0"),
        ({"mu": np.zeros(2), "cov": np.array([[1.0, 2.0], [2.0, 1.0]])}, "the eigenvalue -1,"),
        ({"mu": np.zeros(2), "cov": np.eye(2), "rows": np.eye(3)}, r"rows have shape \(3, 3\)"),
        ({"mu": np.zeros(2), "cov": np.eye(2), "rows": np.zeros(2)}, r"rows have shape \(2,\)"),
        (
            {"mu": np.zeros(2), "cov": np.eye(2), "rows": np.eye(2), "count": np.array(3)},
            "count is 3",
        ),
        ({"mu": np.zeros(2, int), "cov": np.eye(2)}, "mu holds int64"),
        ({"mu": np.zeros(2), "cov": np.eye(2), "count": np.array("many")}, "count is many"),
        ({"mu": np.zeros(2), "cov": np.eye(2), "settings": np.array("{")}, "Expecting"),
        ({"mu": np.zeros(2), "cov": np.eye(2), "settings": np.array("3")}, "settings"),
        ({"mu": np.array([None, None]), "cov": np.eye(2)}, "cannot be read as .npz"),
    ],
)
def test_invalid_statistics_are_refused(
    arrays: dict[str, Any], message: str, tmp_path: Path
) -> None:
    np.savez(tmp_path / "s.npz", **arrays)
    with pytest.raises(ParameterError, match=message) as error:
        statistics.load(tmp_path / "s.npz")
    assert "s.npz" in str(error.value)


def test_files_without_arrays_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ParameterError, match="is not there"):
        statistics.load(tmp_path / "none.npz")
    with pytest.raises(ParameterError, match="is a folder"):
        statistics.load(tmp_path)
    for content in (b"", b"text", b"PK\x03\x04torn"):
        (tmp_path / "torn.npz").write_bytes(content)
        with pytest.raises(ParameterError, match=r"torn\.npz cannot be read as \.npz"):
            statistics.load(tmp_path / "torn.npz")
    np.save(tmp_path / "one.npz.npy", np.zeros(3))
    (tmp_path / "one.npz.npy").rename(tmp_path / "one.npz")
    with pytest.raises(ParameterError, match=r"cannot be read as \.npz"):
        statistics.load(tmp_path / "one.npz")
    with pytest.raises(ParameterError, match=r"must end in \.npz"):
        statistics.save(tmp_path / "s.txt", Statistics(torch.zeros(1), torch.ones(1, 1)))


def test_many_sets_are_refused() -> None:
    with pytest.raises(ParameterError, match="features hold 2 sets, must hold a single set"):
        Statistics.of(FeatureSet.of(torch.zeros(2, 9, 3)))


def test_a_file_of_a_newer_version_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "newer.npz"
    np.savez(path, mu=np.zeros(2), cov=np.eye(2), format="otoscope.Statistics/9")
    with pytest.raises(ParameterError, match=r"has format otoscope\.Statistics/9, .* update"):
        statistics.load(path)


@pytest.mark.parametrize("ddof", [0, 1])
def test_features_of_statistics_have_their_covariance(ddof: int) -> None:
    covariance = torch.tensor([[2.0, 0.5], [0.5, 1.0]])
    stats = Statistics(torch.tensor([1.0, -1.0]), covariance, count=5, ddof=ddof)
    moments = stats.features().moments
    torch.testing.assert_close(moments.covariance(ddof), covariance.double())
