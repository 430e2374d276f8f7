"""Output of commands: help, files, JSON and tables, progress bars, and errors in one line.

``--json``, ``--csv``, ``--html`` and ``--out`` mean the same in all commands. ``--json`` and
``--csv`` take an optional PATH: without it, or with ``-``, the command prints the JSON or the table
and nothing else on stdout. Files are written as drafts and renamed; `files` checks them before.
"""

from __future__ import annotations

import errno
import io
import os
import sys
import sysconfig
import traceback
import warnings
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from itertools import islice, pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer
from rich.console import Console
from rich.markup import escape
from rich.progress import Progress as ProgressBars
from rich.progress import TimeElapsedColumn
from rich.table import Table as PrintedTable
from typer.core import TyperGroup

from otoscope import records
from otoscope.cli.files import STDOUT, guarded
from otoscope.cli.options import OPTIONAL_PATH, PANELS, as_written
from otoscope.errors import (
    Advice,
    Argument,
    CudaUnavailable,
    MissingExtra,
    ParameterError,
    Terminated,
)
from otoscope.progress import Display
from otoscope.records import printable, to_json

if TYPE_CHECKING:  # torch takes seconds to load
    from otoscope.report.figures import ResultTable

__all__ = [
    "NOTHING_KEPT",
    "Group",
    "bars",
    "console",
    "echo",
    "group_of",
    "is_printed",
    "show_skipped",
    "show_tables",
    "training_kept",
    "truncation_listed",
    "with_options",
    "write_json",
    "write_text",
]

_PACKAGE = Path(__file__).parents[1]
_INTERRUPTED, _CLOSED_PIPE = 130, 141  # as of a process that SIGINT or SIGPIPE ends
_LISTED = 10  # files that were skipped
_WIDTH = 200  # columns of a table where stdout is a file


NOTHING_KEPT = "nothing is written: the same command begins anew"
"""What an interrupted command says that keeps nothing."""


class _Interrupted(KeyboardInterrupt):
    """An interruption that says what is kept."""


class Group(TyperGroup):
    """A group of commands: optional PATHs, help as it is written, errors in one line.

    Any error ends a command with exit code 2 and one line on stderr; with ``OTOSCOPE_TRACEBACK=1``
    the traceback comes before it. The line says what a user can do (`ParameterError`,
    `CudaUnavailable`, `MissingExtra`, a file that cannot be read or written), names the file of a
    user's code that raised the error, or asks to report a defect of ours. Exit code 1 means that a
    check has found something, and nothing else.
    """

    panels: tuple[str, ...] = ()
    """Panels of the commands in the help, in this order; see `group_of`."""

    def __init__(self, **settings: Any) -> None:
        """Order the panels of the help, and show all texts as written."""
        super().__init__(**settings)
        for command in self.commands.values():
            command.params.sort(key=_panel)  # stable: within a panel as declared
            command.help = command.help and escape(command.help)
            if not isinstance(command, TyperGroup):
                _guard(command)
        for command in (self, *self.commands.values()):
            for parameter in command.params:
                as_written(parameter)

    def list_commands(self, ctx: Any) -> list[str]:
        """List the commands by their panels."""

        def panel(name: str) -> int:
            at = getattr(self.commands[name], "rich_help_panel", None)
            return self.panels.index(at) if at in self.panels else len(self.panels)

        return sorted(super().list_commands(ctx), key=panel)

    def get_params(self, ctx: Any) -> Any:
        """Return the options; typer adds those of shell completion last, with a type."""
        parameters = super().get_params(ctx)
        for parameter in parameters:
            if getattr(parameter, "is_flag", False):
                parameter.metavar = ""
        return parameters

    def get_help_option(self, ctx: Any) -> Any:
        """Return ``--help`` as an option without a type."""
        option = super().get_help_option(ctx)
        return option and as_written(option)

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """Complete ``--json`` without PATH to ``--json -``: typer knows no optional values."""
        name, command, rest = super().resolve_command(ctx, args)
        if command and (option := command.get_help_option(ctx)):
            as_written(option)
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
        """Run the command, and end it with exit code 2 at any error."""
        if ctx.parent is None:
            _escape_what_the_encoding_lacks()
        try:
            try:
                return super().invoke(ctx)
            finally:
                _flush()
        except (typer.Exit, typer.Abort, Terminated):
            raise
        except KeyboardInterrupt as err:
            echo(f"otoscope: interrupted; {err if str(err) else NOTHING_KEPT}\n", err=True)
            raise typer.Exit(_INTERRUPTED) from None
        except BaseException as err:  # SystemExit, CancelledError: of a user's model
            errors = (err, err.__context__)  # of a help page, rich raises SystemExit
            if errno.EPIPE in [getattr(e, "errno", None) for e in errors]:  # its reader has ended
                raise typer.Exit(_CLOSED_PIPE) from None
            if (
                hasattr(err, "show") and getattr(err, "exit_code", 1) != 1
            ):  # typer's, with the usage
                raise
            error: BaseException = err
            message = _message(err)
        if os.environ.get("OTOSCOPE_TRACEBACK") == "1":
            echo("".join(traceback.format_exception(error)), err=True)
        command = self.commands.get(ctx.invoked_subcommand)
        names = {parameter.name for parameter in command.params} if command else ()
        line = with_options(message, getattr(error, "advice", None), names)
        echo(f"otoscope: {' '.join(line.split())}\n", err=True)
        raise typer.Exit(2)


def group_of(*panels: str) -> type[Group]:
    """Make a group whose help shows its commands in these panels, in this order."""

    class GroupInPanels(Group):
        """Commands in panels."""

    GroupInPanels.panels = panels
    return GroupInPanels


def _message(err: BaseException) -> str:
    """Say what went wrong in one line: the error, and whose code raised it."""
    if isinstance(err, ParameterError | CudaUnavailable | MissingExtra):
        return str(err)
    if isinstance(err, OSError) and err.errno is not None:
        return f"{err.filename}: {err.strerror}" if err.filename else str(err.strerror)
    kind = type(err).__name__
    reason = f"{kind}: {err}".removesuffix(": ")
    if kind in ("MemoryError", "OutOfMemoryError"):
        return f"there is not enough memory ({reason})"
    frames = traceback.extract_tb(err.__traceback__)
    own = [frame for frame in frames if _is_own(frame.filename)]
    frame = (own or frames)[-1]
    place = f"({Path(frame.filename).name}, line {frame.lineno})"
    if own:
        return f"{frame.filename} raised {reason} {place}"
    return (
        f"{reason} {place}: a defect of otoscope; please report it, with the traceback that "
        "OTOSCOPE_TRACEBACK=1 shows"
    )


def _is_own(file: str) -> bool:
    """Return whether a file is a user's code: neither installed nor part of Python."""
    installed = (str(_PACKAGE), sysconfig.get_path("stdlib"), sysconfig.get_path("platstdlib"))
    return not (file.startswith(("<", *installed)) or "site-packages" in file)


_ENDING = ("strict", "surrogateescape")  # the latter in the C locale


def _escape_what_the_encoding_lacks() -> None:
    """Let no character end a command after its work: what the encoding lacks is escaped."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper) and stream.errors in _ENDING:
            stream.reconfigure(errors="backslashreplace")


def _flush() -> None:
    """Write out what is printed; an error shows here, not when Python exits with code 120."""
    try:
        sys.stdout.flush()
    except OSError:
        with suppress(OSError, ValueError), open(os.devnull, "wb") as nowhere:  # noqa: PTH123
            os.dup2(nowhere.fileno(), sys.stdout.fileno())
        raise


def _guard(command: Any) -> None:
    """Check and claim the outputs of a command before it is invoked."""
    invoke = command.invoke

    def invoke_guarded(ctx: Any) -> Any:
        with guarded(ctx):
            return invoke(ctx)

    command.invoke = invoke_guarded


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
    """A console without markup and emoji codes, whose texts are printable."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(markup=False, emoji=False, highlight=False, **settings)

    def on_broken_pipe(self) -> None:
        """Raise the error: rich ends the process with exit code 1."""
        raise BrokenPipeError(errno.EPIPE, os.strerror(errno.EPIPE))

    def render_str(self, text: str, **settings: Any) -> Any:
        """Escape control characters: names of files may hold any."""
        return super().render_str(printable(text), **settings)


def console(*, stderr: bool = False, quiet: bool = False) -> Console:
    """Make a console that prints texts as they are, without markup; controls are escaped."""
    return _PlainConsole(soft_wrap=True, stderr=stderr, quiet=quiet)


def echo(text: str, *, err: bool = False) -> None:
    """Print a text of several lines as it is; controls are escaped."""
    typer.echo(printable(text), err=err, nl=False)


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

    The bar of a single item moves without an end, since no part of the item is known to be done.
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

    def progress(items: Sequence[Any], description: str) -> Iterator[Any]:
        bar = shown.add_task(description, total=len(items) if len(items) > 1 else None)
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


def training_kept(folder: Path, *, resume: bool) -> str:
    """Say how an interrupted training goes on, for `bars`."""
    how = "the same command resumes" if resume else "the same command with --resume goes on"
    return f"{how} from the last checkpoint in {folder}, if there is one"


def with_options(text: str, advice: Advice | None, names: Container[str]) -> str:
    """Spell the advice in an error's text with options: ``n_samples=500`` is ``--n-samples 500``.

    Arguments that are not among ``names``, the command's parameters, stay as they are.
    """
    if advice is None:
        return text
    return text.replace(
        str(advice), advice.spelled(lambda it: _option(it) if it.name in names else str(it))
    )


def _panel(parameter: Any) -> int:
    """Number the panel of an option; arguments and options without a panel come first."""
    panel = getattr(parameter, "rich_help_panel", None)
    return PANELS.index(panel) + 1 if panel in PANELS else 0


def _option(argument: Argument) -> str:
    flag = f"--{argument.name.replace('_', '-')}"
    return flag if argument.value in (..., True) else f"{flag} {argument.value}"
