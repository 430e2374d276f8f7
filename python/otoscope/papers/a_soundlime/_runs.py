"""Runs that resume: one line per song, on disk as soon as the song is done, and no half of it."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Protocol

from otoscope import records
from otoscope.errors import ParameterError
from otoscope.papers.a_soundlime._excerpts import heard, song_names, song_stems
from otoscope.papers.output import write_record
from otoscope.progress import Progress, tracked
from otoscope.protocols import Patch
from otoscope.report.figures import ResultTable
from otoscope.seeds import item_seed
from otoscope.workflows.recording import load_identified_listener

__all__ = ["Settings", "rows_of_excerpts", "rows_of_songs", "write_run"]

_SETTINGS = "settings"


def rows_of_songs(
    out: Path,
    name: str,
    settings: Any,
    songs: Sequence[str],
    compute: Callable[[int], dict[str, Any]],
    *,
    progress: Progress,
) -> list[dict[str, Any]]:
    """Compute a row for each song that has none yet; an interrupted run continues.

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
                f"{path} is of an unfinished run with other settings or another model; name "
                "another folder, or remove it"
            )
        for index in tracked(progress, range(len(songs)), "songs"):
            if songs[index] not in written:
                began = time.monotonic()
                row = compute(index)
                seconds = {"seconds": round(time.monotonic() - began, 3)}
                written.append(songs[index], {**row, **seconds}, seed=None)
    rows = {row["key"]: row for row in records.stream(path)}
    return [{"song": song, **_without(rows[song])} for song in songs]


class Settings(Protocol):
    """Settings that all experiments on excerpts of mixes have."""

    @property
    def model(self) -> str: ...
    @property
    def target(self) -> str | None: ...
    @property
    def songs(self) -> Path | None: ...
    @property
    def n_songs(self) -> int: ...
    @property
    def n_positions(self) -> int: ...
    @property
    def skip(self) -> int: ...
    @property
    def seed(self) -> int: ...
    @property
    def device(self) -> str: ...


def rows_of_excerpts(
    config: Settings,
    out: Path,
    name: str,
    explain: Callable[[Any, list[Patch], int], list[dict[str, Any]]],
    *,
    progress: Progress,
) -> tuple[list[dict[str, Any]], list[dict[str, Any]], dict[str, str]]:
    """Explain the excerpts of each song's mix that the model calls sung.

    ``explain`` takes the model, the excerpts of a song and the seed of their draws. Returns the
    rows of the songs, those of all excerpts, and the identity of the model.
    """
    model, identity = load_identified_listener(config.model, device=config.device)

    def compute(index: int) -> dict[str, Any]:
        stems = song_stems(config.songs, index, sr=model.sample_rate, seed=config.seed)
        excerpts = list(
            heard(
                model,
                config.target,
                stems,
                n_positions=config.n_positions,
                skip=config.skip,
                seed=item_seed(config.seed, "positions", index),
            )
        )
        patches = [patch for *_, patch in excerpts]
        explained = explain(model, patches, item_seed(config.seed, "draws", index))
        return {
            "excerpts": [
                {"position": position, "probability": p, **values}
                for (position, p, _), values in zip(excerpts, explained, strict=True)
            ]
        }

    names = song_names(config.songs, config.n_songs)
    settings = {"config": config, "model": identity}
    rows = rows_of_songs(out, name, settings, names, compute, progress=progress)
    excerpts = [{"song": row["song"], **each} for row in rows for each in row["excerpts"]]
    if not excerpts:
        raise ParameterError(
            f"the model calls none of {config.n_positions * len(names)} excerpts sung: each has a "
            "probability below 0.5; take more songs, or another model"
        )
    return rows, excerpts, identity


def _without(row: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in row.items() if name not in ("key", "seed", "versions")}


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
