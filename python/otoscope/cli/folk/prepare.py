"""otoscope folk prepare: tunes in tokens, split by groups of near duplicates."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from otoscope.cli import files, options
from otoscope.cli.output import (
    bars,
    console,
    is_printed,
    write_json,
)

if TYPE_CHECKING:
    from otoscope.folk.workflows.prepare import PrepareFolkResult

__all__ = ["new_folder_option", "prepare"]

_PREPARE = options.Config("folk.workflows.prepare", "PrepareFolkConfig")

new_folder_option = options.out(
    "Folder to write; must not exist, or be empty.", files.output("new folder")
)


def prepare(  # noqa: PLR0913 - a command has the options it has
    sources: Annotated[list[str], typer.Argument(metavar="SOURCES", help=_PREPARE.help("sources"))],
    out: Annotated[Path, new_folder_option],
    tokens: Annotated[str, _PREPARE.option("tokens")] = _PREPARE["tokens"],
    valid: Annotated[float, _PREPARE.option("valid")] = _PREPARE["valid"],
    test: Annotated[float, _PREPARE.option("test")] = _PREPARE["test"],
    strict: Annotated[bool, _PREPARE.option("strict")] = _PREPARE["strict"],
    html: options.Html = None,
    json_path: options.Json = None,
    seed: options.Seed = _PREPARE["seed"],
) -> None:
    """Turn tunes into tokens for training; tunes that cannot be used are listed with reasons.

    Near duplicates are never in two splits. No file is downloaded: pip install --no-deps music21
    brings the printed collections.

    Example: otoscope folk prepare aird oneill ryan misc --out tunes
    """
    from otoscope.folk.workflows.prepare import PrepareFolkConfig, prepare_folk, save_folk

    settings = PrepareFolkConfig(
        tuple(sources), tokens=tokens, valid=valid, test=test, seed=seed, strict=strict
    )
    with bars() as progress:
        result = prepare_folk(settings, progress=progress)
        save_folk(result, out, page=html)
    write_json(result.to_dict() if json_path else None, json_path)
    if not is_printed(json_path):
        _show(result, out)


def _show(result: PrepareFolkResult, out: Path) -> None:
    """Print sources, splits, and reasons of rejection."""
    lines = console()
    counts = result.counts
    lines.print(result.sentence)
    lines.print(
        _table(
            ("source", "tunes", "can be used", "tokens"),
            [(source.source, source.read, source.kept, source.tokens) for source in counts.sources],
        )
    )
    splits = counts.splits.items()
    lines.print(
        _table(
            ("split", "tunes", "groups", "tokens"),
            [(name, split.tunes, split.groups, split.tokens) for name, split in splits],
        )
    )
    if counts.reasons:
        reasons = ", ".join(f"{reason} {count:,}" for reason, count in counts.reasons.items())
        lines.print(f"rejected: {reasons} (places: rejected.jsonl)")
    for note in result.notes:
        lines.print(note)
    lines.print(f"report: {out / 'report.html'}")


def _table(columns: tuple[str, ...], rows: list[tuple[str, int, int, int]]) -> Table:
    table = Table(columns[0], box=None)
    for name in columns[1:]:
        table.add_column(name, justify="right")
    for name, *numbers in rows:
        table.add_row(name, *(f"{number:,}" for number in numbers))
    return table
