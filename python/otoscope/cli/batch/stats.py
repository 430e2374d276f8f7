"""otoscope batch stats: statistics of the features of many files."""

from __future__ import annotations

from typing import Annotated

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
from otoscope.cli.options import INPUT, MODEL, Config, Device, Json, Model

__all__ = ["stats"]

_CONFIG = Config("workflows.features", "FeatureConfig")


def stats(  # noqa: PLR0913 - a command has the options it has
    manifest: Manifest,
    model: Model,
    out: OutUri,
    layer: Annotated[str | None, _CONFIG.option("layer", rich_help_panel=MODEL)] = _CONFIG["layer"],
    hop: Annotated[float | None, _CONFIG.option("hop", rich_help_panel=INPUT)] = _CONFIG["hop"],
    channel_axis: Annotated[
        int | None, _CONFIG.option("channel_axis", rich_help_panel=MODEL)
    ] = _CONFIG["channel_axis"],
    padded: Annotated[bool, _CONFIG.option("padded", rich_help_panel=INPUT)] = _CONFIG["padded"],
    device: Device = _CONFIG["device"],
    workers: Workers = None,
    ray: Ray = None,
    shard: Shard = None,
    chunk: Chunk = CONFIG["chunk"],
    retry_errors: RetryErrors = False,
    dry_run: DryRun = False,
    json_path: Json = None,
) -> None:
    """Measure the features of each file of a manifest, for `otoscope distance`.

    Each part has its moments beside it; at the end they are merged into _statistics.npz in the
    folder or URI. The same command resumes where it stopped, whatever was killed.

    Example: otoscope batch stats songs.csv --model musicnn-mtt --chunk 64 --out parts
    """
    from otoscope.workflows.batch.batch import BatchConfig
    from otoscope.workflows.features import FeatureConfig

    task = FeatureConfig(model, layer, hop, channel_axis, padded, device)
    config = BatchConfig("stats", task, manifest, out, workers, ray, shard, chunk, retry_errors)
    finish(config, dry_run=dry_run, json_path=json_path)
