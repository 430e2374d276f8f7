"""What an explanation says, in plain words, and what must be said against it.

A segment speaks for the output if its coefficient is above 0, against it if below.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch

from otoscope.explain import Explanation
from otoscope.explain.segments import Extent

__all__ = ["answer", "cautions", "is_constant", "join", "number", "place", "places", "sentence"]

TOP = 3
"""How many segments count as the support, as in paper A."""

_NBSP = "\N{NO-BREAK SPACE}"


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
    """
    says = _says(explanation)
    if is_constant(explanation):
        return f"{says}, and keeps saying so whatever is taken away: no segment explains it."
    support = explanation.top(TOP)
    if not support:
        strongest = explanation.coefficients.argsort()[:TOP].tolist()
        return (
            f"{says}. None of the strongest segments speaks for it; "
            f"strongest against it: {_at(explanation, strongest)}."
        )
    coefficients = explanation.coefficients.clamp(min=0)
    if float(coefficients[support].sum()) > float(coefficients.sum()) / 2:
        rests = f"most of that rests on {_at(explanation, support)}"
    else:
        rests = f"its reasons are spread out, most of all over {_at(explanation, support)}"
    return " ".join([f"{says}; {rests}.", *_proof(explanation, support)])


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


def is_constant(explanation: Explanation) -> bool:
    """Whether the model's answer is the same for all coalitions, to rounding of float32."""
    outputs = explanation.outputs[:, explanation.selected]
    return float(outputs.max() - outputs.min()) <= 1e-6 * max(1.0, float(outputs.abs().max()))


def answer(explanation: Explanation, segments: Sequence[int]) -> float | None:
    """What the model said with just these segments kept, or None if it was not asked."""
    kept = torch.zeros(len(explanation.extents), dtype=torch.bool)
    kept[list(segments)] = True
    row = (explanation.keep == kept).all(1).nonzero()
    return float(explanation.outputs[row[0, 0], explanation.selected]) if len(row) else None


def number(value: float) -> str:
    """Two decimals, or up to four where these would be zeros; a true minus sign."""
    text = f"{value:.2f}" if abs(value) >= 0.005 else f"{round(value, 4) + 0.0:g}"
    return text.replace("-", "\N{MINUS SIGN}")


def place(explanation: Explanation, extent: Extent, *, decimals: int = 2) -> str:
    """Where a segment lies: the axes that tell the segments apart, in seconds and Hz if known.

    Its name, where segments are no boxes.
    """
    if not _are_boxes(explanation):
        return extent.name
    n_frames, n_bands = explanation.patch.values.shape
    frames, bands = (0, n_frames), (0, n_bands)
    whole_time = all(e.frames == frames for e in explanation.extents)
    whole_band = all(e.bands == bands for e in explanation.extents)
    parts = []
    if not whole_time or whole_band:
        parts.append(_time(extent, decimals))
    if not whole_band:
        parts.append(_frequency(extent))
    return ", ".join(parts)


def places(explanation: Explanation, segments: Sequence[int]) -> list[str]:
    """Where segments lie, in the order of time; neighbours are one place."""
    merged: list[Extent] = []
    extents = [explanation.extents[segment] for segment in segments]
    for extent in sorted(extents, key=lambda e: (e.bands, e.frames)):
        if merged and _are_boxes(explanation) and (whole := _union(merged[-1], extent)):
            merged[-1] = whole
        else:
            merged.append(extent)
    merged.sort(key=lambda e: (e.frames, e.bands))
    return [place(explanation, extent, decimals=1) for extent in merged]


def join(items: Sequence[str]) -> str:
    """Enumerate as a sentence does."""
    return " and ".join(filter(None, ["; ".join(items[:-1]), items[-1]])) if items else ""


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


def _proof(explanation: Explanation, support: list[int]) -> list[str]:
    """The model's own answers with and without the support, where it was asked."""
    rest = [i for i in range(len(explanation.extents)) if i not in support]
    alone, without = answer(explanation, support), answer(explanation, rest)
    if not rest or alone is None or without is None:
        return []
    return [f"With these alone it says {number(alone)}; without them, {number(without)}."]


def _needs_no_average(explanation: Explanation) -> bool:
    """Whether each number is a difference of answers, or exact, however few coalitions count."""
    is_complete = explanation.passes == 2 ** len(explanation.extents)
    is_estimate = explanation.settings.kernel == "shapley"
    return explanation.design == "leave_one_out" or (is_estimate and is_complete)


def _are_boxes(explanation: Explanation) -> bool:
    """Whether every segment fills the box around it: then the boxes do not overlap."""
    sizes = [(e.frames[1] - e.frames[0]) * (e.bands[1] - e.bands[0]) for e in explanation.extents]
    return sum(sizes) == explanation.patch.values.numel()


def _union(first: Extent, second: Extent) -> Extent | None:
    """One extent for two that touch along one axis and agree on the other."""
    if first.bands == second.bands and first.frames[1] == second.frames[0]:
        seconds = (
            (first.seconds[0], second.seconds[1]) if first.seconds and second.seconds else None
        )
        return replace(first, frames=(first.frames[0], second.frames[1]), seconds=seconds)
    if first.frames == second.frames and first.bands[1] == second.bands[0]:
        hz = (first.hz[0], second.hz[1]) if first.hz and second.hz else None
        return replace(first, bands=(first.bands[0], second.bands[1]), hz=hz)
    return None


def _time(extent: Extent, decimals: int) -> str:
    if extent.seconds is None:
        return f"frames {extent.frames[0]}–{extent.frames[1] - 1}"
    first, end = extent.seconds
    if end - first < 0.15:
        decimals = 2
    return f"{first:.{decimals}f}–{end:.{decimals}f}{_NBSP}s"


def _frequency(extent: Extent) -> str:
    if extent.hz is None:
        return f"bands {extent.bands[0]}–{extent.bands[1] - 1}"
    low, high = (float(f"{hz:.2g}") for hz in extent.hz)
    if high < 1000:
        return f"{low:g}–{high:g}{_NBSP}Hz"
    if low < 1000:
        return f"{low:g}{_NBSP}Hz–{high / 1000:g}{_NBSP}kHz"
    return f"{low / 1000:g}–{high / 1000:g}{_NBSP}kHz"
