"""otoscope experiment folkrnn-samples: the numbers of paper D's page."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from otoscope.cli import options
from otoscope.cli.output import bars, is_printed, require_folder, show_tables, write_json

__all__ = ["folkrnn_samples"]

_SAMPLES = options.Config("papers.d_folkrnn.samples", "FolkSamplesConfig")


def folkrnn_samples(
    out: Annotated[Path, options.out("Folder for folkrnn_samples.json.")],
    quick: options.Quick = False,
    n: Annotated[
        int | None,
        typer.Option("--n", help=_SAMPLES.help("n"), rich_help_panel=options.METHOD),
    ] = None,
    seed: options.Seed = _SAMPLES["seed"],
    json_path: options.Json = None,
) -> None:
    """Sample tunes and check them beside real ones: every number of paper D's page.

    Needs the printed collections: pip install --no-deps music21.

    Example: otoscope experiment folkrnn-samples --quick --out folk
    """
    require_folder(out)
    from otoscope.papers import d_folkrnn

    settings = d_folkrnn.FolkSamplesConfig()
    if quick:
        settings = d_folkrnn.FolkSamplesConfig.quick()
    settings = replace(settings, n=settings.n if n is None else n, seed=seed)
    with bars() as progress:
        tables = d_folkrnn.folkrnn_samples(settings, out, progress=progress)
    write_json({"schema": 1, "settings": settings, "tables": tables, "out": out}, json_path)
    if not is_printed(json_path):
        show_tables(tables, f"every number: {out / 'folkrnn_samples.json'}")
