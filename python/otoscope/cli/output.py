"""Output of commands: files, JSON and tables, progress bars, and advice spelled with options.

``--json``, ``--csv``, ``--html`` and ``--out`` mean the same in all commands. ``--json`` and
``--csv`` take an optional PATH: without it, or with ``-``, the command prints the JSON or the table
and nothing else on stdout. Files are written to a temporary name and renamed.
"""

from __future__ import annotations

import os
from collections.abc import Container, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer
from rich.console import Console
from rich.progress import Progress as ProgressBars
from rich.progress import TimeElapsedColumn
from rich.table import Table as PrintedTable

from otoscope.errors import Advice, Argument, ParameterError
from otoscope.progress import Progress
from otoscope.records import replacing, to_json

if TYPE_CHECKING:  # torch takes seconds to load
    from otoscope.report.figures import ResultTable

__all__ = [
    "bars",
    "console",
    "is_printed",
    "require_folder",
    "require_writable",
    "show_tables",
    "with_options",
    "write_json",
    "write_text",
]

_STDOUT = Path("-")
_WIDTH = 200  # columns of a table where stdout is a file


def is_printed(*paths: Path | None) -> bool:
    """Whether one of ``--json`` and ``--csv`` goes to stdout, which then holds nothing else."""
    printed = sum(path == _STDOUT for path in paths)
    if printed > 1:
        raise ParameterError("--json and --csv both print: give one of them a PATH")
    return printed == 1


def require_writable(*paths: Path | None) -> None:
    """Refuse, before any work, files that cannot be written; None and stdout are skipped."""
    for path in paths:
        if path is None or path == _STDOUT:
            continue
        if path.is_dir():
            raise ParameterError(f"{path} is a folder; give the path of a file")
        if not path.parent.exists():
            raise ParameterError(f"{path} cannot be written: there is no folder {path.parent}")
        if not os.access(path.parent, os.W_OK):
            raise ParameterError(f"{path} cannot be written: no permission for {path.parent}")


def require_folder(path: Path | None) -> None:
    """Refuse, before any work, a folder that cannot be made or written; None is skipped."""
    if path is None:
        return
    existing = next(p for p in (path, *path.absolute().parents) if p.exists())
    if not existing.is_dir():
        raise ParameterError(f"{path} cannot be written: {existing} is not a folder")
    if not os.access(existing, os.W_OK):
        raise ParameterError(f"{path} cannot be written: no permission for {existing}")


def write_json(value: object, path: Path | None) -> None:
    """Write or print a value as one JSON document; None does nothing."""
    if path is not None:
        write_text(to_json(value, indent=2) + "\n", path)


def write_text(text: str, path: Path | None) -> None:
    """Write or print a text that ends in a line feed; a path of None does nothing."""
    if path is None:
        return
    if path == _STDOUT:
        typer.echo(text, nl=False)
        return
    with replacing(path) as draft:
        draft.write_text(text, encoding="utf-8")


def console(*, stderr: bool = False, quiet: bool = False) -> Console:
    """Make a console that prints texts as they are, without markup."""
    return Console(markup=False, highlight=False, soft_wrap=True, stderr=stderr, quiet=quiet)


def show_tables(tables: Iterable[ResultTable], last: str) -> None:
    """Print tables, then a line that says where the whole result is."""
    out = Console(markup=False, highlight=False)
    if not out.is_terminal:
        out.width = _WIDTH
    for table in tables:
        printed = PrintedTable(*table.columns, title=table.title, title_justify="left", box=None)
        for row in table.rows:
            printed.add_row(*row)
        out.print(printed)
    out.print(last, soft_wrap=True)


@contextmanager
def bars() -> Iterator[Progress]:
    """Show nested progress bars on stderr, if stderr is a terminal; they vanish when done.

    The bar of a single item moves without an end, since no part of the item is known to be done.
    """
    stderr = Console(stderr=True)
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
        for item in items:
            yield item
            shown.advance(bar)
        shown.remove_task(bar)

    with shown:
        yield progress


def with_options(text: str, advice: Advice | None, names: Container[str]) -> str:
    """Spell the advice in an error's text with options: ``n_samples=500`` is ``--n-samples 500``.

    Arguments that are not among ``names``, the command's parameters, stay as they are.
    """
    if advice is None:
        return text
    return text.replace(
        str(advice), advice.spelled(lambda it: _option(it) if it.name in names else str(it))
    )


def _option(argument: Argument) -> str:
    flag = f"--{argument.name.replace('_', '-')}"
    return flag if argument.value in (..., True) else f"{flag} {argument.value}"
