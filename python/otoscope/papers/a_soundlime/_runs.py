"""Runs over excerpts of songs' mixes, which resume."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

from otoscope.errors import ParameterError
from otoscope.papers.a_soundlime._excerpts import digest_of_songs, heard, song_names, song_stems
from otoscope.papers.runs import rows_of_songs
from otoscope.progress import Progress
from otoscope.protocols import Patch
from otoscope.seeds import item_seed
from otoscope.workflows.recording import load_identified_listener

__all__ = ["Settings", "rows_of_excerpts"]


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
    songs = digest_of_songs(config.songs, config.n_songs)
    settings = {"config": config, "model": identity, "songs": songs}
    rows = rows_of_songs(out, name, settings, names, compute, progress=progress)
    excerpts = [{"song": row["song"], **each} for row in rows for each in row["excerpts"]]
    if not excerpts:
        raise ParameterError(
            f"the model calls none of {config.n_positions * len(names)} excerpts sung: each has a "
            "probability below 0.5; take more songs, or another model"
        )
    return rows, excerpts, identity
