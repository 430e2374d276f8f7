"""otoscope evaluate: frame-wise scores of a singing-voice detector."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from otoscope.cli.options import INPUT, METHOD, MODEL, Config, Device, Json, Model
from otoscope.cli.output import bars, console, is_printed, write_json

if TYPE_CHECKING:
    from otoscope.workflows import EvaluateResult

__all__ = ["evaluate"]

_CONFIG = Config("workflows.singing.evaluate", "EvaluateConfig")


def evaluate(  # noqa: PLR0913 - a command has the options it has
    model: Model,
    songs: Annotated[
        Path | None,
        typer.Argument(
            metavar="[SONGS]",
            help="Annotated songs: a folder of otoscope corpus singing, or Jamendo's dataset.",
        ),
    ] = None,
    instrumental: Annotated[
        Path | None, _CONFIG.option("instrumental", rich_help_panel=INPUT)
    ] = None,
    validation: Annotated[Path | None, _CONFIG.option("validation", rich_help_panel=INPUT)] = None,
    threshold: Annotated[float, _CONFIG.option("threshold")] = _CONFIG["threshold"],
    output: Annotated[str | None, _CONFIG.option("output", rich_help_panel=MODEL)] = None,
    median: Annotated[float, _CONFIG.option("median")] = _CONFIG["median"],
    hop: Annotated[int, _CONFIG.option("hop", rich_help_panel=METHOD)] = _CONFIG["hop"],
    frame_time: Annotated[str, _CONFIG.option("frame_time")] = _CONFIG["frame_time"],
    json_path: Json = None,
    device: Device = _CONFIG["device"],
) -> None:
    """Evaluate a singing-voice detector frame by frame: precision, recall, F1, error.

    Probabilities are smoothed by a running median, and the frames of all songs are counted
    together, as in Schlueter and Grill (2015).

    Example: otoscope evaluate corpus --model synth-singing --validation other-corpus
    """
    from otoscope.workflows import EvaluateConfig, evaluate_detector

    config = EvaluateConfig(
        songs,
        model,
        instrumental,
        validation,
        threshold,
        output,
        median,
        hop,
        frame_time,
        device,
    )
    with bars() as progress:
        result = evaluate_detector(config, progress=progress)
    write_json(result.to_dict(), json_path)
    if not is_printed(json_path):
        _show(result)


def _show(result: EvaluateResult) -> None:
    out = console()
    out.print(f"model: {result.model}")
    if result.scores:
        table = Table(box=None, pad_edge=False)
        for heading in ("song", "precision", "recall", "specificity", "F1", "error"):
            table.add_column(heading, justify="left" if heading == "song" else "right")
        rows = [(song.name, song.scores) for song in result.songs]
        for name, scores in [*rows, ("all frames", result.scores)]:
            values = (
                scores.precision,
                scores.recall,
                scores.specificity,
                scores.f1,
                scores.error,
            )
            table.add_row(name, *(f"{value:.3f}" for value in values))
        out.print(table, soft_wrap=False)
        out.print(f"{result.scores.n_frames} frames, threshold {result.threshold:g}")
    if result.instrumental:
        minutes = sum(song.seconds for song in result.instrumental) / 60
        out.print(
            f"Without voice: {result.alarms_per_minute:.2f} false alarms per minute, "
            f"{100 * result.alarm_fraction:.1f} % of the frames, in {minutes:.1f} minutes"
        )
