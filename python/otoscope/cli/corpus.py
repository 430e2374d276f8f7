"""otoscope corpus: make sounds whose truth is known."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

__all__ = ["corpus"]

corpus = typer.Typer(help="Make sounds whose truth is known.", no_args_is_help=True)


@corpus.command()
def singing(
    out: Annotated[Path, typer.Option(help="Folder for the songs; made if it is not there.")],
    n: Annotated[int, typer.Option(help="Number of songs.")] = 10,
    seed: Annotated[int, typer.Option(help="Same seed, same songs, bit for bit.")] = 0,
) -> None:
    """Render sung melodies over accompaniment: stems, mixes, and when the voice sings.

    Example: otoscope corpus singing --out corpus --n 40 --seed 1
    """
    from otoscope.data import write_singing

    manifest = write_singing(out, n, seed)
    typer.echo(f"{n} songs; their truth: {manifest}")


@corpus.callback()
def _corpora() -> None:
    """Keep singing a command of its own name."""
