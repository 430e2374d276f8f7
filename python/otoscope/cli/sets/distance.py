"""otoscope distance and stats: distances of sounds in a layer of a model."""

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
    Seed,
    Workers,
)
from otoscope.cli.output import (
    NOTHING_KEPT,
    bars,
    console,
    is_printed,
    show_skipped,
    truncation_listed,
    write_json,
)
from otoscope.documents import document

if TYPE_CHECKING:
    from otoscope.report.distance.page import Measure
    from otoscope.workflows import DistanceResult

__all__ = ["distance", "stats"]

_NAMES = {"frechet": "Fréchet distance", "kernel": "kernel distance", "all": "Fréchet distance"}
_OPTIONS = ("padded",)  # what reasons for skipping a file may advise

_CONFIG = Config("workflows.features", "FeatureConfig")
_DISTANCE = Config("workflows.distance_result", "DistanceConfig")
_Layer = Annotated[str | None, _CONFIG.option("layer", rich_help_panel=MODEL)]
_Hop = Annotated[float | None, _CONFIG.option("hop", rich_help_panel=INPUT)]
_Axis = Annotated[int | None, _CONFIG.option("channel_axis", rich_help_panel=MODEL)]
_Padded = Annotated[bool, _CONFIG.option("padded", rich_help_panel=INPUT)]


def distance(  # noqa: PLR0913 - a command has the options it has
    real: Annotated[
        Path,
        typer.Argument(
            metavar="REAL", help="Folder of sounds or of embeddings (.npy), or statistics (.npz)."
        ),
    ],
    generated: Annotated[
        Path,
        typer.Argument(
            metavar="GENERATED",
            help="Folder of sounds or of embeddings (.npy), or statistics (.npz).",
        ),
    ],
    model: Annotated[
        str | None,
        _CONFIG.option(
            "model",
            extra="By default the model of the .npz, if it is one of the zoo.",
            rich_help_panel=MODEL,
        ),
    ] = _CONFIG["model"],
    layer: _Layer = _CONFIG["layer"],
    hop: _Hop = _CONFIG["hop"],
    channel_axis: _Axis = _CONFIG["channel_axis"],
    padded: _Padded = _CONFIG["padded"],
    metric: Annotated[str, _DISTANCE.option("metric")] = _DISTANCE["metric"],
    infinity: Annotated[bool, _DISTANCE.option("infinity")] = _DISTANCE["infinity"],
    interval: Annotated[bool, _DISTANCE.option("interval")] = _DISTANCE["interval"],
    per_file: Annotated[bool, _DISTANCE.option("per_file")] = _DISTANCE["per_file"],
    embedding: Annotated[
        str | None, _DISTANCE.option("embedding", rich_help_panel=INPUT)
    ] = _DISTANCE["embedding"],
    keep: Annotated[
        Path | None,
        typer.Option(
            callback=files.output("shared folder"),
            help="Folder for the statistics, to resume from; made if it does not exist.",
            rich_help_panel=OUTPUT,
        ),
    ] = None,
    html: Html = None,
    json_path: Json = None,
    seed: Seed = _DISTANCE["seed"],
    workers: Workers = None,
    device: Device = _CONFIG["device"],
) -> None:
    """Measure how far two folders of sounds are apart, in a layer of a model.

    Files that cannot be read are skipped and listed. With --keep the same command resumes where it
    stopped, and a folder is measured once.

    Example: otoscope distance songs/ generated/ --model musicnn-mtt --metric all --html far.html

    Example: otoscope distance songs/ generated/ --embedding clap-laion-music --metric all
    """
    from otoscope.workflows import DistanceConfig, FeatureConfig
    from otoscope.workflows.distance import measure_distance
    from otoscope.workflows.distance_result import save_distance_page

    config = FeatureConfig(model, layer, hop, channel_axis, padded, device)
    measures = DistanceConfig(metric, infinity, interval, per_file, embedding, seed)
    kept = (
        f"{keep} holds the files until now: the same command resumes"
        if keep
        else f"{NOTHING_KEPT}; with --keep FOLDER it resumes"
    )
    with truncation_listed(), bars(kept) as progress:
        result = measure_distance(
            real, generated, config, measures, keep=keep, workers=workers, progress=progress
        )
        if html:
            save_distance_page(result, html)
    write_json(document("otoscope.Distance", 1, result.to_dict()), json_path)
    sides = {"real": result.real, "generated": result.generated}
    if not is_printed(json_path):
        _show(result)
        if html:
            console().print(f"report: {html}")
    for side in sides.values():
        show_skipped(side.path, side.skipped, _OPTIONS)


def stats(  # noqa: PLR0913 - a command has the options it has
    sounds: Annotated[Path, typer.Argument(metavar="DIR", help="Folder of sounds.")],
    model: Model,
    out: Annotated[Path, options.out("Statistics to write, .npz.", files.output("file"))],
    layer: _Layer = _CONFIG["layer"],
    hop: _Hop = _CONFIG["hop"],
    channel_axis: _Axis = _CONFIG["channel_axis"],
    padded: _Padded = _CONFIG["padded"],
    rows: Annotated[
        bool,
        typer.Option(
            "--rows",
            help="Keep the features of all excerpts too: a kernel distance, intervals and "
            "distances of files need them.",
            rich_help_panel=METHOD,
        ),
    ] = False,
    json_path: Json = None,
    workers: Workers = None,
    device: Device = _CONFIG["device"],
) -> None:
    """Measure mean and covariance of the features of a folder, for `otoscope distance`.

    The same command resumes where it stopped, and adds files that are new in the folder. The file
    holds mu and cov, as other tools read them, and all settings that they depend on.

    Example: otoscope stats songs/ --model musicnn-mtt --out songs.npz
    """
    from otoscope.workflows import FeatureConfig
    from otoscope.workflows.distance_result import features_text
    from otoscope.workflows.stats import measure_statistics

    config = FeatureConfig(model, layer, hop, channel_axis, padded, device)
    kept = f"{out.with_suffix('.partial.npz')} holds the files until now: the same command resumes"
    with truncation_listed(), bars(kept) as progress:
        result = measure_statistics(
            sounds, config, out, keep_rows=rows, workers=workers, progress=progress
        )
    record = {
        "out": out,
        "n": result.statistics.count,
        "columns": len(result.statistics.mean),
        **result.statistics.settings,
        "skipped": {name: str(reason) for name, reason in result.skipped.items()},
        "truncated": result.truncated,
        "notes": [*filter(None, [*result.notes, result.few_rows])],
    }
    write_json(document("otoscope.Stats", 1, record), json_path)
    if not is_printed(json_path):
        screen = console()
        before = f", {result.n_done} of them measured before" if result.n_done else ""
        n_excerpts, n_files = _number(result.statistics.count), _number(result.n_files)
        screen.print(f"{out}: {n_excerpts} excerpts of {n_files} files{before}")
        screen.print(features_text(result.features))
        for note in filter(None, [*result.notes, result.few_rows]):
            screen.print(note)
    show_skipped(result.path, result.skipped, _OPTIONS)


def _show(result: DistanceResult) -> None:
    from otoscope.report.numbers import UNKNOWN, significant

    out, name = console(), _NAMES[result.config.metric]
    if result.measures:
        _show_measures(result.measures)
    else:
        out.print(f"{name} {result.distance:.6g}")
    if it := result.interval:
        of = ", of sets of this size" if result.config.metric == "frechet" else ""
        out.print(f"{it.level:.0%} interval over files{of}: {it.low:.4g} to {it.high:.4g}")
    if result.infinity:
        out.print(f"extrapolated to infinitely many excerpts: {result.infinity.value:.6g}")
    out.print(result.about)
    table = Table(box=None, pad_edge=False)
    for heading in ("", "from", "files", "excerpts"):
        table.add_column(heading)
    for name, side in (("real", result.real), ("generated", result.generated)):
        count = side.statistics.count
        table.add_row(name, str(side.path), _number(side.n_files), _number(count))
    out.print(table, soft_wrap=False)
    if result.files:
        columns = ("FAD", "KAD") if result.measures else ("distance",)
        ranked = Table("", "file", "excerpts", *columns, box=None, pad_edge=False)
        for rank, file in enumerate(result.files, 1):
            values = (file.distance, file.kernel_audio)[: len(columns)]
            texts = (UNKNOWN if value is None else significant(value) for value in values)
            ranked.add_row(str(rank), file.file, _number(file.n), *texts)
        out.print(ranked, soft_wrap=False)
    for note in result.notes:
        out.print(note)
    if result.is_of_few and not result.infinity:
        out.print("--metric kernel --interval has bounds without the bias of few files")


def _show_measures(measures: tuple[Measure, ...]) -> None:
    """Print all measures beside each other, and why some have no value or interval."""
    from otoscope.report.numbers import UNKNOWN, significant

    table = Table("measure", "value", "95 %", "meaning", box=None, pad_edge=False)
    reasons: dict[str, list[str]] = {}
    for it in measures:
        value = UNKNOWN if it.value is None else significant(it.value)
        bounds = ""
        if it.low is not None and it.high is not None:
            bounds = f"{significant(it.low)} to {significant(it.high)}"
        table.add_row(it.name, value, bounds, it.meaning)
        if it.reason:
            reasons.setdefault(it.reason, []).append(it.name)
    out = console()
    out.print(table, soft_wrap=False)
    for reason, names in reasons.items():
        out.print(f"{', '.join(names)}: {reason}")


def _number(n: int | None) -> str:
    return "?" if n is None else f"{n:,}"
