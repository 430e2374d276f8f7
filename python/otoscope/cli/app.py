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
from otoscope.cli.output import group_of
from otoscope.cli.singing.evaluate import evaluate
from otoscope.cli.singing.train import train
from otoscope.errors import Terminated
from otoscope.records import versions

__all__ = ["app", "main"]

MODELS, DETECTORS, SETS, TUNES, PAPERS, INSTALLATION = (
    "Look into a model",
    "Singing detectors",
    "Sets of sounds",
    "Folk tunes",
    "Papers",
    "Installation",
)
"""Panels of the commands."""

app = typer.Typer(
    name="otoscope",
    cls=group_of(MODELS, DETECTORS, SETS, TUNES, PAPERS, INSTALLATION),
    help="Look into machine-listening models: what they hear, rely on, and are fooled by.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
for command in (demo, explain, contents, attack, maximise):
    app.command(rich_help_panel=MODELS)(command)
app.command(cls=InterrogateCommand, rich_help_panel=MODELS)(interrogate)
app.command(rich_help_panel=DETECTORS)(evaluate)
app.add_typer(train, name="train", rich_help_panel=DETECTORS)
app.command(rich_help_panel=SETS)(distance)
app.command(rich_help_panel=SETS)(stats)
app.add_typer(corpus, name="corpus", rich_help_panel=SETS)
app.add_typer(folk, name="folk", rich_help_panel=TUNES)
app.add_typer(experiment, name="experiment", rich_help_panel=PAPERS)
app.add_typer(models, name="models", rich_help_panel=INSTALLATION)
app.command(rich_help_panel=INSTALLATION)(doctor)


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
