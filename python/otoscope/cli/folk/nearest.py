"""otoscope folk nearest: known tunes that tunes resemble, in whatever key."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table

from otoscope.cli.progress import bars
from otoscope.records import to_json

if TYPE_CHECKING:
    from otoscope.folk.workflows.nearest import NearestFound

__all__ = ["nearest"]


def nearest(
    file: Annotated[str, typer.Argument(help="ABC file, file of tokens, or folder of ABC files.")],
    known: Annotated[
        list[str],
        typer.Option(
            "--in",
            help="Where to look, more than once if need be: likewise, a prepared "
            "folder, or aird, oneill, ryan, misc.",
        ),
    ],
    k: Annotated[int, typer.Option("--k", help="Neighbours a tune.")] = 3,
    copied: Annotated[
        float, typer.Option(help="Share in common from which a tune counts as copied.")
    ] = 0.5,
    gate: Annotated[
        bool, typer.Option("--gate", help="Exit code 1 if a tune counts as copied.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, for machines.")] = False,
) -> None:
    """Look for tunes in known ones: the share of their runs of ten intervals that is there, too.

    Copies are found in any key, ornamented, or in part; unrelated tunes share next to nothing.

    Example: otoscope folk nearest a.abc --in tunes
    """
    from otoscope.folk.workflows import nearest as folk

    settings = folk.NearestFolk(file, tuple(known), k, copied)
    with bars() as progress:
        found = folk.nearest_folk(settings, progress=progress)
    if as_json:
        typer.echo(to_json(found.to_dict(), indent=2))
    else:
        _show(found)
    if gate and found.copies:
        raise typer.Exit(1)


def _show(found: NearestFound) -> None:
    console = Console(markup=False, highlight=False)
    console.print(found.sentence, soft_wrap=True)
    table = Table("tune", "nearest", box=None)
    for name in ("in common", "longest run", "from line", "there"):
        table.add_column(name, justify="right")
    for one in found.tunes:
        title = f"{one.number} {one.name}"
        if one.error:
            table.add_row(title, one.error)
        for neighbour in one.neighbours:
            run = f"{neighbour.notes} notes"
            here = f"{neighbour.line}:{neighbour.column}"
            there = f"{neighbour.their_line}:{neighbour.their_column}"
            share = f"{100 * neighbour.containment:.0f} %"
            table.add_row(title, neighbour.name, share, run, here, there)
            title = ""
    console.print(table)
    if found.unreadable:
        console.print(f"not looked in, for they cannot be read: {len(found.unreadable):,} tunes")
