"""Dose curves: each dose compared with the unchanged items, and with its placebo."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from otoscope.intervene.interrogation.conditions import ConditionGrid
from otoscope.intervene.interrogation.verdict import DoseCurve, DosePoint
from otoscope.intervene.statistics.bootstrap import GroupBootstrap
from otoscope.intervene.statistics.power import LEVEL
from otoscope.intervene.statistics.significance import cochran_q, fisher_falls, holm, mcnemar

__all__ = ["Answers", "dose_curves"]


@dataclass(frozen=True, eq=False)
class Answers:
    """Answers of a system on a grid.

    ``answers`` is an array of str [item, condition], whose column 0 belongs to the unchanged items;
    ``labels`` are the right answers [item], which are column 0 if ``has_labels`` is False;
    ``scores`` computes scores of these items; ``indices`` are the items' own, from which the seeds
    of their renderings come.
    """

    grid: ConditionGrid
    answers: NDArray[np.str_]
    labels: NDArray[np.str_]
    has_labels: bool
    scores: GroupBootstrap
    indices: Sequence[int]

    @property
    def right(self) -> NDArray[np.bool_]:
        """Whether each answer is right: [item, condition]."""
        right: NDArray[np.bool_] = self.answers == self.labels[:, None]
        return right

    @property
    def label_preserving_columns(self) -> list[int]:
        """Columns of the doses, without placebos, of label-preserving interventions."""
        return [
            column
            for curve, intervention in enumerate(self.grid.interventions)
            if intervention.label_preserving
            for column in self.grid.columns(curve)
        ]


def dose_curves(answers: Answers) -> tuple[DoseCurve, ...]:
    """Compare each dose with the unchanged items, and correct p-values for their number."""
    curves, lost = [], _lost_classes(answers)
    for index, intervention in enumerate(answers.grid.interventions):
        columns = answers.grid.columns(index)
        placebos = answers.grid.columns(index, placebo=True)
        placebo_of = _placebos_by_column(answers.grid, columns, placebos)
        q = cochran_q(answers.right[:, [0, *columns]]) if answers.has_labels else None
        curves.append(
            DoseCurve(
                name=intervention.name,
                unit=intervention.unit,
                label_preserving=intervention.label_preserving,
                points=tuple(
                    _point(answers, column, lost, placebo=placebo_of.get(column))
                    for column in columns
                ),
                placebo=tuple(_point(answers, column, lost) for column in placebos),
                q=q,
            )
        )
    return _corrected(curves) if answers.has_labels else tuple(curves)


def _lost_classes(answers: Answers) -> dict[int, tuple[str, ...]]:
    """Find the classes that lose beyond doubt, by column of label-preserving changes (rule 2)."""
    names, codes = np.unique(answers.labels, return_inverse=True)
    columns = [
        column
        for curve, intervention in enumerate(answers.grid.interventions)
        if intervention.label_preserving
        for placebo in (False, True)
        for column in answers.grid.columns(curve, placebo=placebo)
    ]
    n_items, right = np.bincount(codes), answers.right
    n_right = np.stack([np.bincount(codes, right[:, column]) for column in [0, *columns]])
    p = fisher_falls(n_right[:1], n_right[1:], n_items)
    is_significant = np.reshape(holm(p.ravel().tolist()), p.shape) < LEVEL
    lost: dict[int, tuple[str, ...]] = {}
    for column, of_classes in zip(columns, is_significant, strict=True):
        if of_classes.any():
            changes = answers.scores.recall_differences(right[:, 0], right[:, column])
            lost[column] = tuple(
                name for name in names[of_classes].tolist() if changes[name].high < 0
            )
    return lost


def _placebos_by_column(
    grid: ConditionGrid, columns: Sequence[int], placebos: Sequence[int]
) -> dict[int, int]:
    """Map the columns of doses to those of their placebos."""
    by_dose = {grid.conditions[column].dose: column for column in placebos}
    pairs = ((column, by_dose.get(grid.conditions[column].dose)) for column in columns)
    return {column: placebo for column, placebo in pairs if placebo is not None}


def _point(
    answers: Answers,
    column: int,
    lost: Mapping[int, tuple[str, ...]],
    *,
    placebo: int | None = None,
) -> DosePoint:
    """Compare a dose with the unchanged items, and with its placebo."""
    right, scores = answers.right, answers.scores
    before, after = right[:, 0], right[:, column]
    condition = answers.grid.conditions[column]
    test = mcnemar if scores.groups is None else scores.sign_flips
    control = before if placebo is None else right[:, placebo]
    is_spared = set(lost.get(column, ())) - set(lost.get(placebo, ()) if placebo else ())
    return DosePoint(
        intervention=str(condition.intervention),
        dose=condition.dose,
        score=scores.estimate(after),
        change=scores.difference(before, after),
        gained=int((after & ~before).sum()),
        lost=int((before & ~after).sum()),
        moved=scores.mean(answers.answers[:, column] != answers.answers[:, 0], bounds=(0, 1)),
        p=test(before, after) if answers.has_labels else None,
        p_holm=None,
        lost_classes=tuple(sorted(is_spared)),
        against_placebo=None if placebo is None else scores.difference(control, after),
        p_placebo=test(control, after) if placebo and answers.has_labels else None,
        bound=scores.difference(control, after, level=1 - 2 * LEVEL),
    )


def _corrected(curves: Sequence[DoseCurve]) -> tuple[DoseCurve, ...]:
    """Apply Holm's correction over all label-preserving doses and placebos, and over the others.

    Comparisons with placebos are corrected for the number of theirs.
    """
    corrected = list(curves)
    for claim in (True, False):
        of_claim = [c for c in curves if c.label_preserving == claim]
        points = [p for c in of_claim for p in (*c.points, *c.placebo)]
        p_holm = iter(holm([point.p for point in points if point.p is not None]))
        p_placebo = iter(holm([p.p_placebo for p in points if p.p_placebo is not None]))
        for index, curve in enumerate(curves):
            if curve.label_preserving == claim:
                doses, placebos = (
                    tuple(
                        replace(
                            point,
                            p_holm=next(p_holm),
                            p_placebo_holm=None if point.p_placebo is None else next(p_placebo),
                        )
                        for point in of_curve
                    )
                    for of_curve in (curve.points, curve.placebo)
                )
                corrected[index] = replace(curve, points=doses, placebo=placebos)
    return tuple(corrected)
