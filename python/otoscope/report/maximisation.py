"""The page of a maximised unit: the inputs that drive it, made up and real, to see and to hear."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from otoscope.errors import ParameterError
from otoscope.explain.maximise import MaximisationResult, RankedResult, Ranking
from otoscope.protocols import Patch
from otoscope.records import to_json, versions
from otoscope.report.geometry import Panel, mask_png, mel_ticks, polyline, time_span, time_unit
from otoscope.report.methods.paragraphs import maximisation_methods
from otoscope.report.numbers import Tick, percent, significant, ticks
from otoscope.report.pages import Fact, in_script, save_page, version_facts
from otoscope.report.sounds import Sound, lossless_uri

__all__ = [
    "MaximisationSummary",
    "Side",
    "Specimen",
    "loudness",
    "loudness_scale",
    "save_maximisation",
    "search_cautions",
    "sentence",
    "side",
    "skipped_note",
]

_POINTS = 150  # of a trace, as drawn


@dataclass(frozen=True)
class MaximisationSummary:
    """The unit that was maximised, in words, such as "unit 0 of fc9".

    ``prior`` made the inputs; ``n_real`` real excerpts were searched; ``compared`` names the values
    that the distance compares; ``maximise`` is False if small activations are best.
    """

    unit: str
    model: str
    prior: str
    n_real: int
    maximise: bool = True
    compared: str = "activations"


@dataclass(frozen=True, eq=False)
class Specimen:
    """An input to see and hear, with its activation.

    ``origin`` is the setting that made the input, or file and second; ``of_sound`` is the
    activation by the sound if the sound was made from the spectrogram. The sound's peak is at most
    1. ``wave`` is the path of an input that is a waveform.
    """

    label: str
    patch: Patch
    activation: float
    origin: str
    of_sound: float | None = None
    wave: str = ""


def save_maximisation(
    ranking: Ranking,
    path: str | os.PathLike[str],
    *,
    summary: MaximisationSummary,
    made: Sequence[Specimen],
    real: Sequence[Specimen],
    notes: Sequence[str] = (),
) -> None:
    """Write the page of a maximised unit: one HTML file, with its sounds, that needs no network.

    Parameters
    ----------
    ranking : Ranking
        All settings, the nearest to real excerpts first.
    path : str or PathLike
        File to write, whole or not at all; ends in .html by custom.
    summary : MaximisationSummary
        Unit that was maximised.
    made : sequence of Specimen
        Made-up inputs, the most credible first.
    real : sequence of Specimen
        Real excerpts that drive the unit furthest, the furthest first.
    notes : sequence of str
        Sentences that a reader must know.

    Raises
    ------
    ParameterError
        If ``path`` is a folder, or there is nothing to show.
    OSError
        If the folder is missing or cannot be written.

    Examples
    --------
    >>> save_maximisation(
    ...     ranking, "unit.html", summary=summary, made=made, real=real
    ... )  # doctest: +SKIP
    """
    if not made or not real:
        raise ParameterError(f"there are {len(made)} made-up inputs and {len(real)} real excerpts")
    patch, scale = made[0].patch, loudness_scale([specimen.patch for specimen in real])
    title = f"Real: the furthest of {summary.n_real:,} excerpts"
    page = _MaximisationPage(
        title=f"What drives {summary.unit}?",
        about=" · ".join(filter(None, [summary.model, f"prior {summary.prior}"])),
        sentence=sentence(ranking, summary, made[0].activation, real[0].activation),
        cautions=list(notes),
        sides=[side("made", "Made up", made, scale), side("real", title, real, scale)],
        scale_of="the real excerpts",
        time_ticks=ticks(*time_span(patch), most=5),
        time_unit=time_unit(patch),
        mel_ticks=[tick for tick in mel_ticks(patch) if 5 < tick.at < 95],
        mel_unit="" if patch.mel_hz is None else "Hz",
        charts=_trace_charts(ranking, real[0].activation),
        columns=list(_COLUMNS),
        rows=[_cells(i, ranked) for i, ranked in enumerate(ranking.rows, 1)],
        table_legend=(
            f"The distance compares the {summary.compared} by the best input of each seed with "
            "those by the real excerpts. Seen: seeds with a finite activation; settings that lack "
            "some come last. Failed: seeds that met a NaN or an infinity and stopped."
        ),
        facts=_facts(ranking, summary),
        json=in_script(to_json(_plain(ranking, summary))),
    )
    save_page(page, "maximisation.html", path, methods=maximisation_methods(ranking, summary))


def sentence(ranking: Ranking, summary: MaximisationSummary, made: float, real: float) -> str:
    """Say how far inputs drive the unit, made up and real, and which setting was chosen."""
    text = (
        f"A made-up input drives {summary.unit} {'up' if summary.maximise else 'down'} to "
        f"{significant(made)}; the furthest of {summary.n_real:,} real excerpts, to "
        f"{significant(real)}."
    )
    if len(ranking.rows) == 1:
        return text
    best = ranking.best
    return (
        f"{text} Of {len(ranking.rows)} settings, {best.setting} is nearest to real excerpts "
        f"(Fréchet distance {significant(best.distance)})."
    )


def search_cautions(
    ranking: Ranking,
    made: Specimen,
    real: float,
    *,
    squashed: str | None = None,
) -> list[str]:
    """List reasons for caution.

    ``real`` is the activation by the furthest real excerpt; ``squashed`` is the layer if its
    outputs are probabilities.
    """
    notes = _search_failures([row.result for row in ranking.rows], real)
    if squashed is not None:
        notes.append(
            f"{squashed} gives probabilities: where the model is sure they have no gradient. "
            "The layer before it is the better choice."
        )
    activation, of_sound = made.activation, made.of_sound
    if of_sound is not None and abs(of_sound - activation) > 0.2 * abs(activation):
        notes.append(
            f"The sound made of the spectrogram shown first gives {significant(of_sound)}, not "
            f"{significant(activation)}: no sound has quite this spectrogram."
        )
    if len(ranking.best.result.seeds) == 1:
        notes.append("There is no distance from one search: ask for more seeds.")
    n_lacking = sum(not row.is_complete for row in ranking.rows)
    if n_lacking:
        notes.append(
            f"{n_lacking} settings have seeds without a finite activation: they come last."
        )
    n_failed = sum(row.result.n_failed for row in ranking.rows)
    if n_failed:
        n_searches = sum(len(row.result.seeds) for row in ranking.rows)
        notes.append(f"{n_failed} of {n_searches} searches met a NaN or an infinity and stopped.")
    return notes


def skipped_note(skipped: Mapping[str, ParameterError]) -> list[str]:
    """Count the sound files that could not be used; without any, nothing."""
    if not skipped:
        return []
    name, reason = next(iter(skipped.items()))
    return [f"{len(skipped)} sound files are skipped; the first: {name}: {reason}"]


def _search_failures(results: Sequence[MaximisationResult], real: float) -> list[str]:
    """Say that searches had no gradient, or that all end short of the furthest real excerpt."""
    notes = []
    n_searches = sum(len(result.seeds) for result in results)
    if n_flat := sum(int(result.flat.sum()) for result in results):
        notes.append(
            f"The gradient is 0 from start to end in {n_flat} of {n_searches} searches: there was "
            "nothing to climb. Other seeds or an earlier layer may have a gradient."
        )
    sign = 1 if results[0].maximise else -1
    ends = torch.cat([sign * result.activation for result in results])
    if not bool((ends >= sign * real).any()):
        side = "below" if sign > 0 else "above"
        notes.append(
            f"All {n_searches} searches end {side} the furthest real excerpt: they do not show "
            "what drives the unit. Try a larger rate, more iterations or a smaller penalty."
        )
    return notes


_COLUMNS = (
    "Rank",
    "Rate",
    "Penalty",
    "Iterations",
    "Fréchet distance",
    "Furthest",
    "Mean",
    "Seen",
    "Failed",
)


@dataclass(frozen=True)
class Side:
    """One column of the page: made-up inputs, or real excerpts."""

    title: str
    panels: list[Panel]
    sounds: list[Sound]


@dataclass(frozen=True)
class _TraceChart:
    """The best activation so far of a setting: its seeds as a band, the best of them as a line."""

    label: str
    band: str
    line: str
    real: str
    step_ticks: list[Tick]
    value_ticks: list[Tick]


@dataclass(frozen=True)
class _MaximisationPage:
    """The page of a maximised unit."""

    title: str
    about: str
    sentence: str
    cautions: list[str]
    sides: list[Side]
    scale_of: str
    time_ticks: list[Tick]
    time_unit: str
    mel_ticks: list[Tick]
    mel_unit: str
    charts: list[_TraceChart]
    columns: list[str]
    rows: list[tuple[str, ...]]
    table_legend: str
    facts: list[Fact]
    json: str
    are_sounds: bool = False


def side(key: str, title: str, specimens: Sequence[Specimen], scale: tuple[float, float]) -> Side:
    """Draw and encode specimens as one column of the page, on a scale of loudness."""
    panels, sounds = [], []
    for i, specimen in enumerate(specimens):
        patch, name = specimen.patch, f"{key}-{i}"
        panels.append(
            Panel(
                specimen.label,
                f"Loudness over time and frequency: {title}, {specimen.label}",
                f"picture-{name}",
                mask_png(loudness(patch, scale)),
                tuple(patch.values.shape),
                specimen.wave,
            )
        )
        note = significant(specimen.activation)
        if specimen.of_sound is not None:
            note += f", its sound {significant(specimen.of_sound)}"
        uri = ""
        if patch.y is not None and patch.sr is not None:
            uri = lossless_uri(patch.y, patch.sr)
        sounds.append(Sound(name, specimen.label, f"{note} · {specimen.origin}", 0, 100, uri))
    return Side(title, panels, sounds)


def _log_mel(patch: Patch) -> Tensor:
    values = patch.values.detach().cpu().double()
    return values if patch.domain is None else patch.domain.log_mel(values)


def loudness_scale(patches: Sequence[Patch]) -> tuple[float, float]:
    """Find the levels of an empty and of a full pixel from these excerpts."""
    values = torch.cat([_log_mel(patch).flatten() for patch in patches]).numpy()
    low, high = np.quantile(values, [0.15, 0.999])
    return float(low), max(float(high), float(low) + 1e-9)


def loudness(patch: Patch, scale: tuple[float, float]) -> Tensor:
    """Draw loudness [frame, mel] in [0, 1] on a scale."""
    low, high = scale
    return ((_log_mel(patch) - low) / (high - low)).clamp(0, 1) ** 1.5  # quiet cells recede


def _trace_charts(ranking: Ranking, real: float) -> list[_TraceChart]:
    if len(ranking.rows) == 1:
        return [_trace_chart(str(ranking.best.setting), ranking.best.result, real)]
    return [
        _trace_chart(f"{name}: {row.setting}", row.result, real) for name, row in ranking.landmarks
    ]


def _trace_chart(label: str, result: MaximisationResult, real: float) -> _TraceChart:
    n_steps = result.trace.shape[1]
    steps = np.unique(np.linspace(0, n_steps - 1, _POINTS).round().astype(int))
    rows = result.trace.double().cpu().numpy()[:, steps]
    rows = rows[np.isfinite(rows).all(1)]
    shown = rows if len(rows) else np.full((1, len(steps)), real)
    low, high = min(shown.min(), real), max(shown.max(), real)
    high = max(high, low + 1e-9)
    x = (100 * (steps + 1) / n_steps).tolist()
    edges = np.stack([shown.max(0), shown.min(0)])
    upper, lower = (100 * (edges - low) / (high - low)).tolist()
    return _TraceChart(
        label,
        band=polyline(x + x[::-1], upper + lower[::-1]) + "Z",
        line=polyline(x, upper if result.maximise else lower),
        real=f"M0 {100 * (1 - (real - low) / (high - low))}H100",
        step_ticks=ticks(0, n_steps, most=4),
        value_ticks=ticks(float(low), float(high), most=3),
    )


def _cells(rank: int, ranked: RankedResult) -> tuple[str, ...]:
    """Write the row of a setting, in the order of the columns."""
    activation, setting = ranked.result.activation, ranked.setting
    return (
        f"{rank}",
        f"{setting.rate:g}",
        f"{setting.penalty:g}",
        f"{setting.iterations:,}",
        significant(ranked.distance),
        significant(float(activation[ranked.result.best])),
        significant(float(activation.nanmean())),
        f"{ranked.n_finite} of {len(activation)}",
        f"{ranked.result.n_failed}",
    )


def _facts(ranking: Ranking, summary: MaximisationSummary) -> list[Fact]:
    n_rows = len(ranking.best.result.seeds)
    stopped = float((ranking.best.result.steps < ranking.best.setting.iterations).double().mean())
    return [
        Fact("Model", summary.model),
        Fact("Unit", summary.unit, "" if summary.maximise else "made small"),
        Fact("Prior", summary.prior, "makes the inputs"),
        Fact("Settings", f"{len(ranking.rows)}", f"each from {n_rows} seeds"),
        Fact("Stopped early", percent(stopped), "rows of the best setting"),
        Fact("Real excerpts", f"{summary.n_real:,}"),
        *version_facts(),
    ]


def _plain(ranking: Ranking, summary: MaximisationSummary) -> dict[str, object]:
    rows = [
        {
            "setting": row.setting,
            "distance": row.distance,
            "seen": row.n_finite,
            "activation": row.result.activation,
            "seeds": list(row.result.seeds),
            "failed": row.result.failed,
            "flat": row.result.flat,
        }
        for row in ranking.rows
    ]
    return {"summary": summary, "settings": rows, "versions": versions()}
