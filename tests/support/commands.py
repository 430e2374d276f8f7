"""All commands of the program, imported."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import typer

from otoscope.cli.app import app
from otoscope.cli.groups import Group

__all__ = ["COMMANDS", "PROGRAM", "commands", "given_once"]


def commands(group: Any, *names: str) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Go over all commands of a group and of the groups in it."""
    for name in group.commands:
        command = group.load(name)
        if isinstance(command, Group):
            yield from commands(command, *names, name)
        else:
            yield (*names, name), command


def given_once(words: Sequence[object]) -> list[str]:
    """Leave out an option and its value where the same option comes again later in the words."""
    texts = [str(word) for word in words]
    repeated = {
        i for i, word in enumerate(texts) if word.startswith("--") and word in texts[i + 1 :]
    }
    return [text for i, text in enumerate(texts) if not {i, i - 1} & repeated]


PROGRAM: Any = typer.main.get_command(app)
COMMANDS = dict(commands(PROGRAM))
