"""Lines: a model's outputs over time, with the excerpt and the output explained marked."""

from __future__ import annotations

from dataclasses import dataclass

from otoscope.explain import Explanation
from otoscope.report._picture import Tick, polyline, ticks
from otoscope.report.curve import Curve

__all__ = ["Line", "Lines", "lines"]

_OTHERS = 3


@dataclass(frozen=True)
class Line:
    """One output.

    Parameters
    ----------
    name : str
        Of the output.
    path : str
        For the attribute ``d``, in percent of the drawing.
    is_target : bool
        Whether it is the output explained.
    """

    name: str
    path: str
    is_target: bool


@dataclass(frozen=True)
class Lines:
    """The drawing.

    Parameters
    ----------
    lines : list of Line
        The one explained last: it is drawn on top.
    time_ticks, value_ticks : list of Tick
        Of the axes.
    excerpt : (float, float), optional
        Where the excerpt begins and ends, percent.
    """

    lines: list[Line]
    time_ticks: list[Tick]
    value_ticks: list[Tick]
    excerpt: tuple[float, float] | None


def lines(curve: Curve, explanation: Explanation) -> Lines:
    """Draw the output explained and the three others that are largest on average.

    Parameters
    ----------
    curve : Curve
        Outputs over time.
    explanation : Explanation
        Whose target and excerpt are marked.

    Returns
    -------
    Lines
        On an axis from 0 to 1 if all values lie there.
    """
    order = curve.values.mean(0).argsort(descending=True, stable=True).tolist()
    chosen = [i for i in order if curve.names[i] != explanation.target][:_OTHERS]
    chosen += [i for i in order if curve.names[i] == explanation.target]
    shown = curve.values[:, chosen]
    low, high = min(0.0, float(shown.min())), max(0.0, float(shown.max()))
    if low == 0 and high <= 1:
        high = 1.0
    first, last = float(curve.times[0]), float(curve.times[-1])

    def at(time: float) -> float:
        return min(100.0, max(0.0, 100 * (time - first) / (last - first)))

    patch = explanation.patch
    duration = patch.duration
    times = [at(time) for time in curve.times.tolist()]
    return Lines(
        lines=[
            Line(
                name=curve.names[i],
                path=polyline(times, (100 * (curve.values[:, i] - low) / (high - low)).tolist()),
                is_target=curve.names[i] == explanation.target,
            )
            for i in chosen
        ],
        time_ticks=ticks(first, last, most=6),
        value_ticks=ticks(low, high, most=4),
        excerpt=None if duration is None else (at(patch.start), at(patch.start + duration)),
    )
