"""Distances as figures."""

from __future__ import annotations

from typing import Any

import torch

from otoscope.metrics import FrechetDistance, KernelDistance


def test_a_distance_is_drawn_now_per_candidate_or_over_steps() -> None:
    from matplotlib.figure import Figure

    metric = FrechetDistance(sets=3)
    metric.update(torch.rand(9, 2), real=True)
    metric.update(torch.rand(3, 9, 2), real=False)
    ax = Figure().subplots()
    assert metric.plot(ax=ax) == (ax.figure, ax)
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("Candidate", "Fréchet distance")
    drawn: Any = ax.lines[0].get_ydata()
    assert list(drawn) == metric.compute().tolist()
    single = KernelDistance()
    figure, own = single.plot([torch.tensor(3.0), torch.tensor(1.0)])
    assert (own.get_xlabel(), own.get_ylabel()) == ("Step", "Kernel distance")
    assert own.figure is figure
    from matplotlib import pyplot

    pyplot.close("all")
