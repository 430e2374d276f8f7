"""otoscope folk continue: other ways for a tune to go on."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from otoscope.cli import options
from otoscope.cli.folk.sample import (
    AsJson,
    BarsAddUp,
    Batch,
    MaxTokens,
    Meter,
    Mode,
    Model,
    Out,
    Prime,
    Temperature,
    TopK,
    TopP,
    show,
)
from otoscope.cli.output import require_writable
from otoscope.cli.progress import bars as progress_bars
from otoscope.errors import ParameterError

__all__ = ["continue_"]


def continue_(  # noqa: PLR0913 - a command has the options it has
    file: Annotated[
        Path | None, typer.Argument(metavar="[FILE.abc]", help="ABC; or give --prime.")
    ] = None,
    tune: Annotated[int, typer.Option(help="Which of its tunes, from 1.")] = 1,
    bars: Annotated[int, typer.Option(help="Bars that are given; a pickup is no bar.")] = 4,
    n: Annotated[int, typer.Option("--n", help="Continuations.")] = 5,
    out: Out = None,
    model: Model = "folkrnn-small",
    temperature: Temperature = 1.0,
    top_k: TopK = None,
    top_p: TopP = None,
    prime: Prime = "",
    meter: Meter = "*",
    mode: Mode = "*",
    max_tokens: MaxTokens = 2000,
    bars_add_up: BarsAddUp = False,
    batch: Batch = 64,
    as_json: AsJson = False,
    seed: Annotated[int, options.seed("Continuation i of a seed is always the same.")] = 0,
) -> None:
    """Let a network go on from the first bars of a tune, several times, in the tune's key.

    Example: otoscope folk continue reel.abc --bars 4 --n 5 --out more.abc
    """
    if (file is None) == (prime == ""):
        raise ParameterError("bars of a FILE.abc or of --prime go on: give one of the two")
    require_writable(out)
    from otoscope.folk.model import Sampling
    from otoscope.folk.workflows import continue_ as folk
    from otoscope.folk.workflows.sample import SampleFolk, sample_folk, save_book

    sampling = Sampling(
        temperature=temperature,
        top_k=top_k,
        top_p=top_p,
        meter=meter,
        mode=mode,
        max_tokens=max_tokens,
        bars_add_up=bars_add_up,
    )
    drawing = SampleFolk(n, model, prime, sampling, seed, batch)
    with progress_bars() as progress:
        if file is None:
            found = sample_folk(drawing, progress=progress)
        else:
            settings = folk.ContinueFolk(file, tune, bars, drawing)
            found = folk.continue_folk(settings, progress=progress)
        if out:
            save_book(found, out)
    show(found, out, as_json=as_json)
