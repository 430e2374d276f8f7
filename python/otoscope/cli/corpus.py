"""otoscope corpus: render sounds with known ground truth."""

from __future__ import annotations

from typing import Annotated

import typer

from otoscope.cli import options
from otoscope.cli.options import METHOD, Config, Json, Out
from otoscope.cli.output import (
    Group,
    bars,
    is_printed,
    write_json,
)
from otoscope.documents import document

__all__ = ["corpus"]

_SONG = Config("data.singing", "SingingRecipe")
_CLIP = Config("data.dance", "DanceRecipe")

corpus = typer.Typer(cls=Group, help="Render sounds with known ground truth.", no_args_is_help=True)


@corpus.command()
def singing(
    out: Out,
    n: Annotated[int, options.number("Number of songs.")] = 10,
    seconds: Annotated[
        float, typer.Option(help="Length of a song, in seconds.", rich_help_panel=METHOD)
    ] = _SONG["seconds"],
    snr_db: Annotated[
        float,
        typer.Option(
            help="Level of the voice over the accompaniment, in dB.", rich_help_panel=METHOD
        ),
    ] = _SONG["snr_db"],
    seed: Annotated[int, options.seed("Songs are equal bit for bit.")] = 0,
    json_path: Json = None,
) -> None:
    """Render sung melodies over accompaniment: stems, mixes, and when the voice sings.

    Example: otoscope corpus singing --out corpus --n 40 --seed 1
    """
    from otoscope.data import SingingRecipe, write_singing

    recipe = SingingRecipe(seconds=seconds, snr_db=snr_db)
    with bars() as progress:
        manifest = write_singing(out, n, seed, recipe=recipe, progress=progress)
    content = {"songs": n, "seed": seed, "recipe": recipe, "manifest": manifest}
    write_json(document("otoscope.SingingCorpus", 1, content), json_path)
    if not is_printed(json_path):
        typer.echo(f"{n} songs; ground truth: {manifest}")


@corpus.command()
def dance(
    out: Out,
    n: Annotated[int, options.number("Number of clips; the eight styles take turns.")] = 160,
    seconds: Annotated[
        float, typer.Option(help="Length of a clip, in seconds.", rich_help_panel=METHOD)
    ] = _CLIP["seconds"],
    confounding: Annotated[
        float,
        typer.Option(
            help="Probability that the tempo reveals the style, in [0, 1].", rich_help_panel=METHOD
        ),
    ] = _CLIP["confounding"],
    band: Annotated[
        str,
        typer.Option(
            help="Instruments: drums (synthesised) or mma (sampled).", rich_help_panel=METHOD
        ),
    ] = _CLIP["band"],
    seed: Annotated[int, options.seed("Clips are equal bit for bit.")] = 0,
    json_path: Json = None,
) -> None:
    """Render dances: one folder per style, and each clip's style, tempo, meter and artist.

    Example: otoscope corpus dance --out dances --n 320 --confounding 1
    """
    from otoscope.data import DanceRecipe, write_dance

    recipe = DanceRecipe(confounding=confounding, band=band, seconds=seconds)
    with bars() as progress:
        manifest = write_dance(out, n, seed, recipe=recipe, progress=progress)
    content = {"clips": n, "seed": seed, "recipe": recipe, "manifest": manifest}
    write_json(document("otoscope.DanceCorpus", 1, content), json_path)
    if not is_printed(json_path):
        typer.echo(f"{n} clips; ground truth: {manifest}")
