"""otoscope folk: tunes in ABC notation, and a network that writes them; one command a module."""

from __future__ import annotations

import typer

from otoscope.cli.folk.analyse import analyse
from otoscope.cli.folk.check import check
from otoscope.cli.folk.continue_ import continue_
from otoscope.cli.folk.import_folkrnn import import_folkrnn
from otoscope.cli.folk.nearest import nearest
from otoscope.cli.folk.prepare import prepare
from otoscope.cli.folk.render import render
from otoscope.cli.folk.sample import sample
from otoscope.cli.folk.score import score
from otoscope.cli.folk.train import train
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
