"""otoscope folk: tunes in ABC notation, and a network that writes them."""

from __future__ import annotations

import typer

from otoscope.cli.folk.check import analyse, check
from otoscope.cli.folk.nearest import nearest
from otoscope.cli.folk.prepare import prepare
from otoscope.cli.folk.render import render, score
from otoscope.cli.folk.sample import continue_, sample
from otoscope.cli.folk.train import import_folkrnn, train
from otoscope.cli.output import group_of

__all__ = ["folk"]

_PANELS = {
    "Make a model": (prepare, train, import_folkrnn),
    "Write tunes": (sample, continue_),
    "Measure tunes": (check, score, analyse, nearest),
    "See and hear tunes": (render,),
}

folk = typer.Typer(
    cls=group_of(*_PANELS),
    help="Check, compare and render folk tunes in ABC notation; train a network that writes them.",
    no_args_is_help=True,
)
for panel, commands in _PANELS.items():
    for command in commands:
        name = command.__name__.rstrip("_").replace("_", "-")
        folk.command(name, rich_help_panel=panel)(command)
