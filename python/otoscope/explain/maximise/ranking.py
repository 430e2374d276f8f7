"""Which setting to believe: the one whose inputs drive the unit as real sounds do."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

import torch
from torch import Tensor

from otoscope.errors import ParameterError
from otoscope.explain.maximise.maximised import Maximised, Setting

__all__ = ["Distance", "Ranked", "Ranking", "scalar_frechet"]

Distance: TypeAlias = "Callable[[Tensor, Tensor], float | Tensor]"


def scalar_frechet(real: Tensor, made: Tensor) -> float:
    """Compare two sets of numbers as if they were normal.

    Parameters
    ----------
    real, made : Tensor [sample]
        Two or more finite numbers each.

    Returns
    -------
    float
        (m_r - m_g)^2 + s_r + s_g - 2 sqrt(s_r s_g) >= 0, of means and unbiased variances.

    Raises
    ------
    ParameterError
        If there are fewer than two numbers in a set, or it is not [sample] and finite.

    Notes
    -----
    Computed as the squares of the differences of means and of deviations: the same, and never
    below 0.

    References
    ----------
    Mishra et al., "GAN-based generation and automatic selection of explanations for neural
    networks", 2019, section 3.

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
class Ranked:
    """A setting and its distance.

    Parameters
    ----------
    found : Maximised
        What the setting made.
    distance : float
        To the real side; NaN if it could not be measured.

    Examples
    --------
    >>> grid.rank(real).best.distance  # doctest: +SKIP
    1.654
    """

    found: Maximised
    distance: float

    @property
    def setting(self) -> Setting:
        """Rate, penalty and iterations."""
        return self.found.setting

    @property
    def n_seen(self) -> int:
        """Count of seeds with a finite activation: the distance is of these."""
        return int(self.found.activation.isfinite().sum())

    @property
    def is_complete(self) -> bool:
        """Whether the distance is of all seeds."""
        return self.n_seen == len(self.found.activation)


@dataclass(frozen=True, eq=False)
class Ranking:
    """Settings, the nearest to real sounds first; those that lack seeds after them.

    Parameters
    ----------
    rows : tuple of Ranked
        At least one.

    Examples
    --------
    >>> [str(row.setting) for row in grid.rank(real).rows]  # doctest: +SKIP
    ['rate 0.01, penalty 0.001, 100 iterations', ...]
    """

    rows: tuple[Ranked, ...]

    @property
    def best(self) -> Ranked:
        """The nearest."""
        return self.rows[0]

    @property
    def median(self) -> Ranked:
        """The one in the middle: rank 14 of 27."""
        return self.rows[(len(self.rows) - 1) // 2]

    @property
    def worst(self) -> Ranked:
        """The farthest, or one that could not be measured."""
        return self.rows[-1]

    @property
    def landmarks(self) -> tuple[tuple[str, Ranked], ...]:
        """Best, median and worst by name, each setting once: of two there is no median."""
        named = (("Best", self.best), ("Median", self.median), ("Worst", self.worst))
        return tuple(
            (name, row)
            for i, (name, row) in enumerate(named)
            if all(row is not other for _, other in named[:i])
        )
