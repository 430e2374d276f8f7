"""Sentences of a verdict: what a score is evidence of, and what it is not.

The facts come from `otoscope.intervene.interrogation.verdict`, which documents the rules. The
command line, the page and the text fields of the JSON take the sentences from here.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from otoscope.intervene.interrogation.result import InterrogationResult
from otoscope.intervene.interrogation.verdict import LEVEL, DoseCurve, SearchResult, has_moved
from otoscope.intervene.transforms.controls import CONTROLS
from otoscope.records import to_plain
from otoscope.report.interrogation.text import METRIC_NAMES
from otoscope.report.numbers import equals_p, points_text, with_bounds

__all__ = ["VerdictText", "gloss", "interrogation_record", "verdict_text"]

_HORSE = (
    "A horse answers by something other than its task, as Clever Hans, who could not count, "
    "watched the faces around him."
)
_SOUND_CONTROLS = {control().name for control in CONTROLS.values()}
_MOST = 3  # curves that sentences describe
_FEW = 10  # items of a class, below which a caution names it


@dataclass(frozen=True)
class VerdictText:
    """A verdict in words.

    Parameters
    ----------
    sentence : str
        The verdict.
    evidence : tuple of str
        Measurements that it rests on.
    not_supported : tuple of str
        Claims that the score does not support.
    cautions : tuple of str
        Facts that could mislead.

    Examples
    --------
    >>> verdict_text(result).sentence  # doctest: +SKIP
    'a horse: its answers move with tempo'
    """

    sentence: str
    evidence: tuple[str, ...]
    not_supported: tuple[str, ...]
    cautions: tuple[str, ...]


def verdict_text(result: InterrogationResult) -> VerdictText:
    """Write a verdict in words.

    Parameters
    ----------
    result : InterrogationResult
        Result of an interrogation.

    Returns
    -------
    VerdictText
        Sentences without a capital and a full stop, for records; `typeset` adds them.

    References
    ----------
    Sturm (2016) :cite:`sturm2016horse`: the score of a system says nothing about what it uses
    unless irrelevant factors are intervened on.

    Examples
    --------
    >>> verdict_text(result).sentence  # doctest: +SKIP
    'a horse: its answers move with tempo'
    """
    verdict, cautions = result.verdict, _cautions(result)
    curves = [curve for curve in result.curves if curve.name in verdict.curves]
    score = f"the {_short_metric(result)} of {result.baseline.value:.3f}"
    if verdict.rule == "chance" and result.chance is not None:
        sentence = (
            f"no better than chance: {score} is what the same answers in random order reach "
            f"({result.chance.low:.3f} to {result.chance.high:.3f})"
        )
        return VerdictText(sentence, (), (f"{score} is no evidence of anything",), cautions)
    if verdict.rule == "worse_than_chance" and result.chance is not None:
        sentence = (
            f"worse than chance: {score} is below what the same answers in random order reach "
            f"({result.chance.low:.3f} to {result.chance.high:.3f}), "
            f"p {equals_p(result.chance.p_below)}"
        )
        doubts = "labels, names of answers or columns of scores may be mixed up"
        return VerdictText(sentence, (doubts,), (f"{score} is no evidence of skill",), cautions)
    if verdict.rule == "moved":
        subject = score if result.has_labels else "what it answers"
        return VerdictText(
            f"a horse: its answers move with {_and([curve.name for curve in curves])}",
            _horses_evidence(curves, result),
            (
                f"{subject} is no evidence that the system hears what makes the classes: "
                + _and([_extent(curve) for curve in curves])
                + (" preserves that, and moves" if len(curves) == 1 else " preserve that, and move")
                + " the answers",
            ),
            cautions,
        )
    claimed = [curve for curve in result.curves if curve.label_preserving]
    return VerdictText(
        _unmoved_sentence(score, curves, result),
        _still_evidence(claimed, result),
        (
            "that the system relies on nothing else: only the changes named here were tried, up to "
            "these doses",
        ),
        cautions,
    )


def gloss(verdict: VerdictText) -> str:
    """Explain the word "horse" of a verdict; empty if its sentence does not use it."""
    return _HORSE if "horse" in verdict.sentence else ""


def interrogation_record(
    result: InterrogationResult, *, is_summary: bool = False
) -> dict[str, Any]:
    """Return a result in the types of JSON, with the sentences of its verdict.

    Parameters
    ----------
    result : InterrogationResult
        Result of an interrogation.
    is_summary : bool
        Whether to leave out the items, the pairs and the settings, so that the size does not depend
        on the number of items.

    Returns
    -------
    dict
        Fields of the result.

    Examples
    --------
    >>> interrogation_record(result)["verdict"]["sentence"]  # doctest: +SKIP
    'a horse: its answers move with tempo'
    """
    record = result.to_dict(is_summary=is_summary)
    record["verdict"] |= to_plain(verdict_text(result))
    return record


def _unmoved_sentence(score: str, curves: Sequence[DoseCurve], result: InterrogationResult) -> str:
    """Say whether the score stays within the bound, or why that is undecided."""
    verdict, tolerated = result.verdict, points_text(result.max_change)
    if verdict.rule == "nothing_claimed":
        return "undecided: no change was declared label-preserving, so nothing was tested"
    if verdict.rule == "intervals_too_wide":
        n_claimed = sum(curve.label_preserving for curve in result.curves)
        return (
            f"undecided: {len(curves)} of {n_claimed} changes may move the score by more than "
            f"{tolerated} ({_and([curve.name for curve in curves])}); {_more_items(result)}"
        )
    if verdict.rule == "placebo_moves":
        return (
            f"undecided: the placebo of {_and([curve.name for curve in curves])} moves the answers "
            f"by more than {tolerated}, so the artefacts of the rendering do, and a change of "
            f"{_and([curve.name for curve in curves])} cannot be told from them"
        )
    if verdict.rule == "too_few_groups":
        claim = f"that the score moves by no more than {tolerated}"
        if verdict.n_groups_needed is None:
            return f"undecided: no number of items shows {claim}"
        return (
            f"undecided: {verdict.n_groups} items or groups are too few to show {claim}; "
            f"that takes {verdict.n_groups_needed} or more"
        )
    changes = _and([_extent(curve) for curve in curves])
    return f"no horse found: {score} moves by no more than {tolerated} under {changes}"


def _more_items(result: InterrogationResult) -> str:
    """Advise how many items to test, if more than these are needed."""
    needed, n_items = result.verdict.n_items_needed, len(result.items)
    if needed is None or needed <= n_items:
        return "test more items"
    return (
        f"test more items: about {needed:,}, not {n_items:,}, clear a system whose score does not "
        "move, 9 times in 10"
    )


def _horses_evidence(curves: Sequence[DoseCurve], result: InterrogationResult) -> tuple[str, ...]:
    """Describe the curves that move most; the table of changes has the others."""
    strongest = sorted(curves, key=lambda curve: -abs(curve.worst.change.value))[:_MOST]
    lines = [line for curve in strongest for line in _horse_evidence(curve, result)]
    if more := len(curves) - len(strongest):
        lines.append(f"{more} more change{'s' * (more > 1)} move the answers: see the table")
    return tuple(lines)


def _horse_evidence(curve: DoseCurve, result: InterrogationResult) -> list[str]:
    worst, metric = curve.worst, _short_metric(result)
    turned = f"{worst.lost} answers become others"
    if worst.p_holm is not None:
        turned = (
            f"{worst.lost} answers become wrong, {worst.gained} right, "
            f"p {equals_p(worst.p_holm)} after Holm's correction"
        )
    lines = [
        f"{worst.intervention} takes the {metric} from {result.baseline.value:.3f} to "
        f"{with_bounds(worst.score, count=3)}: {turned}"
    ]
    lines += [
        f"{point.intervention}: {_and([repr(name) for name in point.lost_classes])} "
        f"lose{'s' * (len(point.lost_classes) == 1)} right answers, p < {LEVEL:g} by Fisher's "
        "test, corrected for all doses, placebos and classes"
        for point in [max(curve.points, key=lambda point: len(point.lost_classes))]
        if point.lost_classes
    ]
    placebo = max(curve.placebo, key=lambda point: abs(point.change.value), default=None)
    if placebo is not None:
        lines.append(
            f"under the placebo ({placebo.intervention}) it is "
            f"{with_bounds(placebo.score, count=3)}: "
            + (
                "the artefacts of the change move the answers too"
                if has_moved(placebo, result.max_change)
                else "the artefacts of the change are not the cause"
            )
        )
    return lines + _search_evidence(curve, result)


def _still_evidence(curves: Sequence[DoseCurve], result: InterrogationResult) -> tuple[str, ...]:
    """Name the largest change of all; the table of changes has one row per intervention."""
    if not curves:
        return ()
    worst = max((curve.worst for curve in curves), key=lambda point: abs(point.change.value))
    metric = _short_metric(result)
    if not any(point.change.value for curve in curves for point in curve.points):
        bounds = [b for c in curves for p in c.points for b in (-p.change.low, p.change.high)]
        return (
            f"at no dose the {metric} differs from {result.baseline.value:.3f}; "
            f"with {len(result.items):,} items "
            f"a change of up to {max(bounds):.3f} could have been missed",
        )
    return (
        f"the {metric} is furthest off at {worst.intervention}, "
        f"{with_bounds(worst.score, count=3)}, a change of {with_bounds(worst.change, count=3)}",
    )


def _search_evidence(curve: DoseCurve, result: InterrogationResult) -> list[str]:
    return [
        f"with the dose chosen per item, {_extent(curve)} takes it from "
        f"{search.deflated.value:.3f} to {search.inflated.value:.3f}{_control(search)}"
        for search in result.searches
        if search.name == curve.name and search.inflated and search.deflated
    ]


def _control(search: SearchResult) -> str:
    if search.control_inflated is None or search.control_deflated is None:
        return ""
    low, high = search.control_deflated.value, search.control_inflated.value
    return f"; as many placebos from {low:.3f} to {high:.3f}"


def _cautions(result: InterrogationResult) -> tuple[str, ...]:
    verdict, lines = result.verdict, []
    if verdict.confound_explains_score:
        lines.append(
            f"the confound alone scores {with_bounds(result.confound, count=3)}: a system that "
            "hears nothing else could score as well"
        )
    lines += [
        f"{name}: the placebo moves the answers as well, so the artefacts of the rendering are a "
        "confound of their own; try another way to render it"
        for name in verdict.moving_placebos
    ]
    lines += [
        f"the answers are not shown to depend on the sound: {name} leaves them as they are, or "
        "there are too few items to show it"
        if name in _SOUND_CONTROLS
        else f"{name} should change the answers and does not: either the system does not attend to "
        "it, or there are too few items to show it"
        for name in verdict.ineffective_controls
    ]
    if small := _small_classes(result):
        lines.append(small)
    if result.renaming:
        lines.append(_renaming_caution(result, result.renaming))
    if not result.has_labels:
        lines.append("no labels: the score says whether answers stay, not whether they are right")
    return tuple(lines)


def _small_classes(result: InterrogationResult) -> str:
    """Warn of classes in which one answer counts much; "" if there are none."""
    counts = Counter(item.label for item in result.items)
    small = sorted((n, name) for name, n in counts.items() if n < _FEW)
    if not small:
        return ""
    n_items, name = small[0]
    share = 1 / n_items / len(counts) if result.metric == "mean_recall" else 1 / len(result.items)
    n_more = len(small) - 1
    others = f" (and {n_more} more ha{'s' if n_more == 1 else 've'} fewer than {_FEW})" * (
        n_more > 0
    )
    return (
        f"class {name!r} has {n_items} item{'s' * (n_items > 1)}{others}: one answer of it is "
        f"{points_text(share)} of the score and {points_text(1 / n_items)} of its recall"
    )


def _renaming_caution(result: InterrogationResult, renaming: Mapping[str, str]) -> str:
    pairs = _and([f"{new!r} for {old!r}" for old, new in renaming.items()])
    n_right = sum(renaming.get(item.answer, item.answer) == item.label for item in result.items)
    n_now = sum(item.answer == item.label for item in result.items)
    return (
        f"answers seem to be named wrongly: with {pairs} {n_right} of {len(result.items)} would be "
        f"right, not {n_now}; check the order of the columns of scores, or the labels"
    )


def _short_metric(result: InterrogationResult) -> str:
    if result.has_labels or result.metric == "mean_score":
        return METRIC_NAMES[result.metric]
    return "fraction of answers that stay"


def _extent(curve: DoseCurve) -> str:
    """Name a curve with all its doses: "tempo ±6 %", "crop 0.5 to 2 s", "high-pass 20 Hz"."""
    if len(curve.points) == 1:
        return curve.points[0].intervention
    low, high = curve.points[0].dose, curve.points[-1].dose
    between = f"{low:+g} to {high:+g}" if low < 0 else f"{low:g} to {high:g}"
    doses = f"±{high:g}" if low == -high else between
    return f"{curve.name} {doses} {curve.unit}".rstrip()


def _and(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
