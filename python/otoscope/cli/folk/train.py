"""otoscope folk train and import-folkrnn: models from tunes, and from the authors' files."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Table

from otoscope.cli import files, options
from otoscope.cli.output import (
    bars,
    console,
    is_printed,
    training_kept,
    write_json,
)
from otoscope.documents import document
from otoscope.errors import ParameterError

if TYPE_CHECKING:
    from otoscope.folk.train import TrainFolkConfig, TrainFolkResult
    from otoscope.train import StepResult

__all__ = ["PAPER", "SMALL", "import_folkrnn", "train"]

_QUICK = options.Config("folk.train.recipe", "TrainFolkConfig")
PAPER = {
    "epochs": 100,
    "hidden": 512,
    "layers": 3,
    "embedding": None,
    "dropout": 0.5,
    "learning_rate": 0.003,
    "batch": 64,
}
"""Defaults of the paper's mode, for the help."""
SMALL = {
    "epochs": 220,
    "hidden": 256,
    "layers": 2,
    "inputs": ("bar", "part", "earlier"),
    "dropout": 0.4,
    "learning_rate": 0.004,
    "batch": 32,
}
"""Defaults of the mode of folkrnn-small."""


def _setting(name: str) -> Any:
    """Declare the option of a setting whose default the mode decides."""
    defaults = [f"Default: {_QUICK[name]}"]
    for mode, values in (("small", SMALL), ("paper", PAPER)):
        if name in values:
            defaults.append(f"in {mode} mode {values[name]}")
    return _QUICK.option(name, extra="; ".join(defaults) + ".")


def train(  # noqa: PLR0913 - a command has the options it has
    folder: Annotated[
        Path, typer.Argument(metavar="DIR", help="Folder written by otoscope folk prepare.")
    ],
    out: Annotated[
        Path, options.out("Folder for the model.", files.output("folder"), metavar="MODEL")
    ],
    mode: Annotated[
        str,
        typer.Option(
            help="quick: minutes on a CPU; small: network and recipe of folkrnn-small, an hour; "
            "paper: network and recipe of the paper.",
            rich_help_panel=options.METHOD,
        ),
    ] = _QUICK["mode"],
    hours: options.Hours = None,
    resume: options.Resume = False,
    epochs: Annotated[int | None, _setting("epochs")] = None,
    hidden: Annotated[int | None, _setting("hidden")] = None,
    layers: Annotated[int | None, _setting("layers")] = None,
    embedding: Annotated[
        int | None,
        _QUICK.option(
            "embedding",
            extra="As an option, 0 stands for None. Default: 64; in paper mode one-hot.",
        ),
    ] = None,
    dropout: Annotated[float | None, _setting("dropout")] = None,
    learning_rate: Annotated[float | None, _setting("learning_rate")] = None,
    batch: Annotated[int | None, _setting("batch")] = None,
    window: Annotated[int | None, _setting("window")] = None,
    inputs: Annotated[
        str | None,
        _QUICK.option(
            "inputs",
            extra="Separated by commas; none for no inputs. Default: none; in small mode all.",
            metavar="NAMES",
        ),
    ] = None,
    precision: Annotated[str, _QUICK.option("precision")] = _QUICK["precision"],
    json_path: options.Json = None,
    seed: options.Seed = _QUICK["seed"],
    device: options.Device = _QUICK["device"],
) -> None:
    """Train a network on prepared tunes, and compare it with n-grams on held-out tunes.

    With --resume, a training that was interrupted continues from its last checkpoint.

    Example: otoscope folk train tunes --out reels --hours 0.5
    """
    from otoscope.folk.train import train_folk

    settings = _settings(
        mode,
        {
            "epochs": epochs,
            "hidden": hidden,
            "layers": layers,
            "embedding": embedding,
            "dropout": dropout,
            "learning_rate": learning_rate,
            "batch": batch,
            "window": window,
            "inputs": inputs,
            "precision": precision,
            "seed": seed,
            "device": device,
        },
    )
    with bars(training_kept(out, resume=resume)) as progress:
        result = train_folk(
            folder,
            out,
            settings=settings,
            hours=hours,
            resume=resume,
            progress=progress,
            on_step=_BestScores(),
        )
    write_json(result.to_dict(), json_path)
    if not is_printed(json_path):
        _show(result, out)


def _settings(mode: str, changes: dict[str, Any]) -> TrainFolkConfig:
    from otoscope.folk.train import TrainFolkConfig

    modes = {
        "quick": TrainFolkConfig,
        "small": TrainFolkConfig.small,
        "paper": TrainFolkConfig.paper,
    }
    if mode not in modes:
        raise ParameterError(f"mode is {mode!r}, must be one of {', '.join(modes)}")
    changes = {name: value for name, value in changes.items() if value is not None}
    if changes.get("embedding") == 0:
        changes["embedding"] = None
    if "inputs" in changes:
        names = [name.strip() for name in changes["inputs"].split(",")]
        changes["inputs"] = () if names == ["none"] else tuple(names)
    return replace(modes[mode](), **changes)


class _BestScores:
    """Print a line for each validation score that is the best so far."""

    def __init__(self) -> None:
        self._best = float("inf")

    def __call__(self, result: StepResult) -> None:
        if result.best is not None and result.best < self._best:
            self._best = result.best
            nats = f"{result.best:.3f} nats per token on validation tunes"
            typer.echo(f"step {result.step:,}: {nats}", err=True)


def _show(result: TrainFolkResult, out: Path) -> None:
    lines = console()
    table = Table("nats per token", box=None, pad_edge=False)
    names = next(iter(result.nats.values())).keys()
    for name in names:
        table.add_column(name, justify="right")
    for split, nats in result.nats.items():
        table.add_row(f"{split} tunes", *(f"{nats[name]:.3f}" for name in names))
    lines.print(table)
    lines.print(f"{result.steps:,} steps; model: {out}")
    lines.print(f"next: otoscope folk sample --model {out} --n 5")


def import_folkrnn(
    file: Annotated[Path, typer.Argument(metavar="FILE.pkl", help="Pickle of the authors.")],
    out: Annotated[
        Path,
        options.out(
            "Model: writes MODEL.safetensors and MODEL.json.",
            files.output("bundle", files.MODEL_FILE),
            metavar="MODEL",
        ),
    ],
    json_path: options.Json = None,
) -> None:
    """Convert a model file of folk-rnn's authors; no code in the pickle is executed.

    Example: otoscope folk import-folkrnn metadata/config5.pkl --out folkrnn-v2
    """
    from otoscope.folk import model as folkrnn

    model = folkrnn.import_folkrnn(file)
    folkrnn.save_folkrnn(out, model)
    n_parameters = sum(w.numel() for w in model.network.parameters() if w.requires_grad)
    record = {
        "model": out,
        "tokens": model.tokeniser,
        "vocabulary": len(model.vocabulary),
        "network": model.network.settings,
        "parameters": n_parameters,
    }
    write_json(document("otoscope.ImportFolkrnn", 2, record), json_path)
    if not is_printed(json_path):
        lines = console()
        n_tokens = len(model.vocabulary)
        lines.print(f"{n_parameters:,} parameters, {n_tokens} tokens ({model.tokeniser}): {out}")
        lines.print(f"next: otoscope folk sample --model {out} --n 5")
