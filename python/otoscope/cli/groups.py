"""Groups of commands: listed at once, imported when called, errors in one line.

The help of one command, and a command that needs no network, import nothing of the others.
"""

from __future__ import annotations

import errno
import io
import os
import sys
import sysconfig
import traceback
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass
from importlib import import_module
from itertools import pairwise
from pathlib import Path
from typing import Any

import typer
from rich.markup import escape
from typer.core import TyperCommand, TyperGroup

from otoscope.cli.files import guarded
from otoscope.cli.options import OPTIONAL_PATH, PANELS, as_written
from otoscope.cli.output import NOTHING_KEPT, echo, with_options
from otoscope.errors import CudaUnavailable, MissingExtra, ParameterError, Terminated

__all__ = ["Entry", "Group", "group_of"]

_PACKAGE = Path(__file__).parents[1]
_INTERRUPTED, _CLOSED_PIPE = 130, 141  # as of a process that SIGINT or SIGPIPE ends
_ENDING = ("strict", "surrogateescape")  # errors of an encoding; the latter in the C locale


@dataclass(frozen=True)
class Entry:
    """A command, as far as the list of commands shows it."""

    name: str
    place: str
    """Module in `otoscope.cli` and name of a function or group in it, as ``folk.check:check``."""
    panel: str
    help: str
    """First line of the help, as the command itself has it."""
    kind: str = ""
    """Class of the command in the same module, if it is not the usual one."""

    def listed(self) -> TyperCommand:
        """Return what the list of commands needs."""
        return TyperCommand(self.name, help=self.help, rich_help_panel=self.panel)

    def load(self) -> Any:
        """Import the command, or the group."""
        place, attribute = self.place.split(":")
        module = import_module(f"otoscope.cli.{place}")
        command = getattr(module, attribute)
        app = typer.Typer(add_completion=False)
        app.callback()(lambda: None)  # a group, also of one command
        if isinstance(command, typer.Typer):
            app.add_typer(command, name=self.name, rich_help_panel=self.panel)
        else:
            kind = getattr(module, self.kind) if self.kind else None
            app.command(self.name, cls=kind, rich_help_panel=self.panel)(command)
        group: Any = typer.main.get_command(app)
        return group.commands[self.name]


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
    entries: tuple[Entry, ...] = ()
    """Commands that are imported when they are called."""

    def __init__(self, **settings: Any) -> None:
        """Order the panels of the help, and show all texts as written."""
        super().__init__(**settings)
        for parameter in self.params:
            as_written(parameter)
        for command in self.commands.values():
            _prepare(command)
        self.commands.update({entry.name: entry.listed() for entry in self.entries})

    def load(self, name: str) -> Any:
        """Return a command, imported if it is only listed until now."""
        for entry in self.entries:
            if entry.name == name and self.commands[name].callback is None:
                self.commands[name] = _prepare(entry.load())
        return self.commands.get(name)

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
        self.load(args[0])
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


def group_of(*entries: Entry) -> type[Group]:
    """Make a group of these commands; its help shows their panels in this order."""

    class GroupOfEntries(Group):
        """Commands in panels."""

    GroupOfEntries.entries = entries
    GroupOfEntries.panels = tuple(dict.fromkeys(entry.panel for entry in entries))
    return GroupOfEntries


def _prepare(command: Any) -> Any:
    """Order the panels of a command's help, show its texts as written, and guard its outputs."""
    command.params.sort(key=_panel)  # stable: within a panel as declared
    command.help = command.help and escape(command.help)
    for parameter in command.params:
        as_written(parameter)
    if not isinstance(command, TyperGroup):
        _refuse_repeats(command)
        _guard(command)
    return command


def _refuse_repeats(command: Any) -> None:
    """Refuse an option of one value that is given twice, where click keeps the last."""
    make_parser = command.make_parser

    def make_strict_parser(ctx: Any) -> Any:
        parser = make_parser(ctx)
        parse = parser.parse_args

        def parse_strictly(args: list[str]) -> Any:
            values, rest, given = parse(args)
            repeated = [(option, n) for option, n in Counter(given).items() if n > 1]
            for option, n in repeated if not ctx.resilient_parsing else ():
                if not (option.multiple or option.is_flag):
                    raise ParameterError(f"{option.opts[0]} is given {n} times, must be given once")
            return values, rest, given

        parser.parse_args = parse_strictly
        return parser

    command.make_parser = make_strict_parser


def _guard(command: Any) -> None:
    """Check and claim the outputs of a command before it is invoked."""
    invoke = command.invoke

    def invoke_guarded(ctx: Any) -> Any:
        with guarded(ctx):
            return invoke(ctx)

    command.invoke = invoke_guarded


def _panel(parameter: Any) -> int:
    """Number the panel of an option; arguments and options without a panel come first."""
    panel = getattr(parameter, "rich_help_panel", None)
    return PANELS.index(panel) + 1 if panel in PANELS else 0


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
