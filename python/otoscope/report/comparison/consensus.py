"""Agreement of explanations, of one excerpt or of many."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import combinations, pairwise
from typing import Any

import torch

from otoscope.explain import Explanation
from otoscope.report.numbers import decimals
from otoscope.report.sentences import join, places

__all__ = ["agreement", "agreement_numbers", "are_same_segments", "overall_agreement"]


def agreement(explanations: Sequence[Explanation]) -> str:
    """Say which places explanations agree on, and how well their contributions correlate.

    Parameters
    ----------
    explanations : sequence of Explanation
        Explanations of one excerpt.

    Returns
    -------
    str
        One to three sentences. Places are compared by segment, or in time if the segments differ;
        contributions of the same segments by Spearman's rank correlation.

    Examples
    --------
    >>> import torch
    >>> from otoscope.explain import SoundLIME
    >>> lime = SoundLIME(torch.nn.Flatten(), segments="temporal:4", content=0.0, target=3)
    >>> agreement([lime.explain(torch.ones(4, 1)), lime.explain(2 * torch.ones(4, 1))])
    'Both explanations name frames 3–3. Rank correlation of the contributions: 1.00.'
    """
    n = len(explanations)
    told = [e for e in explanations if e.evidence.segments]
    sentences = [_common(told, n)] if told else []
    if untold := n - len(told):
        sentences.append(
            f"It cannot be told which segments the output rests on in {untold} of {n} explanations."
        )
    if pairs := _correlations(explanations):
        low, high = decimals(min(pairs)), decimals(max(pairs))
        span = low if low == high else f"{low} to {high}"
        sentences.append(f"Rank correlation of the contributions: {span}.")
    return " ".join(sentences)


def agreement_numbers(explanations: Sequence[Explanation]) -> dict[str, Any]:
    """Return what `agreement` says as numbers, for `overall_agreement`.

    Parameters
    ----------
    explanations : sequence of Explanation
        Explanations of one excerpt.

    Returns
    -------
    dict
        ``n`` explanations; ``n_naming``, how many name the place that most of them name, 0 if none
        does or the places do not compare; mean rank ``correlation`` of pairs, or None.

    Examples
    --------
    >>> import torch
    >>> from otoscope.explain import SoundLIME
    >>> lime = SoundLIME(torch.nn.Flatten(), segments="temporal:4", content=0.0, target=3)
    >>> agreement_numbers([lime.explain(torch.ones(4, 1)), lime.explain(2 * torch.ones(4, 1))])
    {'n': 2, 'n_naming': 2, 'correlation': 1.0}
    """
    told = [e for e in explanations if e.evidence.segments]
    pairs = _correlations(explanations)
    return {
        "n": len(explanations),
        "n_naming": (_votes(told) or (0, []))[0] if told else 0,
        "correlation": round(sum(pairs) / len(pairs), 6) if pairs else None,
    }


def overall_agreement(numbers: Sequence[Mapping[str, Any]]) -> str:
    """Say how well explanations agree over many excerpts.

    Parameters
    ----------
    numbers : sequence of dict
        `agreement_numbers` of each excerpt.

    Returns
    -------
    str
        One or two sentences.

    Examples
    --------
    >>> overall_agreement([{"n": 2, "n_naming": 2, "correlation": 0.5}] * 3)
    'Both explanations name a common place in 3 of 3 excerpts. Mean rank correlation: 0.50.'
    """
    n = max(row["n"] for row in numbers)
    everyone = "Both" if n == 2 else f"All {n}"
    agreed = sum(row["n_naming"] == row["n"] for row in numbers)
    text = f"{everyone} explanations name a common place in {agreed} of {len(numbers)} excerpts."
    known = [row["correlation"] for row in numbers if row["correlation"] is not None]
    if not known:
        return text
    low, high = decimals(min(known)), decimals(max(known))
    span = "" if low == high else f" ({low} to {high})"
    return f"{text} Mean rank correlation: {decimals(sum(known) / len(known))}{span}."


def are_same_segments(explanations: Sequence[Explanation]) -> bool:
    """Return whether explanations rank the same segments."""
    return all(
        torch.equal(e.segment_ids, explanations[0].segment_ids)
        and e.extents == explanations[0].extents
        for e in explanations
    )


def _correlations(explanations: Sequence[Explanation]) -> list[float]:
    """Correlate the contributions of all pairs; of other segments, or if constant, of none."""
    if not are_same_segments(explanations):
        return []
    known = [e.coefficients for e in explanations if _has_order(e)]
    return [_rank_correlation(a, b) for a, b in combinations(known, 2)]


def _has_order(explanation: Explanation) -> bool:
    """Return whether the coefficients differ by more than rounding."""
    values = explanation.coefficients
    return float(values.max() - values.min()) > 1e-6 * float(explanation.outputs.abs().max())


def _votes(told: Sequence[Explanation]) -> tuple[int, list[str]] | None:
    """Return how many explanations name the places that most name, and these; None: unknown."""
    if are_same_segments(told):
        votes = Counter(segment for e in told for segment in e.evidence.segments)
        most = max(votes.values())
        common = places(told[0], [segment for segment, count in votes.items() if count == most])
    else:
        intervals = [_intervals(explanation) for explanation in told]
        if not all(intervals):
            return None
        edges = sorted({edge for spans in intervals for span in spans for edge in span})
        counts = [
            sum(any(a <= low and high <= b for a, b in spans) for spans in intervals)
            for low, high in pairwise(edges)
        ]
        most = max(counts)
        common = _merged(edges, [count == most for count in counts])
    return most, common


def _common(told: Sequence[Explanation], n: int) -> str:
    """Say which places most explanations name, of ``n``."""
    votes = _votes(told)
    if votes is None:
        return "Their segments differ and are not all in time, so that places do not compare."
    most, common = votes
    if len(told) == 1:
        return f"1 of {n} explanations names {join(common)}."
    if most == 1:
        return "No two explanations name the same place."
    everyone = "Both" if n == 2 else f"All {n}"
    return f"{everyone if most == n else f'{most} of {n}'} explanations name {join(common)}."


def _intervals(explanation: Explanation) -> list[tuple[float, float]]:
    """Return the seconds of the named segments; empty if they are not known or whole."""
    extents = [explanation.extents[segment] for segment in explanation.evidence.segments]
    n_bands = explanation.patch.values.shape[1]
    if any(extent.seconds is None or extent.bands != (0, n_bands) for extent in extents):
        return []
    return [extent.seconds for extent in extents if extent.seconds]


def _merged(edges: Sequence[float], chosen: Sequence[bool]) -> list[str]:
    """Name the intervals between edges that are chosen; neighbours are merged."""
    spans: list[list[float]] = []
    for (low, high), is_chosen in zip(pairwise(edges), chosen, strict=True):
        if is_chosen and spans and spans[-1][1] == low:
            spans[-1][1] = high
        elif is_chosen:
            spans.append([low, high])
    return [f"{low:.2f}–{high:.2f}\N{NO-BREAK SPACE}s" for low, high in spans]


def _rank_correlation(a: torch.Tensor, b: torch.Tensor) -> float:
    """Spearman's correlation; ties have their mean rank."""
    ranks = torch.stack([_ranks(a), _ranks(b)])
    return float(torch.corrcoef(ranks)[0, 1])


def _ranks(values: torch.Tensor) -> torch.Tensor:
    values = (values * (1e9 / values.abs().max())).round()  # rounding makes no difference
    below = (values[:, None] > values).sum(1)
    equal = (values[:, None] == values).sum(1)
    return below.double() + (equal.double() - 1) / 2
