"""What a user can cause ends a command with one line, whichever group it is in.

That is `ParameterError`, `CudaUnavailable`, `MissingExtra`, and files that cannot be read or
written: exit code 2, and with ``OTOSCOPE_TRACEBACK=1`` a traceback before the line. Anything else
is our mistake and shows its traceback.
"""

from __future__ import annotations

import errno
import os
import traceback
from typing import Any

import typer
from typer.core import TyperGroup

from otoscope.cli.wording import as_options
from otoscope.errors import CudaUnavailable, MissingExtra, ParameterError

__all__ = ["OneLineErrors"]


class OneLineErrors(TyperGroup):
    """Commands whose users' errors are one line, not a traceback."""

    def invoke(self, ctx: Any) -> Any:  # typer carries its own copy of click's Context
        """Run the command; turn an error of the user's into exit code 2."""
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
        typer.echo(f"otoscope: {as_options(' '.join(message.split()), names)}", err=True)
        raise typer.Exit(2)
