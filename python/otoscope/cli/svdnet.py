"""otoscope models: list models, import the authors' detector of paper A, and check it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from otoscope.cli import files, options
from otoscope.cli.doctor import models as list_models
from otoscope.cli.options import METHOD, Config, Device, Json
from otoscope.cli.output import Group, bars, console, is_printed, write_json
from otoscope.documents import document

__all__ = ["models"]

_PARITY = Config("papers.a_soundlime.parity", "ParityConfig")

models = typer.Typer(
    cls=Group,
    help="List the models that can be loaded by name; import and check those of paper A.",
    invoke_without_command=True,
)


@models.callback()
def _list(ctx: typer.Context, json_path: Json = None) -> None:
    """List the models that can be loaded by name; import and check those of paper A.

    Example: otoscope models
    """
    if ctx.invoked_subcommand is None:
        list_models(json_path)


@models.command("import-svdnet")
def import_svdnet(
    checkpoint: Annotated[
        Path,
        typer.Argument(
            metavar="CHECKPOINT", help="Prefix of a TensorFlow 1 checkpoint, or an .npz file."
        ),
    ],
    mean: Annotated[Path, typer.Option(help="Mean of the 80 bands: .npy, .npz or text.")],
    std: Annotated[Path, typer.Option(help="Deviation of the bands; may be the same .npz.")],
    out: Annotated[
        Path,
        options.out(
            "Model: writes MODEL.safetensors and MODEL.json.",
            files.output("bundle", files.BUNDLE),
            metavar="MODEL",
        ),
    ],
    config: Annotated[
        Path | None,
        typer.Option(help="The authors' configuration, to be checked.", rich_help_panel=METHOD),
    ] = None,
    filters: Annotated[
        str | None,
        typer.Option(
            help="How the layers applied their filters: correlation (TensorFlow's, the default "
            "there) or convolution (flipped, the default for .npz).",
            rich_help_panel=METHOD,
        ),
    ] = None,
    json_path: Json = None,
) -> None:
    """Convert the singing-voice detector of paper A's authors to a bundle.

    Example: otoscope models import-svdnet Jamendo_augment_mel --mean m.npy --std s.npy --out svd
    """
    from otoscope.models import import_svdnet, save_bundle

    model = import_svdnet(checkpoint, mean=mean, std=std, config=config, filters=filters)  # type: ignore[arg-type]
    card = {
        "purpose": "singing-voice detection, per frame",
        "licence": "none is stated by the authors: use it yourself, do not pass it on",
        "source": f"imported from {checkpoint.name} by otoscope",
    }
    save_bundle(out, model, card=card)
    n_parameters = sum(weight.numel() for weight in model.network.parameters())
    record = {"model": out, "parameters": n_parameters, "outputs": model.output_names}
    write_json(document("otoscope.ImportSvdnet", 1, record), json_path)
    if not is_printed(json_path):
        lines = console()
        lines.print(f"{n_parameters:,} parameters; outputs {', '.join(model.output_names)}: {out}")
        lines.print(f"next: otoscope explain song.ogg --model {out}.json --html why.html")


@models.command("check-svdnet")
def check_svdnet(
    model: Annotated[
        str, typer.Argument(metavar="MODEL", help="Bundle that import-svdnet has written.")
    ],
    songs: Annotated[Path, _PARITY.option("songs")],
    predictions: Annotated[Path, _PARITY.option("predictions")],
    tolerance: Annotated[float, _PARITY.option("tolerance")] = _PARITY["tolerance"],
    device: Device = _PARITY["device"],
    json_path: Json = None,
) -> None:
    """Compare a model's output for every frame of songs with stored predictions.

    The exit code is 1 if a song's mean difference exceeds the tolerance.

    Example: otoscope models check-svdnet svd.json --songs audio --predictions predictions.npz
    """
    from otoscope.papers.a_soundlime.parity import ParityConfig, check_parity

    config = ParityConfig(model, songs, predictions, tolerance, device)
    with bars() as progress:
        result = check_parity(config, progress=progress)
    record = {"settings": config, "songs": result.songs, "is_equal": result.is_equal}
    write_json(document("otoscope.SvdnetParity", 1, record), json_path)
    if not is_printed(json_path):
        table = Table(box=None, pad_edge=False)
        for heading in ("song", "frames", "lag", "mean difference", "largest", "other side of 0.5"):
            table.add_column(heading)
        for song in result.songs:
            table.add_row(
                song.name,
                f"{song.frames:,}",
                str(song.lag),
                f"{song.mean_difference:.2g}",
                f"{song.max_difference:.2g}",
                f"{song.flips:.2%}",
            )
        out = console()
        out.print(table, soft_wrap=False)
        verdict = "equal" if result.is_equal else "DIFFERENT"
        out.print(f"{verdict}: mean difference at most {config.tolerance:g} in each song")
    raise typer.Exit(0 if result.is_equal else 1)
