"""otoscope folk import-folkrnn: a model that the authors of folk-rnn have trained."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from otoscope.cli.folk.sample import AsJson
from otoscope.cli.output import require_writable
from otoscope.records import to_json

__all__ = ["import_folkrnn"]


def import_folkrnn(
    file: Annotated[Path, typer.Argument(metavar="FILE.pkl", help="The authors' pickle.")],
    out: Annotated[
        Path, typer.Option(metavar="MODEL", help="Writes MODEL.safetensors and MODEL.json.")
    ],
    as_json: AsJson = False,
) -> None:
    """Turn a model file of folk-rnn's authors into one of ours; nothing in the pickle is run.

    Example: otoscope folk import-folkrnn metadata/config5.pkl --out folkrnn-v2
    """
    require_writable(out.with_name(f"{out.name}.json"))
    from otoscope.folk import model as folkrnn

    model = folkrnn.import_folkrnn(file)
    folkrnn.save_folkrnn(out, model)
    n_parameters = sum(one.numel() for one in model.network.parameters() if one.requires_grad)
    told = {
        "model": out,
        "tokens": model.tokens,
        "vocabulary": len(model.vocabulary),
        "network": model.network.settings,
        "parameters": n_parameters,
    }
    if as_json:
        typer.echo(to_json(told, indent=2))
        return
    typer.echo(
        f"{n_parameters:,} parameters, {len(model.vocabulary)} tokens ({model.tokens}): {out}"
    )
    typer.echo(f"now: otoscope folk sample --model {out} --n 5")
