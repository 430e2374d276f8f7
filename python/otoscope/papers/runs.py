"""Runs that resume: one line per song, on disk as soon as the song is done, and no half of it."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from otoscope import records
from otoscope.errors import ParameterError
from otoscope.papers.output import write_record
from otoscope.progress import Progress, tracked
from otoscope.report.figures import ResultTable

__all__ = ["rows_of_songs", "rows_with", "write_run"]

_SETTINGS = "settings"


def rows_of_songs(
    out: Path,
    name: str,
    settings: Any,
    songs: Sequence[str],
    compute: Callable[[int], dict[str, Any]],
    *,
    progress: Progress,
    shown: str = "songs",
) -> list[dict[str, Any]]:
    """Compute a row for each song that has none yet; an interrupted run continues.

    A song is whatever has a name and takes a while; ``shown`` names it on the progress bar.
    ``settings`` are all that the rows depend on; a run of others in the folder is refused.
    """
    out.mkdir(parents=True, exist_ok=True)
    path = out / f"{name}.jsonl"
    with records.Records(path) as written:
        if _SETTINGS not in written:
            written.append(_SETTINGS, {"of": settings}, seed=None)
        before = next(records.stream(path))
        if records.to_json(before.get("of")) != records.to_json(settings):
            raise ParameterError(
                f"{path} is of an unfinished run with other settings, songs or another model; name "
                "another folder, or remove it"
            )
        for index in tracked(progress, range(len(songs)), shown):
            if songs[index] not in written:
                began = time.monotonic()
                row = compute(index)
                seconds = {"seconds": round(time.monotonic() - began, 3)}
                written.append(songs[index], {**row, **seconds}, seed=None)
    rows = {row["key"]: row for row in records.stream(path)}
    return [{"song": song, **_without(rows[song])} for song in songs]


def rows_with(rows: Sequence[Mapping[str, Any]], **values: Any) -> list[Mapping[str, Any]]:
    """Return the rows that have these values."""
    return [row for row in rows if all(row[name] == value for name, value in values.items())]


def write_run(
    out: Path,
    name: str,
    config: Any,
    tables: Sequence[ResultTable],
    rows: Sequence[dict[str, Any]],
    about: dict[str, Any],
) -> None:
    """Write the record of a complete run, and remove its lines."""
    record = {
        "settings": config,
        "versions": records.versions(),
        **about,
        "seconds": round(sum(row["seconds"] for row in rows)),
        "tables": tables,
        "rows": rows,
    }
    write_record(out / f"{name}.json", record)
    (out / f"{name}.jsonl").unlink()


def _without(row: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in row.items() if name not in ("key", "seed", "versions")}
