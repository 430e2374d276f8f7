"""otoscope train rhythm: paper C's system, DeSPerF, from a folder of labelled sounds."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from otoscope.cli import files, options
from otoscope.cli.options import INPUT, METHOD, Config, Json
from otoscope.cli.output import (
    bars,
    is_printed,
    show_left_out,
    training_kept,
    write_json,
)

__all__ = ["rhythm"]

_CONFIG = Config("train.rhythm.learner", "TrainRhythmConfig")


def rhythm(  # noqa: PLR0913 - a command has the options it has
    sounds: Annotated[
        Path,
        typer.Argument(
            metavar="DIR",
            help="Folder of otoscope corpus dance, BALLROOM or Extended BALLROOM, or any with a "
            "folder of sounds per label.",
        ),
    ],
    out: Annotated[
        Path, options.out("Folder for the model.", files.output("folder"), metavar="MODEL")
    ],
    partition: Annotated[
        str,
        typer.Option(
            help="How sounds are divided: random, or grouped, with no artist in two parts (those "
            'of otoscope corpus dance, or of files that all are named "ARTIST - TITLE"); with '
            "--lists, which lists.",
            rich_help_panel=INPUT,
        ),
    ] = "grouped",
    lists: Annotated[
        Path | None,
        typer.Option(
            help="Folder of lists train_KIND.txt, valid_KIND.txt and test_KIND.txt, for KIND of "
            "--partition.",
            rich_help_panel=INPUT,
        ),
    ] = None,
    layers: Annotated[
        int, typer.Option(help="Number of equal hidden layers.", min=1, rich_help_panel=METHOD)
    ] = 3,
    units: Annotated[
        int, typer.Option(help="Units of each hidden layer.", min=1, rich_help_panel=METHOD)
    ] = 200,
    unit: Annotated[Literal["relu", "sigmoid"], _CONFIG.option("unit")] = _CONFIG["unit"],
    dropout: Annotated[float, _CONFIG.option("dropout")] = _CONFIG["dropout"],
    segment: Annotated[float, _CONFIG.option("segment")] = _CONFIG["segment"],
    hop: Annotated[float | None, _CONFIG.option("hop")] = _CONFIG["hop"],
    vote: Annotated[Literal["sum", "majority"], _CONFIG.option("vote")] = _CONFIG["vote"],
    batch: Annotated[int, _CONFIG.option("batch")] = _CONFIG["batch"],
    epochs: Annotated[int, _CONFIG.option("epochs")] = _CONFIG["epochs"],
    learning_rate: Annotated[float, _CONFIG.option("learning_rate")] = _CONFIG["learning_rate"],
    patience: Annotated[int, _CONFIG.option("patience")] = _CONFIG["patience"],
    hours: options.Hours = None,
    resume: options.Resume = False,
    seed: options.Seed = _CONFIG["seed"],
    json_path: Json = None,
) -> None:
    """Train DeSPerF, the system that Sturm (2016) takes apart, to classify rhythms.

    With --resume, a training that was interrupted continues from its last checkpoint.

    Example: otoscope train rhythm dances --out desperf
    """
    from otoscope.data.partition import DividedFolder
    from otoscope.train.rhythm import TrainRhythmConfig, train_rhythm

    settings = TrainRhythmConfig(
        hidden=(units,) * layers,
        unit=unit,
        dropout=dropout,
        segment=segment,
        hop=hop,
        vote=vote,
        batch=batch,
        epochs=epochs,
        learning_rate=learning_rate,
        patience=patience,
        seed=seed,
    )
    parts = DividedFolder(sounds, partition, lists, seed)
    with bars(training_kept(out, resume=resume)) as progress:
        result = train_rhythm(
            parts, out, settings=settings, hours=hours, resume=resume, progress=progress
        )
    write_json(result.to_dict(), json_path)
    show_left_out(sounds, result)
    if not is_printed(json_path):
        step, _ = min(result.history, key=lambda pair: pair[1])
        typer.echo(
            f"{result.epochs:g} epochs; {100 * result.error:.1f} % of the validation sounds wrong "
            f"(step {step}): {result.path}.json"
        )
