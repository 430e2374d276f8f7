"""Output of commands: files, JSON and tables, progress bars.

``--json``, ``--csv``, ``--html`` and ``--out`` mean the same in all commands. ``--json`` and
``--csv`` take an optional PATH: without it, or with ``-``, the command prints the JSON or the table
and nothing else on stdout. Files are written as drafts and renamed; `files` checks them before.
"""

from __future__ import annotations

import errno
import os
import warnings
from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Sized
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer
from rich.console import Console
from rich.progress import Progress as ProgressBars
from rich.progress import TimeElapsedColumn
from rich.table import Table as PrintedTable

from otoscope import records
from otoscope.cli.files import STDOUT
from otoscope.errors import (
    Advice,
    Argument,
    ParameterError,
)
from otoscope.progress import Display
from otoscope.records import printable, to_json

if TYPE_CHECKING:  # torch takes seconds to load
    from otoscope.report.figures import ResultTable

__all__ = [
    "NOTHING_KEPT",
    "bars",
    "console",
    "echo",
    "echo_lines",
    "is_printed",
    "show_left_out",
    "show_skipped",
    "show_tables",
    "training_kept",
    "truncation_listed",
    "with_options",
    "write_json",
    "write_text",
]

_LISTED = 10  # files that were skipped
_WIDTH = 200  # columns of a table where stdout is a file


NOTHING_KEPT = "nothing is written: the same command begins anew"
"""What an interrupted command says that keeps nothing."""


class _Interrupted(KeyboardInterrupt):
    """An interruption that says what is kept."""


def is_printed(*paths: Path | None) -> bool:
    """Whether one of ``--json`` and ``--csv`` goes to stdout, which then holds nothing else."""
    printed = sum(path == STDOUT for path in paths)
    if printed > 1:
        raise ParameterError("--json and --csv both print: give one of them a PATH")
    return printed == 1


def write_json(value: object, path: Path | None) -> None:
    """Write or print a value as one JSON document; None does nothing."""
    if path is not None:
        write_text(to_json(value, indent=2) + "\n", path)


def write_text(text: str, path: Path | None) -> None:
    """Write or print a text that ends in a line feed; a path of None does nothing."""
    if path is None:
        return
    if path == STDOUT:
        typer.echo(text, nl=False)
        return
    records.write_text(path, text)


class _PlainConsole(Console):
    """A console without markup and emoji codes, whose texts are printable lines."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(markup=False, emoji=False, highlight=False, **settings)

    def on_broken_pipe(self) -> None:
        """Raise the error: rich ends the process with exit code 1."""
        raise BrokenPipeError(errno.EPIPE, os.strerror(errno.EPIPE))

    def render_str(self, text: str, **settings: Any) -> Any:
        """Escape control characters and line feeds: names of files may hold any."""
        return super().render_str(printable(text, is_line=True), **settings)


def console(*, stderr: bool = False, quiet: bool = False) -> Console:
    """Make a console that prints lines as they are, without markup; controls are escaped."""
    return _PlainConsole(soft_wrap=True, stderr=stderr, quiet=quiet)


def echo(text: str, *, err: bool = False) -> None:
    """Print a text of several lines as it is; controls are escaped."""
    typer.echo(printable(text), err=err, nl=False)


def echo_lines(path: Path) -> None:
    """Print the lines of a file as they are, one by one."""
    with path.open(encoding="utf-8") as lines:
        for line in lines:
            typer.echo(line, nl=False)


def show_tables(tables: Iterable[ResultTable], closing_line: str) -> None:
    """Print tables, then a line that names the file of the whole result."""
    out = _PlainConsole()
    if not out.is_terminal:
        out.width = _WIDTH
    for table in tables:
        printed = PrintedTable(*table.columns, title=table.title, title_justify="left", box=None)
        for row in table.rows:
            printed.add_row(*row)
        out.print(printed)
    out.print(closing_line, soft_wrap=True)


def show_skipped(
    place: Path, skipped: Mapping[str, ParameterError], names: Container[str] = ()
) -> None:
    """List the files that were skipped, on stderr; ``names`` are those of `with_options`."""
    err = console(stderr=True)
    if skipped:
        err.print(f"{place}: {len(skipped)} skipped")
    for name, reason in islice(skipped.items(), _LISTED):
        err.print(f"  {name}: {with_options(str(reason), reason.advice, names)}")
    if len(skipped) > _LISTED:
        err.print(f"  and {len(skipped) - _LISTED} more; --json lists all")


def show_left_out(place: Path, result: Any) -> None:
    """List on stderr the sounds that a training skipped, and those that were cut off."""
    from otoscope.signal.audio.truncation import truncated_note

    show_skipped(place, result.skipped)
    for note in truncated_note(result.truncated.values()):
        console(stderr=True).print(note)


@contextmanager
def truncation_listed() -> Iterator[None]:
    """Suppress warnings about sounds that were cut off, in a command whose output lists them."""
    from otoscope.signal import TruncatedSound

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", TruncatedSound)
        yield


@contextmanager
def bars(kept: str = NOTHING_KEPT) -> Iterator[Display]:
    """Show nested progress bars on stderr, if stderr is a terminal; they vanish when done.

    The bar of a single item, or of items without a number, moves without an end.
    After an interruption in the block the command ends with a line that says what is ``kept`` and
    how to go on.
    """
    stderr = _PlainConsole(stderr=True)
    shown = ProgressBars(
        *ProgressBars.get_default_columns(),
        TimeElapsedColumn(),
        console=stderr,
        transient=True,
        redirect_stdout=False,  # what is piped must not end on the terminal
        disable=not stderr.is_terminal,
    )

    def progress(items: Iterable[Any], description: str) -> Iterator[Any]:
        n = len(items) if isinstance(items, Sized) else 1
        bar = shown.add_task(description, total=n if n > 1 else None)
        try:
            for item in items:
                yield item
                shown.advance(bar)
        finally:  # also where a search ends early
            shown.remove_task(bar)

    try:
        with shown:
            yield progress
    except KeyboardInterrupt as err:
        raise _Interrupted(kept) from err


class ShowBest:
    """Prints the score of a training each time that it is better than all before.

    ``text`` formats a score.
    """

    def __init__(self, text: Callable[[float], str]) -> None:
        self._text = text
        self._best: float | None = None

    def __call__(self, result: Any) -> None:
        """Take a `otoscope.train.StepResult`."""
        if result.best is not None and result.best != self._best:
            self._best = result.best
            typer.echo(f"step {result.step} of {result.steps}: {self._text(result.best)}", err=True)


def training_kept(folder: Path, *, resume: bool) -> str:
    """Say how an interrupted training goes on, for `bars`."""
    how = "the same command resumes" if resume else "the same command with --resume goes on"
    return f"{how} from the last checkpoint in {folder}, if there is one"


def with_options(text: str, advice: Advice | None, names: Container[str]) -> str:
    """Spell the advice in an error's text with options: ``n_samples=500`` is ``--n-samples 500``.

    Arguments that are not among ``names``, the command's parameters, stay as they are; so do those
    of a place of their own, which is told.
    """
    if advice is None:
        return text

    def spelled(argument: Argument) -> str:
        if argument.where:
            return f"{argument} {argument.where}"
        return _option(argument) if argument.name in names else str(argument)

    return text.replace(str(advice), advice.spelled(spelled))


def _option(argument: Argument) -> str:
    flag, value = f"--{argument.name.replace('_', '-')}", argument.value
    if isinstance(value, tuple):  # 3,10 and ...,3 as options of several parts are written
        value = ",".join("..." if part is ... else str(part) for part in value)
    return flag if value in (..., True) else f"{flag} {value}"
