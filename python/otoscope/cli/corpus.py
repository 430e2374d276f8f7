"""otoscope corpus: make sounds whose truth is known."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import Progress

__all__ = ["corpus"]

corpus = typer.Typer(help="Make sounds whose truth is known.", no_args_is_help=True)


@corpus.command()
def singing(
    out: Annotated[Path, typer.Option(help="Folder for the songs; made if it is not there.")],
    n: Annotated[int, typer.Option(help="Number of songs.")] = 10,
    seed: Annotated[int, typer.Option(help="Same seed, same songs, bit for bit.")] = 0,
    seconds: Annotated[float, typer.Option(help="Length of a song.")] = 12.0,
    snr_db: Annotated[float, typer.Option(help="Voice over accompaniment, dB.")] = 6.0,
) -> None:
    """Render sung melodies over accompaniment: stems, mixes, and when the voice sings.

    Example: otoscope corpus singing --out corpus --n 40 --seed 1
    """
    from otoscope.data import SingingRecipe, write_singing

    recipe = SingingRecipe(seconds=seconds, snr_db=snr_db)
    with Progress(console=Console(stderr=True), transient=True) as bars:
        bar = bars.add_task("rendering", total=n)
        manifest = write_singing(
            out, n, seed, recipe=recipe, progress=lambda name: bars.advance(bar)
        )
    typer.echo(f"{n} songs; their truth: {manifest}")


@corpus.callback()
def _corpora() -> None:
    """Keep singing a command of its own name."""
