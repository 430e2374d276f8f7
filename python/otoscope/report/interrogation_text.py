"""Text about an interrogation: number formats, the bound, dose curves, measures and settings.

The sentences of the verdict are in `verdict_text`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from otoscope.intervene.interrogation.result import InterrogationResult
from otoscope.intervene.interrogation.verdict import DoseCurve, DosePoint
from otoscope.metrics import Interval
from otoscope.report.numbers import UNKNOWN, decimals, signed
from otoscope.report.pages import Fact

__all__ = [
    "METRIC_NAMES",
    "bound_text",
    "curve_text",
    "equals_p",
    "facts",
    "format_change",
    "format_p",
    "format_score",
    "metric_name",
    "points_text",
    "typeset",
]

METRIC_NAMES = {"mean_recall": "mean recall", "accuracy": "accuracy"}
_METRIC_NOTES = {
    "mean_recall": "mean over classes of the fraction of right answers",
    "accuracy": "fraction of right answers over all items",
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
        Fact("Items", f"{len(result.items):,} of {len(result.classes)} classes"),
        Fact("Groups", f"{n_groups:,}", f"intervals ({level}) resample groups, not items"),
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
    if result.confound is not None:
        rows.append(
            Fact("Confound alone", format_score(result.confound), "nearest neighbours, no sound")
        )
    if result.duration is not None:
        rows.append(Fact("Analysed", f"{result.duration:.4g} s of each sound"))
    rows.append(Fact("Bound", points_text(result.max_change), "largest tolerated fall"))
    return [*rows, *_settings(result.settings)]


def metric_name(result: InterrogationResult) -> str:
    """Name the metric; without labels an answer is not right or wrong, it stays or it does not."""
    if result.has_labels:
        return METRIC_NAMES[result.metric]
    by_class = ", mean of classes" * (result.metric == "mean_recall")
    return f"fraction of answers that stay{by_class}"


def typeset(text: str, *, is_sentence: bool = False) -> str:
    """Replace hyphens by minus signs; give a sentence its capital and its full stop.

    Examples
    --------
    >>> typeset("tempo -6 % takes 3-4 points", is_sentence=True)
    'Tempo −6 % takes 3-4 points.'
    """
    text = _HYPHEN_MINUS.sub("\N{MINUS SIGN}", text)
    if not is_sentence:
        return text
    return text[:1].upper() + text[1:] + "." * (not text.endswith((".", "!", "?")))


def format_score(interval: Interval | None) -> str:
    """Format a score with its interval; a dash if it is unknown.

    Examples
    --------
    >>> format_score(Interval(0.714, 0.66, 0.75, 0.95))
    '0.71 (0.66–0.75)'
    """
    if interval is None:
        return UNKNOWN
    value, low, high = map(decimals, (interval.value, interval.low, interval.high))
    return f"{value} ({low}–{high})"


def format_change(interval: Interval) -> str:
    """Format a change with its sign and interval.

    Examples
    --------
    >>> format_change(Interval(-0.25, -0.3, 0.01, 0.95))
    '−0.25 (−0.30 to +0.01)'
    """
    value, low, high = map(signed, (interval.value, interval.low, interval.high))
    return f"{value} ({low} to {high})"


def format_p(p: float | None) -> str:
    """Format a p-value with two digits; a dash if there was no test.

    Examples
    --------
    >>> format_p(0.0312), format_p(5e-9), format_p(None)
    ('0.031', '< 0.0001', '–')
    """
    if p is None:
        return UNKNOWN
    return f"{p:.2g}" if p >= 1e-4 else "< 0.0001"


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


def points_text(fraction: float) -> str:
    """Format a change of the score in points: hundredths of the score's range."""
    value = f"{100 * fraction:.3g}"
    return f"{value} point{'s' * (value != '1')}"


def equals_p(p: float) -> str:
    """Format a p-value with its sign of comparison: "= 0.03" or "< 0.0001"."""
    text = format_p(p)
    return text if text.startswith("<") else f"= {text}"
