"""The verdict: what a score is no evidence of.

A system is called a horse if, at some dose of a change claimed irrelevant, its score moves by more
than is tolerated, and neither the exact test, corrected for all doses, nor the interval over groups
lets that be chance; or if answers turn both ways, so that the score stays: the best and the worst
of a change's doses lie further out than those of as many placebos, by more than is tolerated. It is
cleared if every interval stays within what is tolerated, and there are items enough for an interval
to say so. All else is undecided.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from otoscope.intervene.interrogation.result import Curve, Point, Search, Verdict
from otoscope.intervene.statistics.bootstrap import Chance, Interval

__all__ = ["Evidence", "is_moved", "judge_score"]

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
    n_groups : int
        Of items: those that intervals are over.
    max_change : float
        Tolerated, in 0..1.

    Examples
    --------
    >>> evidence.baseline.value  # doctest: +SKIP
    0.83
    """

    figure: str
    baseline: Interval
    chance: Chance | None
    confound: Interval | None
    curves: tuple[Curve, ...]
    searches: tuple[Search, ...]
    n_groups: int
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
    score = f"the {_name(found)} of {_number(found.baseline.value)}"
    claimed = [curve for curve in found.curves if curve.irrelevant]
    moving = [curve for curve in claimed if _moves(curve, found)]
    cautions = _cautions(found, claimed)
    if found.chance is not None and found.chance.p > _LEVEL:
        sentence = (
            f"no better than chance: {score} is what the same answers in random order reach "
            f"({_number(found.chance.low)} to {_number(found.chance.high)})"
        )
        return Verdict("chance", sentence, (), (f"{score} is no evidence of anything",), cautions)
    if moving:
        sentence = f"a horse: its answers move with {_and([curve.name for curve in moving])}"
        unsupported = tuple(
            f"{score if found.chance else 'what it says'} is no evidence that the system hears "
            "what makes the classes: "
            f"{_extent(curve)} leaves that as it is, and moves the answers"
            for curve in moving
        )
        evidence = tuple(line for curve in moving for line in _evidence(curve, found))
        return Verdict("horse", sentence, evidence, unsupported, cautions)
    kind, sentence = _unmoved(score, claimed, found)
    held = tuple(line for curve in claimed for line in _held(curve, found))
    nothing_more = (
        "that nothing else is relied on: only the changes named here were tried, up to these doses",
    )
    return Verdict(kind, sentence, held, nothing_more, cautions)


def is_moved(point: Point, max_change: float) -> bool:
    """Tell whether a score is another by more than is tolerated, and not by chance.

    Parameters
    ----------
    point : Point
        A dose, or a placebo.
    max_change : float
        Tolerated, in 0..1.

    Returns
    -------
    bool
        Without labels there is no test: the whole interval must lie beyond what is tolerated.

    Examples
    --------
    >>> is_moved(found.curves[0].worst, found.max_change)  # doctest: +SKIP
    True
    """
    change = point.change
    if point.p_holm is None:
        return max(-change.high, change.low) > max_change
    is_sure = point.p_holm < _LEVEL and (change.low > 0 or change.high < 0)
    return is_sure and abs(change.value) > max_change


def _unmoved(
    score: str, claimed: Sequence[Curve], found: Evidence
) -> tuple[Literal["cleared", "undecided"], str]:
    """Whether a score that was not seen to move can be said to stay."""
    tolerated = _points(found.max_change)
    if not claimed:
        return "undecided", "nothing was claimed irrelevant, so there is nothing to find"
    if wide := [curve for curve in claimed if not _is_bounded(curve, found.max_change)]:
        return "undecided", (
            f"undecided: {len(wide)} of {len(claimed)} changes may move the score by "
            f"more than {tolerated} ({_and([curve.name for curve in wide])}); "
            "ask about more items"
        )
    # If a share m of all groups moves, none of n does in (1 - m) ** n of all cases.
    if (1 - found.max_change) ** found.n_groups > _LEVEL:
        shown = f"that the score moves by no more than {tolerated}"
        if not found.max_change:
            return "undecided", f"undecided: no number of items shows {shown}"
        enough = math.ceil(math.log(_LEVEL) / math.log(1 - found.max_change))
        return "undecided", (
            f"undecided: {found.n_groups} items or groups are too few to show {shown}; "
            f"that takes {enough} or more"
        )
    changes = _and([_extent(curve) for curve in claimed])
    return "cleared", f"no horse found: {score} moves by no more than {tolerated} under {changes}"


def _moves(curve: Curve, found: Evidence) -> bool:
    return any(is_moved(point, found.max_change) for point in curve.points) or any(
        _turns(search, found) for search in found.searches if search.name == curve.name
    )


def _turns(search: Search, found: Evidence) -> bool:
    """Whether best and worst both lie beyond those of placebos, by more than is tolerated."""
    if search.inflated is None or search.deflated is None:
        return False
    best = search.control_inflated or found.baseline
    worst = search.control_deflated or found.baseline
    rise, fall = search.inflated.low - best.high, worst.low - search.deflated.high
    return min(rise, fall) > found.max_change


def _is_bounded(curve: Curve, max_change: float) -> bool:
    return all(
        -max_change <= point.change.low and point.change.high <= max_change
        for point in curve.points
    )


def _evidence(curve: Curve, found: Evidence) -> list[str]:
    worst, name = curve.worst, _name(found)
    told = f"{worst.lost} answers become others"
    if worst.p_holm is not None:
        told = f"{worst.lost} answers become wrong, {worst.gained} right, p {_p(worst.p_holm)}"
        told += " after Holm's correction"
    lines = [
        f"{worst.intervention} takes the {name} from {_number(found.baseline.value)} to "
        f"{_interval(worst.score)}: {told}"
    ]
    back = max(curve.placebo, key=lambda point: abs(point.change.value), default=None)
    if back is not None:
        lines.append(
            f"there and back ({back.intervention}) it is {_interval(back.score)}"
            + (
                ": the artefacts of the change move the answers too"
                if is_moved(back, found.max_change)
                else ": it is not the change's artefacts"
            )
        )
    return lines + _searched(curve, found)


def _searched(curve: Curve, found: Evidence) -> list[str]:
    return [
        f"by choice of the dose, {_extent(curve)} takes it from "
        f"{_number(search.deflated.value)} to {_number(search.inflated.value)}{_control(search)}"
        for search in found.searches
        if search.name == curve.name and search.inflated and search.deflated
    ]


def _control(search: Search) -> str:
    if search.control_inflated is None or search.control_deflated is None:
        return ""
    return (
        f"; as many placebos from {_number(search.control_deflated.value)} to "
        f"{_number(search.control_inflated.value)}"
    )


def _held(curve: Curve, found: Evidence) -> list[str]:
    worst, name = curve.worst, _name(found)
    line = (
        f"{_extent(curve)}: the {name} is furthest off at {worst.intervention}, "
        f"{_interval(worst.score)}, a change of {_interval(worst.change)}"
    )
    return [line, *_searched(curve, found)]


def _cautions(found: Evidence, claimed: Sequence[Curve]) -> tuple[str, ...]:
    lines = []
    if found.confound is not None and found.confound.high >= found.baseline.low:
        lines.append(
            f"the confound alone scores {_interval(found.confound)}: a system that hears nothing "
            "else could score as well"
        )
    for curve in claimed:
        if any(is_moved(point, found.max_change) for point in curve.placebo):
            lines.append(
                f"{curve.name}: going there and back moves the answers as well, so what the "
                "rendering leaves behind is a confound of its own; try another way to render it"
            )
    for curve in found.curves:
        if not curve.irrelevant and not _moves(curve, found):
            lines.append(
                f"{curve.name} was to change the answers and does not: either the system does not "
                "attend to it, or there are too few items to see anything"
            )
    if found.chance is None:
        lines.append(
            "no labels: what is measured is whether answers stay, not whether they are right"
        )
    return tuple(lines)


def _name(found: Evidence) -> str:
    """Of the score; without labels it is about answers that stay, not about right ones."""
    return _NAMES[found.figure] if found.chance else "share of answers that stay"


def _extent(curve: Curve) -> str:
    """All its doses: "tempo ±6 %", "crop 0.5 to 2 s", "high-pass 20 Hz"."""
    if len(curve.points) == 1:
        return curve.points[0].intervention
    low, high = curve.points[0].dose, curve.points[-1].dose
    between = f"{low:+g} to {high:+g}" if low < 0 else f"{low:g} to {high:g}"
    doses = f"±{high:g}" if low == -high else between
    return f"{curve.name} {doses} {curve.unit}".rstrip()


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
