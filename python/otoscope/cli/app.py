"""The application that every command joins: its version, its errors, its exit codes.

A command is a function of typed arguments. What a user can cause (`ParameterError`,
`CudaUnavailable`, `MissingExtra`, files that cannot be read or written) ends it with one line on
stderr and exit code 2, with ``OTOSCOPE_TRACEBACK=1`` after its traceback; anything else is our
mistake and shows its traceback.
"""

from __future__ import annotations

import errno
import os
import traceback
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from otoscope.cli.attack import attack
from otoscope.cli.corpus import corpus
from otoscope.cli.demo import demo
from otoscope.cli.distance import distance, stats
from otoscope.cli.doctor import doctor
from otoscope.cli.experiment import experiment
from otoscope.cli.explain import explain
from otoscope.cli.folk import folk
from otoscope.cli.interrogate import interrogate
from otoscope.cli.maximise import maximise
from otoscope.cli.models import models
from otoscope.cli.wording import as_options
from otoscope.errors import CudaUnavailable, MissingExtra, ParameterError
from otoscope.records import versions

__all__ = ["app", "main"]


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


app = typer.Typer(
    name="otoscope",
    cls=OneLineErrors,
    help="Look into machine-listening models: what they hear, rely on, and are fooled by.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
for command in (demo, explain, attack, interrogate, maximise, distance, stats, models, doctor):
    app.command()(command)
app.add_typer(corpus, name="corpus")
app.add_typer(folk, name="folk")
app.add_typer(experiment, name="experiment")


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"otoscope {versions()['otoscope']}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_print_version, is_eager=True, help="Print the version and stop."
        ),
    ] = False,
) -> None:
    """Keep doctor a command of its own name, and take the options before any command."""


def main() -> None:
    """Run the command line and leave with its exit code.

    Examples
    --------
    >>> import sys
    >>> sys.argv = ["otoscope", "--version"]
    >>> main()  # doctest: +SKIP
    """
    app(prog_name="otoscope")
