"""otoscope folk: tunes in ABC notation, and a network that writes them; one command a module."""

from __future__ import annotations

import typer

from otoscope.cli.folk.prepare import prepare

__all__ = ["folk"]

folk = typer.Typer(
    help="Folk tunes in ABC notation, and a network that learns and writes them.",
    no_args_is_help=True,
)
for command in (prepare,):
    folk.command()(command)
