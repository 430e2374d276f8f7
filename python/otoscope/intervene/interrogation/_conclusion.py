"""From answers to everything an interrogation reports."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

from otoscope.intervene.interrogation._asking import Tries, grid_seed
from otoscope.intervene.interrogation._findings import (
    Answers,
    class_flips,
    dose_curves,
    grid_searches,
    search_of,
    some_pairs,
)
from otoscope.intervene.interrogation.result import Interrogated, Item
from otoscope.intervene.interrogation.verdict import Evidence, judge_score
from otoscope.intervene.statistics.bootstrap import Chance, Interval, chance

__all__ = ["conclude"]


def conclude(
    answers: Answers,
    tried: Tries | None,
    *,
    names: Sequence[str],
    groups: Sequence[str] | None,
    confound: Interval | None,
    settings: Mapping[str, Any],
) -> Interrogated:
    """Draw all conclusions from what was said.

    Parameters
    ----------
    answers : Answers
        To the grid.
    tried : Tries or None
        Answers to compositions, if there was a budget.
    names : sequence of str [item]
        Of the items.
    groups : sequence of str [item], optional
        What they share.
    confound : Interval or None
        Score of the confound alone.
    settings : mapping
        Of the run: fields of `InterrogationSettings`, "duration", "search", ...

    Returns
    -------
    Interrogated
        Curves, searches, flips, pairs and verdict.

    Examples
    --------
    >>> conclude(answers, None, names=names, groups=None, confound=None, settings={})
    ... # doctest: +SKIP
    """
    goals, scores = frozenset(settings["search"]), answers.scores
    searches = grid_searches(answers, goals)
    if tried:
        told, control = tried
        searches += (search_of("compositions", answers, goals, tries=told, control=control),)
    evidence = Evidence(
        figure=settings["figure"],
        baseline=scores.estimate(answers.right[:, 0]),
        chance=_chance(answers, groups, settings) if answers.has_labels else None,
        confound=confound,
        curves=dose_curves(answers),
        searches=searches,
        n_groups=len(set(groups or range(len(names)))),
        max_change=settings["max_change"],
    )
    labels, before = answers.labels.tolist(), answers.said[:, 0].tolist()
    items = map(Item, names, labels, groups or names, before)
    seed, duration = partial(grid_seed, settings["seed"]), settings["duration"]
    return Interrogated(
        figure=evidence.figure,
        classes=tuple(sorted(set(labels))),
        has_labels=answers.has_labels,
        items=tuple(items),
        baseline=evidence.baseline,
        chance=evidence.chance,
        confound=confound,
        curves=evidence.curves,
        searches=searches,
        flips=class_flips(answers),
        pairs=some_pairs(answers, names, seed, duration=duration),
        verdict=judge_score(evidence),
        max_change=evidence.max_change,
        duration=duration,
        settings=settings,
    )


def _chance(answers: Answers, groups: Sequence[str] | None, settings: Mapping[str, Any]) -> Chance:
    return chance(
        answers.labels.tolist(),
        answers.said[:, 0].tolist(),
        groups=groups,
        figure=settings["figure"],
        n_draws=settings["n_draws"],
        seed=settings["seed"],
    )
