"""otoscope batch interrogate: answers of a model to many files, unchanged and changed."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Annotated

import typer

from otoscope.cli.attack import listed
from otoscope.cli.batch.common import (
    CONFIG,
    Chunk,
    DryRun,
    Manifest,
    OutUri,
    Ray,
    RetryErrors,
    Shard,
    Workers,
    finish,
)
from otoscope.cli.interrogate import interventions_of
from otoscope.cli.options import (
    INPUT,
    MODEL,
    Config,
    Device,
    Json,
    Model,
    Seed,
    declared_values,
)
from otoscope.cli.output import console, is_printed

__all__ = ["interrogate"]

_CONFIG = Config("workflows.interrogate.config", "InterrogateConfig")
_SETTINGS = Config("intervene.interrogation.session", "InterrogationSettings")


def interrogate(  # noqa: PLR0913 - a command has the options it has
    ctx: typer.Context,
    manifest: Manifest,
    model: Model,
    out: OutUri,
    classes: Annotated[
        str | None,
        _CONFIG.option(
            "classes", "--classes", "--outputs", metavar="A,B,...", rich_help_panel=MODEL
        ),
    ] = None,
    threshold: Annotated[float | None, _CONFIG.option("threshold", rich_help_panel=MODEL)] = None,
    padded: Annotated[bool, _CONFIG.option("padded", rich_help_panel=INPUT)] = _CONFIG["padded"],
    doses: Annotated[int | None, _CONFIG.option("doses", rich_help_panel="Interventions")] = None,
    sr: Annotated[float | None, _SETTINGS.option("sr")] = _SETTINGS["sr"],
    duration: Annotated[float | None, _SETTINGS.option("duration")] = None,
    seed: Seed = 0,
    device: Device = "cpu",
    workers: Workers = None,
    ray: Ray = None,
    shard: Shard = None,
    chunk: Chunk = CONFIG["chunk"],
    retry_errors: RetryErrors = False,
    dry_run: DryRun = False,
    json_path: Json = None,
) -> None:
    """Ask a model about each file of a manifest, unchanged and changed, into Parquet files.

    There is one row per answer. The same command resumes where it stopped, whatever was killed.
    Each file is analysed by itself, for the longest duration that all changes leave of it. The
    verdict over all files: otoscope interrogate --import OUT.

    Example: otoscope batch interrogate songs.csv --model net.py:make --tempo 6 --out parts
    """
    from otoscope.intervene import InterrogationSettings
    from otoscope.workflows.batch.batch import BatchConfig
    from otoscope.workflows.interrogate.config import InterrogateConfig

    task = InterrogateConfig(
        model=model,
        data=Path(),
        interventions=tuple(interventions_of(declared_values(ctx))),
        classes=listed(classes) or None,
        threshold=threshold,
        padded=padded,
        doses=doses,
        settings=InterrogationSettings(sr=sr, duration=duration, seed=seed),
        device=device,
    )
    config = BatchConfig(
        "interrogate", task, manifest, out, workers, ray, shard, chunk, retry_errors
    )
    finish(config, dry_run=dry_run, json_path=json_path)
    if not dry_run and not is_printed(json_path):
        command = f"otoscope interrogate --import {shlex.quote(out)}"
        console().print(f"verdict over all files: {command}")
