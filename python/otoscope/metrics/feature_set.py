"""A set of features: its rows while they are few, otherwise its moments.

While a set has no more rows than columns, its covariance has low rank, the rows are smaller than
the covariance, and distances computed from the rows are exact. As soon as there are more rows than
columns, count, mean and scatter [column, column] replace them. A leading axis [set, ...] holds many
sets of equal length.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from otoscope.errors import ParameterError
from otoscope.metrics.gaussian import Normal
from otoscope.ops import Moments, moments_merge, moments_update
from otoscope.ops.library import require_tensor

__all__ = ["FeatureSet", "FewRows", "check_features", "few_rows", "set_count"]


class FewRows(UserWarning):
    """Warning that a set has no more rows than columns: its Frechet distance is far too large."""


class FeatureSet(NamedTuple):
    """A set of features, or many sets of equal length.

    Parameters
    ----------
    rows : Tensor [row, column] or [set, row, column], float64
        All rows in the order in which they were added; empty once there are moments.
    n : Tensor [] or [set], float64
        Number of rows in the moments.
    mean : Tensor [column] or [set, column], float64
        Mean of the rows in the moments; [0] before there are moments.
    scatter : Tensor [column, column] or [set, column, column], float64
        Scatter of the rows in the moments; [0, 0] before there are moments.

    Examples
    --------
    >>> features = FeatureSet.none().added(torch.tensor([[1.0, 2.0], [3.0, 6.0]]))
    >>> features.n_rows, len(features.rows), len(features.added(torch.ones(1, 2)).rows)
    (2, 2, 0)
    """

    rows: Tensor
    n: Tensor
    mean: Tensor
    scatter: Tensor

    @classmethod
    def none(cls, *, sets: int | None = None, device: torch.device | str = "cpu") -> FeatureSet:
        """Make an empty set, or ``sets`` of them; the first rows decide the number of columns."""
        lead = () if sets is None else (sets,)
        rows = torch.zeros((*lead, 0, 0), dtype=torch.float64, device=device)
        return cls(rows, *Moments.none(0, sets=sets, device=device))

    @classmethod
    def of(cls, features: Tensor) -> FeatureSet:
        """Make a set of rows [row, column], or of sets of equal length [set, row, column]."""
        sets = set_count(features)
        check_features(features, sets=sets)
        return cls.none(sets=sets, device=features.device).added(features)

    @property
    def n_rows(self) -> int:
        """Number of rows per set."""
        return self.rows.shape[-2] + round(float(self.n.reshape(-1)[0]))

    @property
    def columns(self) -> int:
        """Number of columns; 0 before the first row."""
        return max(self.rows.shape[-1], self.mean.shape[-1])

    @property
    def moments(self) -> Moments:
        """Count, mean and scatter, computed from the rows where these are kept."""
        return Moments(*self._with_moments()[1:])

    def added(self, features: Tensor, *, keep_rows: bool = False) -> FeatureSet:
        """Add rows; a set that has moments is changed in place.

        Parameters
        ----------
        features : Tensor [row, column] or [set, row, column]
            Rows to add, of the set's width.
        keep_rows : bool
            Keep all rows, however many there are.

        Returns
        -------
        FeatureSet
            Set with the rows added.

        Raises
        ------
        ParameterError
            If a row holds NaN or infinity (checked on a CPU only).
        """
        columns = features.shape[-1]
        keeps = keep_rows or self.rows.shape[-2] + features.shape[-2] <= columns
        if keeps and self.mean.shape[-1] == 0:
            _check_finite(features)
            rows = self.rows if self.columns else self._widened(columns).rows
            return self._replace(rows=torch.cat([rows, features.detach().double()], -2))
        state = self._with_moments() if self.columns else self._widened(columns)
        moments_update(*state[1:], features)
        return state

    def joined(self, other: FeatureSet, *, keep_rows: bool = False) -> FeatureSet:
        """Join two sets of equal width into a new one; the rows of this set come first."""
        if not self.columns or not other.columns:
            filled = other if other.columns else self
            return FeatureSet(*(part.clone() for part in filled))
        if not self.mean.shape[-1] and not other.mean.shape[-1]:
            return self.added(other.rows, keep_rows=keep_rows)
        merged = moments_merge(self.moments, other.moments)
        return FeatureSet(self.rows[..., :0, :], *merged)

    def normal(self, ddof: int = 1) -> Normal:
        """Fit a normal distribution.

        Parameters
        ----------
        ddof : {0, 1}
            Covariance = scatter / (rows - ddof).

        Returns
        -------
        Normal
            Distribution with the centred rows if the set keeps rows, otherwise with the covariance.

        Raises
        ------
        ParameterError
            If there are no more rows than ``ddof``, a row is not finite, or squares overflow
            float64.
        """
        if self.n_rows <= ddof:
            raise ParameterError(
                f"the set has {self.n_rows} rows; a covariance takes {ddof + 1} or more"
            )
        mean = self.mean.clone() if self.mean.shape[-1] else self.rows.mean(-2)
        if not bool(mean.isfinite().all()):
            raise ParameterError("a row of the features holds NaN or infinity, or rows overflow")
        if self.mean.shape[-1]:
            normal = Normal(mean, self.moments.covariance(ddof))
        else:
            centred = self.rows - mean[..., None, :]
            normal = Normal(mean, rows=centred / (self.n_rows - ddof) ** 0.5)
        if not bool(normal.trace.isfinite().all()):  # a finite trace has finite variances
            raise ParameterError("the features overflow float64 in their covariance; scale them")
        return normal

    def _with_moments(self) -> FeatureSet:
        if self.mean.shape[-1]:
            return self
        state = self._widened(self.columns)
        moments_update(*state[1:], self.rows)
        return state

    def _widened(self, columns: int) -> FeatureSet:
        """Make moments of no rows."""
        lead = self.rows.shape[:-2]
        moments = Moments.none(columns, sets=lead[0] if lead else None, device=self.rows.device)
        return FeatureSet(self.rows.new_zeros(*lead, 0, columns), *moments)


def set_count(features: Tensor) -> int | None:
    """Return the number of sets of features [set, row, column]; None for [row, column]."""
    require_tensor("features", features)
    return len(features) if features.ndim == 3 else None


def check_features(features: Tensor, *, sets: int | None = None, columns: int = 0) -> None:
    """Check that features have shape [row, column] or [sets, row, column] and a floating type."""
    require_tensor("features", features)
    shape = tuple(features.shape)
    axes = "[row, column]" if sets is None else f"[{sets} sets, row, column]"
    advice = "pool or flatten a layer's output" if len(shape) > 2 else "one neuron is x[:, None]"
    if features.ndim != (2 if sets is None else 3) or (sets is not None and shape[0] != sets):
        raise ParameterError(f"features have shape {shape}; they must be {axes}: {advice}")
    if not features.is_floating_point() or shape[-1] == 0:
        raise ParameterError(
            f"features are {features.dtype} {shape}; they must be floating point {axes}, "
            "of at least one column"
        )
    if columns and shape[-1] != columns:
        raise ParameterError(
            f"features have {shape[-1]} columns, those before had {columns}; "
            "distances are between features of the same width"
        )


def few_rows(name: str, n_rows: int, columns: int) -> str:
    """Describe a set that has no more rows than columns; an empty text if it has more."""
    if n_rows > columns:
        return ""
    return (
        f"{name} has {n_rows} rows of {columns} columns: its covariance is of low rank and the "
        f"distance far too large; take more rows (at least {columns + 1}, better ten times that), "
        "a narrower layer, or the kernel distance"
    )


def _check_finite(features: Tensor) -> None:
    if features.device.type != "cpu":  # as in the operator: no synchronisation
        return
    bad = (~features.isfinite()).any(-1).nonzero()
    if len(bad):
        *set_index, row = bad[0].tolist()
        of_set = f" of set {set_index[0]}" if set_index else ""
        raise ParameterError(f"row {row}{of_set} of the features holds NaN or infinity")
