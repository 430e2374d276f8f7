"""Tables and figure of the benchmark."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from otoscope.metrics.grouped import grouped_mean
from otoscope.metrics.resampling import Interval
from otoscope.papers.explainers.registry import OURS, Explainer
from otoscope.papers.explainers.tasks import TIERS, TaskEntry
from otoscope.report.figures import COLOURS, ResultTable, svg_figure
from otoscope.report.numbers import UNKNOWN, decimals, with_bounds
from otoscope.report.sentences import join

__all__ = [
    "Rank",
    "above_chance",
    "best_settings",
    "draw_benchmark",
    "losses",
    "ranks_of",
    "tables_of",
]


class _Config(Protocol):
    @property
    def budget(self) -> int: ...
    @property
    def n_tuning(self) -> int: ...
    @property
    def songs(self) -> Path | None: ...
    @property
    def seed(self) -> int: ...


@dataclass(frozen=True)
class Rank:
    """Result of an explainer on a task, with the setting that it chose on other songs.

    ``areas`` has one number per item, NaN where it explains none; ``songs`` names their songs.
    """

    explainer: str
    setting: str
    area: Interval
    pointing: float
    seconds: float
    evaluations: float
    areas: tuple[float, ...]
    songs: tuple[str, ...]


def best_settings(
    rows: Sequence[dict[str, Any]], explainers: Sequence[Explainer]
) -> dict[str, str]:
    """Choose the setting of each explainer with the highest mean area on the tuning songs."""
    best = {}
    for explainer in explainers:
        areas: dict[str, list[float]] = {}
        for row in rows:
            for item in row["items"]:
                for setting, made in item["scores"][explainer.name].items():
                    if "auc" in made:
                        areas.setdefault(setting, []).append(made["auc"])
        if areas:
            best[explainer.name] = max(areas, key=lambda name: float(np.mean(areas[name])))
    return best


def ranks_of(
    rows: Sequence[dict[str, Any]], task: str, explainers: Sequence[Explainer], *, seed: int
) -> list[Rank]:
    """Return the explainers of a task that explain it, the best first."""
    own = [row for row in rows if row["task"] == task]
    best = best_settings([row for row in own if row["split"] == "tuning"], explainers)
    items = [(row["song"], item) for row in own if row["split"] == "test" for item in row["items"]]
    ranks = []
    for explainer in explainers:
        setting = best.get(explainer.name)
        if setting is None:
            continue
        made = [(song, item["scores"][explainer.name][setting]) for song, item in items]
        known = [(song, each) for song, each in made if "auc" in each]
        if not known:
            continue
        songs = tuple(song for song, _ in known)
        areas = tuple(each["auc"] for _, each in known)
        ranks.append(
            Rank(
                explainer.name,
                setting,
                grouped_mean(areas, songs, seed=seed),
                float(np.mean([each["pointing"] for _, each in known])),
                float(np.median([each["seconds"] for _, each in known])),
                float(np.mean([each["evaluations"] for _, each in known])),
                areas,
                songs,
            )
        )
    return sorted(ranks, key=lambda rank: -rank.area.value)


def difference(first: Rank, second: Rank, *, seed: int) -> Interval:
    """Return the mean difference of two explainers on the same items, over songs."""
    pairs = [a - b for a, b in zip(first.areas, second.areas, strict=True)]
    return grouped_mean(pairs, first.songs, seed=seed)


def above_chance(ranks: Sequence[Rank], *, seed: int) -> list[Rank]:
    """Return the explainers that are above random on the same items, beyond the interval."""
    chance = next((rank for rank in ranks if rank.explainer == "random"), None)
    if chance is None:
        return []
    others = [r for r in ranks if r is not chance and r.songs == chance.songs]
    return [rank for rank in others if difference(rank, chance, seed=seed).low > 0]


def losses(ranks: Sequence[Rank], *, seed: int) -> list[tuple[Rank, Interval]]:
    """Return the rivals above ours, with the difference of each on the same items."""
    ours = next(rank for rank in ranks if rank.explainer == OURS)
    rivals = [rank for rank in ranks if not rank.explainer.startswith("SoundLIME")]
    above = [rank for rank in rivals if rank.area.value > ours.area.value]
    return [(rank, difference(rank, ours, seed=seed)) for rank in above]


def tables_of(
    rows: Sequence[dict[str, Any]],
    entries: Sequence[TaskEntry],
    explainers: Sequence[Explainer],
    notes: Sequence[str],
    config: _Config,
) -> list[ResultTable]:
    """Return the tables: one per tier, contents by design, the tasks lost, and notes."""
    ranks = {
        entry.name: ranks_of(rows, entry.name, explainers, seed=config.seed) for entry in entries
    }
    tables = [
        _tier(tier, [entry for entry in entries if entry.tier == tier], rows, ranks)
        for tier in TIERS
        if any(entry.tier == tier for entry in entries)
    ]
    by_content = [_contents(rows, entry, explainers) for entry in entries]
    lost = _lost(ranks, seed=config.seed)
    return [*tables, *by_content, lost, _notes(rows, ranks, explainers, notes, config)]


def _tier(
    tier: int,
    entries: Sequence[TaskEntry],
    rows: Sequence[dict[str, Any]],
    ranks: dict[str, list[Rank]],
) -> ResultTable:
    cells = []
    for entry in entries:
        for rank in ranks[entry.name]:
            cells.append(
                (
                    entry.name,
                    rank.explainer,
                    rank.setting or UNKNOWN,
                    with_bounds(rank.area),
                    decimals(rank.pointing),
                    f"{1000 * rank.seconds:.0f} ms",
                    f"{rank.evaluations:.0f}",
                )
            )
        best = [
            item["best"]["auc"]
            for row in rows
            if row["task"] == entry.name and row["split"] == "test"
            for item in row["items"]
        ]
        limit = decimals(float(np.mean(best)))
        cells.append((entry.name, "best possible", UNKNOWN, limit, UNKNOWN, UNKNOWN, UNKNOWN))
    columns = ("task", "explainer", "setting", "ROC area", "points", "CPU time", "evaluations")
    truths = "; ".join(
        f"{entry.name}: {entry.truth}, {_count(rows, entry.name)}" for entry in entries
    )
    return ResultTable(f"Tier {tier}, {TIERS[tier]} ({truths})", columns, tuple(cells))


def _count(rows: Sequence[dict[str, Any]], task: str) -> str:
    own = [row for row in rows if row["task"] == task and row["split"] == "test" and row["items"]]
    return f"{sum(len(row['items']) for row in own)} items of {len(own)} songs"


def _contents(
    rows: Sequence[dict[str, Any]], entry: TaskEntry, explainers: Sequence[Explainer]
) -> ResultTable:
    """Show ours with each content and design, on the test songs."""
    items = [
        item
        for row in rows
        if row["task"] == entry.name and row["split"] == "test"
        for item in row["items"]
    ]
    names = [e.name for e in explainers if e.is_ours]
    contents = list(items[0]["scores"][names[0]])
    cells = []
    for name in names:
        areas = [
            np.mean([item["scores"][name][content]["auc"] for item in items])
            for content in contents
        ]
        cells.append((name, *(decimals(float(area)) for area in areas)))
    title = f"{entry.name}: ROC area of ours with each content and design"
    return ResultTable(title, ("design", *contents), tuple(cells))


def _lost(ranks: dict[str, list[Rank]], *, seed: int) -> ResultTable:
    cells = [
        (
            task,
            rank.explainer,
            with_bounds(gap),
            "yes" if gap.low > 0 else "no: the interval holds 0",
        )
        for task, of_task in ranks.items()
        for rank, gap in losses(of_task, seed=seed)
    ]
    columns = ("task", "explainer", "higher by", "beyond chance")
    title = f"Explainers that do better than {OURS} with the default design"
    return ResultTable(title, columns, tuple(cells) or (("none", UNKNOWN, UNKNOWN, UNKNOWN),))


def _notes(
    rows: Sequence[dict[str, Any]],
    ranks: dict[str, list[Rank]],
    explainers: Sequence[Explainer],
    notes: Sequence[str],
    config: _Config,
) -> ResultTable:
    sentences = [
        "ROC area: probability that a frame of the truth has a higher score than another; an "
        "explanation has one score per segment, so that 1 is out of reach where segments are mixed",
        f"every explainer has the same segments and at most {config.budget} evaluations of the "
        f"model; its setting is the best of at most 6 on {config.n_tuning} other songs",
        "intervals (95 %) are over songs",
        "edges of events are off the edges of segments",
        *(f"{e.name} is also given {e.given}" for e in explainers if e.given),
        *notes,
    ]
    for task, of_task in ranks.items():
        better = above_chance(of_task, seed=config.seed)
        sentences.append(
            f"{task}: {len(better)} of {len(of_task) - 1} explainers are above random, whose "
            "difference’s interval is above 0"
        )
        there = {rank.explainer for rank in of_task}
        if missing := [e.name for e in explainers if e.name not in there]:
            sentences.append(
                f"{task}: not possible by {join(missing)}: {_reason(rows, task, missing[0])}"
            )
    return ResultTable("Notes", ("",), tuple((sentence,) for sentence in sentences))


def _reason(rows: Sequence[dict[str, Any]], task: str, name: str) -> str:
    reasons = [
        made["reason"]
        for row in rows
        if row["task"] == task
        for item in row["items"]
        for made in item["scores"][name].values()
        if "reason" in made
    ]
    return reasons[0] if reasons else "no setting"


def draw_benchmark(
    rows: Sequence[dict[str, Any]],
    entries: Sequence[TaskEntry],
    explainers: Sequence[Explainer],
    path: Path,
    *,
    seed: int,
) -> None:
    """Draw the areas of all explainers with their intervals, one panel per task."""
    height = 0.6 + 0.2 * len(explainers)
    with svg_figure(path, width=1.2 + 2.6 * len(entries), height=height) as figure:
        axes = figure.subplots(1, len(entries), squeeze=False, sharey=True)[0]
        names = [explainer.name for explainer in reversed(explainers)]
        for axis, entry in zip(axes, entries, strict=True):
            for rank in ranks_of(rows, entry.name, explainers, seed=seed):
                place = names.index(rank.explainer)
                is_ours = rank.explainer.startswith("SoundLIME")
                colour = COLOURS[0] if is_ours else COLOURS[3 if rank.explainer == "random" else 1]
                axis.plot([rank.area.low, rank.area.high], [place, place], color=colour)
                axis.plot([rank.area.value], [place], "o", color=colour, markersize=4)
            axis.set_title(f"{entry.name} (tier {entry.tier})", fontsize=9)
            axis.axvline(0.5, color=COLOURS[3], linewidth=0.6)
            axis.set_xlabel("ROC area")
            axis.spines[["top", "right"]].set_visible(False)
        axes[0].set_yticks(range(len(names)), names)
