"""All commands of the program, imported."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import typer

from otoscope.cli.app import app
from otoscope.cli.groups import Group

__all__ = ["COMMANDS", "PROGRAM", "commands", "given_once", "parse"]


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


def parse(arguments: list[str]) -> dict[str, Any]:
    """Parse a command line, which raises if an option is not known; return its values."""
    command: Any = PROGRAM
    while hasattr(command, "commands") and arguments != ["--help"]:
        if command.invoke_without_command and not any(a in command.commands for a in arguments):
            break
        context = command.make_context(command.name, [], resilient_parsing=True)
        _, command, arguments = command.resolve_command(context, arguments)
    if arguments == ["--help"]:
        return {}
    values: dict[str, Any] = command.make_context(command.name, arguments).params
    return values


PROGRAM: Any = typer.main.get_command(app)
COMMANDS = dict(commands(PROGRAM))
