"""The verdict of an interrogation, as a decision list: the first rule that matches decides.

1. *chance*: there are labels, and p > 0.05 for the score against shuffled answers; the rule is
   "worse_than_chance" if p < 0.05 for a score as low.
2. *horse*: for a label-preserving change,

   * at some dose the score moves: |change| > max_change, p < 0.05 after Holm's correction, and the
     interval of the change excludes 0 (without labels: the whole interval lies beyond max_change);
     where there is a placebo, the same holds of the difference from the placebo; or
   * at some dose |change| > max_change and a class loses that its placebo spares: p < 0.05 by
     Fisher's exact test after Holm's correction over all doses, placebos and classes, and the
     interval of the change of its recall excludes 0; or
   * with the dose chosen per item, the intervals of the best and of the worst score both lie
     further out than those of as many placebos (without placebos: than the baseline's), by more
     than max_change: answers turn both ways, though the score may stay.
3. *undecided*: no change is label-preserving.
4. *undecided*: the interval of a placebo's change lies beyond max_change: the artefacts of a
   rendering hide its change.
5. *undecided*: there are too few groups: if a fraction m = max_change of all groups moves, n
   groups show none of them with probability (1 - m)^n, which must be <= 0.05.
6. *undecided*: at some dose of a label-preserving change the difference from the placebo (where
   there is none: from the unchanged items) is not shown to lie within +-max_change, by two
   one-sided tests at the level 0.05, which is to say by its interval of 90 %.
7. *cleared*: the rest. Every dose has to pass, so there is no correction for their number.

The verdict holds facts; `otoscope.report.verdict_text` writes the sentences.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Literal

from otoscope.intervene.statistics.chance import ChanceLevel
from otoscope.intervene.statistics.power import LEVEL, error_of, groups_needed, items_needed
from otoscope.intervene.statistics.significance import CochranQ
from otoscope.metrics import Interval

__all__ = [
    "LEVEL",
    "DoseCurve",
    "DosePoint",
    "SearchResult",
    "Verdict",
    "decide",
    "has_moved",
]


@dataclass(frozen=True)
class DosePoint:
    """All items at one dose of one intervention, or at its placebo.

    Parameters
    ----------
    intervention : str
        Name, dose and unit.
    dose : float
        Dose in the unit of the curve; for a placebo, the dose that it applies and undoes.
    score : Interval
        Score of all items.
    change : Interval
        Score minus the score of the unchanged items, paired, in [-1, 1].
    gained, lost : int
        Number of items that became right, and wrong.
    moved : Interval
        Fraction of items whose answer differs from the answer to the unchanged item.
    p : float or None
        Test against the unchanged items: McNemar's exact test, or with groups by exchanges within
        groups; None without labels.
    p_holm : float or None
        The same p-value, corrected for all doses and placebos of all label-preserving
        interventions.
    lost_classes : tuple of str
        Classes that lose beyond doubt (rule 2), and do not at the placebo.
    against_placebo : Interval or None
        Score minus the score at the placebo of this dose, paired; None without a placebo.
    p_placebo, p_placebo_holm : float or None
        Test of that difference by exchanges within groups; the same, corrected for all doses with
        placebos.
    bound : Interval or None
        Interval of 90 % of `effect`: inside +-max_change it shows, at the level 0.05, that the
        score stays (rule 6). None: the 95 % interval of `effect` serves.

    Examples
    --------
    >>> result.curves[0].points[0].change.value  # doctest: +SKIP
    -0.31
    """

    intervention: str
    dose: float
    score: Interval
    change: Interval
    gained: int
    lost: int
    moved: Interval
    p: float | None
    p_holm: float | None
    lost_classes: tuple[str, ...] = ()
    against_placebo: Interval | None = None
    p_placebo: float | None = None
    p_placebo_holm: float | None = None
    bound: Interval | None = None

    @property
    def effect(self) -> Interval:
        """Difference from the placebo; where there is none, from the unchanged items."""
        return self.change if self.against_placebo is None else self.against_placebo


@dataclass(frozen=True)
class DoseCurve:
    """Dose and response of one intervention.

    Parameters
    ----------
    name, unit : str
        Name of the intervention and unit of its dose.
    label_preserving : bool
        Claim that the right answer stays; False for a positive control.
    points : tuple of DosePoint
        Doses in rising order, without 0.
    placebo : tuple of DosePoint
        The placebo of each dose; empty where there is none.
    q : CochranQ or None
        Cochran's Q over all doses and the unchanged items; None without labels.

    Examples
    --------
    >>> result.curves[0].worst.intervention  # doctest: +SKIP
    'tempo +6 %'
    """

    name: str
    unit: str
    label_preserving: bool
    points: tuple[DosePoint, ...]
    placebo: tuple[DosePoint, ...]
    q: CochranQ | None

    @property
    def worst(self) -> DosePoint:
        """The dose whose score differs most from that of the unchanged items."""
        return max(self.points, key=lambda point: abs(point.change.value))


@dataclass(frozen=True)
class SearchResult:
    """Scores when the best, or the worst, of several tries is chosen for each item.

    Parameters
    ----------
    name : str
        Name of the intervention searched over; "compositions" for several in a row.
    tries : int
        Number of renderings per item, besides the unchanged one.
    inflated : Interval or None
        Score if one right answer among all tries is enough.
    deflated : Interval or None
        Score if all answers must be right.
    reachable : Interval or None
        Mean number of different answers per item.
    control_inflated, control_deflated, control_reachable : Interval or None
        The same for as many placebos; None where there are none.
    coin_inflated, coin_deflated : float or None
        Expected scores in as many tries of random answers with the distribution of the system's
        answers to the unchanged items.

    Examples
    --------
    >>> result.searches[0].tries  # doctest: +SKIP
    6
    """

    name: str
    tries: int
    inflated: Interval | None
    deflated: Interval | None
    reachable: Interval | None
    control_inflated: Interval | None = None
    control_deflated: Interval | None = None
    control_reachable: Interval | None = None
    coin_inflated: float | None = None
    coin_deflated: float | None = None


Kind = Literal["horse", "cleared", "undecided", "chance"]
Rule = Literal[
    "chance",
    "worse_than_chance",
    "moved",
    "nothing_claimed",
    "placebo_moves",
    "intervals_too_wide",
    "too_few_groups",
    "within_bound",
]


@dataclass(frozen=True)
class Verdict:
    """The rule that matched, and the facts that it rests on.

    Parameters
    ----------
    kind : {"horse", "cleared", "undecided", "chance"}
        Answers move with a change that should not matter; they do not, within the bound; too few
        items to tell; the score is no better than answers in random order.
    rule : str
        Rule of the decision list that matched: "chance", "worse_than_chance", "moved",
        "nothing_claimed", "placebo_moves", "too_few_groups", "intervals_too_wide" or
        "within_bound".
    curves : tuple of str
        Names of the dose curves that the rule is about.
    n_groups : int
        Number of groups of items, over which intervals are taken.
    n_groups_needed : int or None
        Smallest number of groups that can clear a system; None if no number can.
    n_items_needed : int or None
        Number of items, in groups of the same size, that would clear a system whose score does not
        move, with probability 0.9, if answers vary as much as here; None if no number can.
    confound_explains_score : bool
        Whether the confound alone may score as well as the system.
    moving_placebos : tuple of str
        Names of label-preserving curves whose placebos move the score as well.
    ineffective_controls : tuple of str
        Names of positive controls that did not move the answers.

    Examples
    --------
    >>> Verdict("chance", "chance", (), n_groups=20, n_groups_needed=59).kind
    'chance'
    """

    kind: Kind
    rule: Rule
    curves: tuple[str, ...]
    n_groups: int
    n_groups_needed: int | None
    confound_explains_score: bool = False
    moving_placebos: tuple[str, ...] = ()
    ineffective_controls: tuple[str, ...] = ()
    n_items_needed: int | None = None


@dataclass(frozen=True)
class Evidence:
    """The measurements that a verdict rests on, as in `InterrogationResult`."""

    baseline: Interval
    chance: ChanceLevel | None
    confound: Interval | None
    curves: tuple[DoseCurve, ...]
    searches: tuple[SearchResult, ...]
    n_groups: int
    max_change: float
    n_items: int = 0


def decide(evidence: Evidence) -> Verdict:
    """Apply the decision list of this module."""
    claimed = [curve for curve in evidence.curves if curve.label_preserving]
    kind, rule, about = _first_match(evidence, claimed)
    placebo_moves = [curve.name for curve in claimed if _is_hidden(curve, evidence.max_change)]
    ineffective = [
        curve.name
        for curve in evidence.curves
        if not curve.label_preserving and not _curve_moves(curve, evidence)
    ]
    confound = evidence.confound
    return Verdict(
        kind=kind,
        rule=rule,
        curves=tuple(curve.name for curve in about),
        n_groups=evidence.n_groups,
        n_groups_needed=_groups_needed(evidence.max_change),
        confound_explains_score=confound is not None and confound.high >= evidence.baseline.low,
        moving_placebos=tuple(placebo_moves),
        ineffective_controls=tuple(ineffective),
        n_items_needed=_items_needed(evidence, claimed),
    )


def _first_match(
    evidence: Evidence, claimed: Sequence[DoseCurve]
) -> tuple[Kind, Rule, Sequence[DoseCurve]]:
    """Return the verdict's kind, the rule that matches first, and the curves that it is about."""
    if evidence.chance is not None and evidence.chance.p > LEVEL:
        is_worse = evidence.chance.p_below < LEVEL
        return "chance", "worse_than_chance" if is_worse else "chance", ()
    if moving := [curve for curve in claimed if _curve_moves(curve, evidence)]:
        return "horse", "moved", moving
    if not claimed:
        return "undecided", "nothing_claimed", ()
    if hidden := [curve for curve in claimed if _is_hidden(curve, evidence.max_change)]:
        return "undecided", "placebo_moves", hidden
    if (1 - evidence.max_change) ** evidence.n_groups > LEVEL:
        return "undecided", "too_few_groups", claimed
    if wide := [curve for curve in claimed if not _is_bounded(curve, evidence.max_change)]:
        return "undecided", "intervals_too_wide", wide
    return "cleared", "within_bound", claimed


def has_moved(point: DosePoint, max_change: float) -> bool:
    """Whether a score changed by more than ``max_change``, or a class lost, not by chance.

    Where there is a placebo, the score must differ as much from the score at the placebo.
    """
    if point.lost_classes and abs(point.change.value) > max_change:
        return True
    moves = _is_beyond(point.change, point.p_holm, max_change)
    against = point.against_placebo
    return moves and (against is None or _is_beyond(against, point.p_placebo_holm, max_change))


def _is_beyond(change: Interval, p: float | None, max_change: float) -> bool:
    if p is None:
        return max(-change.high, change.low) > max_change
    return p < LEVEL and (change.low > 0 or change.high < 0) and abs(change.value) > max_change


def _is_hidden(curve: DoseCurve, max_change: float) -> bool:
    """Whether a placebo is shown to move the score by more than ``max_change``.

    Its whole interval must lie beyond: an honest system is not blocked by an artefact within the
    bound that was measured to be a little larger.
    """
    changes = [point.change for point in curve.placebo]
    return any(max(-change.high, change.low) > max_change for change in changes)


def _items_needed(evidence: Evidence, claimed: Sequence[DoseCurve]) -> int | None:
    """Extrapolate from the widths of the bounds, which fall with the root of the number of items.

    Widths are averaged over the doses of a curve, as they depend on few flips; the widest curve
    counts. The probability 0.9 is shared by all doses, as if they were independent.
    """
    bounds = [
        [point.bound for point in curve.points if point.bound is not None] for curve in claimed
    ]
    bounds = [of_curve for of_curve in bounds if of_curve]
    if not bounds or not evidence.max_change or not evidence.n_items:
        return None
    half = max(fmean(((b.high - b.low) / 2) ** 2 for b in of_curve) for of_curve in bounds) ** 0.5
    per_group = evidence.n_items / evidence.n_groups
    needed = items_needed(
        evidence.max_change,
        error=error_of(half, evidence.n_items, per_group=per_group),
        n_doses=sum(map(len, bounds)),
        per_group=per_group,
    )
    return max(needed, math.ceil((_groups_needed(evidence.max_change) or 0) * per_group))


def _groups_needed(max_change: float) -> int | None:
    """Return the least n with (1 - max_change)^n <= LEVEL; None if there is none."""
    return groups_needed(max_change) if max_change else None


def _curve_moves(curve: DoseCurve, evidence: Evidence) -> bool:
    searches: Sequence[SearchResult] = [s for s in evidence.searches if s.name == curve.name]
    return any(has_moved(point, evidence.max_change) for point in curve.points) or any(
        _turns_both_ways(search, evidence) for search in searches
    )


def _turns_both_ways(search: SearchResult, evidence: Evidence) -> bool:
    """Whether best and worst scores both lie beyond those of placebos, by more than max_change."""
    if search.inflated is None or search.deflated is None:
        return False
    best = search.control_inflated or evidence.baseline
    worst = search.control_deflated or evidence.baseline
    rise, fall = search.inflated.low - best.high, worst.low - search.deflated.high
    return min(rise, fall) > evidence.max_change


def _is_bounded(curve: DoseCurve, max_change: float) -> bool:
    bounds = [_bound(point) for point in curve.points]
    return all(-max_change <= bound.low and bound.high <= max_change for bound in bounds)


def _bound(point: DosePoint) -> Interval:
    return point.effect if point.bound is None else point.bound
