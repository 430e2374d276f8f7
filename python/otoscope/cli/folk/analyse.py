"""otoscope folk analyse: generated tunes against real ones, as populations."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table

from otoscope.cli.options import Seed
from otoscope.cli.output import require_writable
from otoscope.cli.progress import bars
from otoscope.records import replacing, to_json

if TYPE_CHECKING:
    from otoscope.folk.workflows.analyse import AnalysedFolk
    from otoscope.metrics import Interval

__all__ = ["analyse"]

_SHORT = {"total variation": "TV", "Kolmogorov-Smirnov": "KS", "Wasserstein": "W"}


def analyse(
    real: Annotated[
        str, typer.Argument(help="Prepared folder; or ABC, tokens, a folder, a collection.")
    ],
    generated: Annotated[str, typer.Argument(help="ABC file, file of tokens, or folder.")],
    draws: Annotated[int, typer.Option(help="Of the bootstrap and of the shuffling.")] = 2000,
    json_path: Annotated[
        Path | None, typer.Option("--json", help="Write everything here; - prints it.")
    ] = None,
    seed: Seed = 0,
) -> None:
    """Tell how far generated tunes are from real ones, beside how far real ones are.

    Meters, modes, forms, endings and degrees by total variation; lengths by Kolmogorov-Smirnov and
    Wasserstein.

    Example: otoscope folk analyse tunes a.abc
    """
    prints = json_path == Path("-")
    if not prints:
        require_writable(json_path)
    from otoscope.folk.workflows import analyse as folk

    settings = folk.AnalyseFolk(real, generated, n_draws=draws, seed=seed)
    with bars() as progress:
        found = folk.analyse_folk(settings, progress=progress)
    told = to_json(found.to_dict(), indent=2) + "\n"
    if json_path and not prints:
        with replacing(json_path) as draft:
            draft.write_text(told, "utf-8")
    if prints:
        typer.echo(told, nl=False)
    else:
        _show(found)


def _show(found: AnalysedFolk) -> None:
    console = Console(markup=False, highlight=False)
    console.print(found.sentence, soft_wrap=True)
    table = Table("", "", box=None)
    for name in ("generated", "95 %", "p (Holm)", "real", "95 %"):
        table.add_column(name, justify="right")
    for one in found.distances:
        row = [*_bounds(one.value), f"{one.p_holm:.3f}", *(_bounds(one.floor) if one.floor else ())]
        table.add_row(one.what, _SHORT[one.kind], *row)
    console.print(table)
    console.print("TV: total variation, KS: Kolmogorov-Smirnov, W: Wasserstein, in its own unit")
    for note in found.notes:
        console.print(note, soft_wrap=True)


def _bounds(at: Interval) -> tuple[str, str]:
    return f"{at.value:.3g}", f"{at.low:.3g}–{at.high:.3g}"
