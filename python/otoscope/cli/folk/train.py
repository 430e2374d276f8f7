"""otoscope folk train: a network that learns a folder of tunes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from otoscope.cli.folk.sample import AsJson
from otoscope.cli.options import Seed
from otoscope.cli.output import require_folder
from otoscope.cli.progress import Bars, bars
from otoscope.errors import ParameterError
from otoscope.records import to_json

if TYPE_CHECKING:
    from otoscope.folk.train.training import FolkTraining, Progress, TrainedFolk

__all__ = ["train"]


def train(  # noqa: PLR0913 - a command has the options it has
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Of otoscope folk prepare.")],
    out: Annotated[Path, typer.Option(metavar="MODEL", help="Folder for the model.")],
    mode: Annotated[
        str, typer.Option(help="quick: minutes on a CPU. paper: its network and recipe.")
    ] = "quick",
    hours: Annotated[
        float | None, typer.Option(help="Stop then, with the best so far; --resume goes on.")
    ] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on from MODEL's checkpoint, if it has one.")
    ] = False,
    epochs: Annotated[int | None, typer.Option(help="At most: 6, paper 100.")] = None,
    hidden: Annotated[int | None, typer.Option(help="Units a layer: 128, paper 512.")] = None,
    layers: Annotated[int | None, typer.Option(help="1, paper 3.")] = None,
    embedding: Annotated[
        int | None, typer.Option(help="Columns: 64; 0 is one-hot, the paper's.")
    ] = None,
    dropout: Annotated[float | None, typer.Option(help="0, paper 0.5.")] = None,
    learning_rate: Annotated[float | None, typer.Option(help="0.01, paper 0.003.")] = None,
    batch: Annotated[int | None, typer.Option(help="Streams: 16; paper: 64 tunes.")] = None,
    window: Annotated[int | None, typer.Option(help="Quick: tokens a step, 64.")] = None,
    as_json: AsJson = False,
    seed: Seed = 0,
    device: Annotated[str, typer.Option(help="cpu or cuda.")] = "cpu",
) -> None:
    """Train a network on prepared tunes, and compare it with n-grams on tunes held out.

    A training that was stopped or killed goes on from its last checkpoint with --resume.

    Example: otoscope folk train tunes --out reels --hours 0.5
    """
    require_folder(out)
    from otoscope.folk.train.training import train_folk

    given = {
        "epochs": epochs,
        "hidden": hidden,
        "layers": layers,
        "embedding": embedding,
        "dropout": dropout,
        "learning_rate": learning_rate,
        "batch": batch,
        "window": window,
    }
    settings = _settings(mode, seed, {k: v for k, v in given.items() if v is not None})
    with bars() as progress:
        found = train_folk(
            folder,
            out,
            settings=settings,
            hours=hours,
            resume=resume,
            device=device,
            progress=_shown(progress),
        )
    if as_json:
        told = {"settings": settings, "steps": found.steps, "nats": found.nats}
        told |= {"history": found.history, "model": found.path}
        typer.echo(to_json(told, indent=2))
    else:
        _show(found, out)


def _settings(mode: str, seed: int, given: dict[str, Any]) -> FolkTraining:
    from otoscope.folk.train.training import FolkTraining

    modes = {"quick": FolkTraining, "paper": FolkTraining.paper}
    if mode not in modes:
        raise ParameterError(f"mode is {mode!r}, must be quick or paper")
    if given.get("embedding") == 0:
        given["embedding"] = None
    return replace(modes[mode](), seed=seed, **given)


def _shown(progress: Bars) -> Callable[[Progress], None]:
    """A bar of steps, and a line for each model that is the best so far."""
    steps: Iterator[int] | None = None
    seen, best = 0, float("inf")

    def show(at: Progress) -> None:
        nonlocal steps, seen, best
        if steps is None:
            steps = progress(range(at.steps), "steps")
        while seen < at.step:  # a training that goes on begins in the middle
            next(steps, None)
            seen += 1
        if at.best is not None and at.best < best:
            best = at.best
            typer.echo(f"step {at.step:,}: {best:.3f} nats a token held out", err=True)

    return show


def _show(found: TrainedFolk, out: Path) -> None:
    console = Console(markup=False, highlight=False)
    table = Table("nats a token", box=None, pad_edge=False)
    names = next(iter(found.nats.values())).keys()
    for name in names:
        table.add_column(name, justify="right")
    for split, nats in found.nats.items():
        table.add_row(f"{split} tunes", *(f"{nats[name]:.3f}" for name in names))
    console.print(table)
    console.print(f"{found.steps:,} steps; model: {out}", soft_wrap=True)
    console.print(f"now: otoscope folk sample --model {out} --n 5", soft_wrap=True)
