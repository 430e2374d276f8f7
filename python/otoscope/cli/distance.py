"""otoscope distance and stats: how far are generated sounds from real ones, to a model's ears?"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from otoscope.cli.output import require_writable
from otoscope.cli.progress import bars
from otoscope.cli.wording import with_options
from otoscope.records import replacing, to_json

if TYPE_CHECKING:
    from otoscope.workflows.stats import Measured

__all__ = ["distance", "stats"]

_OPTIONS = ("padded",)  # what reasons for skipping a file may advise
_LISTED = 10  # files that were skipped; --json lists all

_Layer = Annotated[
    str | None, typer.Option(help="Layer of the network; default: the last before the outputs.")
]
_Hop = Annotated[
    float | None, typer.Option(help="Seconds between excerpts; default: their length.")
]
_Axis = Annotated[
    int | None, typer.Option(help="Axis of the layer's output to keep; others are averaged.")
]
_Padded = Annotated[
    bool, typer.Option("--padded", help="Fill files shorter than an excerpt up with silence.")
]
_Json = Annotated[Path | None, typer.Option("--json", help="What was found, for machines.")]
_Device = Annotated[str, typer.Option(help="cpu or cuda.")]


def distance(  # noqa: PLR0913 - a command has the options it has
    real: Annotated[Path, typer.Argument(metavar="REAL", help="Folder, or statistics (.npz).")],
    generated: Annotated[Path, typer.Argument(metavar="GENERATED", help="The same.")],
    model: Annotated[
        str | None, typer.Option(help="A name, a bundle, or FILE.py:FUNCTION; default: the .npz's.")
    ] = None,
    layer: _Layer = None,
    hop: _Hop = None,
    channel_axis: _Axis = None,
    padded: _Padded = False,
    keep: Annotated[
        Path | None, typer.Option(help="Folder to keep statistics in, and to go on from.")
    ] = None,
    json_file: _Json = None,
    device: _Device = "cpu",
) -> None:
    """Measure the Frechet distance between two folders of sounds, in a layer of a model.

    Files that cannot be read are skipped and listed. With --keep the same command goes on where it
    stopped, and a folder is measured once.

    Example: otoscope distance songs/ generated/ --model musicnn-mtt --json distance.json
    """
    require_writable(json_file)
    from otoscope.workflows._features import FeatureSettings
    from otoscope.workflows.distance import measure_distance

    settings = FeatureSettings(model, layer, hop, channel_axis, padded, device)
    with bars() as progress:
        found = measure_distance(real, generated, settings, keep=keep, progress=progress)
    if json_file:
        with replacing(json_file) as draft:
            draft.write_text(to_json(found.to_record(), indent=1) + "\n", encoding="utf-8")
    console = Console(markup=False, highlight=False)
    console.print(f"Fréchet distance {found.distance:.6g}")
    console.print(_features(found.real.features or found.generated.features), soft_wrap=True)
    table = Table(box=None, pad_edge=False)
    for heading in ("", "from", "files", "excerpts"):
        table.add_column(heading)
    for name, side in (("real", found.real), ("generated", found.generated)):
        table.add_row(name, str(side.path), _number(side.n_files), _number(side.statistics.count))
    console.print(table)
    for note in found.notes:
        console.print(note, soft_wrap=True)
    for side in (found.real, found.generated):
        _tell_skipped(side)


def stats(  # noqa: PLR0913 - a command has the options it has
    sounds: Annotated[Path, typer.Argument(metavar="DIR", help="Folder of sounds.")],
    model: Annotated[str, typer.Option(help="A name, a bundle, or FILE.py:FUNCTION.")],
    out: Annotated[Path, typer.Option(help="The statistics, .npz.")],
    layer: _Layer = None,
    hop: _Hop = None,
    channel_axis: _Axis = None,
    padded: _Padded = False,
    json_file: _Json = None,
    device: _Device = "cpu",
) -> None:
    """Measure mean and covariance of a folder's features, for distances from it.

    The same command again goes on where it stopped, and adds what is new in the folder. The file
    has mu and cov, as other tools read them, and all that they depend on.

    Example: otoscope stats songs/ --model musicnn-mtt --out songs.npz
    """
    for path in (out, json_file):
        require_writable(path)
    from otoscope.workflows._features import FeatureSettings
    from otoscope.workflows.stats import measure_statistics

    settings = FeatureSettings(model, layer, hop, channel_axis, padded, device)
    with bars() as progress:
        found = measure_statistics(sounds, settings, out, progress=progress)
    if json_file:
        record = {
            "out": out,
            "n": found.statistics.count,
            "columns": len(found.statistics.mean),
            **found.statistics.settings,
            "skipped": {name: str(reason) for name, reason in found.skipped.items()},
            "notes": found.notes,
        }
        with replacing(json_file) as draft:
            draft.write_text(to_json(record, indent=1) + "\n", encoding="utf-8")
    console = Console(markup=False, highlight=False)
    before = f", {found.n_done} of them measured before" if found.n_done else ""
    console.print(
        f"{out}: {_number(found.statistics.count)} excerpts of {_number(found.n_files)} files"
        f"{before}",
        soft_wrap=True,
    )
    console.print(_features(found.features), soft_wrap=True)
    for note in found.notes:
        console.print(note, soft_wrap=True)
    _tell_skipped(found)


def _features(about: Mapping[str, Any]) -> str:
    if not about:
        return "of features that no side names"
    rate = about["sample_rate"] / about["hop_length"]
    return (
        f"of {about['model']}, layer {about['layer']}: excerpts of "
        f"{about['excerpt_frames'] / rate:.2f} s every {about['hop_frames'] / rate:.2f} s"
    )


def _number(n: int | None) -> str:
    return "?" if n is None else f"{n:,}"


def _tell_skipped(side: Measured) -> None:
    console = Console(stderr=True, markup=False, highlight=False)
    if side.skipped:
        console.print(f"{side.path}: {len(side.skipped)} skipped", soft_wrap=True)
    for name, reason in list(side.skipped.items())[:_LISTED]:
        console.print(
            f"  {name}: {with_options(str(reason), reason.advice, _OPTIONS)}", soft_wrap=True
        )
    if len(side.skipped) > _LISTED:
        console.print(f"  and {len(side.skipped) - _LISTED} more; --json lists all")
