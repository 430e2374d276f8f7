"""Tables and figure of the experiment adversary-zoo, from its rows.

A row without a step taken counts nowhere: the model heard the excerpt so before. Rows may come from
a record, in which infinite ratios are None.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from itertools import groupby
from pathlib import Path
from statistics import median
from typing import Any

from otoscope.report.figures import ResultTable, svg_figure

__all__ = ["draw_figure", "tables"]

_COLOURS = {"waveform": "#1f6fb5", "magnitude": "#d98a1f", "published": "#8d9199"}


def tables(rows: list[dict[str, Any]]) -> list[ResultTable]:
    """Success on written audio, the published method, and the low-pass defence."""
    ours = [row for row in rows if row["method"] != "published"]
    published = [row for row in rows if row["method"] == "published"]
    swept = [row for row in ours if row["low_pass"]]
    found = [
        ResultTable(
            "Success on written audio",
            (
                "task",
                "domain",
                "bound",
                "fooled",
                "so before",
                "SNR",
                "worst 25 ms",
                "steps",
                "least margin",
            ),
            tuple(_success(*group) for group in _groups(ours)),
        )
    ]
    if published:
        found.append(
            ResultTable(
                "The method as published",
                (
                    "task",
                    "bound on magnitudes",
                    "claimed, on spectra",
                    "on the file",
                    "on the file at that SNR",
                    "SNR of magnitudes",
                    "SNR of the file",
                    "clipped samples",
                    "so before",
                ),
                tuple(_published(*group) for group in _groups(published)),
            )
        )
    if swept:
        found.append(
            ResultTable(
                "Behind a low-pass filter",
                (
                    "task",
                    "domain",
                    "cut-off",
                    "original heard as before",
                    "so is the adversary",
                ),
                tuple(row for group in _groups(swept) for row in _defence(*group)),
            )
        )
    return found


def draw_figure(rows: list[dict[str, Any]], path: Path) -> None:
    """Draw success over the bound: one panel per task, one line per method; claims are dashed."""
    tasks = list(dict.fromkeys(row["task"] for row in rows))
    with svg_figure(path, width=3.2 * len(tasks), height=2.7) as figure:
        axes = figure.subplots(1, len(tasks), sharey=True, squeeze=False)[0]
        for axis, task in zip(axes, tasks, strict=True):
            of_task = [row for row in rows if row["task"] == task]
            for method in dict.fromkeys(row["method"] for row in of_task):
                of_method = [row for row in of_task if row["method"] == method]
                style = {"color": _COLOURS[method], "marker": "o", "markersize": 4}
                axis.plot(*_shares(of_method, _holds), **style, label=method)
                if method == "published":
                    claimed = _shares(of_method, lambda row: row["success_on_spectra"])
                    axis.plot(*claimed, **style, linestyle="--", label="published, as claimed")
            axis.set(title=task, xlabel="bound, dB", ylim=(-5, 105))
            axis.set_xticks(sorted({row["snr_bound_db"] for row in of_task}))
            axis.spines[["top", "right"]].set_visible(False)
            axis.legend(frameon=False, fontsize=8)
        axes[0].set_ylabel("fooled within the bound, %")


def _groups(rows: Iterable[dict[str, Any]]) -> list[tuple[tuple[Any, ...], list[dict[str, Any]]]]:
    """Rows by task, method and bound; tasks in their order."""
    rows = list(rows)
    tasks = list(dict.fromkeys(row["task"] for row in rows))
    methods = list(dict.fromkeys(row["method"] for row in rows))

    def key(row: dict[str, Any]) -> tuple[int, int, float]:
        return tasks.index(row["task"]), methods.index(row["method"]), row["snr_bound_db"]

    groups = [list(group) for _, group in groupby(sorted(rows, key=key), key)]
    return [((g[0]["task"], g[0]["method"], g[0]["snr_bound_db"]), g) for g in groups]


def _success(key: tuple[Any, ...], rows: list[dict[str, Any]]) -> tuple[str, ...]:
    task, method, bound = key
    tried = _tried(rows)
    fooled = [row for row in tried if row["success"]]
    margin = min(_snr_db(row) - row["snr_guaranteed_db"] for row in rows)
    return (
        task,
        method,
        f"{bound:g} dB",
        _count(fooled, tried),
        str(len(rows) - len(tried)),
        _median(fooled, "snr_db", "{:.1f} dB"),
        _worst(fooled),
        _median(fooled, "iterations", "{:.0f}"),
        f"{margin:.3f} dB",
    )


def _published(key: tuple[Any, ...], rows: list[dict[str, Any]]) -> tuple[str, ...]:
    task, _, bound = key
    tried = _tried(rows)
    return (
        task,
        f"{bound:g} dB",
        _count([row for row in tried if row["success_on_spectra"]], tried),
        _count([row for row in tried if row["success"]], tried),
        _count([row for row in tried if _holds(row)], tried),
        _median(tried, "magnitude_snr_db", "{:.1f} dB"),
        _median(tried, "snr_db", "{:.1f} dB"),
        _median(tried, "clipped", "{:.0f}"),
        str(len(rows) - len(tried)),
    )


def _defence(key: tuple[Any, ...], rows: list[dict[str, Any]]) -> list[tuple[str, ...]]:
    """Count the filters that keep, and that restore, the label of attacked sounds."""
    task, method, _ = key
    fooled = [row for row in _tried(rows) if row["success"]]
    found: list[tuple[str, ...]] = []
    for i, cutoff in enumerate(row["cutoff_hz"] for row in rows[0]["low_pass"]):
        kept = [row for row in fooled if row["low_pass"][i]["original"] == row["label_before"]]
        cured = [row for row in kept if row["low_pass"][i]["adversary"] == row["label_before"]]
        found.append((task, method, f"{cutoff:g} Hz", _count(kept, fooled), _count(cured, kept)))
    return found


def _holds(row: dict[str, Any]) -> bool:
    """Fooled, and the file has the ratio asked for, but for a tenth of a dB."""
    return bool(row["success"] and _snr_db(row) >= row["snr_bound_db"] - 0.1)


def _tried(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Rows of excerpts that the model did not hear so before."""
    return [row for row in rows if row["iterations"] > 0]


def _snr_db(row: dict[str, Any]) -> float:
    """Return the ratio of the file; infinite if the file equals the original."""
    return math.inf if row["snr_db"] is None else float(row["snr_db"])


def _shares(
    rows: list[dict[str, Any]], is_so: Callable[[dict[str, Any]], bool]
) -> tuple[list[float], list[float]]:
    rows = _tried(rows)
    bounds = sorted({row["snr_bound_db"] for row in rows})
    of_bound = [[row for row in rows if row["snr_bound_db"] == bound] for bound in bounds]
    return bounds, [100 * sum(map(is_so, group)) / len(group) for group in of_bound]


def _count(some: list[dict[str, Any]], rows: list[dict[str, Any]]) -> str:
    return f"{len(some)} of {len(rows)}"


def _median(rows: list[dict[str, Any]], name: str, form: str) -> str:
    values = [row[name] for row in rows if row[name] is not None and math.isfinite(row[name])]
    return form.format(median(values)) if values else "–"


def _worst(rows: list[dict[str, Any]]) -> str:
    """Median of the worst segments that sound, and how many files have noise in digital silence."""
    told = _median(rows, "segmental_snr_db", "{:.1f} dB")
    # -inf; +inf only where nothing was added at all
    n_silent = sum(
        row["segmental_snr_db"] in (None, -math.inf) and _snr_db(row) < math.inf for row in rows
    )
    return f"{told}, {n_silent} in silence" if n_silent else told
