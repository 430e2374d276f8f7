"""otoscope folk check: what is wrong with tunes, where, and how often beside real ones."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table

from otoscope.cli.output import require_writable
from otoscope.cli.progress import bars
from otoscope.errors import ParameterError
from otoscope.records import replacing, to_json

if TYPE_CHECKING:
    from otoscope.folk.metrics import Rate, Summary
    from otoscope.folk.workflows.check import CheckedFolk

__all__ = ["check"]

_PRINTED = 20  # findings


def check(
    file: Annotated[str, typer.Argument(help="ABC file, file of tokens, or folder of ABC files.")],
    against: Annotated[
        str | None,
        typer.Option(help="Real tunes: a prepared folder, ABC, ryan, ...; default: the card's."),
    ] = None,
    json_path: Annotated[
        Path | None, typer.Option("--json", help="Write everything here; - prints it.")
    ] = None,
    min_valid: Annotated[
        float, typer.Option(help="Exit code 1 if a smaller share of the tunes is valid.")
    ] = 0.0,
    widest_range: Annotated[int, typer.Option(help="Semitones a tune may span.")] = 28,
    most_accidentals: Annotated[
        float, typer.Option(help="Share of notes that may be outside the key.")
    ] = 0.1,
) -> None:
    """Check tunes one by one: bars, repeats, parts, range, tonic, cadence, accidentals.

    A tune is valid if it can be read and its bars add up. Real tunes are not all valid: compare.

    Example: otoscope folk check a.abc --against tunes --json c.json
    """
    if not 0 <= min_valid <= 1:
        raise ParameterError(f"--min-valid is {min_valid:g}, must be in [0, 1]")
    prints = json_path == Path("-")
    if not prints:
        require_writable(json_path)
    from otoscope.folk.metrics import Conventions
    from otoscope.folk.workflows import check as folk

    conventions = Conventions(widest_range, most_accidentals)
    with bars() as progress:
        found = folk.check_folk(folk.CheckFolk(file, against, conventions), progress=progress)
    told = to_json(found.to_dict(), indent=2) + "\n"
    if json_path and not prints:
        with replacing(json_path) as draft:
            draft.write_text(told, "utf-8")
    if prints:
        typer.echo(told, nl=False)
    else:
        _show(found)
    if not found.summary.rates["parse"].count:
        first = found.tunes[0][1].findings[0]
        raise ParameterError(f"{file} has no tune that can be read; the first: {first}")
    if found.summary.valid < min_valid:
        raise typer.Exit(1)


def _show(found: CheckedFolk) -> None:
    console = Console(markup=False, highlight=False)
    console.print(found.sentence, soft_wrap=True)
    _show_rates(console, found.summary, found.real)
    hard = [
        f"{entry.number} {check.name}: {finding}"
        for entry, check in found.tunes
        for finding in check.findings
        if finding.rule in ("parse", "bars", "repeats", "finished") or len(found.tunes) == 1
    ]
    for line in hard[:_PRINTED]:
        console.print(line, soft_wrap=True)
    if len(hard) > _PRINTED:
        console.print(f"... {len(hard) - _PRINTED:,} more: --json has all")
    for note in found.notes:
        console.print(note, soft_wrap=True)


def _show_rates(console: Console, summary: Summary, real: Summary | None) -> None:
    from otoscope.folk.metrics import RULES

    table = Table(box=None)
    table.add_column("", no_wrap=True)
    for name in ("tunes", "share", "95 %", *(["real", "95 %"] if real else [])):
        table.add_column(name, justify="right")
    for name, rate in summary.rates.items():
        row = [f"{rate.count:,}/{rate.of:,}", *_share(rate)]
        if real:
            row += _share(real.rates[name]) if name in real.rates else ["", ""]
        table.add_row(RULES.get(name, name), *row)
    console.print(table)


def _share(rate: Rate) -> tuple[str, str]:
    at = rate.interval
    return f"{100 * at.value:.1f} %", f"{100 * at.low:.1f}–{100 * at.high:.1f}"
