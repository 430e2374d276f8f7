"""otoscope maximise: inputs that drive a unit of a network furthest."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from otoscope.cli import files, options
from otoscope.cli.options import (
    INPUT,
    METHOD,
    MODEL,
    OUTPUT,
    Config,
    Device,
    Html,
    Json,
    Model,
    given_names,
)
from otoscope.cli.output import (
    bars,
    console,
    is_printed,
    show_skipped,
    truncation_listed,
    write_json,
)
from otoscope.documents import document
from otoscope.errors import Advice, Argument, ParameterError

if TYPE_CHECKING:
    from otoscope.workflows import MaximiseResult

__all__ = ["maximise"]

_CONFIG = Config("workflows.maximise.maximise", "MaximiseConfig")
_AGAIN = "Repeat the option for another setting."


def maximise(  # noqa: PLR0913 - a command has the options it has
    ctx: typer.Context,
    model: Model,
    layer: Annotated[str, _CONFIG.option("layer", rich_help_panel=MODEL)],
    unit: Annotated[str, _CONFIG.option("unit", rich_help_panel=MODEL)] = _CONFIG["unit"],
    minimise: Annotated[bool, _CONFIG.option("minimise")] = _CONFIG["minimise"],
    prior: Annotated[str, _CONFIG.option("prior")] = _CONFIG["prior"],
    generator: Annotated[Path | None, _CONFIG.option("generator")] = _CONFIG["generator"],
    l2: Annotated[float, _CONFIG.option("l2")] = _CONFIG["l2"],
    variation: Annotated[float, _CONFIG.option("variation")] = _CONFIG["variation"],
    blur: Annotated[float, _CONFIG.option("blur")] = _CONFIG["blur"],
    blur_every: Annotated[int, _CONFIG.option("blur_every")] = _CONFIG["blur_every"],
    jitter: Annotated[str, _CONFIG.option("jitter", metavar="FRAMES,BANDS")] = "{},{}".format(
        *_CONFIG["jitter"]
    ),
    pool: Annotated[str, _CONFIG.option("pool")] = _CONFIG["pool"],
    rate: Annotated[list[float] | None, _CONFIG.option("rates", "--rate", extra=_AGAIN)] = None,
    penalty: Annotated[
        list[float] | None, _CONFIG.option("penalties", "--penalty", extra=_AGAIN)
    ] = None,
    iterations: Annotated[list[int] | None, _CONFIG.option("iterations", extra=_AGAIN)] = None,
    grid: Annotated[
        bool,
        typer.Option(
            "--grid",
            help="Search the paper's 27 settings: three rates, penalties and iterations each, "
            "where they are not given.",
            rich_help_panel=METHOD,
        ),
    ] = False,
    seeds: Annotated[int, _CONFIG.option("seeds")] = _CONFIG["seeds"],
    rank_layer: Annotated[str | None, _CONFIG.option("rank_layer")] = _CONFIG["rank_layer"],
    real: Annotated[Path | None, _CONFIG.option("real", rich_help_panel=INPUT)] = _CONFIG["real"],
    every: Annotated[float, _CONFIG.option("every", rich_help_panel=INPUT)] = _CONFIG["every"],
    out: Annotated[
        Path | None,
        typer.Option(
            callback=files.REPORT_FOLDER,
            help="Folder for the report and the sounds (.wav); made if it does not exist.",
            rich_help_panel=OUTPUT,
        ),
    ] = None,
    html: Html = None,
    json_path: Json = None,
    seed: Annotated[int, options.seed("Search i of a setting uses seed + i.")] = _CONFIG["seed"],
    device: Device = _CONFIG["device"],
) -> None:
    """Find inputs that drive a unit of a network furthest, beside the real excerpts that do.

    Of several settings the one is chosen whose activations are nearest to those of real excerpts.

    Example: otoscope maximise --model synth-singing --layer fc9 --html unit.html
    """
    from otoscope import workflows  # torch takes seconds to load
    from otoscope.workflows.maximise.maximise import PAPER_GRID

    if grid and rate and penalty and iterations:
        settings = (Argument("rate"), Argument("penalty"), Argument("iterations"))
        raise ParameterError(
            "grid is True, and all that it stands for is given",
            advice=Advice(
                "leave out ",
                Argument("grid"),
                " or one of ",
                settings[0],
                ", ",
                settings[1],
                ", ",
                settings[2],
            ),
        )
    defaults = PAPER_GRID if grid else _CONFIG
    config = workflows.MaximiseConfig(
        model=model,
        layer=layer,
        unit=unit,
        minimise=minimise,
        prior=prior,
        generator=generator,
        l2=l2,
        variation=variation,
        blur=blur,
        blur_every=blur_every,
        jitter=_pair(jitter),
        pool=pool,
        rates=tuple(rate or defaults["rates"]),
        penalties=tuple(penalty or defaults["penalties"]),
        iterations=tuple(iterations or defaults["iterations"]),
        seeds=seeds,
        rank_layer=rank_layer,
        real=real,
        every=every,
        seed=seed,
        device=device,
    )
    config.refuse_ignored(given_names(ctx))
    with truncation_listed(), bars() as progress:
        result = workflows.maximise_unit(config, progress=progress)
        if out:
            workflows.save_maximise_folder(result, out)
        if html:
            workflows.save_maximise_page(result, html)
    write_json(document("otoscope.Maximise", 1, result.to_dict()), json_path)
    if not is_printed(json_path):
        _show(result, out / "report.html" if out else html)


def _pair(jitter: str) -> tuple[int, int]:
    try:
        frames, bands = map(int, jitter.split(","))
    except ValueError:
        raise ParameterError(f"--jitter is {jitter!r}, must be FRAMES,BANDS: 4,1") from None
    return frames, bands


def _show(result: MaximiseResult, page: Path | None) -> None:
    from otoscope.report.numbers import significant

    out = console()
    out.print(result.sentence)
    table = Table(box=None, pad_edge=False)
    for heading in ("rate", "penalty", "iterations", "distance", "furthest"):
        table.add_column(heading, justify="right")
    for row in result.ranking.rows:
        setting, furthest = row.setting, float(row.result.activation[row.result.best])
        cells = (f"{setting.rate:g}", f"{setting.penalty:g}", str(setting.iterations))
        table.add_row(*cells, significant(row.distance), significant(furthest))
    out.print(table, soft_wrap=False)
    for note in result.notes:
        out.print(note)
    show_skipped(result.files.folder, result.files.skipped)
    if page:
        out.print(f"report: {page}")
