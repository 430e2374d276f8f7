"""Chance level of a score: the same answers in random order."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from otoscope.errors import ParameterError
from otoscope.intervene.statistics.bootstrap import GroupBootstrap, MetricName

__all__ = ["ChanceLevel", "chance_level"]


@dataclass(frozen=True)
class ChanceLevel:
    """Score of the same answers in random order.

    Parameters
    ----------
    mean : float
        Mean score over random orders, in [0, 1].
    low, high : float
        Central 95 % interval of the scores.
    p : float
        Fraction of orders that score as high as the true one or higher, in (0, 1].
    p_below : float
        Fraction of orders that score as low as the true one or lower, in (0, 1].

    Examples
    --------
    >>> ChanceLevel(mean=0.13, low=0.08, high=0.18, p=0.0005).mean
    0.13
    """

    mean: float
    low: float
    high: float
    p: float
    p_below: float = 1.0


def chance_level(
    labels: Sequence[str],
    answers: Sequence[str],
    *,
    groups: Sequence[str] | None = None,
    metric: MetricName = "mean_recall",
    n_draws: int = 2000,
    seed: int = 0,
) -> ChanceLevel:
    """Score the same answers in random order: the score of a system that hears nothing.

    Parameters
    ----------
    labels, answers : sequence of str
        Class of each item, and answer of the system.
    groups : sequence of str, optional
        Group of each item. The answers of a group stay together: groups are put in random order,
        and the answers within each group too, for it may hold several classes. By default each
        answer is permuted by itself.
    metric : {"mean_recall", "accuracy"}
        Metric of the score.
    n_draws : int
        Number of random orders, >= 20.
    seed : int
        Random seed.

    Returns
    -------
    ChanceLevel
        Distribution of the scores. Its p-values count the true order among the others, so they are
        at least 1 / (n_draws + 1).

    References
    ----------
    Good (2005) :cite:`good2005`, chapter 3.

    Examples
    --------
    >>> chance_level(["a", "b"] * 20, ["a", "b"] * 20).p < 0.01
    True
    """
    scores = GroupBootstrap(labels, groups, metric=metric, n_draws=n_draws, seed=seed)
    if len(answers) != len(labels):
        raise ParameterError(f"{len(answers)} answers for {len(labels)} labels")
    columns, codes = scores.columns, scores.group_codes
    counts = np.bincount(columns)
    weights = 1 / (counts[columns] * len(counts))  # the score is a weighted mean of right answers
    both = np.unique([*labels, *answers], return_inverse=True)[1]
    truth, answered = np.split(both, 2)
    by_group, rng = np.argsort(codes, kind="stable"), np.random.default_rng(seed)
    sorted_truth, sorted_weights = truth[by_group], weights[by_group]
    draws = np.empty(n_draws)
    for draw in range(n_draws):
        order = np.lexsort([rng.random(len(codes)), rng.permutation(scores.n_groups)[codes]])
        draws[draw] = sorted_weights[answered[order] == sorted_truth].sum()
    low, high = np.quantile(draws, [0.025, 0.975])
    score = weights[answered == truth].sum()
    p, p_below = (
        (1 + int(count)) / (1 + n_draws)
        for count in ((draws >= score - 1e-9).sum(), (draws <= score + 1e-9).sum())
    )
    return ChanceLevel(float(draws.mean()), float(low), float(high), p, p_below)
