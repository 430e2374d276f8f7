"""otoscope folk judge: tunes ranked by screens and grades against a reference collection."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from otoscope.cli import options
from otoscope.cli.output import bars, console, is_printed, write_json
from otoscope.errors import ParameterError

if TYPE_CHECKING:
    from otoscope.folk.workflows.judge import JudgeFolkResult

__all__ = ["judge"]

_JUDGE = options.Config("folk.workflows.judge", "JudgeFolkConfig")


def judge(  # noqa: PLR0913 - a command has the options it has
    file: Annotated[str, typer.Argument(help=_JUDGE.help("source"))],
    reference: Annotated[
        list[str],
        typer.Option(
            "--in",
            help="Reference tunes: a file, a folder, a prepared folder, or aird, oneill, ryan, "
            "misc; can be repeated.",
            rich_help_panel=options.INPUT,
        ),
    ],
    preset: Annotated[str, _JUDGE.option("preset")] = _JUDGE["preset"],
    copied: Annotated[float, _JUDGE.option("copied")] = _JUDGE["copied"],
    ratings: Annotated[Path | None, _JUDGE.option("ratings")] = _JUDGE["ratings"],
    strict: Annotated[bool, _JUDGE.option("strict")] = _JUDGE["strict"],
    n: Annotated[
        int,
        typer.Option("--n", help="Tunes on the page, at least 1.", rich_help_panel=options.METHOD),
    ] = 16,
    html: options.Html = None,
    json_path: options.Json = None,
    seed: options.Seed = _JUDGE["seed"],
) -> None:
    """Rank tunes: screens that they pass or not, then grades, against a reference collection.

    The questions are those of the judges of the AI Music Generation Challenges. The answers are a
    screen until musicians' ratings agree with them.

    Example: otoscope folk judge a.abc --in oneill --preset challenge2020 --html ranking.html
    """
    from otoscope.folk.workflows.judge import JudgeFolkConfig, judge_folk, save_ranking

    if n < 1:
        raise ParameterError(f"--n is {n}, must be at least 1")
    settings = JudgeFolkConfig(file, tuple(reference), preset, copied, ratings, seed, strict)
    with bars() as progress:
        result = judge_folk(settings, progress=progress)
    if html:
        save_ranking(result, html, n=n)
    write_json(result.to_dict() if json_path else None, json_path)
    if not is_printed(json_path):
        _show(result)


def _show(result: JudgeFolkResult) -> None:
    lines = console()
    lines.print(result.sentence)
    table = Table("rank", "tune", "verdict", box=None)
    for name in ("structure", "melody"):
        table.add_column(name, justify="right")
    for rank, tune in enumerate(result.tunes, start=1):
        graded = tune.judgement
        grades = (f"{graded.structure:.2f}", f"{graded.melody:.2f}") if graded else ("", "")
        table.add_row(f"{rank}", f"{tune.number} {tune.name}", tune.verdict, *grades)
    lines.print(table)
    for note in result.notes:
        lines.print(note)
