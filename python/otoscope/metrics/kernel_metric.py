"""The kernel distance (KID) between two sets of features as a torchmetrics.Metric."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from otoscope.metrics.kernel import kernel_distance
from otoscope.metrics.two_sets import TwoSets

__all__ = ["KernelDistance"]


class KernelDistance(TwoSets):
    """Measure the kernel distance between real and generated features, unbiased at any size.

    Parameters
    ----------
    feature : Tap, nn.Module, callable or None
        Batch to features [sample, column]; None: batches are features.
    degree : int
        Degree of the kernel (gamma x.y + coef)^degree, >= 1.
    gamma : float, optional
        Scale of the products, > 0; default: 1 / columns.
    coef : float
        Added to them, >= 0.
    reset_real_features : bool
        Whether `reset` forgets the real set too.
    sets : int, optional
        Candidates: generated features are [set, sample, column], and there is a distance for each.
    **metric
        Settings of torchmetrics.Metric: process_group, dist_sync_fn, ...

    Notes
    -----
    All rows of both sets are kept, float64. Use it where there are too few rows for a Frechet
    distance; its numbers are of another scale.

    References
    ----------
    Binkowski et al., "Demystifying MMD GANs", 2018.

    Examples
    --------
    >>> from otoscope.metrics import KernelDistance
    >>> metric = KernelDistance()
    >>> metric.update(torch.zeros(2, 1), real=True)
    >>> metric.update(torch.ones(2, 1), real=False)
    >>> metric.compute()
    tensor(7., dtype=torch.float64)
    """

    def __init__(
        self,
        feature: Callable[[Any], Tensor] | None = None,
        *,
        degree: int = 3,
        gamma: float | None = None,
        coef: float = 1.0,
        reset_real_features: bool = True,
        sets: int | None = None,
        **metric: Any,
    ) -> None:
        super().__init__(
            feature, reset_real_features=reset_real_features, sets=sets, keep_rows=True, **metric
        )
        self.degree, self.gamma, self.coef = degree, gamma, coef

    def compute(self) -> Tensor:
        """Find the distance.

        Returns
        -------
        Tensor [] or [set], float64
            Near 0 of either sign for sets of one distribution.

        Raises
        ------
        ParameterError
            If a set has fewer than 2 rows, or a setting is out of range.

        Examples
        --------
        >>> metric.compute()  # doctest: +SKIP
        tensor(0.0214, dtype=torch.float64)
        """
        real = self._side("real").rows
        candidates = self._side("generated").rows
        found = [
            kernel_distance(real, rows, degree=self.degree, gamma=self.gamma, coef=self.coef)
            for rows in (candidates if self.sets else candidates[None])
        ]
        return torch.stack(found) if self.sets else found[0]
