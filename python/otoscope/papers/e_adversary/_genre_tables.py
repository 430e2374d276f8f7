"""Tables and figures of paper E's experiments on genres, from their rows.

The columns of a row are lists with one value per sound. They may come from a record, in which
infinite ratios are None.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import Any

from otoscope.intervene.statistics.bootstrap import GroupBootstrap
from otoscope.report.figures import ResultTable, draw_confusions
from otoscope.report.numbers import UNKNOWN, with_bounds

__all__ = ["draw_genres", "fraction_text", "genre_tables", "median_text", "recall_text"]

_AIMS = {
    "all_wrong": "all wrong",
    "truth": "all right",
    "random": "random",
    "any_wrong": "any wrong",
}
Row = Mapping[str, Any]


def genre_tables(rows: Sequence[Row], baselines: Sequence[Row], seed: int = 0) -> list[ResultTable]:
    """Mean recall before and after each attack, the forest, and baselines."""
    attacks = ResultTable(
        "Mean recall under attack, on written audio",
        (
            "partition",
            "system",
            "vote",
            "attack",
            "aim",
            "mean recall",
            "target reached",
            "claimed",
            "SNR",
            "steps",
        ),
        tuple(_lines(rows, seed)),
    )
    others = ResultTable(
        "Sounds that fool a network, heard by its forest",
        ("partition", "attacked", "heard by", "attack", "aim", "mean recall"),
        tuple(line for row in rows for line in _transferred(row, seed)),
    )
    by_timbre = ResultTable(
        "Baselines",
        ("partition", "label by", "mean recall"),
        tuple(
            (row["partition"], row["by"], recall_text(row, row["answers"], seed))
            for row in baselines
        ),
    )
    return [table for table in (attacks, others, by_timbre) if table.rows]


def draw_genres(rows: Sequence[Row], path: Path) -> None:
    """Draw confusion matrices: a row of panels per system, before and after each aim."""
    panels: dict[str, tuple[Sequence[str], Sequence[str]]] = {}
    for row in rows:
        columns, name = row["columns"], f"{row['system']}, {row['partition']}"
        if row["method"] in ("waveform", "black box") and row["vote"] == "soft":
            panels.setdefault(f"{name}: clean", (columns["label"], columns["before_soft"]))
            panels[f"{name}: {_AIMS[row['aim']]}"] = columns["label"], columns["after_soft"]
    draw_confusions(panels, path)


def recall_text(columns: Row, answers: Sequence[str], seed: int = 0) -> str:
    """Return the mean recall of answers with its interval over artists."""
    right = [answer == label for answer, label in zip(answers, columns["label"], strict=True)]
    bootstrap = GroupBootstrap(columns["label"], columns["group"], seed=seed)
    return with_bounds(bootstrap.estimate(right))


def fraction_text(some: Iterable[bool]) -> str:
    """Return "3 of 4"."""
    claims = list(some)
    return f"{sum(claims)} of {len(claims)}"


def median_text(values: Iterable[float | None], form: str) -> str:
    """Return the median of the numbers that are known and finite."""
    known = [value for value in values if value is not None and abs(value) < float("inf")]
    return form.format(median(known)) if known else UNKNOWN


def _lines(rows: Sequence[Row], seed: int) -> list[tuple[str, ...]]:
    lines, clean = [], set()
    for row in rows:
        columns, vote = row["columns"], row["vote"]
        system = (row["partition"], row["system"], vote)
        if system not in clean:
            clean.add(system)
            recall = recall_text(columns, columns[f"before_{vote}"], seed)
            lines.append((*system, "none", UNKNOWN, recall, *[UNKNOWN] * 4))
        lines.append(
            (
                *system,
                row["method"],
                _AIMS[row["aim"]],
                recall_text(columns, columns[f"after_{vote}"], seed),
                *_reached(row),
            )
        )
    return lines


def _reached(row: Row) -> tuple[str, ...]:
    """Return what was reached by sounds that did not begin there, and at what cost."""
    columns, vote = row["columns"], row["vote"]
    is_fooled = [
        (after != label) if row["aim"] == "any_wrong" else (after == target)
        for after, label, target in zip(
            columns[f"after_{vote}"], columns["label"], columns["target"], strict=True
        )
    ]
    tried = [i for i, before in enumerate(_began(row)) if not before]
    fooled = [i for i in tried if is_fooled[i]]
    return (
        fraction_text(is_fooled[i] for i in tried),
        fraction_text(bool(columns["claimed"][i]) for i in tried),
        median_text((columns["snr_db"][i] for i in fooled), "{:.1f} dB"),
        median_text((columns["iterations"][i] for i in fooled), "{:.0f}"),
    )


def _began(row: Row) -> list[bool]:
    """Whether each sound had the aimed label before the attack."""
    columns = row["columns"]
    before = columns[f"before_{row['vote']}"]
    if row["aim"] == "any_wrong":
        return [own != label for own, label in zip(before, columns["label"], strict=True)]
    return [own == target for own, target in zip(before, columns["target"], strict=True)]


def _transferred(row: Row, seed: int) -> list[tuple[str, ...]]:
    columns = row["columns"]
    return [
        (
            row["partition"],
            row["system"],
            name.removeprefix("by_"),
            row["method"],
            _AIMS[row["aim"]],
            recall_text(columns, answers, seed),
        )
        for name, answers in columns.items()
        if name.startswith("by_") and row["vote"] == "soft"
    ]
