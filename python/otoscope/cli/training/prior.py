"""otoscope train prior: generators of log-mel excerpts, priors of otoscope maximise."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from otoscope.cli import files, options
from otoscope.cli.options import INPUT, Config, Device, Json
from otoscope.cli.output import ShowBest, bars, is_printed, show_left_out, training_kept, write_json

__all__ = ["prior"]

_CONFIG = Config("workflows.maximise.generator", "PriorConfig")
_TRAINING = Config("train.prior.learner", "TrainPriorConfig")


def prior(  # noqa: PLR0913 - a command has the options it has
    out: Annotated[
        Path, options.out("Folder for the generator.", files.output("folder"), metavar="MODEL")
    ],
    sounds: Annotated[
        list[Path] | None,
        typer.Argument(
            metavar="DIR...",
            help="Folders of sounds; of otoscope corpus singing the mixes are used.",
        ),
    ] = None,
    recipe: Annotated[str | None, _CONFIG.option("recipe", rich_help_panel=INPUT)] = _CONFIG[
        "recipe"
    ],
    songs: Annotated[int, _CONFIG.option("songs", rich_help_panel=INPUT)] = _CONFIG["songs"],
    validation: Annotated[
        list[Path] | None, _CONFIG.option("validation", rich_help_panel=INPUT)
    ] = None,
    model: Annotated[str, _CONFIG.option("model", rich_help_panel=INPUT)] = _CONFIG["model"],
    hours: Annotated[float | None, _CONFIG.option("hours")] = _CONFIG["hours"],
    resume: options.Resume = False,
    steps: Annotated[int, _TRAINING.option("steps")] = _TRAINING["steps"],
    batch: Annotated[int, _TRAINING.option("batch")] = _TRAINING["batch"],
    critic_steps: Annotated[int, _TRAINING.option("critic_steps")] = _TRAINING["critic_steps"],
    learning_rate: Annotated[float, _TRAINING.option("learning_rate")] = _TRAINING["learning_rate"],
    penalty: Annotated[float, _TRAINING.option("penalty")] = _TRAINING["penalty"],
    average: Annotated[float, _TRAINING.option("average")] = _TRAINING["average"],
    shrink: Annotated[int, _TRAINING.option("shrink")] = _TRAINING["shrink"],
    seconds: Annotated[float, _TRAINING.option("seconds")] = _TRAINING["seconds"],
    n_validation: Annotated[int, _TRAINING.option("n_validation")] = _TRAINING["n_validation"],
    validate_every: Annotated[int, _TRAINING.option("validate_every")] = _TRAINING[
        "validate_every"
    ],
    seed: options.Seed = _TRAINING["seed"],
    device: Device = _CONFIG["device"],
    json_path: Json = None,
) -> None:
    """Train a generator of log-mel excerpts against a critic (WGAN-GP), for otoscope maximise.

    With --resume, a training that was interrupted continues from its last checkpoint. MODEL/samples
    has pictures and sounds of samples, one of each per validation.

    Example: otoscope train prior music --out prior --shrink 4 --hours 2
    """
    from otoscope.train.prior import TrainPriorConfig
    from otoscope.workflows.maximise.generator import PriorConfig, train_generator

    training = TrainPriorConfig(
        steps=steps,
        batch=batch,
        critic_steps=critic_steps,
        learning_rate=learning_rate,
        penalty=penalty,
        average=average,
        shrink=shrink,
        seconds=seconds,
        n_validation=n_validation,
        validate_every=validate_every,
        seed=seed,
    )
    config = PriorConfig(
        out,
        tuple(sounds or ()),
        recipe,
        songs,
        tuple(validation or ()),
        model,
        training,
        device,
        hours,
        resume,
    )
    with bars(training_kept(out, resume=resume)) as progress:
        result = train_generator(
            config, progress=progress, on_step=ShowBest(lambda best: f"Fréchet distance {best:.4g}")
        )
    write_json(result.to_dict(), json_path)
    show_left_out(out, result)
    if not is_printed(json_path):
        quality = {name: row["frechet"] for name, row in result.quality.items()}
        typer.echo(
            f"{result.steps} steps; Fréchet distance to held-out excerpts "
            f"{quality['samples']:.3g} (other real excerpts {quality['real']:.3g}, shuffled frames "
            f"{quality['shuffled']:.3g}, noise {quality['noise']:.3g}): {result.path}.json"
        )
