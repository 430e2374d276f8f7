"""otoscope folk sample: tunes that a network makes up."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeAlias

import typer
from rich.console import Console

from otoscope.cli import options
from otoscope.cli.output import require_writable
from otoscope.cli.progress import bars
from otoscope.records import to_json

if TYPE_CHECKING:
    from otoscope.folk.workflows.sample import SampledFolk

__all__ = ["sample", "show"]  # and the options that other folk commands have too

Model: TypeAlias = Annotated[
    str, typer.Option(help="folkrnn-small, a model's file, or the folder of a training.")
]
Out: TypeAlias = Annotated[
    Path | None, typer.Option(help="ABC file to write; without it the tunes are printed.")
]
Temperature: TypeAlias = Annotated[
    float, typer.Option(help="Divides the logits: below 1 tamer, above 1 wilder.")
]
TopK: TypeAlias = Annotated[int | None, typer.Option(help="Only the K most probable tokens.")]
TopP: TypeAlias = Annotated[
    float | None, typer.Option(help="Only the fewest tokens that hold this much probability.")
]
Meter: TypeAlias = Annotated[str, typer.Option(help="6/8, say; * is the model's choice.")]
Mode: TypeAlias = Annotated[
    str, typer.Option(help="maj, min, dor or mix; * is the model's choice.")
]
Prime: TypeAlias = Annotated[
    str, typer.Option(help="What each begins with: '|:G2 BAB' on root C, or tokens: '|: G 2 B'.")
]
MaxTokens: TypeAlias = Annotated[
    int, typer.Option(help="Where a tune is broken off, and marked as unfinished.")
]
BarsAddUp: TypeAlias = Annotated[
    bool, typer.Option("--bars-add-up", help="Forbid tokens by which a bar cannot add up.")
]
Batch: TypeAlias = Annotated[
    int, typer.Option(help="Tunes at a time: for speed; the tunes stay the same.")
]
AsJson: TypeAlias = Annotated[bool, typer.Option("--json", help="Print JSON, for machines.")]


def sample(  # noqa: PLR0913 - a command has the options it has
    n: Annotated[int, typer.Option("--n", help="Tunes.")] = 64,
    out: Out = None,
    model: Model = "folkrnn-small",
    temperature: Temperature = 1.0,
    top_k: TopK = None,
    top_p: TopP = None,
    meter: Meter = "*",
    mode: Mode = "*",
    prime: Prime = "",
    max_tokens: MaxTokens = 2000,
    bars_add_up: BarsAddUp = False,
    batch: Batch = 64,
    as_json: AsJson = False,
    seed: Annotated[int, options.seed("Tune i of a seed is always the same.")] = 0,
) -> None:
    """Draw tunes from a network and write them as ABC.

    A tune that did not end, or tokens that are no tune, are written too and say so (N:).

    Example: otoscope folk sample --n 64 --seed 1 --out a.abc
    """
    require_writable(out)
    from otoscope.folk.model import Sampling
    from otoscope.folk.workflows import sample as folk

    sampling = Sampling(
        temperature=temperature,
        top_k=top_k,
        top_p=top_p,
        meter=meter,
        mode=mode,
        max_tokens=max_tokens,
        bars_add_up=bars_add_up,
    )
    settings = folk.SampleFolk(n, model, prime, sampling, seed, batch)
    with bars() as progress:
        found = folk.sample_folk(settings, progress=progress)
        if out:
            folk.save_book(found, out)
    show(found, out, as_json=as_json)


def show(found: SampledFolk, out: Path | None, *, as_json: bool) -> None:
    """Print the tunes if no file has them, and what must be known of them."""
    if as_json:
        typer.echo(to_json(found.to_dict(), indent=2))
        return
    if out is None:
        typer.echo(found.abc, nl=False)
    console = Console(markup=False, highlight=False, stderr=out is None)
    console.print(found.sentence, soft_wrap=True)
    for note in found.notes:
        console.print(note, soft_wrap=True)
    if out:
        console.print(f"tunes: {out}", soft_wrap=True)
