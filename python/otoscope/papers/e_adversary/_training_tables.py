"""Tables and figure of the experiment adversarial-training, from its rows.

Trainings and artists are both random: intervals draw both with replacement.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from otoscope.metrics import Interval
from otoscope.metrics.grouped import group_draws
from otoscope.papers.e_adversary._genre_tables import fraction_text
from otoscope.report.figures import COLOURS, ResultTable, svg_figure
from otoscope.report.numbers import with_bounds

__all__ = ["crossed_mean", "draw_training", "training_tables"]

_SNRS_DB = tuple(float(ratio) for ratio in range(5, 75, 5))
Row = Mapping[str, Any]
Floats = NDArray[np.float64]


def training_tables(rows: Sequence[Row], bound_db: float, seed: int = 0) -> list[ResultTable]:
    """Resilience by recipe, checks of the gradients, and robustness curves."""
    recipes = _by_recipe(rows)
    groups = rows[0]["group"]
    plain = _robust(recipes["plain"], bound_db)
    resilience = ResultTable(
        f"Trained against adversaries: right under attack at {bound_db:g} dB, on written audio",
        (
            "training",
            "networks",
            "clean",
            "SNR that fools, dB",
            f"right at {bound_db:g} dB",
            "more than plain",
        ),
        tuple(
            (
                recipe,
                str(len(own)),
                with_bounds(crossed_mean(_robust(own, np.inf), groups, seed)),
                with_bounds(crossed_mean(_found(own), groups, seed), count=1),
                with_bounds(crossed_mean(_robust(own, bound_db), groups, seed)),
                with_bounds(crossed_mean(_robust(own, bound_db) - plain, groups, seed)),
            )
            for recipe, own in recipes.items()
        ),
    )
    checks = ResultTable(
        "Are gradients masked?",
        (
            "training",
            "fooled without a bound",
            f"black box at {bound_db:g} dB",
            "black box alone",
            "noise of the same SNR",
        ),
        tuple((recipe, *_checks(own, bound_db)) for recipe, own in recipes.items()),
    )
    curves = ResultTable(
        "Robustness curves: fraction right under attack",
        ("training", *(f"{ratio:g} dB" for ratio in _SNRS_DB)),
        tuple(
            (recipe, *(f"{interval.value:.2f}" for interval in _curve(own, groups, seed)))
            for recipe, own in recipes.items()
        ),
    )
    return [resilience, checks, curves]


def draw_training(rows: Sequence[Row], path: Path, seed: int = 0) -> None:
    """Draw the robustness curve of each recipe with its interval."""
    groups = rows[0]["group"]
    with svg_figure(path, width=5.2, height=3.2) as figure:
        axes = figure.add_subplot()
        for (recipe, own), colour in zip(_by_recipe(rows).items(), COLOURS, strict=False):
            curve = _curve(own, groups, seed)
            low, high = [i.low for i in curve], [i.high for i in curve]
            axes.fill_between(_SNRS_DB, low, high, color=colour, alpha=0.2, lw=0)
            axes.plot(_SNRS_DB, [i.value for i in curve], "o-", color=colour, ms=4, label=recipe)
        axes.set(ylim=(-0.03, 1.03), xlabel="minimum signal-to-noise ratio in dB")
        axes.set_ylabel("fraction right under attack")
        axes.spines[["top", "right"]].set_visible(False)
        axes.legend(frameon=False, fontsize=8)


def crossed_mean(values: Floats, groups: Sequence[object], seed: int = 0) -> Interval:
    """Estimate a mean with trainings and artists as random factors.

    Parameters
    ----------
    values : ndarray [training, sound]
        Values; NaN where there is none.
    groups : sequence [sound]
        Artist of each sound.
    seed : int
        Random seed.

    Returns
    -------
    Interval
        Mean, with percentiles at 95 % of means over trainings and artists drawn with replacement.

    Examples
    --------
    >>> crossed_mean(np.array([[0.0, 1.0], [0.0, 1.0]]), ["a", "b"]).value
    0.5
    """
    known = ~np.isnan(values)
    if not known.any():
        return Interval(np.nan, np.nan, np.nan, 0.95)
    names = sorted({str(group) for group in groups})
    code = np.array([names.index(str(group)) for group in groups])
    of_training = group_draws(len(values), seed=seed)
    of_sound = group_draws(len(names), seed=seed + 1)[:, code]
    filled = np.where(known, values, 0.0)
    total = np.einsum("dt,ts,ds->d", of_training, filled, of_sound)
    weight = np.einsum("dt,ts,ds->d", of_training, known.astype(float), of_sound)
    means = total[weight > 0] / weight[weight > 0]
    low, high = np.percentile(means, [2.5, 97.5])
    return Interval(float(values[known].mean()), float(low), float(high), 0.95)


def _by_recipe(rows: Sequence[Row]) -> dict[str, list[Row]]:
    recipes: dict[str, list[Row]] = {}
    for row in rows:
        recipes.setdefault(row["recipe"], []).append(row)
    return recipes


def _found(rows: Sequence[Row]) -> Floats:
    """Ratios that fool, [training, sound]; NaN where nothing did or the label was wrong."""
    return np.array([[np.nan if v is None else v for v in row["found_db"]] for row in rows], float)


def _robust(rows: Sequence[Row], bound_db: float) -> Floats:
    """Whether each sound is right, and not fooled at a ratio: [training, sound], 0 or 1."""
    right = np.array(
        [[a == b for a, b in zip(row["heard"], row["label"], strict=True)] for row in rows]
    )
    return (right & ~(_found(rows) >= bound_db)).astype(float)


def _curve(rows: Sequence[Row], groups: Sequence[object], seed: int) -> list[Interval]:
    return [crossed_mean(_robust(rows, ratio), groups, seed) for ratio in _SNRS_DB]


def _checks(rows: Sequence[Row], bound_db: float) -> tuple[str, ...]:
    """Count over all trainings."""
    right = [
        (row, i)
        for row in rows
        for i, (a, b) in enumerate(zip(row["heard"], row["label"], strict=True))
        if a == b
    ]
    tried = [(row, i) for row, i in right if row["by_black_box"][i] is not None]
    return (
        fraction_text(row["found_db"][i] is not None for row, i in right),
        fraction_text(row["by_black_box"][i] for row, i in tried),
        fraction_text(
            row["by"][i] == "square"
            or (row["by_black_box"][i] and (row["found_db"][i] or 0.0) < bound_db)
            for row, i in tried
        ),
        fraction_text(row["noise"][i] for row, i in right if row["noise"][i] is not None),
    )
