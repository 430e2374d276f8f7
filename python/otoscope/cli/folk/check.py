"""otoscope folk check and analyse: tunes against conventions, and against real tunes."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from otoscope.cli import options
from otoscope.cli.output import bars, console, is_printed, write_json
from otoscope.errors import ParameterError

if TYPE_CHECKING:
    from otoscope.folk.metrics import Rate, Summary
    from otoscope.folk.workflows.analyse import AnalyseFolkResult
    from otoscope.folk.workflows.check import CheckFolkResult
    from otoscope.metrics import Interval

__all__ = ["analyse", "check"]

_PRINTED = 20  # violations
_SHORT = {
    "total variation": "TV",
    "Kolmogorov-Smirnov": "KS",
    "Wasserstein": "W",
    "Kullback-Leibler": "KL",
    "1 - overlapped area": "1-OA",
    "order beyond chance": "order",
    "Frechet": "F",
}

_CHECK = options.Config("folk.workflows.check", "CheckFolkConfig")
_CONVENTIONS = options.Config("folk.metrics.check", "Conventions")
_ANALYSE = options.Config("folk.workflows.analyse", "AnalyseFolkConfig")


def check(
    file: Annotated[str, typer.Argument(help=_CHECK.help("source"))],
    against: Annotated[str | None, _CHECK.option("against")] = _CHECK["against"],
    min_valid: Annotated[
        float,
        typer.Option(
            help="Exit with code 1 if a smaller fraction of the tunes is valid.",
            rich_help_panel=options.METHOD,
        ),
    ] = 0.0,
    widest_range: Annotated[int, _CONVENTIONS.option("widest_range")] = _CONVENTIONS[
        "widest_range"
    ],
    most_accidentals: Annotated[float, _CONVENTIONS.option("most_accidentals")] = _CONVENTIONS[
        "most_accidentals"
    ],
    strict: Annotated[bool, _CHECK.option("strict")] = _CHECK["strict"],
    json_path: options.Json = None,
) -> None:
    """Check tunes one by one: bars, repeats, parts, range, tonic, cadence, accidentals.

    A tune is valid if it can be read and its bars add up; it is valid inside parts if the first and
    the last measure of a part may be short. Not all real tunes are valid, so compare.

    Example: otoscope folk check a.abc --against tunes --json c.json
    """
    if not 0 <= min_valid <= 1:
        raise ParameterError(f"--min-valid is {min_valid:g}, must be in [0, 1]")
    from otoscope.folk.metrics import Conventions
    from otoscope.folk.workflows.check import CheckFolkConfig, check_folk

    settings = CheckFolkConfig(
        file, against, Conventions(widest_range, most_accidentals), strict=strict
    )
    with bars() as progress:
        result = check_folk(settings, progress=progress)
    write_json(result.to_dict() if json_path else None, json_path)
    if not is_printed(json_path):
        _show_check(result)
    if not result.summary.rates["parse"].count:
        first = result.tunes[0][1].violations[0]
        raise ParameterError(f"{file} has no tune that can be read; the first: {first}")
    if result.summary.valid < min_valid:
        raise typer.Exit(1)


def _show_check(result: CheckFolkResult) -> None:
    lines = console()
    lines.print(result.sentence)
    if not result.all_picked:
        lines.print(_rates_table(result.summary, result.real))
    violations = [
        f"{tune.number} {check.name}: {violation}"
        for tune, check in result.tunes
        for violation in check.violations
        if violation.rule in ("parse", "bars", "repeats", "finished") or len(result.tunes) == 1
    ]
    for line in violations[:_PRINTED]:
        lines.print(line)
    if len(violations) > _PRINTED:
        lines.print(f"... {len(violations) - _PRINTED:,} more: --json has all")
    for note in result.notes:
        lines.print(note)


def _rates_table(summary: Summary, real: Summary | None) -> Table:
    from otoscope.folk.metrics import RATES

    table = Table(box=None)
    table.add_column("", no_wrap=True)
    for name in ("tunes", "rate", "95 %", *(["real", "95 %"] if real else [])):
        table.add_column(name, justify="right")
    for name, rate in summary.rates.items():
        row = [f"{rate.count:,}/{rate.of:,}", *_percent(rate)]
        if real:
            row += _percent(real.rates[name]) if name in real.rates else ["", ""]
        table.add_row(RATES[name], *row)
    return table


def _percent(rate: Rate) -> tuple[str, str]:
    from otoscope.report.numbers import percent

    interval = rate.interval
    return (
        percent(interval.value, 1),
        f"{100 * interval.low:.1f}–{100 * interval.high:.1f}",
    )


def analyse(  # noqa: PLR0913 - a command has the options it has
    real: Annotated[str, typer.Argument(help=_ANALYSE.help("real"))],
    generated: Annotated[str, typer.Argument(help=_ANALYSE.help("generated"))],
    embedding: Annotated[str | None, _ANALYSE.option("embedding")] = _ANALYSE["embedding"],
    real_embeddings: Annotated[Path | None, _ANALYSE.option("real_embeddings")] = _ANALYSE[
        "real_embeddings"
    ],
    generated_embeddings: Annotated[Path | None, _ANALYSE.option("generated_embeddings")] = (
        _ANALYSE["generated_embeddings"]
    ),
    draws: Annotated[int, _ANALYSE.option("n_draws", "--draws")] = _ANALYSE["n_draws"],
    strict: Annotated[bool, _ANALYSE.option("strict")] = _ANALYSE["strict"],
    html: options.Html = None,
    json_path: options.Json = None,
    seed: options.Seed = _ANALYSE["seed"],
) -> None:
    """Compare generated tunes with real ones as populations, beside real tunes with real tunes.

    Meters, modes, forms, endings, pitches and degrees are compared by total variation; numbers of
    tokens, measures, parts and notes, range and accidentals by Kolmogorov-Smirnov and Wasserstein
    distances. Distances between generated tunes are compared with distances to real ones (KL
    divergence and overlapped area of their densities, nine features); how near tunes are to the
    training tunes is compared with held-out real ones; embeddings by the Frechet music distance.

    Example: otoscope folk analyse tunes a.abc --html page.html
    """
    from otoscope.folk.workflows.analyse import AnalyseFolkConfig, analyse_folk, save_analysis

    settings = AnalyseFolkConfig(
        real,
        generated,
        embedding,
        real_embeddings,
        generated_embeddings,
        n_draws=draws,
        seed=seed,
        strict=strict,
    )
    with bars() as progress:
        result = analyse_folk(settings, progress=progress)
    if html:
        save_analysis(result, html)
    write_json(result.to_dict() if json_path else None, json_path)
    if not is_printed(json_path):
        _show_analysis(result)


def _show_analysis(result: AnalyseFolkResult) -> None:
    lines = console()
    lines.print(result.sentence)
    table = Table("", "", box=None)
    for name in ("generated", "95 %", "p (Holm)", "real", "95 %"):
        table.add_column(name, justify="right")
    for distance in result.distances:
        floor = _bounds(distance.floor) if distance.floor else ()
        row = [*_bounds(distance.value), f"{distance.p_holm:.3f}", *floor]
        table.add_row(distance.aspect, _SHORT[distance.kind], *row)
    lines.print(table)
    lines.print(
        "TV: total variation, KS: Kolmogorov-Smirnov, W: Wasserstein, in its own unit; "
        "KL and 1-OA: distances between generated tunes beside those to real ones"
        + ("; F: Frechet" if result.embedding else "")
    )
    for note in result.notes:
        lines.print(note)


def _bounds(interval: Interval) -> tuple[str, str]:
    return f"{interval.value:.3g}", f"{interval.low:.3g}–{interval.high:.3g}"
