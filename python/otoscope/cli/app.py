"""Application of the command line: the list of all commands."""

from __future__ import annotations

import signal
import threading
from typing import Annotated, Any, NoReturn

import typer

from otoscope.cli.groups import Entry, group_of
from otoscope.errors import Terminated
from otoscope.records import versions

__all__ = ["app", "main"]

MODEL, DETECTORS, SETS, TUNES, PAPERS, INSTALLATION = (
    "Look into a model",
    "Singing detectors",
    "Sets of sounds",
    "Folk tunes",
    "Papers",
    "Installation",
)
"""Panels of the commands."""

COMMANDS = (
    Entry(
        "demo",
        "installation.demo:demo",
        MODEL,
        'Explain why a singing detector outputs "singing" for a short song, and write the report.',
    ),
    Entry(
        "explain",
        "explain:explain",
        MODEL,
        "Explain a model's output for sound files, by occluding segments of the sound.",
    ),
    Entry(
        "contents",
        "contents:contents",
        MODEL,
        "Rank contents for a model, and say whether one is clearly best.",
    ),
    Entry(
        "benchmark-explainers",
        "experiment:benchmark_explainers",
        MODEL,
        "Compare explainers on tasks whose truth is known: which of them finds it?",
        kind="BenchmarkCommand",
    ),
    Entry(
        "attack",
        "attack:attack",
        MODEL,
        "Change a sound slightly until a model's output changes; write it and measure the file.",
    ),
    Entry(
        "maximise",
        "maximise:maximise",
        MODEL,
        "Find inputs that drive a unit of a network furthest, beside the real excerpts that do.",
    ),
    Entry(
        "concepts",
        "concepts:concepts",
        MODEL,
        "Test which concepts a layer holds, and whether the outputs depend on them.",
    ),
    Entry(
        "interrogate",
        "interrogate:interrogate",
        MODEL,
        "Change sounds in ways that should not matter, and test whether a model's answers stay.",
        kind="InterrogateCommand",
    ),
    Entry(
        "batch",
        "batch.group:batch",
        MODEL,
        "Explain, attack, interrogate or measure many files, on one machine or a cluster.",
    ),
    Entry(
        "evaluate",
        "singing.evaluate:evaluate",
        DETECTORS,
        "Evaluate a singing-voice detector frame by frame: precision, recall, F1, error.",
    ),
    Entry(
        "train",
        "training.group:train",
        DETECTORS,
        "Train detectors of singing, classifiers of genres and rhythms, and generators.",
    ),
    Entry(
        "distance",
        "sets.distance:distance",
        SETS,
        "Measure how far two folders of sounds are apart, in a layer of a model.",
    ),
    Entry(
        "stats",
        "sets.distance:stats",
        SETS,
        "Measure mean and covariance of the features of a folder, for `otoscope distance`.",
    ),
    Entry(
        "listening-test",
        "sets.listening:listening_test",
        SETS,
        "Ask people, blind, which sounds are good or alike, and analyse what they answer.",
    ),
    Entry("corpus", "sets.corpus:corpus", SETS, "Render sounds with known ground truth."),
    Entry(
        "folk",
        "folk:folk",
        TUNES,
        "Check, compare and render folk tunes in ABC notation; train a network that writes them.",
    ),
    Entry(
        "serve",
        "serve:serve",
        TUNES,
        "Open pages to look into models and to compose folk tunes, in the browser on this machine.",
    ),
    Entry(
        "experiment",
        "experiment:experiment",
        PAPERS,
        "Run an experiment of a paper; it writes a record (JSON) and figures.",
    ),
    Entry(
        "models",
        "installation.doctor:models",
        INSTALLATION,
        "List the models that can be loaded by name; import and check those of paper A.",
    ),
    Entry(
        "doctor",
        "installation.doctor:doctor",
        INSTALLATION,
        "Report what works on this machine, and test each kernel against its definition.",
    ),
    Entry(
        "bench",
        "installation.bench:bench",
        INSTALLATION,
        "Measure this machine: the operators, and explanations against plain passes.",
    ),
)

app = typer.Typer(
    name="otoscope",
    cls=group_of(*COMMANDS),
    help="Look into machine-listening models: what they hear, rely on, and are fooled by.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)


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

    A termination ends it as an interruption does: drafts and locks are removed. What whoever
    started the command lets it ignore, it ignores: under nohup, the end of a terminal.
    """
    for name in ("SIGTERM", "SIGHUP", "SIGBREAK"):
        number = getattr(signal, name, None)
        if number is None or threading.current_thread() is not threading.main_thread():
            continue
        if signal.getsignal(number) != signal.SIG_IGN:
            signal.signal(number, _stop)
    app(prog_name="otoscope")


def _stop(number: int, _: Any) -> NoReturn:
    raise Terminated(128 + number)
