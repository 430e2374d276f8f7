"""Experiments of paper C on features: commands of ``otoscope experiment``."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from otoscope.cli.options import Seed
from otoscope.cli.output import show_tables
from otoscope.cli.progress import bars
from otoscope.records import to_json

__all__ = ["add_to"]


def horse_ballroom_features(
    features: Annotated[Path, typer.Option(help="ballroom_rhythm.npz.")],
    out: Annotated[Path, typer.Option(help="Folder for horse_ballroom_features.json and .svg.")],
    ballroom: Annotated[
        Path | None,
        typer.Option(help="Folder of BALLROOM with .bpm or .beats: baselines on tempo alone."),
    ] = None,
    seed: Seed = 0,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, for machines.")] = False,
) -> None:
    """What do small changes of tempo make of BALLROOM's classifiers (paper C)?

    Example: otoscope experiment horse-ballroom-features --features ballroom_rhythm.npz --out horse
    """
    from otoscope.papers import c_horse  # torch takes seconds to load

    settings = c_horse.HorseBallroomFeatures(features, ballroom=ballroom, seed=seed)
    with bars() as progress:
        tables = c_horse.horse_ballroom_features(settings, out, progress=progress)
    if as_json:
        typer.echo(to_json({"settings": settings, "tables": tables, "out": out}))
        return
    show_tables(tables, f"every figure: {out / 'horse_ballroom_features.json'}")


def regulated_bootstrap(
    out: Annotated[Path, typer.Option(help="Folder for regulated_bootstrap.json and .svg.")],
    quick: Annotated[
        bool, typer.Option("--quick", help="4 corpora at two strengths, for a look.")
    ] = False,
    runs: Annotated[int | None, typer.Option(help="Corpora a strength; default: 100.")] = None,
    seed: Seed = 0,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, for machines.")] = False,
) -> None:
    """How often do intervals of the regulated bootstrap hold what knowing an artist is worth?

    Example: otoscope experiment regulated-bootstrap --quick --out planted
    """
    from otoscope.papers import c_horse  # torch takes seconds to load

    settings = c_horse.PlantedArtists.quick() if quick else c_horse.PlantedArtists()
    settings = replace(settings, runs=settings.runs if runs is None else runs, seed=seed)
    with bars() as progress:
        tables = c_horse.regulated_bootstrap(settings, out, progress=progress)
    if as_json:
        typer.echo(to_json({"settings": settings, "tables": tables, "out": out}))
        return
    show_tables(tables, f"every interval: {out / 'regulated_bootstrap.json'}")


def add_to(app: typer.Typer) -> None:
    """Make the commands known."""
    app.command("horse-ballroom-features")(horse_ballroom_features)
    app.command("regulated-bootstrap")(regulated_bootstrap)
