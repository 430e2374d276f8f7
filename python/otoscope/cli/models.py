"""otoscope models: what can be loaded by name."""

from __future__ import annotations

import json
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

__all__ = ["models"]


def models(
    as_json: Annotated[bool, typer.Option("--json", help="For machines.")] = False,
) -> None:
    """List the models that can be loaded by name.

    Example: otoscope models
    """
    from otoscope.models import describe

    entries = describe()
    if as_json:
        keys = ("name", "what", "package", "version", "licence", "size_mb", "install")
        rows = [
            {**{k: getattr(e, k) for k in keys}, "is_installed": e.is_installed} for e in entries
        ]
        typer.echo(json.dumps(rows, indent=2))
        return
    table = Table(box=None, pad_edge=False)
    for heading in ("name", "hears", "licence", "size", "installed"):
        table.add_column(heading)
    for e in entries:
        there = "yes" if e.is_installed else f"no: {e.install}"
        table.add_row(e.name, e.what, e.licence, f"{e.size_mb:g} MB", there)
    Console().print(table)
