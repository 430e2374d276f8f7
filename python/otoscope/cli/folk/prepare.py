"""otoscope folk prepare: tunes in tokens, split by groups of near duplicates."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table

from otoscope.cli.options import Seed
from otoscope.cli.output import require_folder, require_writable
from otoscope.cli.progress import bars
from otoscope.errors import ParameterError
from otoscope.records import to_json

if TYPE_CHECKING:
    from otoscope.folk.data import Tally

__all__ = ["prepare"]


def prepare(  # noqa: PLR0913 - a command has the options it has
    sources: Annotated[
        list[str],
        typer.Argument(
            metavar="SOURCES...",
            help="aird, oneill, ryan, misc (they come with music21), generated:N, "
            "and ABC files, folders of these, or files of tokens.",
        ),
    ],
    out: Annotated[Path, typer.Option(help="Folder to write: new, or empty.")],
    tokens: Annotated[
        str, typer.Option(help="v1: characters; v2: tokens, on C; v3: on C and C sharp.")
    ] = "v2",
    valid: Annotated[float, typer.Option(help="Share of tunes for validation.")] = 0.05,
    test: Annotated[float, typer.Option(help="Share of tunes for testing.")] = 0.05,
    html: Annotated[Path | None, typer.Option(help="The folder's report here as well.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, for machines.")] = False,
    seed: Seed = 0,
) -> None:
    """Turn tunes into tokens to learn from; say what could not be used, and where and why.

    Near duplicates are never in two splits. No file is fetched: pip install --no-deps music21
    brings the printed collections.

    Example: otoscope folk prepare aird oneill ryan misc --out tunes
    """
    require_folder(out)
    if out.is_dir() and any(out.iterdir()):
        raise ParameterError(f"{out} is not an empty folder; name a new one")
    require_writable(html)
    from otoscope.folk.workflows import prepare as folk

    settings = folk.PrepareFolk(tuple(sources), tokens=tokens, valid=valid, test=test, seed=seed)
    with bars() as progress:
        found = folk.prepare_folk(settings, progress=progress)
        folk.save_folk(found, out, page=html)
    if as_json:
        typer.echo(to_json(found.to_dict(), indent=2))
        return
    console = Console(markup=False, highlight=False)
    console.print(found.sentence, soft_wrap=True)
    _show(console, found.tally)
    for note in found.notes:
        console.print(note, soft_wrap=True)
    console.print(f"report: {out / 'report.html'}", soft_wrap=True)


def _show(console: Console, tally: Tally) -> None:
    """Sources, splits, and why tunes were rejected."""
    sources = Table("source", box=None)
    for name in ("tunes", "can be used", "tokens"):
        sources.add_column(name, justify="right")
    for one in tally.sources:
        sources.add_row(one.source, *(f"{n:,}" for n in (one.found, one.kept, one.tokens)))
    console.print(sources)
    splits = Table("split", box=None)
    for name in ("tunes", "groups", "tokens"):
        splits.add_column(name, justify="right")
    for name, split in tally.splits.items():
        splits.add_row(name, *(f"{n:,}" for n in (split.tunes, split.groups, split.tokens)))
    console.print(splits)
    if tally.reasons:
        reasons = ", ".join(f"{reason} {count:,}" for reason, count in tally.reasons.items())
        console.print(f"rejected: {reasons} (places: rejected.jsonl)", soft_wrap=True)
