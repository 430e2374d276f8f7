"""otoscope folk nearest: known tunes that tunes resemble, in any key."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from otoscope.cli import options
from otoscope.cli.output import bars, console, is_printed, write_json

if TYPE_CHECKING:
    from otoscope.folk.workflows.nearest import NearestFolkResult

__all__ = ["nearest"]

_NEAREST = options.Config("folk.workflows.nearest", "NearestFolkConfig")


def nearest(
    file: Annotated[str, typer.Argument(help=_NEAREST.help("source"))],
    known: Annotated[
        list[str],
        typer.Option(
            "--in",
            help="Known tunes: a file, a folder, a prepared folder, or aird, oneill, ryan, misc; "
            "can be repeated.",
            rich_help_panel=options.INPUT,
        ),
    ],
    k: Annotated[int, _NEAREST.option("k", "--k")] = _NEAREST["k"],
    copied: Annotated[float, _NEAREST.option("copied")] = _NEAREST["copied"],
    gate: Annotated[
        bool,
        typer.Option(
            "--gate",
            help="Exit with code 1 if a tune counts as a copy.",
            rich_help_panel=options.METHOD,
        ),
    ] = False,
    strict: Annotated[bool, _NEAREST.option("strict")] = _NEAREST["strict"],
    json_path: options.Json = None,
) -> None:
    """Look for tunes in known ones: the fraction of their runs of ten intervals in common.

    Copies are found in any key, ornamented, or in part; unrelated tunes have next to none in
    common.

    Example: otoscope folk nearest a.abc --in tunes
    """
    from otoscope.folk.workflows.nearest import NearestFolkConfig, nearest_folk

    settings = NearestFolkConfig(file, tuple(known), k, copied, strict)
    with bars() as progress:
        result = nearest_folk(settings, progress=progress)
    write_json(result.to_dict() if json_path else None, json_path)
    if not is_printed(json_path):
        _show(result)
    if gate and result.copies:
        raise typer.Exit(1)


def _show(result: NearestFolkResult) -> None:
    from otoscope.report.numbers import percent

    lines = console()
    lines.print(result.sentence)
    table = Table("tune", "nearest", box=None)
    for name in ("in common", "longest run", "from line", "there"):
        table.add_column(name, justify="right")
    for tune in result.tunes:
        title = f"{tune.number} {tune.name}"
        if tune.error:
            table.add_row(title, tune.error)
        for neighbour in tune.neighbours:
            table.add_row(
                title,
                neighbour.name,
                percent(neighbour.containment),
                f"{neighbour.notes} notes",
                f"{neighbour.line}:{neighbour.column}",
                f"{neighbour.their_line}:{neighbour.their_column}",
            )
            title = ""
    lines.print(table)
    if result.unreadable:
        lines.print(f"known tunes that cannot be read: {len(result.unreadable):,}")
    for note in result.notes:
        lines.print(note)
