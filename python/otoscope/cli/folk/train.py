"""otoscope folk train: a network that learns a folder of tunes."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from otoscope.cli.folk.sample import AsJson
from otoscope.cli.options import Device, Seed
from otoscope.cli.output import require_folder
from otoscope.cli.progress import bars
from otoscope.errors import ParameterError
from otoscope.records import to_json

if TYPE_CHECKING:
    from otoscope.folk.train import TrainFolkConfig, TrainFolkResult
    from otoscope.train import StepResult

__all__ = ["train"]


def train(  # noqa: PLR0913 - a command has the options it has
    folder: Annotated[
        Path, typer.Argument(metavar="DIR", help="Folder written by otoscope folk prepare.")
    ],
    out: Annotated[Path, typer.Option(metavar="MODEL", help="Folder for the model.")],
    mode: Annotated[
        str, typer.Option(help="quick: minutes on a CPU; paper: network and recipe of the paper.")
    ] = "quick",
    hours: Annotated[
        float | None, typer.Option(help="Time limit; the best model until then is kept.")
    ] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Continue from MODEL's checkpoint, if it has one.")
    ] = False,
    epochs: Annotated[
        int | None, typer.Option(help="Largest number of epochs (quick 6, paper 100).")
    ] = None,
    hidden: Annotated[
        int | None, typer.Option(help="Units per layer (quick 128, paper 512).")
    ] = None,
    layers: Annotated[int | None, typer.Option(help="LSTM layers (quick 1, paper 3).")] = None,
    embedding: Annotated[
        int | None, typer.Option(help="Columns of the embedding; 0: one-hot (quick 64, paper 0).")
    ] = None,
    dropout: Annotated[
        float | None, typer.Option(help="Dropout probability (quick 0.0, paper 0.5).")
    ] = None,
    learning_rate: Annotated[
        float | None, typer.Option(help="Highest learning rate (quick 0.01, paper 0.003).")
    ] = None,
    batch: Annotated[
        int | None, typer.Option(help="Batch size: streams (quick 16) or tunes (paper 64).")
    ] = None,
    window: Annotated[
        int | None, typer.Option(help="Tokens per stream and step, in quick mode (quick 64).")
    ] = None,
    as_json: AsJson = False,
    seed: Seed = 0,
    device: Device = "cpu",
) -> None:
    """Train a network on prepared tunes, and compare it with n-grams on held-out tunes.

    With --resume, a training that was interrupted continues from its last checkpoint.

    Example: otoscope folk train tunes --out reels --hours 0.5
    """
    require_folder(out)
    from otoscope.folk.train import train_folk

    options = {
        "epochs": epochs,
        "hidden": hidden,
        "layers": layers,
        "embedding": embedding,
        "dropout": dropout,
        "learning_rate": learning_rate,
        "batch": batch,
        "window": window,
    }
    settings = _settings(mode, options | {"seed": seed, "device": device})
    with bars() as progress:
        result = train_folk(
            folder,
            out,
            settings=settings,
            hours=hours,
            resume=resume,
            progress=progress,
            on_step=_BestScores(),
        )
    if as_json:
        typer.echo(to_json(result.to_dict(), indent=2))
    else:
        _show(result, out)


def _settings(mode: str, options: dict[str, Any]) -> TrainFolkConfig:
    from otoscope.folk.train import TrainFolkConfig

    modes = {"quick": TrainFolkConfig, "paper": TrainFolkConfig.paper}
    if mode not in modes:
        raise ParameterError(f"mode is {mode!r}, must be quick or paper")
    changed = {name: value for name, value in options.items() if value is not None}
    if changed.get("embedding") == 0:
        changed["embedding"] = None
    return replace(modes[mode](), **changed)


class _BestScores:
    """Print a line for each validation score that is the best so far."""

    def __init__(self) -> None:
        self._best = float("inf")

    def __call__(self, result: StepResult) -> None:
        if result.best is not None and result.best < self._best:
            self._best = result.best
            typer.echo(
                f"step {result.step:,}: {result.best:.3f} nats per token on validation tunes",
                err=True,
            )


def _show(result: TrainFolkResult, out: Path) -> None:
    console = Console(markup=False, highlight=False)
    table = Table("nats per token", box=None, pad_edge=False)
    names = next(iter(result.nats.values())).keys()
    for name in names:
        table.add_column(name, justify="right")
    for split, nats in result.nats.items():
        table.add_row(f"{split} tunes", *(f"{nats[name]:.3f}" for name in names))
    console.print(table)
    console.print(f"{result.steps:,} steps; model: {out}", soft_wrap=True)
    console.print(f"next: otoscope folk sample --model {out} --n 5", soft_wrap=True)
