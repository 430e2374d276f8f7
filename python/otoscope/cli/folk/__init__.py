"""otoscope folk: tunes in ABC notation, and a network that writes them."""

from __future__ import annotations

import typer

from otoscope.cli.folk.check import analyse, check
from otoscope.cli.folk.nearest import nearest
from otoscope.cli.folk.prepare import prepare
from otoscope.cli.folk.render import render, score
from otoscope.cli.folk.sample import continue_, sample
from otoscope.cli.folk.train import import_folkrnn, train
from otoscope.cli.group import Group

__all__ = ["folk"]

folk = typer.Typer(
    cls=Group,
    help="Folk tunes in ABC notation, and a network that learns and writes them.",
    no_args_is_help=True,
)
for command in (prepare, train, sample, score, check, analyse, nearest, render, import_folkrnn):
    folk.command()(command)
folk.command(name="continue")(continue_)
