"""The group that all commands are in: optional PATHs, help as it is written, errors in one line.

An error that a user can cause (`ParameterError`, `CudaUnavailable`, `MissingExtra`, a file that
cannot be read or written) ends a command with exit code 2 and one line on stderr; with
``OTOSCOPE_TRACEBACK=1`` the traceback comes before it. Any other error is a defect of ours and
shows its traceback.
"""

from __future__ import annotations

import errno
import os
import traceback
from itertools import pairwise
from typing import Any

import typer
from rich.markup import escape
from typer.core import TyperGroup

from otoscope.cli.options import OPTIONAL_PATH, PANELS
from otoscope.cli.output import with_options
from otoscope.errors import CudaUnavailable, MissingExtra, ParameterError

__all__ = ["Group"]


class Group(TyperGroup):
    """A group of commands, or of groups of commands."""

    def __init__(self, **settings: Any) -> None:
        """Order the panels of the help, and escape its brackets: rich takes them as markup."""
        super().__init__(**settings)
        for command in self.commands.values():
            command.params.sort(key=_panel)  # stable: within a panel as declared
            command.help = command.help and escape(command.help)
            parameter: Any
            for parameter in command.params:
                parameter.help = parameter.help and escape(parameter.help)

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """Complete ``--json`` without PATH to ``--json -``: typer knows no optional values."""
        name, command, rest = super().resolve_command(ctx, args)
        optional = {
            spelling
            for parameter in (command.params if command else ())
            if getattr(parameter, "metavar", None) == OPTIONAL_PATH
            for spelling in parameter.opts
        }
        end = rest.index("--") if "--" in rest else len(rest)
        completed = []
        for arg, following in pairwise([*rest[:end], "--"]):
            completed.append(arg)
            if arg in optional and following.startswith("-") and following != "-":
                completed.append("-")
        return name, command, [*completed, *rest[end:]]

    def invoke(self, ctx: Any) -> Any:  # typer carries its own copy of click's Context
        """Run the command, and end it with exit code 2 at an error that a user can cause."""
        try:
            return super().invoke(ctx)
        except (ParameterError, CudaUnavailable, MissingExtra) as err:
            error: Exception = err
            message = str(err)
        except OSError as err:
            if err.errno is None or err.errno == errno.EPIPE:  # a library's, or a closed pipe
                raise
            error = err
            message = f"{err.filename}: {err.strerror}" if err.filename else str(err.strerror)
        if os.environ.get("OTOSCOPE_TRACEBACK") == "1":
            typer.echo("".join(traceback.format_exception(error)), err=True, nl=False)
        command = self.commands.get(ctx.invoked_subcommand)
        names = {parameter.name for parameter in command.params} if command else ()
        line = with_options(message, getattr(error, "advice", None), names)
        typer.echo(f"otoscope: {' '.join(line.split())}", err=True)
        raise typer.Exit(2)


def _panel(parameter: Any) -> int:
    """Number the panel of an option; arguments and options without a panel come first."""
    panel = getattr(parameter, "rich_help_panel", None)
    return PANELS.index(panel) + 1 if panel in PANELS else 0
