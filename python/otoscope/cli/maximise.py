"""otoscope maximise: what drives this unit of the network?"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table

from otoscope.cli.options import Seed
from otoscope.cli.output import require_folder, require_writable
from otoscope.cli.progress import bars
from otoscope.errors import ParameterError
from otoscope.records import to_json

if TYPE_CHECKING:
    from otoscope.workflows import MaximisedUnit

__all__ = ["maximise"]

_STEPS = [0.1, 0.01, 0.001]  # rates and penalties of the paper


def maximise(  # noqa: PLR0913 - a command has the options it has
    model: Annotated[
        str,
        typer.Argument(
            metavar="MODEL", help="A name (see: otoscope models), a bundle, or FILE.py:FUNCTION."
        ),
    ],
    layer: Annotated[
        str, typer.Option(help="A layer of the network; the logit, not the probability.")
    ],
    unit: Annotated[
        str, typer.Option(help="Index into its output: 3, or 3,10,5, or ...,3 (each frame's 3).")
    ] = "0",
    minimise: Annotated[
        bool, typer.Option("--minimise", help="Drive it down instead of up.")
    ] = False,
    prior: Annotated[str, typer.Option(help="What makes inputs: fourier or raw.")] = "fourier",
    l2: Annotated[
        float, typer.Option(help="Raw: weight of the sum of squares in what --penalty multiplies.")
    ] = 1.0,
    variation: Annotated[
        float, typer.Option(help="Raw: weight of the total variation beside it.")
    ] = 0.0,
    blur: Annotated[
        float, typer.Option(help="Raw: deviation of a Gaussian blur, cells; 0 is none.")
    ] = 0.0,
    blur_every: Annotated[int, typer.Option(help="Raw: steps from one blur to the next.")] = 10,
    jitter: Annotated[
        str, typer.Option(metavar="FRAMES,BANDS", help="Roll the input by up to so many.")
    ] = "0,0",
    pool: Annotated[str, typer.Option(help="Of the positions of a map: mean or max.")] = "mean",
    rate: Annotated[
        list[float] | None, typer.Option(help="Adam's; 0.01. Again for another setting.")
    ] = None,
    penalty: Annotated[
        list[float] | None, typer.Option(help="Of the latent; 0.001. Again for another setting.")
    ] = None,
    iterations: Annotated[
        list[int] | None, typer.Option(help="100. Again for another setting.")
    ] = None,
    grid: Annotated[
        bool,
        typer.Option(
            "--grid",
            help="The paper's 27 settings: three rates, penalties and iterations, where not given.",
        ),
    ] = False,
    seeds: Annotated[int, typer.Option(help="Searches of each setting.")] = 8,
    rank_layer: Annotated[
        str | None,
        typer.Option(help="Rank settings by this layer's Frechet distance, not the unit's."),
    ] = None,
    real: Annotated[
        Path | None, typer.Option(help="Real sounds: a file or a folder; default: our own songs.")
    ] = None,
    every: Annotated[float, typer.Option(help="Seconds from one real excerpt to the next.")] = 0.5,
    out: Annotated[
        Path | None, typer.Option(help="Folder: report.html, and the sounds as .wav.")
    ] = None,
    html: Annotated[Path | None, typer.Option(help="Report: hear and see them.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, for machines.")] = False,
    seed: Seed = 0,
    device: Annotated[str, typer.Option(help="cpu or cuda.")] = "cpu",
) -> None:
    """Make inputs that drive a unit of a network furthest, beside the real excerpts that do.

    Of several settings the one is chosen whose activations are nearest to those by real excerpts.

    Example: otoscope maximise synth-singing --layer fc9 --html unit.html
    """
    require_folder(out)
    require_writable(html)
    from otoscope import workflows  # torch takes seconds to load

    settings = workflows.MaximiseUnit(
        model=model,
        layer=layer,
        unit=unit,
        minimise=minimise,
        prior=prior,
        l2=l2,
        variation=variation,
        blur=blur,
        blur_every=blur_every,
        jitter=_pair(jitter),
        pool=pool,
        rates=tuple(rate or (_STEPS if grid else [0.01])),
        penalties=tuple(penalty or (_STEPS if grid else [0.001])),
        iterations=tuple(iterations or ([100, 500, 1000] if grid else [100])),
        seeds=seeds,
        rank_layer=rank_layer,
        real=real,
        every=every,
        seed=seed,
        device=device,
    )
    with bars() as progress:
        found = workflows.maximise_unit(settings, progress=progress)
        if out:
            workflows.save_folder(found, out)
        if html:
            workflows.save_maximised(found, html)
    if as_json:
        typer.echo(to_json(found.to_dict(), indent=2))
    else:
        _show(found, out / "report.html" if out else html)


def _pair(jitter: str) -> tuple[int, int]:
    try:
        frames, bands = map(int, jitter.split(","))
    except ValueError:
        raise ParameterError(f"--jitter is {jitter!r}, must be FRAMES,BANDS: 4,1") from None
    return frames, bands


def _show(found: MaximisedUnit, page: Path | None) -> None:
    from otoscope.report.numbers import significant

    console = Console(markup=False, highlight=False)
    console.print(found.sentence, soft_wrap=True)
    table = Table(box=None, pad_edge=False)
    for heading in ("rate", "penalty", "iterations", "distance", "furthest"):
        table.add_column(heading, justify="right")
    for row in found.ranking.rows:
        setting, furthest = row.setting, float(row.result.activation[row.result.best])
        cells = (f"{setting.rate:g}", f"{setting.penalty:g}", str(setting.iterations))
        table.add_row(*cells, significant(row.distance), significant(furthest))
    console.print(table)
    for note in found.notes:
        console.print(note, soft_wrap=True)
    if page:
        console.print(f"report: {page}", soft_wrap=True)
