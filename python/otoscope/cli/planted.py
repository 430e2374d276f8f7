"""Experiments of paper C on planted horses: commands of ``otoscope experiment``."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from otoscope.cli.options import Seed
from otoscope.cli.output import show_tables
from otoscope.cli.progress import bars
from otoscope.errors import ParameterError
from otoscope.records import to_json

__all__ = ["add_to"]


def horse_planted(
    out: Annotated[Path, typer.Option(help="Folder for horse_planted.json and .svg.")],
    corpus: Annotated[str, typer.Option(help="drums, or mma: bands by mma and fluidsynth.")] = (
        "drums"
    ),
    quick: Annotated[bool, typer.Option("--quick", help="Few drummed clips, for a look.")] = False,
    seed: Seed = 0,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, for machines.")] = False,
) -> None:
    """Is a planted tempo horse found, is an honest model cleared (paper C)?

    Example: otoscope experiment horse-planted --quick --out planted
    """
    from otoscope.papers import c_horse  # torch takes seconds to load

    of = c_horse.HorsePlanted
    sizes = {"drums": of, "mma": of.mma}
    if corpus not in sizes or (quick and corpus == "mma"):
        raise ParameterError(f"--corpus is {corpus!r}: must be drums or, without --quick, mma")
    settings = replace(of.quick() if quick else sizes[corpus](), seed=seed)
    with bars() as progress:
        tables = c_horse.horse_planted(settings, out, progress=progress)
    if as_json:
        typer.echo(to_json({"settings": settings, "tables": tables, "out": out}))
        return
    show_tables(tables, f"every curve and verdict: {out / 'horse_planted.json'}")


def horse_infrasound(
    out: Annotated[Path, typer.Option(help="Folder for horse_infrasound.json and .svg.")],
    quick: Annotated[bool, typer.Option("--quick", help="Few short clips, for a look.")] = False,
    seed: Seed = 0,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, for machines.")] = False,
) -> None:
    """Does a high-pass filter find who goes by tones that nobody hears (paper C)?

    Example: otoscope experiment horse-infrasound --quick --out infrasound
    """
    from otoscope.papers import c_horse  # torch takes seconds to load

    of = c_horse.HorseInfrasound
    settings = replace(of.quick() if quick else of(), seed=seed)
    with bars() as progress:
        tables = c_horse.horse_infrasound(settings, out, progress=progress)
    if as_json:
        typer.echo(to_json({"settings": settings, "tables": tables, "out": out}))
        return
    show_tables(tables, f"every verdict: {out / 'horse_infrasound.json'}")


def add_to(app: typer.Typer) -> None:
    """Make the commands known."""
    app.command("horse-planted")(horse_planted)
    app.command("horse-infrasound")(horse_infrasound)
