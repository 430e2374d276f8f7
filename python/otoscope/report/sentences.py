"""Sentences about an explanation: the model's output, the segments it rests on, and cautions.

A segment speaks for the output if its coefficient is above 0, against it if below. The supporting
segments are those of `support`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch

from otoscope.explain import Explanation
from otoscope.explain.fit import ranked
from otoscope.explain.segments import Extent
from otoscope.report.numbers import UNKNOWN, decimals, number

__all__ = [
    "because",
    "cautions",
    "coalition_output",
    "is_constant",
    "is_probability",
    "place",
    "places",
    "r2",
    "rests_on_none",
    "sentence",
    "support",
]

_TOP = 3  # segments that count as the support, as in paper A
_NBSP = "\N{NO-BREAK SPACE}"


def sentence(explanation: Explanation) -> str:
    """Say what the model outputs and on which segments that rests: one to three sentences."""
    opening, supporting = _output_clause(explanation), support(explanation)
    if is_constant(explanation):
        return f"{opening}, whichever segments are occluded: no segment explains it."
    if not supporting:
        return " ".join([f"{opening}{_without_support(explanation)}.", *_against(explanation)])
    coefficients = explanation.coefficients.clamp(min=0)
    if explanation.output_all <= 0:
        rests = f"what raises it most is {_at(explanation, supporting)}"
    elif float(coefficients[supporting].sum()) > float(coefficients.sum()) / 2:
        rests = f"most of that rests on {_at(explanation, supporting)}"
    else:
        rests = f"its reasons are spread out, most of all over {_at(explanation, supporting)}"
    return " ".join([f"{opening}; {rests}.", *_proof(explanation, supporting)])


def because(explanation: Explanation) -> str:
    """Name the places of the supporting segments; "no segment" where there are none."""
    return _at(explanation, support(explanation)) or "no segment"


def r2(explanation: Explanation) -> str:
    """Write R² with two decimals, or a dash if it has no meaning."""
    return UNKNOWN if explanation.is_saturated else decimals(explanation.r2)


def cautions(explanation: Explanation) -> list[str]:
    """List reasons for caution with the numbers, in sentences."""
    if is_constant(explanation):
        return []
    notes = []
    n_segments, effective = len(explanation.extents), explanation.effective_samples
    if explanation.is_saturated:
        notes.append("There are as many outputs as unknowns: R² has no meaning here.")
    elif not explanation.r2 >= 0.8:
        fits = "only in part" if explanation.r2 >= 0.5 else "badly"
        notes.append(
            f"A sum over segments fits the model’s outputs {fits} (R² {r2(explanation)}; off by "
            f"{number(explanation.local_error)} for the excerpt itself): segments interact, and "
            "single numbers are hints."
        )
    if effective < 2 * n_segments and not _needs_no_average(explanation):
        notes.append(
            f"The effective number of samples is {effective:.1f} for {n_segments} segments; "
            f"{2 * n_segments} are needed to trust them."
        )
    none = explanation.output_none
    if none is not None and rests_on_none(explanation):
        notes.append(
            f"With every segment replaced ({explanation.settings.content}) the model still gives "
            f"{number(none)}: much of the output rests on none of them."
        )
    return notes


def is_probability(explanation: Explanation) -> bool:
    """Whether all outputs lie in [0, 1]."""
    outputs = explanation.outputs[:, explanation.selected]
    return float(outputs.min()) >= 0 and float(outputs.max()) <= 1


def is_constant(explanation: Explanation) -> bool:
    """Whether the output is the same for all coalitions, to rounding."""
    outputs = explanation.outputs[:, explanation.selected]
    is_zero = is_probability(explanation) and number(float(outputs.max())) == "0"
    return is_zero or float(outputs.max() - outputs.min()) <= explanation.rounding


def rests_on_none(explanation: Explanation) -> bool:
    """Whether more than half of the output remains with every segment replaced."""
    none, whole = explanation.output_none, explanation.output_all
    return none is not None and (none > whole / 2 if whole > 0 else none >= whole)


def support(explanation: Explanation) -> list[int]:
    """List the supporting segments; none if nine tenths of the output remain without them."""
    if is_constant(explanation) or rests_on_none(explanation):
        return []
    top, whole = explanation.top(_TOP), explanation.output_all
    without = _output_without(explanation, top)
    fall = max(explanation.rounding, abs(whole) / 10)
    return top if without is None or without < whole - fall else []


def coalition_output(explanation: Explanation, segments: Sequence[int]) -> float | None:
    """Return the output with only these segments kept, or None if it was not computed."""
    kept = torch.zeros(len(explanation.extents), dtype=torch.bool)
    kept[list(segments)] = True
    row = (explanation.keep == kept).all(1).nonzero()
    return float(explanation.outputs[row[0, 0], explanation.selected]) if len(row) else None


def _output_without(explanation: Explanation, segments: Sequence[int]) -> float | None:
    """Return the output with these segments replaced, or None if it was not computed."""
    others = [i for i in range(len(explanation.extents)) if i not in segments]
    return coalition_output(explanation, others)


def place(explanation: Explanation, extent: Extent, *, decimals: int = 2) -> str:
    """Name the place of a segment on the axes that are cut, in seconds and Hz if known.

    Segments that are no boxes have a name only.
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
    """Name the places of segments in the order of time; neighbours are merged."""
    merged: list[Extent] = []
    extents = [explanation.extents[segment] for segment in segments]
    for extent in sorted(extents, key=lambda e: (e.bands, e.frames)):
        if merged and _are_boxes(explanation) and (whole := _union(merged[-1], extent)):
            merged[-1] = whole
        else:
            merged.append(extent)
    merged.sort(key=lambda e: (e.frames, e.bands))
    return [place(explanation, extent, decimals=1) for extent in merged]


def _output_clause(explanation: Explanation) -> str:
    value, target = number(explanation.output_all), explanation.target
    if not is_probability(explanation):
        return f"The model’s output “{target}” is {value}"
    if explanation.output_all < 0.5:
        return f"The model gives “{target}” {value}"
    return f"The model says “{target}” with {value}"


def _without_support(explanation: Explanation) -> str:
    """Return the output without the segments that speak for it, and what follows."""
    none, whole, top = explanation.output_none, explanation.output_all, explanation.top(_TOP)
    if none is not None and rests_on_none(explanation):
        if none < whole and (whole >= 0.5 or not is_probability(explanation)):
            verdict = "most of that rests on no segment"
        elif is_probability(explanation):
            verdict = "no segment makes it say so"
        else:
            verdict = "together the segments do not raise it"
        return f", and {number(none)} with every segment replaced: {verdict}"
    without = _output_without(explanation, top)
    if not top or without is None:
        return ". No segment speaks for it"
    return f", and {number(without)} without {_at(explanation, top)}: none of that is needed for it"


def _against(explanation: Explanation) -> list[str]:
    """Name the segments that lower the output most, where none raises it."""
    against = -explanation.coefficients
    strongest = ranked(against)[:_TOP].tolist()
    least = max(explanation.rounding, float(against.max()) / 20)
    named = [segment for segment in strongest if against[segment] > least]
    if explanation.top(_TOP) or not named:
        return []
    return [f"Strongest against it: {_at(explanation, named)}."]


def _at(explanation: Explanation, segments: Sequence[int]) -> str:
    named = places(explanation, segments)
    text = " and ".join(filter(None, ["; ".join(named[:-1]), *named[-1:]]))
    return text if any("," in name for name in named) else text.replace("; ", ", ")


def _proof(explanation: Explanation, supporting: list[int]) -> list[str]:
    """Return the outputs for the support alone and without it, where they were computed."""
    alone, without = (
        coalition_output(explanation, supporting),
        _output_without(explanation, supporting),
    )
    if len(supporting) == len(explanation.extents) or alone is None or without is None:
        return []
    this, it = ("this", "it") if len(places(explanation, supporting)) == 1 else ("these", "them")
    return [f"With {this} alone it gives {number(alone)}; without {it}, {number(without)}."]


def _needs_no_average(explanation: Explanation) -> bool:
    """Whether each coefficient is a difference of outputs, or exact, however few count."""
    is_complete = explanation.passes == 2 ** len(explanation.extents)
    is_estimate = explanation.settings.kernel == "shapley"
    return explanation.design == "leave_one_out" or (is_estimate and is_complete)


def _are_boxes(explanation: Explanation) -> bool:
    """Whether every segment fills its bounding box, so that the boxes do not overlap."""
    sizes = [(e.frames[1] - e.frames[0]) * (e.bands[1] - e.bands[0]) for e in explanation.extents]
    return sum(sizes) == explanation.patch.values.numel()


def _union(first: Extent, second: Extent) -> Extent | None:
    """Merge two extents that touch along one axis and agree on the other."""
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
