"""Mean and covariance of a set of features in a file, so that a reference is measured once.

The file is a NumPy .npz with ``mu`` [column] and ``cov`` [column, column] (``sigma`` is read too),
as other tools for audio and image distances write and read. Ours also hold ``count`` and ``ddof``,
``settings`` (JSON: the model, the layer, all that the numbers depend on), and ``rows`` while a set
has no more rows than columns: distances from these are exact.
"""

from __future__ import annotations

import json
import zipfile
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
from otoscope.metrics.feature_set import FeatureSet
from otoscope.metrics.gaussian import Normal, check_normal

__all__ = ["Statistics", "load", "save"]

_KIND, _VERSION = "otoscope.Statistics", 1
_COVARIANCE = ("cov", "sigma")


@dataclass(frozen=True, eq=False)
class Statistics:
    """Moments of a set of features, and what they are of.

    Parameters
    ----------
    mean : Tensor [column]
        float64.
    covariance : Tensor [column, column]
        float64, symmetric.
    count : int, optional
        Rows; None where a file does not tell.
    ddof : int
        The covariance is the scatter / (count - ddof).
    rows : Tensor [row, column], optional
        The features themselves, while they are few.
    settings : dict
        What the features depend on, in JSON's types.

    Raises
    ------
    ParameterError
        If shapes or the count do not fit, a number is not finite, or the covariance is none.

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
        """Summarise one set of features.

        Parameters
        ----------
        features : FeatureSet
            Without an axis of sets.
        ddof : int
            The covariance is the scatter / (count - ddof).
        settings : dict, optional
            What the features depend on.

        Returns
        -------
        Statistics
            On the CPU.

        Raises
        ------
        ParameterError
            If there are not more rows than ``ddof``, or there are many sets.

        Examples
        --------
        >>> Statistics.of(FeatureSet.of(torch.zeros(2, 3))).count
        2
        """
        if features.mean.ndim > 1:
            raise ParameterError(f"{len(features.mean)} sets have no one mean; take one of them")
        features.normal(ddof)  # says what is wrong with the features
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
        """Give the distribution that distances are measured from.

        Parameters
        ----------
        device : torch.device or str
            Where it is wanted.

        Returns
        -------
        Normal
            By the rows where there are some.

        Examples
        --------
        >>> Statistics(torch.zeros(1), torch.ones(1, 1)).normal().trace
        tensor(1., dtype=torch.float64)
        """
        if self.rows is not None:
            return FeatureSet.of(self.rows.to(device)).normal(self.ddof)
        return Normal(self.mean.double().to(device), self.covariance.double().to(device))

    def features(self) -> FeatureSet:
        """Give back the set, to add rows to.

        Returns
        -------
        FeatureSet
            Equal to rounding to that which was summarised.

        Raises
        ------
        ParameterError
            If the count is not known.

        Examples
        --------
        >>> Statistics(torch.zeros(1), torch.ones(1, 1), count=5).features().n_rows
        5
        """
        if self.rows is not None:
            return FeatureSet.of(self.rows)
        if self.count is None:
            raise ParameterError("these statistics have no count: no more rows can be added")
        n = torch.tensor(float(self.count), dtype=torch.float64)
        scatter = self.covariance.double() * (self.count - self.ddof)
        none = torch.zeros(0, len(self.mean), dtype=torch.float64)
        return FeatureSet(none, n, self.mean.double().clone(), scatter)


def save(path: str | Path, statistics: Statistics) -> None:
    """Write statistics whole or not at all.

    Parameters
    ----------
    path : str or Path
        Ends in .npz.
    statistics : Statistics
        What to write; float64.

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


def load(path: str | Path) -> Statistics:
    """Read statistics, of ours or another tool.

    Parameters
    ----------
    path : str or Path
        .npz with ``mu`` and ``cov`` (or ``sigma``); no pickled objects are read.

    Returns
    -------
    Statistics
        On the CPU.

    Raises
    ------
    ParameterError
        If the file is missing, is no .npz, lacks an array, or holds what is no covariance.

    Examples
    --------
    >>> load("real.npz")  # doctest: +SKIP
    """
    path = Path(path)
    if not path.is_file():
        raise ParameterError(f"{path} is {'a folder' if path.is_dir() else 'not there'}")
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as found:
            arrays = {name: found[name] for name in found.files}
    except (ValueError, TypeError, zipfile.BadZipFile, EOFError) as err:  # TypeError: one array
        raise ParameterError(f"{path} cannot be read as .npz without pickles ({err})") from err
    name = next((name for name in _COVARIANCE if name in arrays), None)
    if "mu" not in arrays or name is None:
        held = ", ".join(sorted(arrays)) or "nothing"
        raise ParameterError(f"{path} holds {held}; statistics hold mu and cov")
    if "format" in arrays:  # other tools write none
        read_document({"format": str(arrays["format"])}, _KIND, _VERSION, name=f"file {path}")
    try:
        return Statistics(
            _tensor("mu", arrays["mu"]),
            _tensor(name, arrays[name]),
            int(arrays["count"]) if "count" in arrays else None,
            int(arrays.get("ddof", 1)),
            _tensor("rows", arrays["rows"]) if "rows" in arrays else None,
            _settings(str(arrays.get("settings", "{}"))),
        )
    except (ValueError, TypeError) as err:
        raise ParameterError(f"{path}: {err}") from err


def _settings(text: str) -> dict[str, Any]:
    settings = json.loads(text)
    if not isinstance(settings, dict):
        raise ParameterError(f"settings are {text}, must be a JSON object")
    return settings


def _tensor(name: str, array: np.ndarray[Any, Any]) -> Tensor:
    if not np.issubdtype(array.dtype, np.floating):
        raise ParameterError(f"{name} holds {array.dtype}, must hold floating numbers")
    return torch.from_numpy(np.ascontiguousarray(array, dtype=np.float64))
