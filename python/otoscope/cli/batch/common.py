"""Options that the commands of `otoscope batch` share, and what they print."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeAlias

import typer

from otoscope.cli import files, options
from otoscope.cli.options import INPUT, METHOD, Config
from otoscope.cli.output import (
    bars,
    console,
    is_printed,
    truncation_listed,
    with_options,
    write_json,
)

if TYPE_CHECKING:
    from otoscope.workflows.batch.batch import BatchConfig

__all__ = [
    "CONFIG",
    "Chunk",
    "DryRun",
    "Manifest",
    "OutUri",
    "Ray",
    "RetryErrors",
    "Shard",
    "Workers",
    "finish",
]

CONFIG = Config("workflows.batch.batch", "BatchConfig")

Manifest: TypeAlias = Annotated[
    str, typer.Argument(metavar="MANIFEST", help=CONFIG.help("manifest"))
]
OutUri: TypeAlias = Annotated[
    str, options.out(CONFIG.help("out"), files.output("shared folder"), metavar="URI")
]
Workers: TypeAlias = Annotated[int | None, CONFIG.option("workers")]
Ray: TypeAlias = Annotated[str | None, CONFIG.option("ray", metavar="ADDRESS")]
Shard: TypeAlias = Annotated[
    str | None, CONFIG.option("shard", metavar="I/N", rich_help_panel=INPUT)
]
Chunk: TypeAlias = Annotated[int, CONFIG.option("chunk")]
RetryErrors: TypeAlias = Annotated[bool, CONFIG.option("retry_errors", rich_help_panel=INPUT)]
DryRun: TypeAlias = Annotated[
    bool,
    typer.Option(
        "--dry-run",
        help="Time a few files in this process, tell the core hours of all, and write nothing.",
        rich_help_panel=METHOD,
    ),
]


def finish(config: BatchConfig, *, dry_run: bool, json_path: Path | None) -> None:
    """Run the batch, or estimate its cost; print and write what came of it."""
    from otoscope.workflows.batch.batch import estimate_batch, run_batch

    printed = is_printed(json_path)
    if dry_run:
        with truncation_listed(), bars():
            estimate = estimate_batch(config)
        write_json(estimate.to_dict(), json_path)
        if not printed:
            console().print(
                f"{estimate.n_files:,} files of about {estimate.seconds:.3g} s each: "
                f"{estimate.core_hours:.3g} core hours (timed {estimate.n_timed} files)"
            )
            for error in estimate.errors:
                console(stderr=True).print(f"  {error}")
        return
    kept = f"{config.out} holds the files until now: the same command resumes"
    with truncation_listed(), bars(kept) as progress:
        result = run_batch(config, progress=progress)
    write_json(result.to_dict(), json_path)
    if printed:
        return
    counts, out = result.counts, console()
    before = f", {result.n_before:,} of them done before" if result.n_before else ""
    out.print(
        f"{result.out}: {counts.rows:,} rows of {counts.files:,} files in {result.seconds:.3g} s "
        f"({result.engine}); {result.n_files:,} files in all{before}"
    )
    if counts.errors:
        n_files = f"{counts.errors:,} file{'s' * (counts.errors > 1)} with an error"
        first = with_options(counts.error, counts.advice, vars(config.task))
        out.print(f"{n_files}; --retry-errors tries again; the first: {first}")
