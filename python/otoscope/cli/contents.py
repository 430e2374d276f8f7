"""otoscope contents: which content should replace the segments of an explanation?"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from otoscope.cli.options import (
    INPUT,
    METHOD,
    MODEL,
    Config,
    Device,
    Json,
    Model,
    Seed,
    given_names,
)
from otoscope.cli.output import bars, console, is_printed, write_json

if TYPE_CHECKING:
    from otoscope.workflows.contents import ContentsResult

__all__ = ["contents"]

_CONFIG = Config("workflows.contents.choose", "ContentsConfig")


def contents(  # noqa: PLR0913 - a command has the options it has
    ctx: typer.Context,
    model: Model,
    sounds: Annotated[
        list[Path] | None, typer.Argument(metavar="[SOUNDS]...", help=_CONFIG.help("sounds"))
    ] = None,
    stems: Annotated[Path | None, _CONFIG.option("stems", rich_help_panel=INPUT)] = None,
    contents: Annotated[str, _CONFIG.option("contents")] = _CONFIG["contents"],
    segments: Annotated[str, _CONFIG.option("segments")] = _CONFIG["segments"],
    target: Annotated[str | None, _CONFIG.option("target", rich_help_panel=MODEL)] = None,
    design: Annotated[str | None, _CONFIG.option("design")] = None,
    n_samples: Annotated[int | None, _CONFIG.option("n_samples")] = None,
    n: Annotated[int, _CONFIG.option("n")] = _CONFIG["n"],
    n_mixes: Annotated[int, _CONFIG.option("n_mixes")] = _CONFIG["n_mixes"],
    skip: Annotated[int, _CONFIG.option("skip")] = _CONFIG["skip"],
    layer: Annotated[str | None, _CONFIG.option("layer", rich_help_panel=METHOD)] = None,
    changes: Annotated[int, _CONFIG.option("changes")] = _CONFIG["changes"],
    json_path: Json = None,
    seed: Seed = _CONFIG["seed"],
    device: Device = _CONFIG["device"],
) -> None:
    """Rank contents for a model, and say whether one is clearly best.

    Explanations with each content are measured by occluding with the others: a content does not
    judge itself. With --stems, what counts is which content finds the voice.

    Example: otoscope contents songs --model svdnet-synth
    """
    from otoscope.workflows.contents import ContentsConfig, choose_contents

    config = ContentsConfig(
        tuple(sounds or ()),
        model,
        stems,
        contents,
        segments,
        target,
        design,
        n_samples,
        n,
        n_mixes,
        skip,
        layer,
        changes,
        seed,
        device,
    )
    config.refuse_ignored(given_names(ctx))
    with bars() as progress:
        result = choose_contents(config, progress=progress)
    write_json(result.to_dict(), json_path)
    if not is_printed(json_path):
        _show(result)


def _show(result: ContentsResult) -> None:
    from otoscope.explain.selection.choice import CRITERIA
    from otoscope.report.numbers import decimals

    out, choice = console(), result.choice
    out.print(f"{choice.sentence}.")
    table = Table(box=None, pad_edge=False)
    for heading in ("content", *(ranking.criterion for ranking in choice.rankings)):
        table.add_column(heading)
    for rank in choice.ranking.ranks:
        ranks = [ranking.of(rank.content) for ranking in choice.rankings]
        cells = [f"{r.low}–{r.high}: {decimals(r.score.value, 3)}" for r in ranks]
        table.add_row(rank.content, *cells)
    out.print(table, soft_wrap=False)
    level = choice.ranking.ranks[0].score.level
    out.print(
        f"Cells: ranks in {100 * level:g} % of the draws of songs, and the score; higher is better."
    )
    for ranking in choice.rankings:
        out.print(f"{ranking.criterion}: {CRITERIA[ranking.criterion]}")
    out.print(f"model: {result.model}")
    for note in result.notes:
        out.print(note)
