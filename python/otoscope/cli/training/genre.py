"""otoscope train genre: paper E's classifiers from a folder of labelled sounds."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any, Literal

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

__all__ = ["genre"]

_CONFIG = Config("train.genre.learner", "TrainGenreConfig")
_PAPERS = "Default: the paper's."


def genre(  # noqa: PLR0913 - a command has the options it has
    sounds: Annotated[
        Path,
        typer.Argument(
            metavar="DIR",
            help="Folder of otoscope corpus genres, GTZAN, or any with a folder of sounds per "
            "label.",
        ),
    ],
    out: Annotated[
        Path, options.out("Folder for the model.", files.output("folder"), metavar="MODEL")
    ],
    partition: Annotated[
        str,
        typer.Option(
            help="How sounds are divided: random, or grouped, with no artist in two parts (those "
            'of otoscope corpus genres, or of files that all are named "ARTIST - TITLE"); with '
            "--lists, which lists: random or fault of GTZAN.",
            rich_help_panel=INPUT,
        ),
    ] = "random",
    lists: Annotated[
        Path | None,
        typer.Option(
            help="Folder of lists train_KIND.txt, valid_KIND.txt and test_KIND.txt, for KIND of "
            "--partition.",
            rich_help_panel=INPUT,
        ),
    ] = None,
    system: Annotated[
        Literal["frames", "windows"],
        typer.Option(
            help="Network: frames (FrameDNN), or windows of 100 frames (ConvDNN); its schedule is "
            "the paper's.",
            rich_help_panel=METHOD,
        ),
    ] = "frames",
    hidden: Annotated[int, _CONFIG.option("hidden")] = _CONFIG["hidden"],
    dropout: Annotated[
        bool, _CONFIG.option("dropout", extra="The paper's schedule is then another.")
    ] = _CONFIG["dropout"],
    channels: Annotated[int | None, _CONFIG.option("channels", extra=_PAPERS)] = None,
    window_hop: Annotated[int | None, _CONFIG.option("window_hop", extra=_PAPERS)] = None,
    batch: Annotated[int | None, _CONFIG.option("batch", extra=_PAPERS)] = None,
    epochs: Annotated[int | None, _CONFIG.option("epochs", extra=_PAPERS)] = None,
    learning_rate: Annotated[float | None, _CONFIG.option("learning_rate", extra=_PAPERS)] = None,
    ramp: Annotated[int | None, _CONFIG.option("ramp", extra=_PAPERS)] = None,
    patience: Annotated[int | None, _CONFIG.option("patience", extra=_PAPERS)] = None,
    hours: options.Hours = None,
    resume: options.Resume = False,
    seed: options.Seed = _CONFIG["seed"],
    json_path: Json = None,
) -> None:
    """Train a classifier of genres as in Kereliuk, Sturm and Larsen (2015).

    With --resume, a training that was interrupted continues from its last checkpoint.

    Example: otoscope train genre music --partition grouped --out classifier --hours 1
    """
    from otoscope.data.partition import DividedFolder
    from otoscope.train.genre import TrainGenreConfig, train_genre

    changes: dict[str, Any] = {
        "channels": channels,
        "window_hop": window_hop,
        "batch": batch,
        "epochs": epochs,
        "learning_rate": learning_rate,
        "ramp": ramp,
        "patience": patience,
    }
    given = {name: value for name, value in changes.items() if value is not None}
    settings = TrainGenreConfig.paper(system, hidden=hidden, dropout=dropout, seed=seed)
    settings = replace(settings, **given)
    settings.refuse_ignored(given)
    parts = DividedFolder(sounds, partition, lists, seed)
    with bars(training_kept(out, resume=resume)) as progress:
        result = train_genre(
            parts, out, settings=settings, hours=hours, resume=resume, progress=progress
        )
    write_json(result.to_dict(), json_path)
    show_left_out(sounds, result)
    if not is_printed(json_path):
        step, error = min(result.history, key=lambda score: score[1])
        typer.echo(
            f"{result.epochs:g} epochs; {100 * error:.1f} % of the validation {system} wrong "
            f"(step {step}): {result.path}.json"
        )
