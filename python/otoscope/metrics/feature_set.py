"""State of one set of features: its rows while they are few, else their moments.

While a set has no more rows than columns its covariance is of low rank, the rows are the smaller
of the two, and distances from them are exact. From one row more on the moments take their place:
never more than one [column, column]. With a leading axis [set, ...] it is many sets of one length.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from otoscope.errors import ParameterError
from otoscope.metrics.gaussian import Normal
from otoscope.ops import Moments, moments_merge, moments_update

__all__ = ["FeatureSet", "FewRows", "check_features", "few_rows"]


class FewRows(UserWarning):
    """A set of features has no more rows than columns: a Frechet distance from it is too large."""


class FeatureSet(NamedTuple):
    """A set of features, or many; float64. Unchangeable but for `added`.

    Parameters
    ----------
    rows : Tensor [row, column] or [set, row, column]
        All of them, in the order in which they came; none once there are moments.
    n : Tensor [] or [set]
        Rows in the moments.
    mean : Tensor [column] or [set, column]
        Mean of the moments; [0] while there are none.
    scatter : Tensor [column, column] or [set, column, column]
        Scatter of the moments; [0, 0] while there are none.

    Examples
    --------
    >>> few = FeatureSet.none().added(torch.tensor([[1.0, 2.0], [3.0, 6.0]]))
    >>> few.n_rows, len(few.rows), len(few.added(torch.ones(1, 2)).rows)
    (2, 2, 0)
    """

    rows: Tensor
    n: Tensor
    mean: Tensor
    scatter: Tensor

    @classmethod
    def none(cls, *, sets: int | None = None, device: torch.device | str = "cpu") -> FeatureSet:
        """Make an empty set, of any width yet.

        Parameters
        ----------
        sets : int, optional
            How many; default: one, without an axis of its own.
        device : torch.device or str
            Where it lies.

        Returns
        -------
        FeatureSet
            Without rows.

        Examples
        --------
        >>> FeatureSet.none().n_rows
        0
        """
        lead = () if sets is None else (sets,)
        rows = torch.zeros((*lead, 0, 0), dtype=torch.float64, device=device)
        return cls(rows, *Moments.none(0, sets=sets, device=device))

    @classmethod
    def of(cls, features: Tensor) -> FeatureSet:
        """Make a set of features that are all there.

        Parameters
        ----------
        features : Tensor [row, column] or [set, row, column]
            Floating.

        Returns
        -------
        FeatureSet
            Of these rows.

        Raises
        ------
        ParameterError
            As `check_features` does.

        Examples
        --------
        >>> FeatureSet.of(torch.zeros(5, 2)).n_rows
        5
        """
        sets = len(features) if features.ndim == 3 else None
        check_features(features, sets=sets)
        return cls.none(sets=sets, device=features.device).added(features)

    @property
    def n_rows(self) -> int:
        """Number of rows of a set."""
        return self.rows.shape[-2] + round(float(self.n.reshape(-1)[0]))

    @property
    def columns(self) -> int:
        """Width, 0 where there is no row yet."""
        return max(self.rows.shape[-1], self.mean.shape[-1])

    @property
    def moments(self) -> Moments:
        """Count, mean and scatter, of the rows if these are still there."""
        return Moments(*self._with_moments()[1:])

    def added(self, features: Tensor, *, keep_rows: bool = False) -> FeatureSet:
        """Add rows; a set that has moments is changed in place.

        Parameters
        ----------
        features : Tensor [row, column] or [set, row, column]
            Checked by `check_features`.
        keep_rows : bool
            Keep the rows however many there are.

        Returns
        -------
        FeatureSet
            With them.

        Raises
        ------
        ParameterError
            If a row holds NaN or infinity (on a CPU).

        Examples
        --------
        >>> FeatureSet.none().added(torch.zeros(1, 4)).columns
        4
        """
        columns = features.shape[-1]
        few = keep_rows or self.rows.shape[-2] + features.shape[-2] <= columns
        if few and self.mean.shape[-1] == 0:
            _check_finite(features)
            rows = self.rows if self.columns else self._widened(columns).rows
            return self._replace(rows=torch.cat([rows, features.detach().double()], -2))
        held = self._with_moments() if self.columns else self._widened(columns)
        moments_update(*held[1:], features)
        return held

    def joined(self, other: FeatureSet, *, keep_rows: bool = False) -> FeatureSet:
        """Make the set of the rows of both.

        Parameters
        ----------
        other : FeatureSet
            Set of the same width.
        keep_rows : bool
            As in `added`.

        Returns
        -------
        FeatureSet
            This set's rows first; both stay as they are.

        Examples
        --------
        >>> a = FeatureSet.of(torch.zeros(3, 2))
        >>> a.joined(a).n_rows
        6
        """
        if not self.columns or not other.columns:
            there = other if other.columns else self
            return FeatureSet(*(part.clone() for part in there))
        if not self.mean.shape[-1] and not other.mean.shape[-1]:
            return self.added(other.rows, keep_rows=keep_rows)
        merged = moments_merge(self.moments, other.moments)
        return FeatureSet(self.rows[..., :0, :], *merged)

    def normal(self, ddof: int = 1) -> Normal:
        """Fit a normal distribution.

        Parameters
        ----------
        ddof : int
            0 or 1: the covariance is divided by rows - ddof.

        Returns
        -------
        Normal
            By the centred rows if they are there, else by the covariance.

        Raises
        ------
        ParameterError
            If there are not more rows than ``ddof``, (on a GPU) one was not finite, or they are
            too large for sums of squares in float64.

        Examples
        --------
        >>> FeatureSet.of(torch.tensor([[0.0, 0.0], [2.0, 0.0]])).normal().rows
        tensor([[-1.,  0.],
                [ 1.,  0.]], dtype=torch.float64)
        """
        if self.n_rows <= ddof:
            raise ParameterError(
                f"the set has {self.n_rows} rows; a covariance takes {ddof + 1} or more"
            )
        mean = self.mean.clone() if self.mean.shape[-1] else self.rows.mean(-2)
        if not bool(mean.isfinite().all()):
            raise ParameterError("a row of the features held NaN or infinity, or they overflow")
        if self.mean.shape[-1]:
            normal = Normal(mean, self.moments.covariance(ddof))
        else:
            centred = self.rows - mean[..., None, :]
            normal = Normal(mean, rows=centred / (self.n_rows - ddof) ** 0.5)
        if not bool(normal.trace.isfinite().all()):  # its parts are variances: all, or none
            raise ParameterError("the features overflow float64 in their covariance; scale them")
        return normal

    def _with_moments(self) -> FeatureSet:
        if self.mean.shape[-1]:
            return self
        held = self._widened(self.columns)
        moments_update(*held[1:], self.rows)
        return held

    def _widened(self, columns: int) -> FeatureSet:
        """Moments of no rows."""
        lead = self.rows.shape[:-2]
        moments = Moments.none(columns, sets=lead[0] if lead else None, device=self.rows.device)
        return FeatureSet(self.rows.new_zeros(*lead, 0, columns), *moments)


def check_features(features: Tensor, *, sets: int | None = None, columns: int = 0) -> None:
    """Refuse what are not features.

    Parameters
    ----------
    features : Tensor
        To be [row, column], or [set, row, column].
    sets : int, optional
        How many sets there must be; by default any.
    columns : int
        The width they must have; 0: any.

    Raises
    ------
    ParameterError
        If they have another shape, or are not floating point.

    Examples
    --------
    >>> check_features(torch.zeros(5, 3), columns=3)
    """
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
    """Say that a set is too small for its width.

    Parameters
    ----------
    name : str
        Which set.
    n_rows, columns : int
        Its shape.

    Returns
    -------
    str
        Empty if there are more rows than columns.

    Examples
    --------
    >>> few_rows("the real set", 300, 200)
    ''
    """
    if n_rows > columns:
        return ""
    return (
        f"{name} has {n_rows} rows of {columns} columns: its covariance is of low rank and the "
        f"distance far too large; take more rows (at least {columns + 1}, better ten times that), "
        "a narrower layer, or the kernel distance"
    )


def _check_finite(features: Tensor) -> None:
    if features.device.type != "cpu":  # as the operator: no synchronisation
        return
    bad = (~features.isfinite()).any(-1).nonzero()
    if len(bad):
        *of, row = bad[0].tolist()
        told = f" of set {of[0]}" if of else ""
        raise ParameterError(f"row {row}{told} of the features holds NaN or infinity")
