"""otoscope folk render: sheet music and sound of tunes, and a page with all of them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from otoscope.cli.output import require_folder
from otoscope.cli.progress import bars
from otoscope.errors import ParameterError
from otoscope.records import to_json

__all__ = ["render"]


def render(
    file: Annotated[str, typer.Argument(help="ABC file, file of tokens, or folder of ABC files.")],
    out: Annotated[Path, typer.Option(help="Folder to write: new, or empty.")],
    sound: Annotated[
        str, typer.Option(help="ours: a plucked string; fluidsynth: a sampled piano.")
    ] = "ours",
    n: Annotated[int, typer.Option("--n", help="Tunes at most, from the first.")] = 16,
    tempo_bpm: Annotated[
        float | None, typer.Option(help="Quarter notes a minute, for all tunes.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, for machines.")] = False,
) -> None:
    """Write SVG, MIDI and WAV of each tune, and a page with sheet music, sound and checks.

    Sheet music is engraved by verovio: pip install "otoscope[folk]".

    Example: otoscope folk render a.abc --out tunes
    """
    require_folder(out)
    if out.is_dir() and any(out.iterdir()):
        raise ParameterError(f"{out} is not an empty folder; name a new one")
    from otoscope.folk.workflows import render as folk

    settings = folk.RenderFolk(file, sound, n, tempo_bpm)
    with bars() as progress:
        rendered = folk.render_folk(settings, out, progress=progress)
    if as_json:
        typer.echo(to_json(rendered.to_dict(), indent=2))
        return
    for note in rendered.notes:
        typer.echo(note)
    typer.echo(f"page: {rendered.page}")
