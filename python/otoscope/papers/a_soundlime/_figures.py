"""Figures like the paper's: violins of a number per excerpt, and stacked counts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from otoscope.report.figures import COLOURS, svg_figure

__all__ = ["draw_counts", "draw_violins"]

_SHADES = ("#1f6fb5", "#7fb0dc", "#f0c48a", "#d98a1f")


def draw_violins(
    panels: Mapping[str, Mapping[str, Sequence[float]]], path: Path, *, ylabel: str, title: str
) -> None:
    """Draw one violin per condition, one panel per method; points are means."""
    width = 0.9 + 0.55 * max(map(len, panels.values()))
    with svg_figure(path, width=max(2.6, width) * len(panels), height=2.9) as figure:
        figure.suptitle(title, fontsize=9)
        axes = figure.subplots(1, len(panels), sharey=True, squeeze=False)[0]
        for axis, (name, conditions) in zip(axes, panels.items(), strict=True):
            places = range(len(conditions))
            values = [list(map(float, each)) for each in conditions.values()]
            # a violin of equal values has no width, and a single one no density
            drawn = [(i, v) for i, v in zip(places, values, strict=True) if len({*v}) > 1]
            if drawn:
                parts = axis.violinplot([v for _, v in drawn], [i for i, _ in drawn], widths=0.8)
                for body in parts["bodies"]:
                    body.set(facecolor=COLOURS[0], alpha=0.35)
            means = [sum(v) / len(v) for v in values]
            axis.plot(places, means, "o", color=COLOURS[1], markersize=4)
            axis.set_xticks(places, list(conditions), rotation=40, ha="right")
            axis.set_title(name, fontsize=9)
            axis.spines[["top", "right"]].set_visible(False)
        axes[0].set_ylabel(ylabel)


def draw_counts(panels: Mapping[str, Mapping[str, Sequence[int]]], path: Path, where: str) -> None:
    """Stack the fractions of mixes with 3, 2, 1 and 0 right segments, one bar per content."""
    with svg_figure(path, width=2.6 * len(panels), height=3.0) as figure:
        figure.suptitle(where, fontsize=9)
        axes = figure.subplots(1, len(panels), sharey=True, squeeze=False)[0]
        for axis, (name, contents) in zip(axes, panels.items(), strict=True):
            base = [0.0] * len(contents)
            for k, right in enumerate((3, 2, 1, 0)):
                share = [100 * counts[k] / max(1, sum(counts)) for counts in contents.values()]
                axis.bar(list(contents), share, bottom=base, color=_SHADES[k], label=f"{right}")
                base = [a + b for a, b in zip(base, share, strict=True)]
            axis.set_title(name, fontsize=9)
            axis.tick_params(axis="x", rotation=40)
            axis.spines[["top", "right"]].set_visible(False)
        axes[0].set_ylabel("mixes, %")
        axes[-1].legend(title="right", frameon=False, fontsize=8, loc="lower right")
