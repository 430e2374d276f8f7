"""Charts of an explanation: bars of the segments, and outputs over time around the excerpt.

Positions are percent of the width or height that a chart has.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from otoscope.errors import ParameterError
from otoscope.explain import Explanation
from otoscope.explain.fit.contributions import ranked
from otoscope.explain.fit.evidence import is_constant
from otoscope.report.geometry import polyline
from otoscope.report.numbers import Tick, signed, ticks
from otoscope.report.sentences import place

__all__ = ["OutputChart", "OutputCurve", "OutputLine", "SegmentBar", "output_chart", "segment_bars"]

_OTHERS = 3  # outputs that are drawn beside the one explained


@dataclass(frozen=True)
class SegmentBar:
    """The bar of a segment, and its colour in the spectrogram.

    ``side`` is "for" or "against" the output. ``strength`` is the size of the coefficient, in
    [0, 1], relative to the largest or to ``|output| / (2 * n_segments)`` if that is larger, so that
    effects that are small against the output look small. ``zero`` is the position of no effect,
    ``span`` the ends of the bar, ``error`` two standard errors to each side, ``shapley`` the
    position of the Shapley value, ``spoken`` the whole row in words.
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


def segment_bars(explanation: Explanation) -> list[SegmentBar]:
    """Lay out one bar per segment, the largest coefficient first."""
    values, errors = explanation.coefficients, explanation.standard_error
    if explanation.effective_samples < 2 * len(values):  # the estimate would be far too small
        errors = None
    shapley = _distinct_shapley(explanation)
    if is_constant(explanation):  # the coefficients are rounding
        values, errors, shapley = torch.zeros_like(values), None, None
    margin = torch.zeros_like(values) if errors is None else 2 * errors
    drawn = torch.cat([values - margin, values + margin, values.new_zeros(1)])
    drawn = drawn if shapley is None else torch.cat([drawn, shapley])
    low, high = float(drawn.min()), float(drawn.max())
    largest = float(values.abs().max()) or 1.0
    scale = max(largest, abs(explanation.output_all) / (2 * len(values)))
    if high - low < scale:
        low, high = (low, low + scale) if high >= -low else (high - scale, high)
    n_decimals = max(2, 1 - math.floor(math.log10(largest)))  # two digits of the largest

    def at(value: float) -> float:
        return 100 * (value - low) / (high - low)

    bars = []
    for segment in ranked(values).tolist():
        value, spread = float(values[segment]), float(margin[segment])
        extent = explanation.extents[segment]
        where, coefficient = place(explanation, extent), signed(value, n_decimals)
        # a grid's names only repeat the place
        name = "" if extent.name.startswith((where, "time ", "band ")) else extent.name
        bars.append(
            SegmentBar(
                segment=segment,
                name=name,
                place=where,
                value=coefficient,
                side="for" if value >= 0 else "against",
                strength=abs(value) / scale,
                zero=at(0),
                span=(at(min(value, 0)), at(max(value, 0))),
                error=None if errors is None else (at(value - spread), at(value + spread)),
                shapley=None if shapley is None else at(float(shapley[segment])),
                spoken=", ".join(filter(None, [name, where, coefficient])),
            )
        )
    return bars


@dataclass(frozen=True, eq=False)
class OutputCurve:
    """Outputs of a model over time, to be drawn around the excerpt that is explained.

    Parameters
    ----------
    times : Tensor [time]
        Middle of the excerpt that each output belongs to, in seconds of the recording; rising,
        at least two.
    values : Tensor [time, output]
        The outputs.
    names : tuple of str
        Names of the outputs.

    Raises
    ------
    ParameterError
        If the shapes do not fit, times do not rise, or a number is not finite.

    Examples
    --------
    >>> OutputCurve(torch.arange(3.0), torch.rand(3, 1), ("singing",)).names
    ('singing',)
    """

    times: Tensor
    values: Tensor
    names: tuple[str, ...]

    def __post_init__(self) -> None:
        times = torch.as_tensor(self.times).detach().cpu().double()
        values = torch.as_tensor(self.values).detach().cpu().double()
        object.__setattr__(self, "times", times)
        object.__setattr__(self, "values", values)
        object.__setattr__(self, "names", tuple(self.names))
        if times.ndim != 1 or len(times) < 2 or values.shape != (len(times), len(self.names)):
            raise ParameterError(
                f"times has shape {tuple(times.shape)}, values {tuple(values.shape)}, and there "
                f"are {len(self.names)} names; must be [time], [time, output] and one per column, "
                "two times or more"
            )
        if not bool(times.isfinite().all() and values.isfinite().all()):
            raise ParameterError("times and values must be finite")
        if not bool((times.diff() > 0).all()):
            raise ParameterError("times must rise")


@dataclass(frozen=True)
class OutputLine:
    """One output of the chart: its name, its SVG path, and the class that colours both."""

    name: str
    path: str
    style: str


@dataclass(frozen=True)
class OutputChart:
    """Outputs over time, the one explained last (drawn on top), and the ends of the excerpt."""

    lines: list[OutputLine]
    time_ticks: list[Tick]
    value_ticks: list[Tick]
    excerpt: tuple[float, float] | None
    spoken: str


def output_chart(curve: OutputCurve, explanation: Explanation) -> OutputChart:
    """Draw the output explained and the three others with the largest means."""
    order = curve.values.mean(0).argsort(descending=True, stable=True).tolist()
    chosen = [i for i in order if curve.names[i] != explanation.target][:_OTHERS]
    n_others = len(chosen)
    chosen += [i for i in order if curve.names[i] == explanation.target]
    shown = curve.values[:, chosen]
    low, high = min(0.0, float(shown.min())), max(0.0, float(shown.max()))
    if low == 0 and high <= 1:
        high = 1.0
    first, last = float(curve.times[0]), float(curve.times[-1])

    def at(time: float) -> float:
        return min(100.0, max(0.0, 100 * (time - first) / (last - first)))

    patch, times = explanation.patch, [at(time) for time in curve.times.tolist()]
    heights = 100 * (curve.values - low) / (high - low)
    return OutputChart(
        lines=[
            OutputLine(
                name=curve.names[column],
                path=polyline(times, heights[:, column].tolist()),
                style=f"other-{i + 1}" if i < n_others else "target",
            )
            for i, column in enumerate(chosen)
        ],
        time_ticks=ticks(first, last, most=6),
        value_ticks=ticks(low, high, most=4),
        excerpt=patch.duration
        if patch.duration is None
        else (at(patch.start), at(patch.start + patch.duration)),
        spoken=f"Outputs over time: {', '.join(curve.names[column] for column in chosen)}",
    )


def _distinct_shapley(explanation: Explanation) -> Tensor | None:
    """Return the Shapley values where they are not the coefficients themselves."""
    shapley = explanation.shapley
    if shapley is None or torch.equal(shapley, explanation.coefficients):
        return None
    return shapley
