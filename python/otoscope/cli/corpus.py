"""otoscope corpus: make sounds whose truth is known."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from otoscope.cli.group import Group
from otoscope.cli.options import Seed
from otoscope.cli.progress import bars
from otoscope.records import to_json

__all__ = ["corpus"]

corpus = typer.Typer(cls=Group, help="Make sounds whose truth is known.", no_args_is_help=True)


@corpus.command()
def singing(
    out: Annotated[Path, typer.Option(help="Folder for the songs; made if it is not there.")],
    n: Annotated[int, typer.Option(help="Number of songs.")] = 10,
    seed: Seed = 0,
    seconds: Annotated[float, typer.Option(help="Length of a song.")] = 12.0,
    snr_db: Annotated[float, typer.Option(help="Voice over accompaniment, dB.")] = 6.0,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, for machines.")] = False,
) -> None:
    """Render sung melodies over accompaniment: stems, mixes, and when the voice sings.

    Example: otoscope corpus singing --out corpus --n 40 --seed 1
    """
    from otoscope.data import SingingRecipe, write_singing

    recipe = SingingRecipe(seconds=seconds, snr_db=snr_db)
    with bars() as progress:
        songs = progress(range(n), "songs")
        next(songs, None)  # each further one says that one is done
        manifest = write_singing(
            out, n, seed, recipe=recipe, progress=lambda name: next(songs, None)
        )
    if as_json:
        typer.echo(to_json({"songs": n, "seed": seed, "recipe": recipe, "manifest": manifest}))
    else:
        typer.echo(f"{n} songs; their truth: {manifest}")


@corpus.command()
def dance(
    out: Annotated[Path, typer.Option(help="Folder for the clips; made if it is not there.")],
    n: Annotated[int, typer.Option(help="Number of clips; the eight styles take turns.")] = 160,
    seed: Seed = 0,
    seconds: Annotated[float, typer.Option(help="Length of a clip.")] = 10.0,
    confounding: Annotated[
        float, typer.Option(help="Chance that the tempo gives the style away: 1 always, 0 never.")
    ] = 0.0,
    band: Annotated[str, typer.Option(help="drums, or mma: sampled instruments.")] = "drums",
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, for machines.")] = False,
) -> None:
    """Render dances: a folder a style, and each clip's style, tempo, meter and artist.

    Example: otoscope corpus dance --out dances --n 320 --confounding 1
    """
    from otoscope.data import DanceRecipe, write_dance

    recipe = DanceRecipe(confounding=confounding, band=band, seconds=seconds)
    with bars() as progress:
        clips = progress(range(n), "clips")
        next(clips, None)
        manifest = write_dance(out, n, seed, recipe=recipe, progress=lambda name: next(clips, None))
    if as_json:
        typer.echo(to_json({"clips": n, "seed": seed, "recipe": recipe, "manifest": manifest}))
    else:
        typer.echo(f"{n} clips; their truth: {manifest}")
