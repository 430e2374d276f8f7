"""Phrases: numbers and places in words, and the model's own answers for sets of segments."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch

from otoscope.explain import Explanation
from otoscope.explain.segments import Extent

__all__ = [
    "TOP",
    "answer",
    "decimals",
    "is_constant",
    "is_probability",
    "join",
    "number",
    "place",
    "places",
    "rests_on_none",
    "support",
]

TOP = 3
"""How many segments count as the support, as in paper A."""

_NBSP = "\N{NO-BREAK SPACE}"
_MINUS = "\N{MINUS SIGN}"


def is_probability(explanation: Explanation) -> bool:
    """Whether all answers lie in [0, 1]."""
    outputs = explanation.outputs[:, explanation.selected]
    return float(outputs.min()) >= 0 and float(outputs.max()) <= 1


def is_constant(explanation: Explanation) -> bool:
    """Whether the model's answer is the same for all coalitions, as far as it can be shown."""
    outputs = explanation.outputs[:, explanation.selected]
    is_zero = is_probability(explanation) and number(float(outputs.max())) == "0"
    return is_zero or float(outputs.max() - outputs.min()) <= explanation.rounding


def rests_on_none(explanation: Explanation) -> bool:
    """Whether more than half of the answer is there with every segment replaced."""
    none, whole = explanation.output_none, explanation.output_all
    return none is not None and (none > whole / 2 if whole > 0 else none >= whole)


def support(explanation: Explanation) -> list[int]:
    """The supporting segments; none where nine tenths of the answer are there without them."""
    if is_constant(explanation) or rests_on_none(explanation):
        return []
    top, whole = explanation.top(TOP), explanation.output_all
    without = answer(explanation, [i for i in range(len(explanation.extents)) if i not in top])
    fall = max(explanation.rounding, abs(whole) / 10)
    return top if without is None or without < whole - fall else []


def answer(explanation: Explanation, segments: Sequence[int]) -> float | None:
    """What the model said with just these segments kept, or None if it was not asked."""
    kept = torch.zeros(len(explanation.extents), dtype=torch.bool)
    kept[list(segments)] = True
    row = (explanation.keep == kept).all(1).nonzero()
    return float(explanation.outputs[row[0, 0], explanation.selected]) if len(row) else None


def number(value: float) -> str:
    """Two decimals, or up to four where these would be zeros; a true minus sign."""
    text = f"{value:.2f}" if abs(value) >= 0.005 else f"{round(value, 4) + 0.0:g}"
    return text.replace("-", _MINUS)


def decimals(value: float, count: int = 2) -> str:
    """So many decimals, and a true minus sign where they are not all 0."""
    return f"{round(value, count) + 0.0:.{count}f}".replace("-", _MINUS)


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
