"""The verdict: what a score is no evidence of.

A system is called a horse if, at some dose of a change claimed irrelevant, its score moves by more
than is tolerated and the exact test, corrected for all doses, says that this is no chance. It is
cleared if every interval stays within what is tolerated. All else is undecided.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from otoscope.intervene.interrogated import Curve, Point, Search, Verdict
from otoscope.intervene.statistics import Chance, Interval

__all__ = ["Evidence", "judge_score"]

_LEVEL = 0.05  # of the corrected tests
_NAMES = {"mean_recall": "mean recall", "accuracy": "accuracy"}


@dataclass(frozen=True)
class Evidence:
    """What a verdict rests on.

    Parameters
    ----------
    figure : str
        "mean_recall" or "accuracy".
    baseline : Interval
        Of the unchanged items.
    chance : Chance or None
        None without labels.
    confound : Interval or None
        Nearest neighbours on the confound alone.
    curves : tuple of Curve
        All of them.
    searches : tuple of Search
        All of them.
    max_change : float
        Tolerated, in 0..1.
    """

    figure: str
    baseline: Interval
    chance: Chance | None
    confound: Interval | None
    curves: tuple[Curve, ...]
    searches: tuple[Search, ...]
    max_change: float


def judge_score(found: Evidence) -> Verdict:
    """Put the findings into words.

    Parameters
    ----------
    found : Evidence
        Numbers.

    Returns
    -------
    Verdict
        Its sentence, evidence, what is not supported, and cautions.

    References
    ----------
    Sturm, "The 'Horse' Inside", 2016: a system's score says nothing of what it uses unless
    irrelevant factors are intervened on.

    Examples
    --------
    >>> judge_score(evidence).kind  # doctest: +SKIP
    'horse'
    """
    name = _NAMES[found.figure]
    score = f"the {name} of {_number(found.baseline.value)}"
    claimed = [curve for curve in found.curves if curve.irrelevant]
    moving = [curve for curve in claimed if any(_moves(p, found) for p in curve.points)]
    cautions = _cautions(found, claimed)
    if found.chance is not None and found.chance.p > _LEVEL:
        sentence = (
            f"no better than chance: {score} is what the same answers in random order reach "
            f"({_number(found.chance.low)} to {_number(found.chance.high)})"
        )
        return Verdict("chance", sentence, (), (f"{score} is no evidence of anything",), cautions)
    if moving:
        evidence = tuple(line for curve in moving for line in _evidence(curve, found))
        unsupported = tuple(
            f"{score} is not evidence that the system attends to what stays the same when the "
            f"{curve.name} changes by at most {_most(curve)}"
            for curve in moving
        )
        sentence = f"a horse: its answers move with {_and([curve.name for curve in moving])}"
        return Verdict("horse", sentence, evidence, unsupported, cautions)
    open_ = [curve for curve in claimed if not _is_bounded(curve, found.max_change)]
    held = tuple(_held(curve, found) for curve in claimed)
    nothing_more = (
        "that nothing else is relied on: only the changes named here were tried, up to these doses",
    )
    if open_:
        sentence = (
            f"undecided: {len(open_)} of {len(claimed)} changes may move the score by "
            f"more than {_points(found.max_change)} ({_and([curve.name for curve in open_])}); "
            "ask about more items"
        )
        return Verdict("undecided", sentence, held, nothing_more, cautions)
    sentence = (
        f"no horse found: {score} moves by no more than {_points(found.max_change)} under "
        f"{_and([f'{curve.name} up to {_most(curve)}' for curve in claimed])}"
        if claimed
        else "nothing was claimed irrelevant, so there is nothing to find"
    )
    return Verdict("cleared" if claimed else "undecided", sentence, held, nothing_more, cautions)


def _moves(point: Point, found: Evidence) -> bool:
    """Whether a score moved by more than is tolerated, and not by chance."""
    if abs(point.change.value) <= found.max_change:
        return False
    if point.p_holm is not None:
        return point.p_holm < _LEVEL
    return max(-point.change.high, point.change.low) > found.max_change  # no labels, no test


def _is_bounded(curve: Curve, max_change: float) -> bool:
    return all(
        -max_change <= point.change.low and point.change.high <= max_change
        for point in curve.points
    )


def _evidence(curve: Curve, found: Evidence) -> list[str]:
    worst, name = curve.worst, _NAMES[found.figure]
    p = "" if worst.p_holm is None else f", p {_p(worst.p_holm)} after Holm's correction"
    lines = [
        f"{worst.intervention} takes the {name} from {_number(found.baseline.value)} to "
        f"{_interval(worst.score)}: {worst.lost} answers become wrong, {worst.gained} right{p}"
    ]
    back = max(curve.placebo, key=lambda point: abs(point.change.value), default=None)
    if back is not None:
        lines.append(
            f"there and back ({back.intervention}) it is {_interval(back.score)}"
            + (
                ": the artefacts of the change move the answers too"
                if _moves(back, found)
                else ": it is not the change's artefacts"
            )
        )
    for search in found.searches:
        if search.name == curve.name and search.inflated and search.deflated:
            lines.append(
                f"changes of at most {_most(curve)} take it from "
                f"{_number(search.deflated.value)} to {_number(search.inflated.value)}"
                + _control(search)
            )
    return lines


def _control(search: Search) -> str:
    if search.control_inflated is None or search.control_deflated is None:
        return ""
    return (
        f"; as many placebos from {_number(search.control_deflated.value)} to "
        f"{_number(search.control_inflated.value)}"
    )


def _held(curve: Curve, found: Evidence) -> str:
    worst = curve.worst
    return (
        f"{curve.name} up to {_most(curve)}: furthest at {worst.intervention}, "
        f"{_interval(worst.score)}, a change of {_interval(worst.change)}"
    )


def _cautions(found: Evidence, claimed: Sequence[Curve]) -> tuple[str, ...]:
    lines = []
    if found.confound is not None and found.confound.value >= found.baseline.low:
        lines.append(
            f"the confound alone scores {_interval(found.confound)}: a system that hears nothing "
            "else could score as well"
        )
    for curve in claimed:
        if any(_moves(point, found) for point in curve.placebo):
            lines.append(
                f"{curve.name}: going there and back moves the answers as well, so what the "
                "rendering leaves behind is a confound of its own; try another way to render it"
            )
    for curve in found.curves:
        if not curve.irrelevant and not any(_moves(point, found) for point in curve.points):
            lines.append(
                f"{curve.name} was to change the answers and does not: either the system does not "
                "attend to it, or there are too few items to see anything"
            )
    if found.chance is None:
        lines.append(
            "no labels: what is measured is whether answers stay, not whether they are right"
        )
    return tuple(lines)


def _most(curve: Curve) -> str:
    doses = [point.dose for point in curve.points]
    low, high = min(doses), max(doses)
    most = f"±{high:g}" if low == -high else f"{low:+g} to {high:+g}" if low < 0 else f"{high:g}"
    return f"{most} {curve.unit}".rstrip()


def _interval(interval: Interval) -> str:
    return f"{_number(interval.value)} [{_number(interval.low)}, {_number(interval.high)}]"


def _number(value: float) -> str:
    return f"{value:.3f}"


def _points(change: float) -> str:
    return f"{100 * change:g} points"


def _p(p: float) -> str:
    return f"{p:.1e}" if p < 0.001 else f"{p:.3f}"


def _and(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
