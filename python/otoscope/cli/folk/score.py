"""otoscope folk score: how well a network expects tunes."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table

from otoscope.cli.folk.sample import AsJson, Model
from otoscope.cli.output import require_writable
from otoscope.cli.progress import bars
from otoscope.records import to_json

if TYPE_CHECKING:
    from otoscope.folk.workflows.score import ScoredFolk

__all__ = ["score"]

_SHOWN = 20


def score(
    file: Annotated[
        str,
        typer.Argument(
            metavar="FILE.abc", help="An ABC file, a folder, a file of tokens, or a collection."
        ),
    ],
    model: Model = "folkrnn-small",
    html: Annotated[Path | None, typer.Option(help="Page: tokens coloured by surprise.")] = None,
    as_json: AsJson = False,
) -> None:
    """Say how many nats each tune costs a network, and which tokens surprise it.

    Example: otoscope folk score a.abc --html surprise.html
    """
    require_writable(html)
    from otoscope.folk.workflows import score as folk

    with bars() as progress:
        found = folk.score_folk(folk.ScoreFolk(file, model), progress=progress)
        if html:
            folk.save_scored(found, html)
    if as_json:
        typer.echo(to_json(found.to_dict(), indent=2))
        return
    _show(found)
    if html:
        Console(markup=False, highlight=False).print(f"report: {html}", soft_wrap=True)


def _show(found: ScoredFolk) -> None:
    console = Console(markup=False, highlight=False)
    console.print(found.sentence, soft_wrap=True)
    table = Table("tune", box=None, pad_edge=False)
    table.add_column("tokens", justify="right")
    table.add_column("nats a token", justify="right")
    table.add_column("most surprising")
    for tune in found.tunes[:_SHOWN]:
        (top,) = tune.top(1)
        told = f"token {top}, {tune.token(top)!r}: {tune.nats[top - 1]:.1f} nats"
        name = tune.title or tune.name
        table.add_row(name, str(len(tune.tokens)), f"{tune.nats_per_token:.3f}", told)
    console.print(table)
    if len(found.tunes) > _SHOWN:
        console.print(f"and {len(found.tunes) - _SHOWN:,} more: --json or --html has all")
    for note in found.notes:
        console.print(note, soft_wrap=True)
