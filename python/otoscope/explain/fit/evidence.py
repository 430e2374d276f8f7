"""Evidence: the segments that an output rests on, and how much of the output needs none of them.

The change of the output, f(all) - f(none), is what segments can account for. The segments named are
those that drive it, checked against the outputs: without them, the change must shrink.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import torch
from torch import Tensor

from otoscope.explain.fit.contributions import ranked
from otoscope.explain.settings import ExplanationSettings

if TYPE_CHECKING:
    from otoscope.explain.result import Explanation

__all__ = [
    "Evidence",
    "clear_segments",
    "coalition_output",
    "is_constant",
    "is_probability",
    "least_of",
    "weigh",
]

LEAST = 0.05
_TOP = 3  # segments that count as the evidence, as in paper A
_SHRINKS = 0.1  # fraction of the change that must go without the named segments
_ZERO = 5e-5  # a probability below it is printed as 0


@dataclass(frozen=True)
class Evidence:
    """Name the segments that account for the change of an output, or say why none are named.

    Parameters
    ----------
    kind : {"raises", "lowers", "none", "untold"}
        The segments raise or lower the output; it is the same for all coalitions; or it cannot be
        told which segments matter.
    segments : tuple of int
        Ids of the segments, strongest first; empty if none are named.
    share : float
        Fraction of the change that the segments account for, in [0, 1]: the smaller of their
        fraction of the coefficients and, if it was computed, of the change that goes without them.
    reason : {"", "r2", "change", "removal"}
        Why it cannot be told: R2 is below ``min_r2``; the change is below ``min_change``; or the
        change stays without the strongest segments.

    Examples
    --------
    >>> Evidence("raises", (2, 0), 0.97).segments
    (2, 0)
    """

    kind: Literal["raises", "lowers", "none", "untold"]
    segments: tuple[int, ...] = ()
    share: float = 0.0
    reason: Literal["", "r2", "change", "removal"] = ""


def weigh(explanation: Explanation) -> Evidence:
    """Find the evidence of the target shown."""
    settings, outputs = explanation.settings, explanation.outputs[:, explanation.selected]
    span, rounding = float(outputs.max() - outputs.min()), explanation.rounding
    if is_constant(explanation):
        return Evidence("none")
    if not explanation.is_saturated and not explanation.r2 >= settings.min_r2:
        return Evidence("untold", reason="r2")
    none, scale = explanation.output_none, 1.0 if is_probability(explanation) else span
    # A design without the coalition of no segment leaves the change open: the span bounds it.
    change = None if none is None else explanation.output_all - none
    size = abs(span if change is None else change)
    if size < settings.min_change * scale or size <= rounding:
        return Evidence("untold", reason="change")
    if change is None:
        change = span if bool((explanation.coefficients > rounding).any()) else -span
    sign = 1 if change > 0 else -1
    driving = sign * explanation.coefficients
    if explanation.shapley is not None:  # 0 for a segment without effect; a coefficient may not be
        driving = driving.where(_is_clear(sign * explanation.shapley, rounding, LEAST), 0)
    clear = clear_segments(driving, rounding, least_of(settings))
    for named in (clear[:_TOP], clear):  # evidence that is there more than once needs all of it
        kept = [i for i in range(len(driving)) if i not in named]
        without = coalition_output(explanation, kept)
        gone = None if without is None else (explanation.output_all - without) / change
        if named and (gone is None or gone >= _SHRINKS):
            share = float(driving[named].sum() / driving.clamp(min=0).sum())
            share = share if gone is None else min(share, gone)
            return Evidence("raises" if change > 0 else "lowers", tuple(named), share)
    return Evidence("untold", reason="removal")


def least_of(settings: ExplanationSettings) -> float | None:
    """Return the fraction of the largest coefficient that a named segment must reach."""
    return None if settings.top_rule == "positive" else LEAST


def clear_segments(values: Tensor, rounding: float, least: float | None) -> list[int]:
    """List the segments of at least a fraction of the largest value, or all above 0, sorted."""
    order = ranked(values)
    is_named = values > 0 if least is None else _is_clear(values, rounding, least)
    named: list[int] = order[is_named[order]].tolist()
    return named


def _is_clear(values: Tensor, rounding: float, least: float) -> Tensor:
    return (values > rounding) & (values >= least * values.max())


def is_probability(explanation: Explanation) -> bool:
    """Whether all outputs lie in [0, 1]."""
    outputs = explanation.outputs[:, explanation.selected]
    return float(outputs.min()) >= 0 and float(outputs.max()) <= 1


def is_constant(explanation: Explanation) -> bool:
    """Whether the output is the same for all coalitions, to rounding."""
    outputs = explanation.outputs[:, explanation.selected]
    is_zero = is_probability(explanation) and float(outputs.max()) < _ZERO
    return is_zero or float(outputs.max() - outputs.min()) <= explanation.rounding


def coalition_output(explanation: Explanation, segments: Sequence[int]) -> float | None:
    """Return the output with only these segments kept, or None if it was not computed."""
    kept = torch.zeros(len(explanation.extents), dtype=torch.bool)
    kept[list(segments)] = True
    row = (explanation.keep == kept).all(1).nonzero()
    return float(explanation.outputs[row[0, 0], explanation.selected]) if len(row) else None
