"""From answers to findings: dose curves, searches, flips, and pairs to listen to."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from otoscope.intervene.interrogation._questions import Table
from otoscope.intervene.interrogation.result import (
    ClassFlips,
    Curve,
    Flip,
    Point,
    Search,
)
from otoscope.intervene.statistics.bootstrap import GroupBootstrap
from otoscope.intervene.statistics.significance import cochran_q, holm, mcnemar

__all__ = ["Answers", "class_flips", "dose_curves", "grid_searches", "search_of", "some_pairs"]


@dataclass(frozen=True, eq=False)
class Answers:
    """Everything that was said on a grid.

    Parameters
    ----------
    table : Table
        The questions.
    said : array of str [item, question]
        The answers; column 0 to the unchanged items.
    labels : array of str [item]
        The right answers.
    has_labels : bool
        False: the labels are column 0.
    scores : GroupBootstrap
        Of these items.
    """

    table: Table
    said: NDArray[np.str_]
    labels: NDArray[np.str_]
    has_labels: bool
    scores: GroupBootstrap

    @property
    def right(self) -> NDArray[np.bool_]:
        """Whether each answer is right: [item, question]."""
        right: NDArray[np.bool_] = self.said == self.labels[:, None]
        return right

    @property
    def irrelevant_columns(self) -> list[int]:
        """The doses, without placebos, of interventions claimed irrelevant."""
        return [
            column
            for curve, intervention in enumerate(self.table.interventions)
            if intervention.irrelevant
            for column in self.table.columns(curve)
        ]


def dose_curves(answers: Answers) -> tuple[Curve, ...]:
    """Measure each dose against the unchanged items, and correct for the number of them."""
    curves = []
    for index, intervention in enumerate(answers.table.interventions):
        columns = answers.table.columns(index)
        backs = answers.table.columns(index, placebo=True)
        q = cochran_q(answers.right[:, [0, *columns]]) if answers.has_labels else None
        curves.append(
            Curve(
                name=intervention.name,
                unit=intervention.unit,
                irrelevant=intervention.irrelevant,
                points=tuple(_point(answers, column) for column in columns),
                placebo=tuple(_point(answers, column) for column in backs),
                q=q,
            )
        )
    return _corrected(curves) if answers.has_labels else tuple(curves)


def grid_searches(answers: Answers, goals: frozenset[str]) -> tuple[Search, ...]:
    """Take the best and the worst of each intervention's doses, beside those of its placebos."""
    return tuple(
        search_of(
            intervention.name,
            answers,
            goals,
            tries=answers.said[:, answers.table.columns(index)],
            control=answers.said[:, answers.table.columns(index, placebo=True)],
        )
        for index, intervention in enumerate(answers.table.interventions)
        if intervention.irrelevant
    )


def search_of(
    name: str,
    answers: Answers,
    goals: frozenset[str],
    *,
    tries: NDArray[np.str_],
    control: NDArray[np.str_],
) -> Search:
    """Say what an item's tries come to.

    Parameters
    ----------
    name : str
        What was searched over.
    answers : Answers
        To the unchanged items.
    goals : frozenset of str
        What was searched for.
    tries, control : array of str [item, try]
        What was said of changed items and of placebos; "" where a try was not needed.

    Returns
    -------
    Search
        Controls are None if there are fewer placebos than tries; inflated and deflated are None
        without labels, or where the search was not for them.

    Examples
    --------
    >>> search_of("tempo", answers, goals, tries=tries, control=control)  # doctest: +SKIP
    """
    scores, labels = answers.scores, answers.labels
    before = answers.said[:, :1]
    found = Search(name, tries.shape[1], None, None, None)
    matched = control.shape[1] == tries.shape[1] > 0
    reached = np.concatenate([before, tries], 1)
    held = np.concatenate([before, control], 1)
    if answers.has_labels:
        share = np.array([(before == label).mean() for label in labels])
        chances = 1 + tries.shape[1]  # those not needed as well: they would change nothing
        if "inflate" in goals:
            found = replace(
                found,
                inflated=scores.estimate(_any_right(reached, labels)),
                control_inflated=scores.estimate(_any_right(held, labels)) if matched else None,
                coin_inflated=scores.score(1 - (1 - share) ** chances),
            )
        if "deflate" in goals:
            found = replace(
                found,
                deflated=scores.estimate(_all_right(reached, labels)),
                control_deflated=scores.estimate(_all_right(held, labels)) if matched else None,
                coin_deflated=scores.score(share**chances),
            )
    if "any" in goals:
        found = replace(
            found,
            reachable=scores.share(_n_different(reached)),
            control_reachable=scores.share(_n_different(held)) if matched else None,
        )
    return found


def class_flips(answers: Answers) -> tuple[ClassFlips, ...]:
    """Count, class by class, the items whose answer an irrelevant dose turns over."""
    right, columns = answers.right, answers.irrelevant_columns
    flips = []
    for label in sorted(set(answers.labels.tolist())):
        rows = np.flatnonzero(answers.labels == label)
        before, after = right[rows, 0], right[rows][:, columns]
        others = [set(answers.said[row, columns]) - {answers.said[row, 0]} for row in rows]
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


def some_pairs(
    answers: Answers,
    names: Sequence[str],
    seed: Callable[[int, int], int],
    *,
    duration: float | None,
    most: int = 12,
) -> tuple[Flip, ...]:
    """Choose flips to listen to: the smallest share of a dose first, no item twice.

    Interventions take turns, and at one size the classes, so that each that flips is heard.
    """
    table, said = answers.table, answers.said
    greatest = [
        max((abs(table.questions[c].dose) for c in table.columns(i)), default=1.0)
        for i in range(len(table.interventions))
    ]
    found: dict[int, list[tuple[float, int, int, int]]] = {}
    turns: Counter[tuple[int, float, str]] = Counter()
    for column in answers.irrelevant_columns:
        question = table.questions[column]
        size = abs(question.dose) / greatest[question.curve]
        for item in np.flatnonzero(said[:, column] != said[:, 0]).tolist():
            place = (question.curve, size, str(answers.labels[item]))
            found.setdefault(question.curve, []).append((size, turns[place], item, column))
            turns[place] += 1
    queues = [sorted(flips) for _, flips in sorted(found.items())]
    pairs: dict[int, Flip] = {}
    while any(queues) and len(pairs) < most:
        for queue in queues:
            while queue and queue[0][2] in pairs:
                queue.pop(0)
            if queue and len(pairs) < most:
                _, _, item, column = queue.pop(0)
                curve = table.questions[column].curve
                pairs[item] = Flip(
                    item=item,
                    name=names[item],
                    label=str(answers.labels[item]),
                    before=str(said[item, 0]),
                    after=str(said[item, column]),
                    intervention=table.questions[column].intervention,
                    seed=seed(item, curve),
                    duration=duration,
                )
    return tuple(pairs.values())


def _point(answers: Answers, column: int) -> Point:
    right, scores = answers.right, answers.scores
    before, after = right[:, 0], right[:, column]
    question = answers.table.questions[column]
    return Point(
        intervention=str(question.intervention),
        dose=question.dose,
        score=scores.estimate(after),
        change=scores.difference(before, after),
        gained=int((after & ~before).sum()),
        lost=int((before & ~after).sum()),
        moved=scores.share(answers.said[:, column] != answers.said[:, 0]),
        p=mcnemar(before, after) if answers.has_labels else None,
        p_holm=None,
    )


def _corrected(curves: Sequence[Curve]) -> tuple[Curve, ...]:
    """Holm's correction over all doses and placebos claimed irrelevant, and over the others."""
    made = list(curves)
    for claim in (True, False):
        points = [p for c in curves if c.irrelevant == claim for p in (*c.points, *c.placebo)]
        p_holm = iter(holm([point.p for point in points if point.p is not None]))
        for index, curve in enumerate(curves):
            if curve.irrelevant == claim:
                doses = tuple(replace(point, p_holm=next(p_holm)) for point in curve.points)
                backs = tuple(replace(point, p_holm=next(p_holm)) for point in curve.placebo)
                made[index] = replace(curve, points=doses, placebo=backs)
    return tuple(made)


def _any_right(said: NDArray[np.str_], labels: NDArray[np.str_]) -> NDArray[np.bool_]:
    right: NDArray[np.bool_] = (said == labels[:, None]).any(1)
    return right


def _all_right(said: NDArray[np.str_], labels: NDArray[np.str_]) -> NDArray[np.bool_]:
    right: NDArray[np.bool_] = ((said == labels[:, None]) | (said == "")).all(1)
    return right


def _n_different(said: NDArray[np.str_]) -> NDArray[np.int64]:
    return np.array([len(set(row) - {""}) for row in said.tolist()])
