"""otoscope train singing: detectors from corpora of stems."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from otoscope.cli import files, options
from otoscope.cli.options import INPUT, Config, Json
from otoscope.cli.output import ShowBest, bars, is_printed, show_left_out, training_kept, write_json

__all__ = ["singing"]

_CONFIG = Config("train.singing.learner", "TrainSingingConfig")


def singing(  # noqa: PLR0913 - a command has the options it has
    corpora: Annotated[
        list[Path], typer.Argument(metavar="DIR...", help="Folders of otoscope corpus singing.")
    ],
    validation: Annotated[
        Path,
        typer.Option(
            help="Folder of other songs, on which the best model is chosen.",
            rich_help_panel=INPUT,
        ),
    ],
    out: Annotated[
        Path, options.out("Folder for the model.", files.output("folder"), metavar="MODEL")
    ],
    music: Annotated[
        list[Path] | None,
        typer.Option(
            help="Folder of recordings without voice; may be repeated.", rich_help_panel=INPUT
        ),
    ] = None,
    hours: options.Hours = None,
    resume: options.Resume = False,
    epochs: Annotated[int, _CONFIG.option("epochs")] = _CONFIG["epochs"],
    batches_per_epoch: Annotated[int, _CONFIG.option("batches_per_epoch")] = _CONFIG[
        "batches_per_epoch"
    ],
    batch: Annotated[int, _CONFIG.option("batch")] = _CONFIG["batch"],
    learning_rate: Annotated[float, _CONFIG.option("learning_rate")] = _CONFIG["learning_rate"],
    decay: Annotated[float, _CONFIG.option("decay")] = _CONFIG["decay"],
    average: Annotated[float, _CONFIG.option("average")] = _CONFIG["average"],
    synthetic: Annotated[int, _CONFIG.option("synthetic")] = _CONFIG["synthetic"],
    shrink: Annotated[int, _CONFIG.option("shrink")] = _CONFIG["shrink"],
    validate_every: Annotated[int, _CONFIG.option("validate_every")] = _CONFIG["validate_every"],
    seed: options.Seed = _CONFIG["seed"],
    json_path: Json = None,
) -> None:
    """Train a singing-voice detector as in Schlueter and Grill (2015).

    With --resume, a training that was interrupted continues from its last checkpoint.

    Example: otoscope train singing corpus --validation other-corpus --out detector --hours 2
    """
    from otoscope.train.singing import TrainSingingConfig, train_singing

    settings = replace(
        TrainSingingConfig(),
        epochs=epochs,
        batches_per_epoch=batches_per_epoch,
        batch=batch,
        learning_rate=learning_rate,
        decay=decay,
        average=average,
        synthetic=synthetic,
        shrink=shrink,
        validate_every=validate_every,
        seed=seed,
    )
    with bars(training_kept(out, resume=resume)) as progress:
        result = train_singing(
            corpora,
            out,
            validation=validation,
            music=music or (),
            settings=settings,
            hours=hours,
            resume=resume,
            progress=progress,
            on_step=ShowBest(lambda best: f"error {100 * best:.1f} %"),
        )
    write_json(result.to_dict(), json_path)
    show_left_out(out, result)
    if not is_printed(json_path):
        step, error = min(result.history, key=lambda score: score[1])
        typer.echo(
            f"{result.steps} steps; frame error on the validation songs {100 * error:.1f} % "
            f"(step {step}): {result.path}.json"
        )
