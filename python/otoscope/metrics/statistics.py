"""Files with mean and covariance of a set of features, so that a reference is measured once.

The file is a NumPy .npz with ``mu`` [column] and ``cov`` [column, column] (``sigma`` is read too),
as other tools for audio and image distances write and read. Files of otoscope also hold ``count``,
``ddof``, ``settings`` (JSON: model, layer and all else that the numbers depend on), and ``rows``
while a set has no more rows than columns: distances computed from rows are exact.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from otoscope import records
from otoscope.documents import read_document
from otoscope.errors import ParameterError
from otoscope.foreign import parse_json, read_arrays, refusing
from otoscope.metrics.feature_set import FeatureSet
from otoscope.metrics.gaussian import Normal, check_normal

__all__ = ["Statistics", "load", "save"]

_KIND, _VERSION = "otoscope.Statistics", 1
_COVARIANCE = ("cov", "sigma")
_OPTIONAL = ("format", "count", "ddof", "settings", "rows")
_LISTED = 20  # names in a message


@dataclass(frozen=True, eq=False)
class Statistics:
    """Mean and covariance of a set of features, with the settings that the features depend on.

    Parameters
    ----------
    mean : Tensor [column]
        Mean, float64.
    covariance : Tensor [column, column]
        Symmetric covariance, float64.
    count : int, optional
        Number of rows; None if a file does not state it.
    ddof : {0, 1}
        Covariance = scatter / (count - ddof).
    rows : Tensor [row, column], optional
        The features, while there are no more rows than columns.
    settings : dict
        Settings that the features depend on, in types of JSON.

    Raises
    ------
    ParameterError
        If shapes or count do not fit, a number is not finite, or the covariance is not symmetric or
        has an eigenvalue below 0.

    Examples
    --------
    >>> Statistics.of(FeatureSet.of(torch.tensor([[0.0], [2.0], [4.0]]))).covariance
    tensor([[4.]], dtype=torch.float64)
    """

    mean: Tensor
    covariance: Tensor
    count: int | None = None
    ddof: int = 1
    rows: Tensor | None = None
    settings: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.mean.ndim != 1:
            raise ParameterError(f"mu has shape {tuple(self.mean.shape)}, must be [column]")
        check_normal(self.mean, self.covariance, names=("mu", "cov"))
        if self.rows is None:
            return
        n_rows, *columns = self.rows.shape or (0,)
        if columns != [len(self.mean)] or self.count not in (None, n_rows):
            raise ParameterError(
                f"rows have shape {tuple(self.rows.shape)}, count is {self.count} and mu has "
                f"{len(self.mean)} columns; rows must be [count, column]"
            )

    @classmethod
    def of(
        cls, features: FeatureSet, *, ddof: int = 1, settings: Mapping[str, Any] | None = None
    ) -> Statistics:
        """Summarise a set of features.

        Parameters
        ----------
        features : FeatureSet
            A single set, without a leading axis.
        ddof : {0, 1}
            Covariance = scatter / (count - ddof).
        settings : dict, optional
            Settings that the features depend on.

        Returns
        -------
        Statistics
            Statistics on the CPU.

        Raises
        ------
        ParameterError
            If there are no more rows than ``ddof``, or there are many sets.
        """
        if features.mean.ndim > 1:
            raise ParameterError(f"features hold {len(features.mean)} sets, must hold a single set")
        features.normal(ddof)  # raises if the features are invalid
        moments = features.moments
        return cls(
            moments.mean.cpu().clone(),
            moments.covariance(ddof).cpu(),
            features.n_rows,
            ddof,
            features.rows.cpu() if len(features.rows) else None,
            settings or {},
        )

    def normal(self, device: torch.device | str = "cpu") -> Normal:
        """Return the distribution for distances, made from the rows if there are any."""
        if self.rows is not None:
            return FeatureSet.of(self.rows.to(device)).normal(self.ddof)
        return Normal(self.mean.double().to(device), self.covariance.double().to(device))

    def features(self) -> FeatureSet:
        """Return the set of features within rounding, to add rows; the count must be known."""
        if self.rows is not None:
            return FeatureSet.none().added(self.rows, keep_rows=True)
        if self.count is None:
            raise ParameterError("these statistics have no count: no more rows can be added")
        n = torch.tensor(float(self.count), dtype=torch.float64)
        scatter = self.covariance.double() * (self.count - self.ddof)
        rows = torch.zeros(0, len(self.mean), dtype=torch.float64)
        return FeatureSet(rows, n, self.mean.double().clone(), scatter)


def save(path: str | Path, statistics: Statistics) -> None:
    """Write statistics to a file; an interrupted write leaves the old file as it was.

    Parameters
    ----------
    path : str or Path
        File to write; its name ends in .npz.
    statistics : Statistics
        Statistics to write, in float64.

    Raises
    ------
    ParameterError
        If the name has another ending.
    OSError
        If the folder is missing or cannot be written to.

    Examples
    --------
    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "real.npz"
    >>> save(path, Statistics(torch.zeros(2), torch.eye(2), count=100))
    >>> load(path).count
    100
    """
    if Path(path).suffix != ".npz":
        raise ParameterError(f"{path} ends in {Path(path).suffix!r}, must end in .npz")
    arrays: dict[str, Any] = {
        "mu": statistics.mean.double().numpy(),
        "cov": statistics.covariance.double().numpy(),
        "format": np.array(f"{_KIND}/{_VERSION}"),
        "ddof": np.array(statistics.ddof),
        "settings": np.array(records.to_json(statistics.settings)),
    }
    if statistics.count is not None:
        arrays["count"] = np.array(statistics.count)
    if statistics.rows is not None:
        arrays["rows"] = statistics.rows.numpy()
    with records.replacing(path) as draft, draft.open("wb") as file:
        np.savez(file, **arrays)


def load(path: str | Path, *, embedding: str | None = None) -> Statistics:
    """Read statistics that otoscope or another tool wrote.

    Parameters
    ----------
    path : str or Path
        File (.npz) with ``mu`` and ``cov`` (or ``sigma``); pickled objects are not read.
    embedding : str, optional
        Name of an embedding, for a file of the toolkit fadtk, which holds ``NAME.mu`` and
        ``NAME.cov`` of several.

    Returns
    -------
    Statistics
        Statistics on the CPU.

    Raises
    ------
    ParameterError
        If the file is missing, is no .npz, lacks an array, or holds an invalid covariance.

    Examples
    --------
    >>> load("real.npz")  # doctest: +SKIP
    """
    path = Path(path)
    prefix = "" if embedding is None else f"{embedding}."
    wanted = [prefix + name for name in ("mu", *_COVARIANCE)]
    read, contents = read_arrays(path, (*wanted, *_OPTIONAL))
    arrays = {name.removeprefix(prefix): array for name, array in read.items()}
    name = next((name for name in _COVARIANCE if name in arrays), None)
    if "mu" not in arrays or name is None:
        listed = ", ".join(sorted(contents)[:_LISTED]) or "nothing"
        raise ParameterError(f"{path} holds {listed}; statistics hold {prefix}mu and {prefix}cov")
    if "format" in arrays:  # other tools write no format
        read_document({"format": str(arrays["format"])}, _KIND, _VERSION, name=f"file {path}")
    with refusing(path, "holds no statistics"):
        count = _integer("count", arrays["count"]) if "count" in arrays else None
        ddof = _integer("ddof", arrays["ddof"]) if "ddof" in arrays else 1
        if ddof not in (0, 1) or (count is not None and count <= ddof):
            raise ParameterError(f"count is {count} and ddof {ddof}; ddof is 0 or 1, below count")
        return Statistics(
            _tensor("mu", arrays["mu"]),
            _tensor(name, arrays[name]),
            count,
            ddof,
            _tensor("rows", arrays["rows"]) if "rows" in arrays else None,
            _settings(str(arrays.get("settings", "{}"))),
        )


def _settings(text: str) -> dict[str, Any]:
    settings = parse_json(text, name="settings")
    if not isinstance(settings, dict):
        raise ParameterError(f"settings are {text}, must be a JSON object")
    return settings


def _integer(name: str, array: np.ndarray[Any, Any]) -> int:
    """Read a whole number, also if it was stored as a float."""
    value = array.item() if array.size == 1 and array.dtype.kind in "iuf" else array.tolist()
    if not isinstance(value, int | float) or not 0 <= value < 2**53 or value != int(value):
        raise ParameterError(f"{name} is {str(value)[:60]}, must be a whole number")
    return int(value)


def _tensor(name: str, array: np.ndarray[Any, Any]) -> Tensor:
    if not np.issubdtype(array.dtype, np.floating):
        raise ParameterError(f"{name} holds {array.dtype}, must hold floating numbers")
    return torch.from_numpy(np.ascontiguousarray(array, dtype=np.float64))
