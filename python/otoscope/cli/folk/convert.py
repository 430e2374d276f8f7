"""otoscope folk convert: tunes for and from notation programs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from otoscope.cli import options
from otoscope.cli.folk.prepare import new_folder_option
from otoscope.cli.output import bars, console, is_printed, write_json

__all__ = ["convert"]

_CONVERT = options.Config("folk.workflows.convert", "ConvertFolkConfig")


def convert(
    source: Annotated[str, typer.Argument(help=_CONVERT.help("source"))],
    out: Annotated[Path, new_folder_option],
    to: Annotated[str, _CONVERT.option("to")] = _CONVERT["to"],
    strict: Annotated[bool, _CONVERT.option("strict")] = _CONVERT["strict"],
    json_path: options.Json = None,
) -> None:
    """Convert tunes from ABC, MusicXML or MIDI to MusicXML, MIDI or ABC, a file for each.

    Of MusicXML and MIDI the melody is read: the first voice. Reading MIDI needs mido: pip install
    "otoscope[folk]".

    Example: otoscope folk convert a.abc --out scores
    """
    from otoscope.folk.workflows.convert import ConvertFolkConfig, convert_folk

    settings = ConvertFolkConfig(source, to, strict)
    with bars() as progress:
        result = convert_folk(settings, out, progress=progress)
    write_json(result.to_dict() if json_path else None, json_path)
    if not is_printed(json_path):
        for line in (result.sentence, *result.notes):
            console().print(line)
