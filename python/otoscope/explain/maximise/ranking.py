"""Rankings: the settings of a grid, sorted by the distance of their inputs to real sounds.

The best setting is the one whose inputs drive the unit as real sounds do.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

import torch
from torch import Tensor

from otoscope.errors import ParameterError
from otoscope.explain.evaluator import batch_size
from otoscope.explain.maximise.result import MaximisationResult, Setting
from otoscope.metrics import frechet_of
from otoscope.protocols import Rows, evaluating
from otoscope.taps import Tap

__all__ = ["Distance", "GridResult", "RankedResult", "Ranking", "scalar_frechet"]

Distance: TypeAlias = "Callable[[Tensor, Tensor], float | Tensor]"


def scalar_frechet(real: Tensor, made: Tensor) -> float:
    """Compute the Frechet distance of two sets of numbers, taken as normal.

    Parameters
    ----------
    real, made : Tensor [sample]
        Two or more finite numbers.

    Returns
    -------
    float
        Distance (m_r - m_g)^2 + s_r + s_g - 2 sqrt(s_r s_g) >= 0 of means and unbiased variances.

    Raises
    ------
    ParameterError
        If there are fewer than two numbers in a set, or it is not [sample] and finite.

    Notes
    -----
    Computed as the sum of the squared differences of means and of standard deviations, which is
    equal and never below 0.

    References
    ----------
    Mishra et al. (2019) :cite:`mishra2019`, section 3.

    Examples
    --------
    >>> scalar_frechet(torch.tensor([0.0, 2.0]), torch.tensor([3.0, 5.0]))
    9.0
    """
    for name, numbers in (("real", real), ("made", made)):
        if numbers.ndim != 1 or len(numbers) < 2 or not bool(numbers.isfinite().all()):
            bad = int((~numbers.isfinite()).sum())
            raise ParameterError(
                f"{name} has shape {tuple(numbers.shape)} and {bad} numbers that are NaN or "
                "infinite; must be [sample], two or more, finite"
            )
    (s_r, m_r), (s_g, m_g) = (torch.std_mean(x.double(), correction=1) for x in (real, made))
    return float((m_r - m_g) ** 2 + (s_r - s_g) ** 2)


@dataclass(frozen=True, eq=False)
class RankedResult:
    """Hold the result of a setting and its distance.

    Parameters
    ----------
    result : MaximisationResult
        Best inputs of the setting.
    distance : float
        Distance to the real excerpts; NaN if it could not be computed.

    Examples
    --------
    >>> grid.rank(real).best.distance  # doctest: +SKIP
    1.654
    """

    result: MaximisationResult
    distance: float

    @property
    def setting(self) -> Setting:
        """Rate, penalty and iterations."""
        return self.result.setting

    @property
    def n_finite(self) -> int:
        """Number of seeds with a finite activation, which the distance compares."""
        return int(self.result.activation.isfinite().sum())

    @property
    def is_complete(self) -> bool:
        """True if the distance compares all seeds."""
        return self.n_finite == len(self.result.activation)


@dataclass(frozen=True, eq=False)
class Ranking:
    """Sort settings: nearest to real sounds first, then those that lack seeds.

    Parameters
    ----------
    rows : tuple of RankedResult
        Settings, at least one.

    Examples
    --------
    >>> [str(row.setting) for row in grid.rank(real).rows]  # doctest: +SKIP
    ['rate 0.01, penalty 0.001, 100 iterations', ...]
    """

    rows: tuple[RankedResult, ...]

    @property
    def best(self) -> RankedResult:
        """Nearest setting."""
        return self.rows[0]

    @property
    def median(self) -> RankedResult:
        """Setting in the middle: rank 14 of 27."""
        return self.rows[(len(self.rows) - 1) // 2]

    @property
    def worst(self) -> RankedResult:
        """Farthest setting, or one without a distance."""
        return self.rows[-1]

    @property
    def landmarks(self) -> tuple[tuple[str, RankedResult], ...]:
        """Best, median and worst by name, each setting once: two settings have no median."""
        named = (("Best", self.best), ("Median", self.median), ("Worst", self.worst))
        return tuple(
            (name, row)
            for i, (name, row) in enumerate(named)
            if all(row is not other for _, other in named[:i])
        )


@dataclass(frozen=True, eq=False)
class GridResult:
    """Hold the results of all settings of a grid.

    Parameters
    ----------
    results : tuple of MaximisationResult
        Results by rate, then penalty, then number of iterations.

    Examples
    --------
    >>> maximiser.grid(seeds=8).rank(real).best.setting  # doctest: +SKIP
    Setting(rate=0.01, penalty=0.001, iterations=100)
    """

    results: tuple[MaximisationResult, ...]

    def rank(
        self,
        real: Tensor,
        *,
        feature: Callable[[Tensor], Tensor] | None = None,
        distance: Distance | None = None,
        max_batch: int | None = None,
    ) -> Ranking:
        """Sort the settings by the distance of their inputs to real excerpts.

        Parameters
        ----------
        real : Tensor [sample] or [sample, d]
            Activations of the unit for the real excerpts that drive it furthest
            (`Extremes.activations`), or their features.
        feature : callable, optional
            Function from the model's inputs [row, ...] to features [row, d], such as
            ``net.tap("fc8")``; by default the unit's activations are compared. A module, or a
            tap's module, is in eval mode during the call.
        distance : callable, optional
            Distance (real, made) -> float of activations or features; by default the Frechet
            distance, of one column or of all (`otoscope.metrics.frechet_of`).
        max_batch : int, optional
            Largest batch of ``feature``; default 8 on the CPU, 256 elsewhere.

        Returns
        -------
        Ranking
            Nearest settings first; then those with a seed without finite activation, and last those
            without a distance.

        Raises
        ------
        ParameterError
            If there are fewer than two real excerpts, or one is not finite, or ``max_batch`` is
            below 1.

        References
        ----------
        Mishra et al. (2019) :cite:`mishra2019`, section 3.

        Examples
        --------
        >>> grid.rank(torch.tensor([4.0, 4.5, 5.0])).worst.distance  # doctest: +SKIP
        26752.0
        """
        if real.ndim == 0 or len(real) < 2 or not bool(real.isfinite().all()):
            raise ParameterError(
                f"real has shape {tuple(real.shape)}; must be two samples or more, all finite: "
                "their spread is compared"
            )

        distance = distance or (scalar_frechet if real.ndim == 1 else frechet_of)
        rows = []
        for result in self.results:
            is_finite, value = result.activation.isfinite(), math.nan
            if int(is_finite.sum()) > 1:
                made = result.activation[is_finite]
                if feature is not None:
                    made = _features(feature, result.input[is_finite], max_batch)
                value = float(distance(real, made))
            rows.append(RankedResult(result, value))
        return Ranking(
            tuple(
                sorted(
                    rows,
                    key=lambda row: (math.isnan(row.distance), not row.is_complete, row.distance),
                )
            )
        )


def _features(feature: Callable[[Tensor], Tensor], inputs: Tensor, max_batch: int | None) -> Tensor:
    model = feature.module if isinstance(feature, Tap) else feature
    with torch.no_grad(), evaluating(model):
        return Rows(feature, "an input")(inputs, batch_size(inputs.device, max_batch))
