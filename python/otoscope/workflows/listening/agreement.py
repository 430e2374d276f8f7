"""Statistics of ratings: a mixed model of listeners and items, and the agreement with a score."""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from otoscope.metrics import Interval
from otoscope.seeds import numpy_generator
from otoscope.workflows.listening.answers import Answer, ListeningKey

__all__ = ["mixed_means", "rank_agreement"]

_LEVEL = 0.95
_N_DRAWS = 2000


def mixed_means(
    design: NDArray[np.float64],
    answers: Sequence[Answer],
    *,
    random: Sequence[str] = ("listener", "item"),
) -> tuple[list[Interval], list[str]]:
    """Fit fixed effects with crossed random intercepts, by default of listeners and items."""
    import statsmodels.api as sm
    from statsmodels.regression.mixed_linear_model import VCSpec

    ratings = np.array([answer.rating for answer in answers])
    parts = {}
    for what in random:
        levels = [getattr(answer, what) for answer in answers]
        names = list(dict.fromkeys(levels))
        if len(names) > 1:
            parts[what] = (np.array(levels)[:, None] == np.array(names)).astype(float)
    notes: list[str] = []
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        if parts and len(ratings) > design.shape[1] + sum(p.shape[1] for p in parts.values()):
            columns = [[[f"{what} {i}" for i in range(p.shape[1])]] for what, p in parts.items()]
            spec = VCSpec([*parts], columns, [[p] for p in parts.values()])
            model = sm.MixedLM(ratings, design, np.ones(len(ratings)), exog_vc=spec)
            fit = model.fit(reml=True)
        else:
            fit = sm.OLS(ratings, design).fit()
            notes.append(
                "There are too few answers for a mixed model: intervals are of a plain mean."
            )
    if any("onverge" in str(warning.message) for warning in caught):
        notes.append("The mixed model has not converged: its intervals are rough.")
    bounds = np.asarray(fit.conf_int(1 - _LEVEL))
    values = np.asarray(fit.params)
    return [
        Interval(float(values[i]), float(bounds[i, 0]), float(bounds[i, 1]), _LEVEL)
        for i in range(design.shape[1])
    ], notes


def rank_agreement(answers: Sequence[Answer], key: ListeningKey, *, seed: int) -> Interval | None:
    """Kendall's tau-b of conditions between small scores and large mean ratings."""
    from scipy.stats import kendalltau

    scores = {name: key.conditions[name].get("score") for name in key.conditions}
    names = [name for name, score in scores.items() if score is not None]
    if len(names) < 3 or len({scores[name] for name in names}) < 2:
        return None
    listeners = list(dict.fromkeys(answer.listener for answer in answers))
    sums, counts = np.zeros((2, len(listeners), len(names)))
    for answer in answers:
        if answer.condition in names:
            at = listeners.index(answer.listener), names.index(answer.condition)
            sums[at] += answer.rating
            counts[at] += 1
    small = -np.array([scores[name] for name in names], dtype=float)

    def tau(chosen: NDArray[np.intp]) -> float:
        with np.errstate(invalid="ignore", divide="ignore"):
            means = sums[chosen].sum(0) / counts[chosen].sum(0)
        return float(kendalltau(small, means, nan_policy="omit").statistic)

    value = tau(np.arange(len(listeners)))
    if math.isnan(value):
        return None
    if len(listeners) < 2:
        return Interval(value, math.nan, math.nan, _LEVEL)
    draws = numpy_generator(seed).integers(0, len(listeners), (_N_DRAWS, len(listeners)))
    low, high = np.nanquantile([tau(draw) for draw in draws], [0.025, 0.975])
    return Interval(value, float(low), float(high), _LEVEL)
