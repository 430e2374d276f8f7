"""What an explanation says, in plain words, and what must be said against it.

A segment speaks for the output if its coefficient is above 0, against it if below.
"""

from __future__ import annotations

from collections.abc import Sequence

from otoscope.explain import Explanation
from otoscope.report._phrases import TOP, answer, is_constant, join, number, places, support

__all__ = ["cautions", "places", "sentence"]


def sentence(explanation: Explanation) -> str:
    """Say what the model says, and on which segments that rests.

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
    says = _says(explanation)
    if is_constant(explanation):
        return f"{says}, and keeps saying so whatever is taken away: no segment explains it."
    speaking = support(explanation)
    if not speaking:
        strongest = explanation.coefficients.argsort()[:TOP].tolist()
        return (
            f"{says}. No segment speaks for it; "
            f"strongest against it: {_at(explanation, strongest)}."
        )
    coefficients = explanation.coefficients.clamp(min=0)
    if float(coefficients[speaking].sum()) > float(coefficients.sum()) / 2:
        rests = f"most of that rests on {_at(explanation, speaking)}"
    else:
        rests = f"its reasons are spread out, most of all over {_at(explanation, speaking)}"
    return " ".join([f"{says}; {rests}.", *_proof(explanation, speaking)])


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
    if not explanation.r2 >= 0.8:
        fits = "only in part" if explanation.r2 >= 0.5 else "badly"
        found.append(
            f"A sum over segments fits the model’s answers {fits} (R² {explanation.r2:.2f}; off by "
            f"{number(explanation.local_error)} for the excerpt itself): segments act together, "
            "and single numbers are hints."
        )
    if effective < 2 * n_segments and not _needs_no_average(explanation):
        found.append(
            f"The numbers rest on {effective:.1f} answers in effect, for {n_segments} segments; "
            f"{2 * n_segments} are needed to trust them."
        )
    none, whole = explanation.output_none, explanation.output_all
    if none is not None and whole > 0 and none > whole / 2:
        found.append(
            f"With every segment replaced ({explanation.settings.content}) the model still says "
            f"{number(none)}: much of the answer rests on none of them."
        )
    return found


def _says(explanation: Explanation) -> str:
    value = number(explanation.output_all)
    outputs = explanation.outputs[:, explanation.selected]
    if float(outputs.min()) >= 0 and float(outputs.max()) <= 1:
        return f"The model says “{explanation.target}” with {value}"
    return f"The model’s output “{explanation.target}” is {value}"


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
    return [f"With {this} alone it says {number(alone)}; without {it}, {number(without)}."]


def _needs_no_average(explanation: Explanation) -> bool:
    """Whether each number is a difference of answers, or exact, however few coalitions count."""
    is_complete = explanation.passes == 2 ** len(explanation.extents)
    is_estimate = explanation.settings.kernel == "shapley"
    return explanation.design == "leave_one_out" or (is_estimate and is_complete)
