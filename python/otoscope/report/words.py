"""What an explanation says, in plain words, and what must be said against it.

A segment speaks for the output if its coefficient is above 0, against it if below.
"""

from __future__ import annotations

from collections.abc import Sequence

from otoscope.explain import Explanation
from otoscope.report._phrases import (
    TOP,
    answer,
    decimals,
    is_constant,
    is_probability,
    join,
    number,
    places,
    rests_on_none,
    support,
)

__all__ = ["because", "cautions", "decimals", "places", "r2", "sentence"]


def sentence(explanation: Explanation) -> str:
    """Say what the model says, and on which segments that rests, if it does.

    Parameters
    ----------
    explanation : Explanation
        Its shown target is spoken of.

    Returns
    -------
    str
        One to three sentences, plain text.

    Examples
    --------
    >>> import torch
    >>> from otoscope.explain import SoundLIME, segments
    >>> lime = SoundLIME(
    ...     lambda batch: batch[:, 0, 4:6].mean((1, 2)), segments=segments.temporal(5), content=0.0
    ... )
    >>> sentence(lime.explain(torch.ones(10, 3)))[:70]
    'The model says “output 0” with 1.00; most of that rests on frames 4–5.'
    """
    says, speaking = _says(explanation), support(explanation)
    if is_constant(explanation):
        return f"{says}, whatever is taken away: no segment explains it."
    if not speaking:
        return " ".join([f"{says}{_without_support(explanation)}.", *_against(explanation)])
    coefficients = explanation.coefficients.clamp(min=0)
    if explanation.output_all <= 0:
        rests = f"what raises it most is {_at(explanation, speaking)}"
    elif float(coefficients[speaking].sum()) > float(coefficients.sum()) / 2:
        rests = f"most of that rests on {_at(explanation, speaking)}"
    else:
        rests = f"its reasons are spread out, most of all over {_at(explanation, speaking)}"
    return " ".join([f"{says}; {rests}.", *_proof(explanation, speaking)])


def because(explanation: Explanation) -> str:
    """Name the places that the answer rests on, for a cell of a table.

    Parameters
    ----------
    explanation : Explanation
        Its shown target is spoken of.

    Returns
    -------
    str
        Seconds, Hz or both; "no segment" where it rests on none.

    Examples
    --------
    >>> import torch
    >>> from otoscope.explain import SoundLIME, segments
    >>> lime = SoundLIME(
    ...     lambda batch: batch[:, 0, 4:6].mean((1, 2)), segments=segments.temporal(5), content=0.0
    ... )
    >>> because(lime.explain(torch.ones(10, 3)))
    'frames 4–5'
    """
    return _at(explanation, support(explanation)) or "no segment"


def r2(explanation: Explanation) -> str:
    """Write R², or a dash where it says nothing.

    Parameters
    ----------
    explanation : Explanation
        Its shown target is spoken of.

    Returns
    -------
    str
        Two decimals.

    Examples
    --------
    >>> import torch
    >>> from otoscope.explain import SoundLIME, segments
    >>> lime = SoundLIME(
    ...     lambda x: x[:, 0, 4], segments=segments.temporal(5), content=0.0, design="leave_one_out"
    ... )
    >>> r2(lime.explain(torch.ones(10, 1)))
    '–'
    """
    return "–" if explanation.is_saturated else decimals(explanation.r2)


def cautions(explanation: Explanation) -> list[str]:
    """Say what a reader must know before trusting the numbers.

    Parameters
    ----------
    explanation : Explanation
        Its shown target is spoken of.

    Returns
    -------
    list of str
        Sentences; none if all is well.

    Examples
    --------
    >>> import torch
    >>> from otoscope.explain import SoundLIME, segments
    >>> lime = SoundLIME(
    ...     lambda batch: batch[:, 0, 4:6].mean((1, 2)), segments=segments.temporal(5), content=0.0
    ... )
    >>> cautions(lime.explain(torch.ones(10, 3)))
    []
    """
    if is_constant(explanation):
        return []
    found = []
    n_segments, effective = len(explanation.extents), explanation.effective_samples
    if explanation.is_saturated:
        found.append("As many answers as unknowns: R² says nothing here.")
    elif not explanation.r2 >= 0.8:
        fits = "only in part" if explanation.r2 >= 0.5 else "badly"
        found.append(
            f"A sum over segments fits the model’s answers {fits} (R² {r2(explanation)}; off by "
            f"{number(explanation.local_error)} for the excerpt itself): segments act together, "
            "and single numbers are hints."
        )
    if effective < 2 * n_segments and not _needs_no_average(explanation):
        found.append(
            f"The numbers rest on {effective:.1f} answers in effect, for {n_segments} segments; "
            f"{2 * n_segments} are needed to trust them."
        )
    none = explanation.output_none
    if none is not None and rests_on_none(explanation):
        found.append(
            f"With every segment replaced ({explanation.settings.content}) the model still gives "
            f"{number(none)}: much of the answer rests on none of them."
        )
    return found


def _says(explanation: Explanation) -> str:
    value, target = number(explanation.output_all), explanation.target
    if not is_probability(explanation):
        return f"The model’s output “{target}” is {value}"
    if explanation.output_all < 0.5:
        return f"The model gives “{target}” {value}"
    return f"The model says “{target}” with {value}"


def _without_support(explanation: Explanation) -> str:
    """What the model answers without its reasons, and what follows from that."""
    none, whole, top = explanation.output_none, explanation.output_all, explanation.top(TOP)
    if none is not None and rests_on_none(explanation):
        if none < whole and (whole >= 0.5 or not is_probability(explanation)):
            verdict = "most of that rests on no segment"
        elif is_probability(explanation):
            verdict = "no segment makes it say so"
        else:
            verdict = "together the segments do not raise it"
        return f", and {number(none)} with every segment replaced: {verdict}"
    without = answer(explanation, [i for i in range(len(explanation.extents)) if i not in top])
    if not top or without is None:
        return ". No segment speaks for it"
    return f", and {number(without)} without {_at(explanation, top)}: none of that is needed for it"


def _against(explanation: Explanation) -> list[str]:
    """The segments that lower the output most, where none raises it."""
    against = -explanation.coefficients
    strongest = against.argsort(descending=True, stable=True)[:TOP].tolist()
    least = max(explanation.rounding, float(against.max()) / 20)
    named = [segment for segment in strongest if against[segment] > least]
    if explanation.top(TOP) or not named:
        return []
    return [f"Strongest against it: {_at(explanation, named)}."]


def _at(explanation: Explanation, segments: Sequence[int]) -> str:
    found = places(explanation, segments)
    if any("," in text for text in found):
        return join(found)
    return join(found).replace("; ", ", ")


def _proof(explanation: Explanation, speaking: list[int]) -> list[str]:
    """The model's own answers with and without the support, where it was asked."""
    rest = [i for i in range(len(explanation.extents)) if i not in speaking]
    alone, without = answer(explanation, speaking), answer(explanation, rest)
    if not rest or alone is None or without is None:
        return []
    this, it = ("this", "it") if len(places(explanation, speaking)) == 1 else ("these", "them")
    return [f"With {this} alone it gives {number(alone)}; without {it}, {number(without)}."]


def _needs_no_average(explanation: Explanation) -> bool:
    """Whether each number is a difference of answers, or exact, however few coalitions count."""
    is_complete = explanation.passes == 2 ** len(explanation.extents)
    is_estimate = explanation.settings.kernel == "shapley"
    return explanation.design == "leave_one_out" or (is_estimate and is_complete)
