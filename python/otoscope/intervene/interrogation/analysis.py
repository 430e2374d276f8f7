"""From answers to results: searches, flips, pairs to listen to, the verdict."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from otoscope.intervene.interrogation.curves import Answers, dose_curves
from otoscope.intervene.interrogation.result import ClassFlips, Flip, InterrogationResult, Item
from otoscope.intervene.interrogation.session import Tries, curve_seed
from otoscope.intervene.interrogation.verdict import (
    LEVEL,
    Evidence,
    SearchResult,
    decide,
)
from otoscope.intervene.statistics.chance import chance_level
from otoscope.intervene.statistics.significance import mcnemar
from otoscope.metrics import Interval

__all__ = ["analyse", "best_renaming"]


def analyse(
    answers: Answers,
    tries: Tries | None,
    *,
    names: Sequence[str],
    groups: Sequence[str] | None,
    confound: Interval | None,
    columns: Sequence[str] | None,
    settings: Mapping[str, Any],
) -> InterrogationResult:
    """Compute all results; ``tries`` are the answers to compositions, if there was a budget.

    ``columns`` are those of the system's scores, if it returned scores.
    """
    goals, scores = frozenset(settings["search"]), answers.scores
    searches = _grid_searches(answers, goals)
    if tries:
        tried, control = tries
        searches += (_search("compositions", answers, goals, tries=tried, control=control),)
    labels, before = answers.labels.tolist(), answers.answers[:, 0].tolist()
    chance = None
    if answers.has_labels:
        chance = chance_level(
            labels,
            before,
            groups=groups,
            metric=settings["metric"],
            n_draws=settings["n_draws"],
            seed=settings["seed"],
        )
    evidence = Evidence(
        baseline=scores.estimate(answers.right[:, 0]),
        chance=chance,
        confound=confound,
        curves=dose_curves(answers),
        searches=searches,
        n_groups=len(set(groups or range(len(names)))),
        max_change=settings["max_change"],
        n_items=len(names),
    )
    duration = settings["duration"]
    return InterrogationResult(
        metric=settings["metric"],
        classes=tuple(sorted(set(labels))),
        has_labels=answers.has_labels,
        items=tuple(map(Item, names, labels, groups or names, before)),
        baseline=evidence.baseline,
        chance=chance,
        confound=confound,
        curves=evidence.curves,
        searches=searches,
        flips=_class_flips(answers),
        pairs=_pairs(answers, names, partial(curve_seed, settings["seed"]), duration=duration),
        verdict=decide(evidence),
        max_change=evidence.max_change,
        duration=duration,
        settings=settings,
        min_score=settings["min_score"],
        columns=None if columns is None else tuple(columns),
        renaming=best_renaming(labels, before) if answers.has_labels else None,
    )


def _grid_searches(answers: Answers, goals: frozenset[str]) -> tuple[SearchResult, ...]:
    """Choose the best and the worst of each intervention's doses, and of its placebos."""
    return tuple(
        _search(
            intervention.name,
            answers,
            goals,
            tries=answers.answers[:, answers.grid.columns(index)],
            control=answers.answers[:, answers.grid.columns(index, placebo=True)],
        )
        for index, intervention in enumerate(answers.grid.interventions)
        if intervention.label_preserving
    )


def _search(
    name: str,
    answers: Answers,
    goals: frozenset[str],
    *,
    tries: NDArray[np.str_],
    control: NDArray[np.str_],
) -> SearchResult:
    """Score the best and the worst of each item's tries.

    ``tries`` and ``control`` are arrays of str [item, try], answers to changed items and to
    placebos; "" where a try was not needed. Controls are None if there are fewer placebos than
    tries; inflated and deflated are None without labels or if they are not goals.
    """
    scores, labels = answers.scores, answers.labels
    before = answers.answers[:, :1]
    result = SearchResult(name, tries.shape[1], None, None, None)
    has_control = control.shape[1] == tries.shape[1] > 0
    reached = np.concatenate([before, tries], 1)
    controls = np.concatenate([before, control], 1)
    if answers.has_labels:
        frequency = np.array([(before == label).mean() for label in labels])
        n_tries = 1 + tries.shape[1]  # with those not needed: they would change nothing
        if "inflate" in goals:
            result = replace(
                result,
                inflated=scores.estimate(_any_right(reached, labels)),
                control_inflated=(
                    scores.estimate(_any_right(controls, labels)) if has_control else None
                ),
                coin_inflated=scores.score(1 - (1 - frequency) ** n_tries),
            )
        if "deflate" in goals:
            result = replace(
                result,
                deflated=scores.estimate(_all_right(reached, labels)),
                control_deflated=(
                    scores.estimate(_all_right(controls, labels)) if has_control else None
                ),
                coin_deflated=scores.score(frequency**n_tries),
            )
    if "any" in goals:
        result = replace(
            result,
            reachable=scores.mean(_n_different(reached)),
            control_reachable=scores.mean(_n_different(controls)) if has_control else None,
        )
    return result


def _class_flips(answers: Answers) -> tuple[ClassFlips, ...]:
    """Count, for each class, the items whose answer a label-preserving dose changes."""
    right, columns = answers.right, answers.label_preserving_columns
    flips = []
    for label in sorted(set(answers.labels.tolist())):
        rows = np.flatnonzero(answers.labels == label)
        before, after = right[rows, 0], right[rows][:, columns]
        others = [set(answers.answers[row, columns]) - {answers.answers[row, 0]} for row in rows]
        flips.append(
            ClassFlips(
                label=label,
                n=len(rows),
                right=int(before.sum()),
                lost=int((before & ~after.all(1)).sum()),
                gained=int((~before & after.any(1)).sum()),
                to=dict(Counter(str(one) for other in others for one in sorted(other))),
            )
        )
    return tuple(flips)


def _pairs(
    answers: Answers,
    names: Sequence[str],
    seed: Callable[[int, int], int],
    *,
    duration: float | None,
    most: int = 12,
) -> tuple[Flip, ...]:
    """Choose flips to listen to: the smallest fraction of a dose first, no item twice.

    Interventions take turns, and at one dose the classes, so that flips of each are heard.
    """
    conditions, table = answers.grid.conditions, answers.answers
    greatest = [
        max((abs(conditions[c].dose) for c in answers.grid.columns(i)), default=1.0)
        for i in range(len(answers.grid.interventions))
    ]
    candidates: dict[int, list[tuple[float, int, int, int]]] = {}
    turns: Counter[tuple[int, float, str]] = Counter()
    for column in answers.label_preserving_columns:
        condition = conditions[column]
        size = abs(condition.dose) / greatest[condition.curve]
        for item in np.flatnonzero(table[:, column] != table[:, 0]).tolist():
            place = (condition.curve, size, str(answers.labels[item]))
            candidates.setdefault(condition.curve, []).append((size, turns[place], item, column))
            turns[place] += 1
    queues = [sorted(flips) for _, flips in sorted(candidates.items())]
    pairs: dict[int, Flip] = {}
    while any(queues) and len(pairs) < most:
        for queue in queues:
            while queue and queue[0][2] in pairs:
                queue.pop(0)
            if queue and len(pairs) < most:
                _, _, item, column = queue.pop(0)
                pairs[item] = Flip(
                    item=item,
                    name=names[item],
                    label=str(answers.labels[item]),
                    before=str(table[item, 0]),
                    after=str(table[item, column]),
                    intervention=conditions[column].intervention,
                    seed=seed(answers.indices[item], conditions[column].curve),
                    duration=duration,
                )
    return tuple(pairs.values())


def best_renaming(labels: Sequence[str], answers: Sequence[str]) -> dict[str, str] | None:
    """Rename a system's answers so that most of them are right; None if that shows no confusion.

    The names of answers are confused if more answers are right under the other names by McNemar's
    exact test, with Bonferroni's correction for all orders of the names.
    """
    from scipy.optimize import linear_sum_assignment

    names, codes = np.unique([*labels, *answers], return_inverse=True)
    truth, answered = np.split(codes, 2)
    table = np.zeros((len(names), len(names)))
    np.add.at(table, (answered, truth), 1 / np.bincount(truth, minlength=len(names))[truth])
    new = linear_sum_assignment(table + 1e-9 * np.eye(len(names)), maximize=True)[1]
    after = new[answered] == truth
    p = mcnemar(answered == truth, after)
    is_better = after.sum() > (answered == truth).sum()
    if not is_better or math.log(max(p, 1e-300)) + math.lgamma(len(names) + 1) > math.log(LEVEL):
        return None
    return {str(names[i]): str(names[j]) for i, j in enumerate(new.tolist()) if i != j}


def _any_right(answers: NDArray[np.str_], labels: NDArray[np.str_]) -> NDArray[np.bool_]:
    right: NDArray[np.bool_] = (answers == labels[:, None]).any(1)
    return right


def _all_right(answers: NDArray[np.str_], labels: NDArray[np.str_]) -> NDArray[np.bool_]:
    right: NDArray[np.bool_] = ((answers == labels[:, None]) | (answers == "")).all(1)
    return right


def _n_different(answers: NDArray[np.str_]) -> NDArray[np.int64]:
    return np.array([len(set(row) - {""}) for row in answers.tolist()])
