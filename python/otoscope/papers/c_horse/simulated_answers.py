"""Simulated answers with the correlations of real ones, for the power of an interrogation.

Whether an item is answered right in a condition is decided by a normal variable below a threshold.
It is the sum of what an item keeps in all conditions and of what is new in each; both have a part
that the items of a group share. Correlations are chosen so that pairs of answers differ, and agree
in groups, as often as measured. A horse is wrong, too, where the dose takes an item across a border
between classes: of items that lean on the confound, the more the larger the dose.
"""

from __future__ import annotations

from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from otoscope.errors import ParameterError

__all__ = ["AnswerModel"]


@dataclass(frozen=True)
class AnswerModel:
    """Statistics of a system's answers to unchanged items, doses and placebos.

    Parameters
    ----------
    unchanged : float
        Fraction of right answers to the unchanged items, in (0, 1).
    placebo : float
        The same at the placebo of every dose, and, of an honest system, at the dose; in (0, 1).
    flips : float
        Fraction of items that are right at only one of dose and placebo.
    correlation : float
        Correlation of these differences between two items of a group, in [0, 1].
    group_correlation : float
        Correlation of right answers between two items of a group, in [0, 1].

    Examples
    --------
    >>> AnswerModel(0.98, 0.95, 0.04, 0.1, 0.2).flips
    0.04
    """

    unchanged: float
    placebo: float
    flips: float
    correlation: float
    group_correlation: float

    def __post_init__(self) -> None:
        most = 2 * self.placebo * (1 - self.placebo)
        if not (0 < self.unchanged < 1 and 0 < self.placebo < 1 and 0 < self.flips <= most):
            raise ParameterError(
                f"unchanged is {self.unchanged:g}, placebo {self.placebo:g}, flips {self.flips:g}; "
                f"must be in (0, 1), and flips at most {most:g}"
            )
        if not 0 <= self.correlation <= 1 or not 0 <= self.group_correlation <= 1:
            raise ParameterError(
                f"correlation is {self.correlation:g} and group_correlation "
                f"{self.group_correlation:g}; must be in [0, 1]"
            )

    def draw(
        self,
        groups: NDArray[np.intp],
        falls: NDArray[np.float64],
        rng: np.random.Generator,
    ) -> NDArray[np.bool_]:
        """Draw whether each item is right: unchanged, at each dose, at each placebo.

        Parameters
        ----------
        groups : array [item]
            Number of each item's group, from 0.
        falls : array [dose]
            Fraction of items that each dose takes to another class; 0 of an honest system.
        rng : Generator
            Random numbers.

        Returns
        -------
        array [item, 1 + 2 * dose], bool
            Right answers: column 0 unchanged, then doses, then their placebos.
        """
        kept, shared_kept, shared_new = self.latent()
        n_items, n_groups, n_new = len(groups), int(groups.max()) + 1, 1 + 2 * len(falls)

        def normal(n_columns: int, shared: float) -> NDArray[np.float64]:
            of_group = rng.standard_normal((n_groups, n_columns))[groups]
            own = rng.standard_normal((n_items, n_columns))
            mixed: NDArray[np.float64] = np.sqrt(shared) * of_group + np.sqrt(1 - shared) * own
            return mixed

        latent = np.sqrt(kept) * normal(1, shared_kept)
        latent = latent + np.sqrt(1 - kept) * normal(n_new, shared_new)
        at = NormalDist().inv_cdf
        right = latent < np.array([at(self.unchanged)] + [at(self.placebo)] * (n_new - 1))
        leaning = np.array([NormalDist().cdf(x) for x in normal(1, shared_kept)[:, 0]])
        right[:, 1 : 1 + len(falls)] &= leaning[:, None] >= falls
        answers: NDArray[np.bool_] = right
        return answers

    def latent(self) -> tuple[float, float, float]:
        """Return what is kept of an item's variable, and the groups' part of what is kept and new.

        With Phi2(t, t; r) the probability that two normal variables of correlation r lie below t:
        items differ between dose and placebo with 2 (p - Phi2(t, t; kept)), two items of a group
        are both right with Phi2 at the correlation *same* in one condition and *cross* in two.
        """
        p = self.placebo
        kept = _correlation_of(p, p - self.flips / 2)
        both = p * p + self.group_correlation * p * (1 - p)
        same = _correlation_of(p, both)
        cross = _correlation_of(p, both - self.correlation * self.flips / 2)
        shared_kept = min(1.0, cross / kept) if kept else 0.0
        shared_new = min(1.0, max(0.0, same - cross) / (1 - kept)) if kept < 1 else 0.0
        return kept, shared_kept, shared_new


def _correlation_of(p: float, both: float) -> float:
    """Return the correlation in [0, 1] at which two normal variables lie below a threshold both.

    ``p`` is the probability that each does, ``both`` that both do.
    """
    low, high = 0.0, 1.0
    if both <= p * p:
        return 0.0
    for _ in range(40):
        middle = (low + high) / 2
        low, high = (middle, high) if _both_below(p, middle) < both else (low, middle)
    return low


def _both_below(p: float, correlation: float) -> float:
    """Integrate over the part that both variables share, by Gauss and Hermite."""
    from scipy.stats import norm

    nodes, weights = np.polynomial.hermite_e.hermegauss(101)
    if correlation > 1 - 1e-9:
        return p
    shared = np.sqrt(correlation) * nodes
    below = norm.cdf((norm.ppf(p) - shared) / np.sqrt(1 - correlation))
    return float((weights * below**2).sum() / weights.sum())
