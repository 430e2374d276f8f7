"""Text about an interrogation: the bound, dose curves, measures and settings.

The sentences of the verdict are in `otoscope.report.interrogation.verdict`.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping

from otoscope.intervene.interrogation.result import InterrogationResult
from otoscope.intervene.interrogation.verdict import DoseCurve, DosePoint, SearchResult
from otoscope.intervene.transfer import TransferResult
from otoscope.metrics import Interval
from otoscope.report.numbers import (
    decimals,
    equals_p,
    format_change,
    format_p,
    format_score,
    points_text,
    signed,
    with_bounds,
)
from otoscope.report.pages import Fact

__all__ = [
    "METRIC_NAMES",
    "bound_text",
    "change_table",
    "curve_text",
    "facts",
    "metric_name",
    "min_score_text",
    "transfer_text",
    "typeset",
]

METRIC_NAMES = {"mean_recall": "mean recall", "accuracy": "accuracy", "mean_score": "mean score"}
_METRIC_NOTES = {
    "mean_recall": "mean over classes of the fraction of right answers",
    "accuracy": "fraction of right answers over all items",
    "mean_score": "mean over items of the score of the output",
}
_SETTINGS = {
    "sr": ("Sampling rate", "Hz"),
    "n_draws": ("Bootstrap", "draws"),
    "budget": ("Compositions", "tries per item"),
}
_HYPHEN_MINUS = re.compile(r"(?<![^\s(\[])-(?=\d)")


def bound_text(result: InterrogationResult) -> str:
    """Say whether the score stays within the bound, with the dose at which it falls most."""
    points = [point for _, point in result.label_preserving_points]
    bound = f"The bound of {points_text(result.max_change)}"
    if not points:
        return f"{bound} was not tested: no change was declared label-preserving."
    n_broken = sum(-point.change.value > result.max_change for point in points)
    worst = min(points, key=lambda point: point.change.value)
    doses = f"{len(points)} dose{'s' * (len(points) > 1)}"
    state = f"is broken at {n_broken} of {doses}" if n_broken else f"holds at all {doses}"
    if len(points) == 1:
        state = "is broken" if n_broken else "holds"
    if worst.change.value >= 0:
        return f"{bound} {state}; the score falls at no dose."
    fall = points_text(-worst.change.value)
    return f"{bound} {state}; at {_dose(worst)} the score falls by {fall}."


def min_score_text(result: InterrogationResult) -> str:
    """Say whether the score of the unchanged items reaches the least one; "" if none is asked."""
    if not result.min_score:
        return ""
    score, least = decimals(result.baseline.value, 3), decimals(result.min_score, 3)
    state = f"is missed: it is {score}" if result.is_below else f"is reached: it is {score}"
    return f"The least {metric_name(result)} of {least} {state}."


def transfer_text(transfer: TransferResult, title: str) -> list[str]:
    """Say what a system scores on a second data set, and what was left out; without full stops."""
    sentences = [
        f"on {title}, the score is {with_bounds(transfer.away)} for {transfer.n_away} items of the "
        f"{len(transfer.labels)} labels that both data sets have; for the {transfer.n_home} of the "
        f"first it is {with_bounds(transfer.home)}, a change of {signed(transfer.change.value)} "
        f"[{signed(transfer.change.low)}, {signed(transfer.change.high)}]"
    ]
    if transfer.overlap:
        first, by = transfer.overlap[0], Counter(one.by for one in transfer.overlap)
        counts = " and ".join(f"{count} by {what}" for what, count in sorted(by.items()))
        sentences.append(
            f"{len(transfer.overlap)} items of {title} are left out, since the first data set "
            f"holds them ({counts}); {first.name} is {first.of}"
        )
    if transfer.missing:
        sentences.append(f"{title} has no items of {', '.join(transfer.missing)}")
    if transfer.unknown:
        counts = ", ".join(f"{label} ({count})" for label, count in transfer.unknown.items())
        sentences.append(f"labels that only {title} has are left out: {counts}")
    return sentences


def change_table(result: InterrogationResult) -> list[tuple[str, ...]]:
    """Tabulate every intervention at its worst dose, with its search; the headings come first."""
    searches = {search.name: search for search in result.searches}
    rows = [
        (
            "largest change at",
            metric_name(result),
            "difference from unchanged",
            "p (Holm)",
            "worst to best dose per item",
            "the same of placebos",
        ),
        ("no change", format_score(result.baseline), "", "", "", ""),
    ]
    for curve in result.curves:
        worst = curve.worst
        rows.append(
            (
                typeset(worst.intervention) + " (positive control)" * (not curve.label_preserving),
                format_score(worst.score),
                format_change(worst.change),
                "" if worst.p_holm is None else format_p(worst.p_holm),
                *_worst_to_best(searches.pop(curve.name, None)),
            )
        )
    for search in searches.values():
        name = f"{search.name}, {search.tries:,} tries per item"
        rows.append((name, "", "", "", *_worst_to_best(search)))
    columns = [column for column in zip(*rows, strict=True) if any(column[1:])]
    return list(zip(*columns, strict=True))


def _worst_to_best(search: SearchResult | None) -> tuple[str, str]:
    if search is None:
        return "", ""
    return (
        _from_to(search.deflated, search.inflated),
        _from_to(search.control_deflated, search.control_inflated),
    )


def _from_to(low: Interval | None, high: Interval | None) -> str:
    return "" if low is None or high is None else f"{decimals(low.value)} to {decimals(high.value)}"


def curve_text(curve: DoseCurve, result: InterrogationResult) -> str:
    """Describe a dose curve, every dose and its score, for readers who do not see the chart."""
    parts = [
        f"{curve.name}: {metric_name(result)} {decimals(result.baseline.value)} unchanged",
        *(f"{decimals(point.score.value)} at {_dose(point)}" for point in curve.points),
    ]
    if curve.placebo:
        scores = sorted(point.score.value for point in curve.placebo)
        between = " to ".join(dict.fromkeys(map(decimals, (scores[0], scores[-1]))))
        parts.append(f"placebo {between}")
    return "; ".join(parts)


def facts(result: InterrogationResult, *, model: str = "") -> list[Fact]:
    """List measures and settings, each with a note on its meaning."""
    n_groups = len({item.group for item in result.items})
    level = f"{100 * result.baseline.level:g} %"
    rows = [
        *([Fact("Model", model)] if model else []),
        Fact("Metric", metric_name(result), _METRIC_NOTES[result.metric] * result.has_labels),
        Fact(
            "Items",
            f"{len(result.items):,}" + f" of {len(result.classes)} classes" * bool(result.classes),
        ),
        Fact(
            "Groups",
            f"{n_groups:,}",
            f"intervals ({level}) by a Bayesian bootstrap of groups, not items",
        ),
        Fact("Unchanged", format_score(result.baseline)),
    ]
    if result.chance is not None:
        chance = result.chance
        interval = f"{decimals(chance.low)}–{decimals(chance.high)}"
        rows.append(
            Fact(
                "Chance level",
                f"{decimals(chance.mean)} ({interval})",
                f"the same answers in random order; p {equals_p(chance.p)}",
            )
        )
    if result.columns:
        rows.append(Fact("Columns of the scores", ", ".join(result.columns), "in this order"))
    if result.confound is not None:
        rows.append(
            Fact("Confound alone", format_score(result.confound), "nearest neighbours, no sound")
        )
    if result.duration is not None:
        rows.append(Fact("Analysed", f"{result.duration:.4g} s of each sound"))
    rows.append(Fact("Bound", points_text(result.max_change), "largest tolerated fall"))
    if result.min_score:
        rows.append(Fact("Least score", decimals(result.min_score, 3), "of the unchanged items"))
    return [*rows, *_settings(result.settings)]


def metric_name(result: InterrogationResult) -> str:
    """Name the metric; without labels an answer is not right or wrong, it stays or it does not."""
    if result.has_labels:
        return METRIC_NAMES[result.metric]
    if result.metric == "mean_score":
        return "mean score beside the unchanged output"
    by_class = ", mean of classes" * (result.metric == "mean_recall")
    return f"fraction of answers that stay{by_class}"


def typeset(text: str, *, is_sentence: bool = False) -> str:
    """Replace hyphens by minus signs; give a sentence its capital and its full stop."""
    text = _HYPHEN_MINUS.sub("\N{MINUS SIGN}", text)
    if not is_sentence:
        return text
    return text[:1].upper() + text[1:] + "." * (not text.endswith((".", "!", "?")))


def _settings(settings: Mapping[str, object]) -> list[Fact]:
    """List the settings that are worth a line; the JSON holds the others."""
    rows = []
    for name, (title, unit) in _SETTINGS.items():
        value = settings.get(name)
        if isinstance(value, int | float) and value:
            rows.append(Fact(title, f"{value:,g} {unit}".rstrip()))
    return [*rows, Fact("Seed", f"{settings.get('seed', 0)}")]


def _dose(point: DosePoint) -> str:
    return typeset(point.intervention)
