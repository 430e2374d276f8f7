"""otoscope folk sample and continue: tunes drawn from a network."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeAlias

import typer

from otoscope.cli import files, options
from otoscope.cli.output import bars as progress_bars
from otoscope.cli.output import console, echo, is_printed, write_json
from otoscope.errors import ParameterError

if TYPE_CHECKING:
    from otoscope.folk.workflows.sample import SampleFolkResult

__all__ = ["Model", "continue_", "sample"]

_SAMPLING = options.Config("folk.model.config", "SamplingConfig")
_SAMPLE = options.Config("folk.workflows.sample", "SampleFolkConfig")
_CONTINUE = options.Config("folk.workflows.continue_", "ContinueFolkConfig")
_CONTINUATIONS = 5

Model: TypeAlias = Annotated[
    str,
    _SAMPLE.option("model", rich_help_panel=options.MODEL),
]
_Out: TypeAlias = Annotated[
    Path | None,
    options.out(
        "ABC file to write; without it the tunes are printed.", files.output("file", files.TUNES)
    ),
]
_Temperature: TypeAlias = Annotated[float, _SAMPLING.option("temperature")]
_TopK: TypeAlias = Annotated[int | None, _SAMPLING.option("top_k")]
_TopP: TypeAlias = Annotated[float | None, _SAMPLING.option("top_p")]
_Meter: TypeAlias = Annotated[str, _SAMPLING.option("meter")]
_Mode: TypeAlias = Annotated[str, _SAMPLING.option("mode")]
_Prime: TypeAlias = Annotated[str | None, _SAMPLE.option("prime")]
_MaxTokens: TypeAlias = Annotated[int, _SAMPLING.option("max_tokens")]
_BarsAddUp: TypeAlias = Annotated[bool, _SAMPLING.option("bars_add_up")]
_Form: TypeAlias = Annotated[str | None, _SAMPLING.option("form")]
_Batch: TypeAlias = Annotated[int, _SAMPLE.option("batch")]
_Seed: TypeAlias = Annotated[int, options.seed("Tune i of a seed is always the same.")]


def sample(  # noqa: PLR0913 - a command has the options it has
    n: Annotated[int, options.number("Number of tunes.")] = _SAMPLE["n"],
    out: _Out = None,
    model: Model = _SAMPLE["model"],
    temperature: _Temperature = _SAMPLING["temperature"],
    top_k: _TopK = _SAMPLING["top_k"],
    top_p: _TopP = _SAMPLING["top_p"],
    meter: _Meter = _SAMPLING["meter"],
    mode: _Mode = _SAMPLING["mode"],
    prime: _Prime = _SAMPLE["prime"],
    max_tokens: _MaxTokens = _SAMPLING["max_tokens"],
    bars_add_up: _BarsAddUp = _SAMPLING["bars_add_up"],
    form: _Form = _SAMPLING["form"],
    key: Annotated[str | None, _SAMPLE.option("key")] = _SAMPLE["key"],
    rhythm: Annotated[str | None, _SAMPLE.option("rhythm")] = _SAMPLE["rhythm"],
    best: Annotated[int | None, _SAMPLE.option("best")] = None,
    of: Annotated[
        int | None,
        typer.Option(
            "--of",
            help="Number of tunes to pick the best from, in place of --n.",
            rich_help_panel=options.METHOD,
        ),
    ] = None,
    reference: Annotated[
        list[str],
        _SAMPLE.option("reference", "--in", extra="Can be repeated."),
    ] = _SAMPLE["reference"],
    batch: _Batch = _SAMPLE["batch"],
    json_path: options.Json = None,
    seed: _Seed = _SAMPLE["seed"],
) -> None:
    """Draw tunes from a network and write them as ABC.

    Unfinished tunes, and tokens that are not a tune, are written as well, with a note (N:).

    Example: otoscope folk sample --n 64 --seed 1 --out a.abc
    Example: otoscope folk sample --form AABB:8 --bars-add-up --rhythm jig --key D --best 8 --of 64
    """
    if of is not None and best is None:
        raise ParameterError("--of is given without --best; give both, or --n alone")
    from otoscope.folk.model import SamplingConfig
    from otoscope.folk.workflows.sample import SampleFolkConfig, sample_folk, save_book

    sampling = SamplingConfig(
        temperature=temperature,
        top_k=top_k,
        top_p=top_p,
        meter=meter,
        mode=mode,
        max_tokens=max_tokens,
        bars_add_up=bars_add_up,
        form=form,
    )
    settings = SampleFolkConfig(
        n if of is None else of,
        model,
        prime,
        sampling,
        seed,
        batch,
        key=key,
        rhythm=rhythm,
        best=best,
        reference=tuple(reference),
    )
    with progress_bars() as progress:
        result = sample_folk(settings, progress=progress)
        if out:
            save_book(result, out)
    _show(result, out, json_path)


def continue_(  # noqa: PLR0913 - a command has the options it has
    file: Annotated[
        Path | None,
        typer.Argument(
            metavar="[FILE.abc]",
            help="ABC file, folder, file of tokens or collection; or give --prime.",
        ),
    ] = None,
    tune: Annotated[int, _CONTINUE.option("tune")] = _CONTINUE["tune"],
    bars: Annotated[int, _CONTINUE.option("bars")] = _CONTINUE["bars"],
    n: Annotated[int, options.number("Number of continuations.")] = _CONTINUATIONS,
    out: _Out = None,
    model: Model = _SAMPLE["model"],
    temperature: _Temperature = _SAMPLING["temperature"],
    top_k: _TopK = _SAMPLING["top_k"],
    top_p: _TopP = _SAMPLING["top_p"],
    prime: _Prime = _SAMPLE["prime"],
    meter: _Meter = _SAMPLING["meter"],
    mode: _Mode = _SAMPLING["mode"],
    max_tokens: _MaxTokens = _SAMPLING["max_tokens"],
    bars_add_up: _BarsAddUp = _SAMPLING["bars_add_up"],
    form: _Form = _SAMPLING["form"],
    batch: _Batch = _SAMPLE["batch"],
    strict: Annotated[bool, _CONTINUE.option("strict")] = _CONTINUE["strict"],
    json_path: options.Json = None,
    seed: _Seed = _SAMPLE["seed"],
) -> None:
    """Continue a tune after its first bars, several times, in the tune's key.

    Example: otoscope folk continue reel.abc --bars 4 --n 5 --out more.abc
    """
    if (file is None) == (prime is None):
        raise ParameterError("needs a tune to continue: give either FILE.abc or --prime")
    from otoscope.folk.model import SamplingConfig
    from otoscope.folk.workflows.continue_ import ContinueFolkConfig, continue_folk
    from otoscope.folk.workflows.sample import SampleFolkConfig, sample_folk, save_book

    sampling = SamplingConfig(
        temperature=temperature,
        top_k=top_k,
        top_p=top_p,
        meter=meter,
        mode=mode,
        max_tokens=max_tokens,
        bars_add_up=bars_add_up,
        form=form,
    )
    drawing = SampleFolkConfig(n, model, prime, sampling, seed, batch)
    with progress_bars() as progress:
        if file is None:
            result = sample_folk(drawing, progress=progress)
        else:
            settings = ContinueFolkConfig(file, tune, bars, drawing, strict)
            result = continue_folk(settings, progress=progress)
        if out:
            save_book(result, out)
    _show(result, out, json_path)


def _show(result: SampleFolkResult, out: Path | None, json_path: Path | None) -> None:
    """Print the tunes if they are in no file, and the notes."""
    write_json(result.to_dict() if json_path else None, json_path)
    if is_printed(json_path):
        return
    if out is None:
        echo(result.abc)
    lines = console(stderr=out is None)
    for line in (result.sentence, *result.notes):
        lines.print(line)
    if out:
        lines.print(f"tunes: {out}")
