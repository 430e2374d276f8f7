"""Bars: what each segment adds, with its uncertainty and its Shapley value, largest first.

Places are percent of the width that all bars share.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch

from otoscope.explain import Explanation
from otoscope.report._phrases import is_constant, place

__all__ = ["Bar", "bars"]


@dataclass(frozen=True)
class Bar:
    """A segment's row, and its colour in the picture.

    Parameters
    ----------
    segment : int
        Its id.
    name : str
        What the segmentation calls it.
    place : str
        Seconds, Hz or both.
    value : str
        The coefficient, signed.
    side : {"for", "against"}
        Of the output.
    strength : float
        Its size relative to the largest, or to half an even share of the output if that is larger,
        in [0, 1].
    zero : float
        Where no effect lies.
    span : (float, float)
        Where the bar begins and ends.
    error : (float, float), optional
        Two standard errors to each side.
    shapley : float, optional
        Where the Shapley value lies.
    spoken : str
        All of it in words.
    """

    segment: int
    name: str
    place: str
    value: str
    side: str
    strength: float
    zero: float
    span: tuple[float, float]
    error: tuple[float, float] | None
    shapley: float | None
    spoken: str


def bars(explanation: Explanation) -> list[Bar]:
    """Lay out one bar a segment.

    Parameters
    ----------
    explanation : Explanation
        Its shown target is drawn.

    Returns
    -------
    list of Bar
        The largest coefficient first.
    """
    values, errors = explanation.coefficients, explanation.standard_error
    if explanation.effective_samples < 2 * len(values):  # the estimate would be far too small
        errors = None
    shapley = _distinct_shapley(explanation)
    if is_constant(explanation):  # what is left is rounding
        values, errors, shapley = torch.zeros_like(values), None, None
    margin = torch.zeros_like(values) if errors is None else 2 * errors
    drawn = torch.cat([values - margin, values + margin, values.new_zeros(1)])
    drawn = drawn if shapley is None else torch.cat([drawn, shapley])
    low, high = float(drawn.min()), float(drawn.max())
    largest = float(values.abs().max()) or 1.0
    scale = max(largest, abs(explanation.output_all) / (2 * len(values)))
    if high - low < scale:  # so that tiny effects look tiny
        low, high = (low, low + scale) if high >= -low else (high - scale, high)
    decimals = max(2, 1 - math.floor(math.log10(largest)))  # two digits of the largest

    def at(value: float) -> float:
        return 100 * (value - low) / (high - low)

    found = []
    for segment in values.argsort(descending=True, stable=True).tolist():
        value, extent = float(values[segment]), explanation.extents[segment]
        spread = float(margin[segment])
        where = place(explanation, extent)
        # a grid's names only say the place again
        name = "" if extent.name.startswith((where, "time ", "band ")) else extent.name
        rounded = round(value, decimals)
        sign = "+" if rounded > 0 else "\N{MINUS SIGN}" if rounded < 0 else ""
        signed = f"{sign}{abs(rounded):.{decimals}f}"
        found.append(
            Bar(
                segment=segment,
                name=name,
                place=where,
                value=signed,
                side="for" if value >= 0 else "against",
                strength=abs(value) / scale,
                zero=at(0),
                span=(at(min(value, 0)), at(max(value, 0))),
                error=None if errors is None else (at(value - spread), at(value + spread)),
                shapley=None if shapley is None else at(float(shapley[segment])),
                spoken=", ".join(filter(None, [name, where, signed])),
            )
        )
    return found


def _distinct_shapley(explanation: Explanation) -> torch.Tensor | None:
    """Shapley values where they are not the coefficients themselves."""
    shapley = explanation.shapley
    if shapley is None or torch.equal(shapley, explanation.coefficients):
        return None
    return shapley
