"""Distances between a real and a generated set of features as torchmetrics.Metric.

Both take any model and layer. The Frechet distance (FAD and FID alike) compares normal
distributions fitted to the sets, the kernel distance (KID) the sets themselves.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from otoscope.errors import ParameterError
from otoscope.metrics.feature_set import FeatureSet, FewRows, few_rows
from otoscope.metrics.gaussian import Normal, distance
from otoscope.metrics.kernel import kernel_distance
from otoscope.metrics.statistics import Statistics
from otoscope.metrics.two_sets import TwoSets

__all__ = ["FrechetDistance", "KernelDistance"]


class FrechetDistance(TwoSets):
    """Measure the Frechet distance between real and generated features.

    Parameters
    ----------
    feature : Tap, nn.Module, callable or None
        Function of a batch that returns features [sample, column], in any form that `as_outputs`
        takes; None if batches are features.
    ddof : {0, 1}
        Covariance = scatter / (rows - ddof); 1 is unbiased, and the choice of other libraries.
    reset_real_features : bool
        Whether `reset` also clears the real set.
    sets : int, optional
        Number of candidates. Generated features are then [set, sample, column], with one distance
        per candidate.
    real : Statistics, optional
        Statistics of the real set, from `otoscope.metrics.statistics.load`; replaces real batches.
    output : str or int, optional
        Part of what ``feature`` returns, where it returns several; see `protocols.as_outputs`.
    **metric
        Settings of torchmetrics.Metric: process_group, dist_sync_fn and others.

    Raises
    ------
    ParameterError
        If a setting is out of range, or ``real`` was computed with another ddof.

    Notes
    -----
    A set keeps its rows while it has no more rows than columns, then count, mean and scatter in
    float64. Each batch is centred by its own mean and merged by Chan's rule. The trace of the root
    is the nuclear norm of a product of factors; eigenvalues of its square are used only where they
    are exact enough. The factor of the real set is kept until the set changes. With several
    processes, each sync gathers the set again, so each `compute` makes the factor again.

    With no more rows than columns the covariance has low rank and the distance is far too large:
    the metric warns (FewRows). `otoscope.metrics.frechet_infinity` extrapolates to infinite
    samples; `KernelDistance` has no such bias.

    References
    ----------
    Heusel et al. (2017) :cite:`heusel2017` (FID). Kilgour et al. (2019) :cite:`kilgour2019`.

    Examples
    --------
    >>> import torch
    >>> from otoscope.metrics import FrechetDistance
    >>> metric = FrechetDistance()
    >>> metric.update(torch.tensor([[0.0], [2.0]]), real=True)
    >>> metric.update(torch.tensor([[1.0], [3.0]]), real=False)
    >>> metric.compute()
    tensor(1., dtype=torch.float64)
    """

    axis_label = "Fréchet distance"

    def __init__(
        self,
        feature: Callable[[Any], Tensor] | None = None,
        *,
        ddof: int = 1,
        reset_real_features: bool = True,
        sets: int | None = None,
        real: Statistics | None = None,
        output: str | int | None = None,
        **metric: Any,
    ) -> None:
        keep_real = real is not None or not reset_real_features
        super().__init__(
            feature, reset_real_features=not keep_real, sets=sets, output=output, **metric
        )
        if ddof not in (0, 1):
            raise ParameterError(f"ddof is {ddof}, must be 0 or 1")
        if real is not None and real.ddof != ddof:
            raise ParameterError(f"ddof is {ddof}, the real statistics have ddof={real.ddof}")
        self.ddof = ddof
        self._reference = real
        self._fitted: tuple[FeatureSet, int, Normal] | None = None

    def update(self, batch: Any, real: bool) -> None:
        """Add a batch to the real or the generated set.

        Parameters
        ----------
        batch : Tensor
            Input of ``feature``, or features [sample, column]; generated candidates are
            [set, sample, column].
        real : bool
            Whether the batch belongs to the real set.

        Raises
        ------
        ParameterError
            If features differ in shape or width from the earlier ones, a row is not finite, or the
            real set is given by statistics.
        """
        if real and self._reference is not None:
            raise ParameterError("the real set is given by statistics; no rows can be added")
        super().update(batch, real)

    def compute(self) -> Tensor:
        """Compute the distance of the sets.

        Returns
        -------
        Tensor [] or [set], float64
            Frechet distance, >= 0.

        Raises
        ------
        ParameterError
            If a set has too few rows for a covariance.
        """
        real, generated = self._side("real"), self._side("generated")
        self._check("generated", generated.n_rows, generated.columns)
        count: int | None = real.n_rows
        columns = real.columns
        if self._reference is not None:
            count, columns = self._reference.count, len(self._reference.mean)
            if columns != generated.columns:
                raise ParameterError(
                    f"generated features have {generated.columns} columns, "
                    f"the real statistics {columns}"
                )
        self._check("real", count, columns)
        return distance(self._real(), generated.normal(self.ddof))

    def _real(self) -> Normal:
        """Fit the real distribution again only if its set is another or has grown."""
        side = self._side("real")
        if self._fitted is not None:
            fitted, n_rows, normal = self._fitted
            if n_rows == side.n_rows and all(a is b for a, b in zip(fitted, side, strict=True)):
                return normal
        if self._reference is None:
            normal = side.normal(self.ddof)
        else:
            normal = self._reference.normal(side.n.device)
        self._fitted = (side, side.n_rows, normal)
        return normal

    def _incoming(self, state: dict[str, Any], side: str) -> FeatureSet:
        other = super()._incoming(state, side)
        if side == "real" and self._reference is not None and other.n_rows:
            raise ParameterError("the real set is given by statistics; no rows can be merged")
        return other

    def _check(self, side: str, n_rows: int | None, columns: int) -> None:
        if n_rows is None:  # statistics without a count
            return
        if n_rows <= self.ddof:
            raise ParameterError(
                f"the {side} set has {n_rows} rows; a covariance takes {self.ddof + 1} or more"
            )
        if message := few_rows(f"the {side} set", n_rows, columns):
            warnings.warn(message, FewRows, stacklevel=4)


class KernelDistance(TwoSets):
    """Measure the kernel distance (KID) between real and generated features, unbiased at any size.

    Parameters
    ----------
    feature : Tap, nn.Module, callable or None
        Function of a batch that returns features [sample, column], in any form that `as_outputs`
        takes; None if batches are features.
    degree : int
        Degree of the kernel (gamma x.y + coef)^degree, >= 1.
    gamma : float, optional
        Scale of the inner products, > 0; by default 1 / columns.
    coef : float
        Constant term of the kernel, >= 0.
    reset_real_features : bool
        Whether `reset` also clears the real set.
    sets : int, optional
        Number of candidates. Generated features are then [set, sample, column], with one distance
        per candidate.
    output : str or int, optional
        Part of what ``feature`` returns, where it returns several; see `protocols.as_outputs`.
    **metric
        Settings of torchmetrics.Metric: process_group, dist_sync_fn and others.

    Notes
    -----
    All rows of both sets are kept in float64. Use this metric where there are too few rows for a
    Frechet distance; the two distances have different scales.

    References
    ----------
    Bińkowski et al. (2018) :cite:`binkowski2018`.

    Examples
    --------
    >>> import torch
    >>> from otoscope.metrics import KernelDistance
    >>> metric = KernelDistance()
    >>> metric.update(torch.zeros(2, 1), real=True)
    >>> metric.update(torch.ones(2, 1), real=False)
    >>> metric.compute()
    tensor(7., dtype=torch.float64)
    """

    axis_label = "Kernel distance"

    def __init__(
        self,
        feature: Callable[[Any], Tensor] | None = None,
        *,
        degree: int = 3,
        gamma: float | None = None,
        coef: float = 1.0,
        reset_real_features: bool = True,
        sets: int | None = None,
        output: str | int | None = None,
        **metric: Any,
    ) -> None:
        super().__init__(
            feature,
            reset_real_features=reset_real_features,
            sets=sets,
            keep_rows=True,
            output=output,
            **metric,
        )
        self.degree, self.gamma, self.coef = degree, gamma, coef

    def compute(self) -> Tensor:
        """Compute the distance of the sets.

        Returns
        -------
        Tensor [] or [set], float64
            Kernel distance; near 0, of either sign, for sets from one distribution.

        Raises
        ------
        ParameterError
            If a set has fewer than 2 rows, or a setting is out of range.
        """
        real = self._side("real").rows
        candidates = self._side("generated").rows
        distances = [
            kernel_distance(real, rows, degree=self.degree, gamma=self.gamma, coef=self.coef)
            for rows in (candidates if self.sets else candidates[None])
        ]
        return torch.stack(distances) if self.sets else distances[0]
