"""otoscope folk score and render: pages of tunes by surprise, and with sheet music and sound."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from otoscope.cli import options
from otoscope.cli.folk.prepare import new_folder_option
from otoscope.cli.folk.sample import Model
from otoscope.cli.output import bars, console, is_printed, write_json

if TYPE_CHECKING:
    from otoscope.folk.workflows.score import ScoreFolkResult

__all__ = ["render", "score"]

_SHOWN = 20

_RENDER = options.Config("folk.workflows.render", "RenderFolkConfig")
_SCORE = options.Config("folk.workflows.score", "ScoreFolkConfig")
_SAMPLE = options.Config("folk.workflows.sample", "SampleFolkConfig")


def render(
    file: Annotated[str, typer.Argument(help=_RENDER.help("source"))],
    out: Annotated[Path, new_folder_option],
    sound: Annotated[str, _RENDER.option("sound")] = _RENDER["sound"],
    n: Annotated[int, options.number(_RENDER.help("n"))] = _RENDER["n"],
    tempo_bpm: Annotated[float | None, _RENDER.option("tempo_bpm")] = _RENDER["tempo_bpm"],
    strict: Annotated[bool, _RENDER.option("strict")] = _RENDER["strict"],
    json_path: options.Json = None,
) -> None:
    """Write SVG, MIDI, OGG and ABC of each tune, and a page with sheet music, sound, checks.

    Sheet music is engraved by verovio: pip install "otoscope[folk]".

    Example: otoscope folk render a.abc --out tunes
    """
    from otoscope.folk.workflows.render import RenderFolkConfig, render_folk

    settings = RenderFolkConfig(file, sound, n, tempo_bpm, strict)
    with bars() as progress:
        result = render_folk(settings, out, progress=progress)
    write_json(result.to_dict(), json_path)
    if not is_printed(json_path):
        for line in (*result.notes, f"page: {result.page}"):
            console().print(line)


def score(
    file: Annotated[
        str,
        typer.Argument(
            metavar="FILE.abc", help="ABC file, folder of ABC files, file of tokens, or collection."
        ),
    ],
    model: Model = _SAMPLE["model"],
    strict: Annotated[bool, _SCORE.option("strict")] = _SCORE["strict"],
    html: options.Html = None,
    json_path: options.Json = None,
) -> None:
    """Measure the surprise of a network at each tune: nats per token, most surprising tokens.

    Example: otoscope folk score a.abc --html surprise.html
    """
    from otoscope.folk.workflows.score import ScoreFolkConfig, save_scores, score_folk

    with bars() as progress:
        result = score_folk(ScoreFolkConfig(file, model, strict), progress=progress)
        if html:
            save_scores(result, html)
    write_json(result.to_dict() if json_path else None, json_path)
    if is_printed(json_path):
        return
    _show_scores(result)
    if html:
        console().print(f"report: {html}")


def _show_scores(result: ScoreFolkResult) -> None:
    lines = console()
    lines.print(result.sentence)
    table = Table("tune", box=None, pad_edge=False)
    table.add_column("tokens", justify="right")
    table.add_column("nats per token", justify="right")
    table.add_column("most surprising")
    for tune in result.tunes[:_SHOWN]:
        (top,) = tune.top(1)
        name = tune.title or tune.name
        text = f"token {top}, {tune.token(top)!r}: {tune.nats[top - 1]:.1f} nats"
        table.add_row(name, str(len(tune.tokens)), f"{tune.nats_per_token:.3f}", text)
    lines.print(table)
    if len(result.tunes) > _SHOWN:
        lines.print(f"and {len(result.tunes) - _SHOWN:,} more: --json or --html has all")
    for note in result.notes:
        lines.print(note)
