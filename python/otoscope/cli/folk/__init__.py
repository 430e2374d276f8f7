"""otoscope folk: tunes in ABC notation, and a network that writes them."""

from __future__ import annotations

import typer

from otoscope.cli.folk.check import analyse, check
from otoscope.cli.folk.nearest import nearest
from otoscope.cli.folk.prepare import prepare
from otoscope.cli.folk.render import render, score
from otoscope.cli.folk.sample import continue_, sample
from otoscope.cli.folk.train import import_folkrnn, train
from otoscope.cli.output import Group

__all__ = ["folk"]

folk = typer.Typer(
    cls=Group,
    help="Check, compare and render folk tunes in ABC notation; train a network that writes them.",
    no_args_is_help=True,
)
for command in (
    prepare,
    train,
    import_folkrnn,
    sample,
    continue_,
    score,
    check,
    analyse,
    nearest,
    render,
):
    folk.command(command.__name__.rstrip("_").replace("_", "-"))(command)
