"""All commands of the program, imported."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import typer

from otoscope.cli.app import app
from otoscope.cli.groups import Group

__all__ = ["COMMANDS", "PROGRAM", "commands"]


def commands(group: Any, *names: str) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Go over all commands of a group and of the groups in it."""
    for name in group.commands:
        command = group.load(name)
        if isinstance(command, Group):
            yield from commands(command, *names, name)
        else:
            yield (*names, name), command


PROGRAM: Any = typer.main.get_command(app)
COMMANDS = dict(commands(PROGRAM))
