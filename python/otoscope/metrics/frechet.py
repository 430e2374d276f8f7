"""The Frechet distance between two sets of features as a torchmetrics.Metric.

For any model and layer, FAD and FID alike: |difference of means|^2 + tr(S1 + S2 - 2 sqrt(S1 S2)) of
normal distributions fitted to both.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

from torch import Tensor

from otoscope.errors import ParameterError
from otoscope.metrics.feature_set import FeatureSet, FewRows, few_rows
from otoscope.metrics.gaussian import Normal, distance
from otoscope.metrics.statistics import Statistics
from otoscope.metrics.two_sets import TwoSets

__all__ = ["FrechetDistance"]


class FrechetDistance(TwoSets):
    """Measure the Frechet distance between real and generated features.

    Parameters
    ----------
    feature : Tap, nn.Module, callable or None
        Batch to features [sample, column]; None: batches are features.
    ddof : int
        Covariances are divided by rows - ddof: 1 is unbiased, and what other libraries do.
    reset_real_features : bool
        Whether `reset` forgets the real set too.
    sets : int, optional
        Candidates: generated features are [set, sample, column], and there is a distance for each.
    real : Statistics, optional
        The real set, from a file: `otoscope.metrics.statistics.load`. No real batches then.
    **metric
        Settings of torchmetrics.Metric: process_group, dist_sync_fn, ...

    Raises
    ------
    ParameterError
        If a setting is none, or ``real`` was made with another ddof.

    Notes
    -----
    A set keeps its rows until there are more of them than columns, then count, mean and scatter in
    float64: each batch is centred by its own mean, then merged by Chan's rule. The distance is that
    of the sets, to rounding: nuclear norm of the crossed factors, by eigenvalues of its square only
    where these are exact enough. The real set's factor is kept until the set changes; with several
    processes each sync gathers the set anew, so each `compute` makes the factor anew.

    With no more rows than columns the covariance is of low rank and the distance far too large: the
    metric warns (FewRows). `otoscope.metrics.frechet_infinity` extrapolates; `KernelDistance` has
    no such bias.

    References
    ----------
    Heusel et al., "GANs trained by a two time-scale update rule", 2017 (FID). Kilgour et al.,
    "Frechet audio distance", 2019.

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

    def __init__(
        self,
        feature: Callable[[Any], Tensor] | None = None,
        *,
        ddof: int = 1,
        reset_real_features: bool = True,
        sets: int | None = None,
        real: Statistics | None = None,
        **metric: Any,
    ) -> None:
        keep_real = real is not None or not reset_real_features
        super().__init__(feature, reset_real_features=not keep_real, sets=sets, **metric)
        if ddof not in (0, 1):
            raise ParameterError(f"ddof is {ddof}, must be 0 or 1")
        if real is not None and real.ddof != ddof:
            raise ParameterError(f"ddof is {ddof}, the real statistics have ddof={real.ddof}")
        self.ddof = ddof
        self._reference = real
        self._fitted: tuple[FeatureSet, int, Normal] | None = None

    def update(self, batch: Any, real: bool) -> None:
        """Add a batch to the real or the generated set; see `TwoSets.update`.

        Parameters
        ----------
        batch : Tensor
            For ``feature``; else features [sample, column].
        real : bool
            Which set.

        Raises
        ------
        ParameterError
            If features do not fit, or the real set is given by statistics.

        Examples
        --------
        >>> import torch
        >>> FrechetDistance().update(torch.zeros(4, 2), real=True)
        """
        if real and self._reference is not None:
            raise ParameterError("the real set is given by statistics; no rows can be added")
        super().update(batch, real)

    def compute(self) -> Tensor:
        """Find the distance.

        Returns
        -------
        Tensor [] or [set], float64
            >= 0.

        Raises
        ------
        ParameterError
            If a set has too few rows for a covariance.

        Examples
        --------
        >>> metric.compute()  # doctest: +SKIP
        tensor(1.0352, dtype=torch.float64)
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
        """The real distribution, fitted again only if its set is another or has grown."""
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
        if n_rows is None:  # statistics that do not tell
            return
        if n_rows <= self.ddof:
            raise ParameterError(
                f"the {side} set has {n_rows} rows; a covariance takes {self.ddof + 1} or more"
            )
        if told := few_rows(f"the {side} set", n_rows, columns):
            warnings.warn(told, FewRows, stacklevel=4)
