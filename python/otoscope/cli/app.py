"""Application of the command line: the list of all commands."""

from __future__ import annotations

import signal
import threading
from typing import Annotated, Any, NoReturn

import typer

from otoscope.cli.attack import attack
from otoscope.cli.contents import contents
from otoscope.cli.corpus import corpus
from otoscope.cli.demo import demo
from otoscope.cli.distance import distance, stats
from otoscope.cli.doctor import doctor, models
from otoscope.cli.experiment import experiment
from otoscope.cli.explain import explain
from otoscope.cli.folk import folk
from otoscope.cli.interrogate import InterrogateCommand, interrogate
from otoscope.cli.maximise import maximise
from otoscope.cli.output import Group
from otoscope.cli.singing.evaluate import evaluate
from otoscope.cli.singing.train import train
from otoscope.errors import Terminated
from otoscope.records import versions

__all__ = ["app", "main"]

app = typer.Typer(
    name="otoscope",
    cls=Group,
    help="Look into machine-listening models: what they hear, rely on, and are fooled by.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.command()(demo)
app.command()(explain)
app.command()(contents)
app.command()(maximise)
app.command()(attack)
app.command(cls=InterrogateCommand)(interrogate)
app.command()(distance)
app.command()(stats)
app.command()(evaluate)
app.add_typer(train, name="train")
app.add_typer(folk, name="folk")
app.add_typer(corpus, name="corpus")
app.add_typer(experiment, name="experiment")
app.add_typer(models, name="models", rich_help_panel="Installation")
app.command(rich_help_panel="Installation")(doctor)


def _print_version(is_given: bool) -> None:
    if is_given:
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
    """Take the options that stand before any command."""


def main() -> None:
    """Run the command line and exit with its code.

    A termination ends it as an interruption does: drafts and locks are removed.
    """
    for name in ("SIGTERM", "SIGHUP"):
        if hasattr(signal, name) and threading.current_thread() is threading.main_thread():
            signal.signal(getattr(signal, name), _stop)
    app(prog_name="otoscope")


def _stop(number: int, _: Any) -> NoReturn:
    raise Terminated(128 + number)
