"""otoscope corpus: render sounds with known ground truth."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import typer

from otoscope.cli import options
from otoscope.cli.groups import Group
from otoscope.cli.options import INPUT, METHOD, Config, Json, Out
from otoscope.cli.output import (
    bars,
    console,
    is_printed,
    write_json,
)
from otoscope.documents import document
from otoscope.errors import ParameterError

__all__ = ["corpus"]

_CLIP = Config("data.dance", "DanceRecipe")
_GENRE = Config("data.genres", "GenreRecipe")

corpus = typer.Typer(cls=Group, help="Render sounds with known ground truth.", no_args_is_help=True)


@corpus.command()
def singing(  # noqa: PLR0913 - a command has the options it has
    out: Out,
    n: Annotated[int, options.number("Number of songs.")] = 10,
    recipe: Annotated[
        str,
        typer.Option(
            help="Settings: plain; varied, with several singers, tempi, two SoundFonts, leads and "
            "speech; held-out, with singers, styles and instruments that varied lacks.",
            rich_help_panel=METHOD,
        ),
    ] = "plain",
    seconds: Annotated[
        float | None,
        typer.Option(
            help="Length of a song, in seconds. Default: the recipe's, 12 or 20.",
            rich_help_panel=METHOD,
        ),
    ] = None,
    snr_db: Annotated[
        float | None,
        typer.Option(
            help="Level of the voice over the accompaniment, in dB. Default: the recipe's, 6 or a "
            "range from -3 to 12.",
            rich_help_panel=METHOD,
        ),
    ] = None,
    soundfont: Annotated[
        list[Path] | None,
        typer.Option(
            help="SoundFont file, which may be repeated. Default: the recipe's.",
            rich_help_panel=INPUT,
        ),
    ] = None,
    seed: Annotated[int, options.seed("Songs are equal bit for bit.")] = 0,
    json_path: Json = None,
) -> None:
    """Render sung melodies over accompaniment: stems, mixes, and when the voice sings.

    Example: otoscope corpus singing --out corpus --n 40 --seed 1
    """
    from otoscope.data import SINGING_RECIPES, write_singing

    if recipe not in SINGING_RECIPES:
        names = ", ".join(SINGING_RECIPES)
        raise ParameterError(f"recipe is {recipe!r}, must be one of {names}")
    fonts = tuple(map(str, soundfont or ()))
    changes = {"seconds": seconds, "snr_db": snr_db, "soundfont": fonts or None}
    given: dict[str, Any] = {name: value for name, value in changes.items() if value is not None}
    settings = replace(SINGING_RECIPES[recipe], **given)
    with bars(f"{out} holds the sounds until now: the same command resumes") as progress:
        manifest = write_singing(out, n, seed, recipe=settings, progress=progress)
    content = {"songs": n, "seed": seed, "recipe": settings, "manifest": manifest}
    write_json(document("otoscope.SingingCorpus", 1, content), json_path)
    if not is_printed(json_path):
        typer.echo(f"{n} songs; ground truth: {manifest}")


@corpus.command()
def dance(  # noqa: PLR0913 - a command has the options it has
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
    n_groups: Annotated[
        int, typer.Option(help="Number of artists per style.", rich_help_panel=METHOD)
    ] = _CLIP["n_groups"],
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

    recipe = DanceRecipe(confounding=confounding, n_groups=n_groups, band=band, seconds=seconds)
    with bars(f"{out} holds the sounds until now: the same command resumes") as progress:
        manifest = write_dance(out, n, seed, recipe=recipe, progress=progress)
    content = {"clips": n, "seed": seed, "recipe": recipe, "manifest": manifest}
    write_json(document("otoscope.DanceCorpus", 1, content), json_path)
    _note_missing(n, recipe.styles, "styles")
    if not is_printed(json_path):
        typer.echo(f"{n} clips; ground truth: {manifest}")


@corpus.command()
def genres(  # noqa: PLR0913 - a command has the options it has
    out: Out,
    n: Annotated[int, options.number("Number of clips; the ten genres take turns.")] = 160,
    seconds: Annotated[
        float, typer.Option(help="Length of a clip, in seconds.", rich_help_panel=METHOD)
    ] = _GENRE["seconds"],
    n_groups: Annotated[
        int, typer.Option(help="Number of artists per genre.", rich_help_panel=METHOD)
    ] = _GENRE["n_groups"],
    band: Annotated[
        str,
        typer.Option(
            help="Instruments: synth (the package's own) or mma (sampled).", rich_help_panel=METHOD
        ),
    ] = _GENRE["band"],
    soundfont: Annotated[
        list[Path] | None,
        typer.Option(
            help="SoundFont file for mma, which may be repeated: artists take turns. Default: two.",
            rich_help_panel=INPUT,
        ),
    ] = None,
    seed: Annotated[int, options.seed("Clips are equal bit for bit.")] = 0,
    json_path: Json = None,
) -> None:
    """Render music of ten genres: one folder per genre, and each clip's genre and artist.

    Example: otoscope corpus genres --out music --n 640 --band mma
    """
    from otoscope.data import GenreRecipe, write_genres

    fonts = tuple(map(str, soundfont or ())) or None
    recipe = GenreRecipe(n_groups=n_groups, band=band, timbres=fonts, seconds=seconds)
    with bars(f"{out} holds the sounds until now: the same command resumes") as progress:
        manifest = write_genres(out, n, seed, recipe=recipe, progress=progress)
    content = {"clips": n, "seed": seed, "recipe": recipe, "manifest": manifest}
    write_json(document("otoscope.GenreCorpus", 1, content), json_path)
    _note_missing(n, recipe.genres, "genres")
    if not is_printed(json_path):
        typer.echo(f"{n} clips; ground truth: {manifest}")


def _note_missing(n: int, kinds: Sequence[str], what: str) -> None:
    """Say which styles or genres have no clip; a partition needs three of each."""
    if missing := kinds[n:]:
        console(stderr=True).print(
            f"there is no clip of {len(missing)} of the {len(kinds)} {what} "
            f"({', '.join(missing)}): --n {len(kinds)} makes one of each, --n {3 * len(kinds)} the "
            "three that a division into parts needs"
        )
