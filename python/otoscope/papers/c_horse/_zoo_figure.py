"""Figure of the experiment horse-zoo: the share of answers that each change moves."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from otoscope.intervene import InterrogationResult
from otoscope.report.figures import svg_figure

__all__ = ["draw_moves"]


def draw_moves(found: Mapping[str, InterrogationResult], path: Path) -> None:
    """Draw a panel a task: for each change the worst dose, with its interval, and its placebo."""
    n_curves = max(len(one.curves) for one in found.values())
    size = {"width": 3.1 * len(found) + 1.2, "height": 0.28 * n_curves + 1.2}
    with svg_figure(path, **size) as figure:
        panels = figure.subplots(1, len(found), sharey=True, squeeze=False)[0]
        for panel, (task, one) in zip(panels, found.items(), strict=True):
            for row, curve in enumerate(one.curves):
                worst = max(curve.points, key=lambda point: point.moved.value)
                panel.plot([worst.moved.low, worst.moved.high], [row, row], color="#1f6fb5", lw=2)
                panel.plot(worst.moved.value, row, "o", color="#1f6fb5", ms=5)
                back = max((point.moved.value for point in curve.placebo), default=None)
                if back is not None:
                    panel.plot(back, row, "o", mfc="none", mec="#8d9199", ms=5)
            panel.set_yticks(range(len(one.curves)), [curve.name for curve in one.curves])
            panel.set(title=task, xlim=(-0.02, 1.02))
            panel.set_xlabel("answers moved (ring: there and back)", fontsize=8)
            panel.grid(axis="x", alpha=0.3)
        panels[0].invert_yaxis()
