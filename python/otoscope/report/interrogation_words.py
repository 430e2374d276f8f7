"""What an interrogation found, in plain words: scores, doses, the bound, how it was done."""

from __future__ import annotations

import re
from collections.abc import Mapping

from otoscope.intervene.interrogation.result import Curve, Interrogated, Point
from otoscope.metrics import Interval
from otoscope.report.numbers import decimals
from otoscope.report.tables import Fact

__all__ = [
    "bound",
    "change_in_words",
    "facts",
    "figure",
    "in_words",
    "p_in_words",
    "spoken",
    "typeset",
]

_FIGURES = {"mean_recall": "mean recall", "accuracy": "accuracy"}
_NOTES = {
    "mean_recall": "the mean over classes of the share that is right",
    "accuracy": "the share of all items that is right",
}
_SETTINGS = {
    "sr": ("Rate", "Hz"),
    "n_draws": ("Bootstrap", "draws"),
    "budget": ("Compositions", "tries an item"),
}
_HYPHEN_MINUS = re.compile(r"(?<![^\s(\[])-(?=\d)")


def figure(found: Interrogated) -> str:
    """Name the figure of merit.

    Parameters
    ----------
    found : Interrogated
        Of an interrogation.

    Returns
    -------
    str
        Without labels no answer is right or wrong: it stays, or it does not.

    Examples
    --------
    >>> figure(found)  # doctest: +SKIP
    'mean recall'
    """
    if found.has_labels:
        return _FIGURES[found.figure]
    return "share of answers that stay" + ", mean of classes" * (found.figure == "mean_recall")


def typeset(text: str, *, is_sentence: bool = False) -> str:
    """Put true minus signs into a text; of a sentence, a capital and a full stop.

    Parameters
    ----------
    text : str
        As records have it.
    is_sentence : bool
        Whether it stands alone.

    Returns
    -------
    str
        To be read.

    Examples
    --------
    >>> typeset("tempo -6 % takes 3-4 points", is_sentence=True)
    'Tempo −6 % takes 3-4 points.'
    """
    text = _HYPHEN_MINUS.sub("\N{MINUS SIGN}", text)
    if not is_sentence:
        return text
    return text[:1].upper() + text[1:] + "." * (not text.endswith((".", "!", "?")))


def in_words(interval: Interval | None, count: int = 2) -> str:
    """Write a number with its interval.

    Parameters
    ----------
    interval : Interval or None
        None is not known.
    count : int
        Decimals.

    Returns
    -------
    str
        A dash for what is not known.

    Examples
    --------
    >>> in_words(Interval(0.714, 0.66, 0.75, 0.95))
    '0.71 (0.66–0.75)'
    """
    if interval is None:
        return "–"
    value, low, high = (decimals(x, count) for x in (interval.value, interval.low, interval.high))
    return f"{value} ({low}–{high})"


def change_in_words(interval: Interval) -> str:
    """Write a change with its sign and interval.

    Parameters
    ----------
    interval : Interval
        In [-1, 1].

    Returns
    -------
    str
        With true signs.

    Examples
    --------
    >>> change_in_words(Interval(-0.25, -0.3, 0.01, 0.95))
    '−0.25 (−0.30 to +0.01)'
    """
    value, low, high = map(_signed, (interval.value, interval.low, interval.high))
    return f"{value} ({low} to {high})"


def p_in_words(p: float | None) -> str:
    """Write a p-value.

    Parameters
    ----------
    p : float or None
        None was not tested.

    Returns
    -------
    str
        Two digits, or that it is smaller than a ten-thousandth.

    Examples
    --------
    >>> p_in_words(0.0312), p_in_words(5e-9), p_in_words(None)
    ('0.031', '< 0.0001', '–')
    """
    if p is None:
        return "–"
    return f"{p:.2g}" if p >= 1e-4 else "< 0.0001"


def bound(found: Interrogated) -> str:
    """Say whether the score stays within the bound.

    Parameters
    ----------
    found : Interrogated
        Of an interrogation.

    Returns
    -------
    str
        One sentence, with the dose at which most is lost.

    Examples
    --------
    >>> bound(found)  # doctest: +SKIP
    'The bound of 5 points is broken at 4 of 7 doses; at tempo −4 % the score falls by 25 points.'
    """
    points = [point for _, point in found.irrelevant_points]
    asked = f"The bound of {_points(found.max_change)}"
    if not points:
        return f"{asked} was not tested: nothing was claimed irrelevant."
    broken = sum(-point.change.value > found.max_change for point in points)
    worst = min(points, key=lambda point: point.change.value)
    doses = f"{len(points)} dose{'s' * (len(points) > 1)}"
    verdict = f"is broken at {broken} of {doses}" if broken else f"holds at all {doses}"
    if len(points) == 1:
        verdict = f"is {'broken' if broken else 'held'}"
    if worst.change.value >= 0:
        return f"{asked} {verdict}; the score falls at none."
    fall = _points(-worst.change.value)
    return f"{asked} {verdict}; at {_dose(worst)} the score falls by {fall}."


def spoken(curve: Curve, found: Interrogated) -> str:
    """Tell a curve in words, for those who do not see it.

    Parameters
    ----------
    curve : Curve
        Of the interrogation.
    found : Interrogated
        The whole.

    Returns
    -------
    str
        Every dose and its score.

    Examples
    --------
    >>> spoken(curve, found)  # doctest: +SKIP
    'tempo: mean recall 0.71 unchanged; 0.46 at tempo −4 %; 0.61 at tempo +4 %; placebo ...'
    """
    parts = [
        f"{curve.name}: {figure(found)} {decimals(found.baseline.value)} unchanged",
        *(f"{decimals(point.score.value)} at {_dose(point)}" for point in curve.points),
    ]
    if curve.placebo:
        scores = sorted(point.score.value for point in curve.placebo)
        between = " to ".join(dict.fromkeys(map(decimals, (scores[0], scores[-1]))))
        parts.append(f"placebo {between}")
    return "; ".join(parts)


def facts(found: Interrogated, *, model: str = "") -> list[Fact]:
    """List figures and settings.

    Parameters
    ----------
    found : Interrogated
        Of an interrogation.
    model : str
        What it is called.

    Returns
    -------
    list of Fact
        Each with a word on what it means.

    Examples
    --------
    >>> facts(found)[0].name  # doctest: +SKIP
    'Figure of merit'
    """
    n_groups = len({item.group for item in found.items})
    level = f"{100 * found.baseline.level:g} %"
    told = [
        *([Fact("Model", model)] if model else []),
        Fact("Figure of merit", figure(found), _NOTES[found.figure] * found.has_labels),
        Fact("Items", f"{len(found.items):,} of {len(found.classes)} classes"),
        Fact("Groups", f"{n_groups:,}", f"intervals ({level}) draw these anew, not items"),
        Fact("Unchanged", in_words(found.baseline)),
    ]
    if found.chance is not None:
        dealt = found.chance
        spread = f"{decimals(dealt.low)}–{decimals(dealt.high)}"
        told.append(
            Fact(
                "By chance",
                f"{decimals(dealt.mean)} ({spread})",
                f"the same answers in random order; p {_equals(dealt.p)}",
            )
        )
    if found.confound is not None:
        told.append(
            Fact("Confound alone", in_words(found.confound), "nearest neighbours, nothing heard")
        )
    if found.duration is not None:
        told.append(Fact("Analysed", f"{found.duration:.4g} s of each sound"))
    told.append(Fact("Bound", _points(found.max_change), "the score may fall by so much"))
    return [*told, *_settings(found.settings)]


def _settings(settings: Mapping[str, object]) -> list[Fact]:
    """What is worth a line; the rest is in the numbers to download."""
    told = []
    for name, (title, unit) in _SETTINGS.items():
        value = settings.get(name)
        if isinstance(value, int | float) and value:
            told.append(Fact(title, f"{value:,g} {unit}".rstrip()))
    return [*told, Fact("Seed", f"{settings.get('seed', 0)}")]


def _dose(point: Point) -> str:
    return typeset(point.intervention)


def _points(share: float) -> str:
    value = f"{100 * share:.3g}"
    return f"{value} point{'s' * (value != '1')}"


def _signed(value: float) -> str:
    text = decimals(value)
    return f"+{text}" if round(value, 2) > 0 else text


def _equals(p: float) -> str:
    text = p_in_words(p)
    return text if text.startswith("<") else f"= {text}"
