"""Say beforehand how many items an interrogation takes: `otoscope interrogate --plan`."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from otoscope import records
from otoscope.documents import document
from otoscope.errors import ParameterError
from otoscope.intervene.interrogation.conditions import make_grid
from otoscope.intervene.interrogation.items import Features, Sounds
from otoscope.intervene.statistics.bootstrap import MetricName
from otoscope.intervene.statistics.power import (
    POWER,
    AnswerNoise,
    groups_needed,
    items_needed,
    probability_to_clear,
)
from otoscope.workflows.interrogate.config import (
    InterrogateConfig,
    check_options,
    doses_of,
    prepared,
)

__all__ = ["BOUNDS", "FLIPS", "NeededItems", "SizeResult", "plan_size", "size_table"]

BOUNDS = (2.0, 3.0, 5.0, 10.0)
"""Bounds of the table, in points, beside that of the configuration."""

FLIPS = (0.02, 0.05, 0.1)
"""Fractions of items that are right at one of dose and placebo only."""

CORRELATION = 0.1
"""Correlation of the differences between items of one group; trained systems had less, .05."""


@dataclass(frozen=True)
class NeededItems:
    """Items and groups that clear a system, and the probability that the items at hand do.

    Parameters
    ----------
    bound : float
        Bound of the change of the score, in points.
    flips : float
        Fraction of items that are right at one of dose and placebo only.
    n_items, n_groups : int
        Number of items and of groups that clear a system whose score does not move with
        probability 0.9.
    probability : float
        Probability that the items at hand clear it.

    Examples
    --------
    >>> NeededItems(5.0, 0.05, 400, 100, 0.6).n_items
    400
    """

    bound: float
    flips: float
    n_items: int
    n_groups: int
    probability: float


@dataclass(frozen=True)
class SizeResult:
    """Number of items at hand, and number needed for each bound and each fraction of flips.

    Parameters
    ----------
    n_items, n_groups, n_classes, n_doses : int
        Items, groups and classes at hand, and label-preserving doses.
    max_drop : float
        Bound of the configuration, in points.
    metric : {"mean_recall", "accuracy"}
        Metric of the score.
    needed : tuple of NeededItems
        One entry per bound and fraction of flips.

    Examples
    --------
    >>> plan_size(config).n_doses  # doctest: +SKIP
    6
    """

    n_items: int
    n_groups: int
    n_classes: int
    n_doses: int
    max_drop: float
    metric: MetricName
    needed: tuple[NeededItems, ...]

    def to_dict(self) -> dict[str, Any]:
        """Return all fields as a JSON document."""
        content = {**vars(self), "power": POWER, "correlation": CORRELATION}
        return document(
            "otoscope.InterrogationSize", 1, {**content, "versions": records.versions()}
        )


def plan_size(config: InterrogateConfig) -> SizeResult:
    """Compute how many items clear a system whose score does not move; no model is asked.

    Parameters
    ----------
    config : InterrogateConfig
        Data, interventions, doses, metric and bound.

    Returns
    -------
    SizeResult
        Items at hand and items needed.

    Raises
    ------
    ParameterError
        If a setting is wrong, or changes nothing here.

    Examples
    --------
    >>> plan_size(config).needed[0].n_items  # doctest: +SKIP
    1250
    """
    if config.model is not None:
        raise ParameterError(f"model is {config.model}; a plan asks no model, leave it out")
    check_options(config, "plan")
    items, interventions = prepared(config)
    kind: Any = (Features if isinstance(items.audio, Features) else Sounds).kind
    grid = make_grid(
        interventions, doses_of(interventions, config.doses, config.interventions), kind=kind
    )
    n_doses = sum(
        len(grid.columns(curve)) for curve, i in enumerate(grid.interventions) if i.label_preserving
    )
    if not n_doses:
        raise ParameterError("no change is label-preserving, so that none can be tested")
    n_items = len(items.audio.names if isinstance(items.audio, Features) else items.audio)
    n_groups = len(set(items.groups)) if items.groups else n_items
    metric = config.settings.metric_with(items.labels)
    rare = 1.0  # variance of the score beside that of as many items of equal classes
    if metric == "mean_recall" and items.labels:
        counts = Counter(items.labels).values()
        rare = n_items * sum(1 / n for n in counts) / len(counts) ** 2
    return SizeResult(
        n_items=n_items,
        n_groups=n_groups,
        n_classes=len(set(items.labels or ())),
        n_doses=n_doses,
        max_drop=config.max_drop,
        metric=metric,
        needed=tuple(
            _needed(bound, flips, rare, n_items=n_items, n_groups=n_groups, n_doses=n_doses)
            for bound in sorted({*BOUNDS, config.max_drop} - {0.0})
            for flips in FLIPS
        ),
    )


def _needed(
    bound: float, flips: float, rare: float, *, n_items: int, n_groups: int, n_doses: int
) -> NeededItems:
    per_group = n_items / n_groups
    noise = AnswerNoise(flips, CORRELATION, per_group)
    error, least = noise.error * math.sqrt(rare), groups_needed(bound / 100)
    answers: Any = {"n_doses": n_doses, "design": noise.design * rare, "per_group": per_group}
    needed = items_needed(bound / 100, error, **answers)
    groups = max(least, math.ceil(needed / per_group))
    probability = probability_to_clear(n_items, bound / 100, error, **answers)
    return NeededItems(
        bound=bound,
        flips=flips,
        n_items=max(needed, math.ceil(least * per_group)),
        n_groups=groups,
        probability=probability if n_groups >= least else 0.0,
    )


def size_table(result: SizeResult) -> list[Sequence[str]]:
    """Tabulate items (groups) needed: one row per bound, one column per fraction of flips."""
    rows: list[Sequence[str]] = [("bound", *(f"{flips:.0%} flip" for flips in FLIPS))]
    for bound in sorted({one.bound for one in result.needed}):
        cells = [one for one in result.needed if one.bound == bound]
        rows.append(
            (
                f"{bound:g} points",
                *(f"{one.n_items:,} items ({one.n_groups:,} groups)" for one in cells),
            )
        )
    return rows
