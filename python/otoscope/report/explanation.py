"""The page of an explanation."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from dataclasses import dataclass, replace

from otoscope.errors import ParameterError
from otoscope.explain import Explanation, ExplanationReport
from otoscope.report.charts import (
    OutputChart,
    OutputCurve,
    SegmentBar,
    output_chart,
    segment_bars,
)
from otoscope.report.decisive import (
    DecisiveView,
    InteractionRow,
    decisive_view,
    interaction_rows,
)
from otoscope.report.geometry import (
    TimeSpan,
    loudness_png,
    mel_ticks,
    outline,
    time_span,
    time_spans,
    time_unit,
    waveform,
)
from otoscope.report.methods.paragraphs import explanation_methods
from otoscope.report.numbers import UNKNOWN, Tick, decimals, number, significant, ticks
from otoscope.report.pages import Fact, in_script, save_page, version_facts
from otoscope.report.sentences import cautions, others, sentence
from otoscope.report.sounds import Sound, has_sound, segment_sounds, source_players

__all__ = [
    "Cells",
    "ExplanationPage",
    "content_in_words",
    "explanation_page",
    "facts",
    "measure_facts",
    "save_html",
    "segment_cells",
]

_LOCALISED = {
    "roc_auc": ("ROC AUC", "0.5 is chance"),
    "relaxed_auc": ("Relaxed AUC", "without the edges of the truth"),
    "iou": ("Overlap", "intersection over union with as many cells"),
    "pointing_game": ("Pointing game", "1: the highest cell lies in the truth"),
}
_BARS = {
    "shapley": "Bars: Shapley values, estimated.",
    "importance": "Bars: importances in the surrogate, with the sign of the effect; "
    "their sizes sum to 1.",
}


def save_html(
    explanation: Explanation,
    path: str | os.PathLike[str],
    *,
    curve: OutputCurve | None = None,
    title: str | None = None,
    truth: Sequence[tuple[float, float]] | None = None,
    notes: Sequence[str] = (),
    measures: ExplanationReport | None = None,
) -> None:
    """Write an explanation as one HTML file, with its sounds, that needs no network.

    Parameters
    ----------
    explanation : Explanation
        Explanation of the target to show; ``explanation["speech"]`` shows another.
    path : str or PathLike
        File to write, whole or not at all; ends in .html by custom.
    curve : OutputCurve, optional
        Outputs over time around the excerpt.
    title : str, optional
        Heading, a file's name for example. Any text; it is escaped.
    truth : sequence of (start, end), optional
        Seconds of the recording in which the target is present, drawn below the spectrogram.
    notes : sequence of str
        Sentences to print with the cautions.
    measures : ExplanationReport, optional
        Measures of the explanation to print, see `explanation_report`.

    Raises
    ------
    ParameterError
        If ``path`` is a folder, ``curve`` is not an OutputCurve, or ``truth`` is not rising pairs
        of seconds or comes with a patch that does not know its seconds.
    OSError
        If the folder is missing or cannot be written.

    Examples
    --------
    >>> import tempfile, torch
    >>> from pathlib import Path
    >>> from otoscope.explain import SoundLIME, segments
    >>> lime = SoundLIME(
    ...     torch.nn.Flatten(), segments=segments.temporal(5), content=0.0, target=4
    ... )
    >>> path = Path(tempfile.mkdtemp()) / "why.html"
    >>> save_html(lime.explain(torch.ones(10, 3)), path)
    >>> path.read_text()[:15]
    '<!doctype html>'
    """
    if not isinstance(explanation, Explanation):
        raise ParameterError(
            f"explanation is {type(explanation).__name__}, must be an Explanation; other results "
            "have report.save_interrogation, save_adversary (of attack.evaluate) and "
            "save_maximisation"
        )
    if curve is not None and not isinstance(curve, OutputCurve):
        raise ParameterError(
            f"curve is {type(curve).__name__}, must be otoscope.report.OutputCurve"
        )
    page = explanation_page(explanation, curve, title, truth, notes)
    facts = [] if measures is None else measure_facts(measures)
    made = explanation_methods(
        [vars(explanation.settings)],
        [explanation.target],
        [explanation.n_coalitions],
        explanation.versions,
    )
    save_page(replace(page, measures=facts), "explanation.html", path, methods=made)


@dataclass(frozen=True)
class Cells:
    """A segment of the spectrogram: its outline, colour and style, and the row in words."""

    segment: int
    outline: str
    side: str
    opacity: str
    box: str
    spoken: str


@dataclass(frozen=True)
class ExplanationPage:
    """The page of an explanation."""

    title: str
    about: str
    others: str
    sentence: str
    cautions: list[str]
    sounds: list[Sound]
    listening_note: str
    sources: list[Sound]
    target: str
    spectrogram: str
    size: tuple[int, ...]
    cells: list[Cells]
    time_unit: str
    time_ticks: list[Tick]
    mel_unit: str
    mel_ticks: list[Tick]
    waveform: str
    truth: list[TimeSpan] | None
    bars: list[SegmentBar]
    bars_legend: str
    chart: OutputChart | None
    decisive: DecisiveView | None
    interactions: list[InteractionRow]
    measures: list[Fact]
    facts: list[Fact]
    json: str


def content_in_words(explanation: Explanation) -> str:
    """Describe the content that replaced a segment; by its name if it has no description."""
    settings = explanation.settings
    return settings.content_description or f"“{settings.content}”"


def facts(explanation: Explanation) -> list[Fact]:
    """List settings, measures and versions."""
    settings, none = explanation.settings, explanation.output_none
    kernel = Fact("Kernel", "Shapley", "the smallest and largest coalitions count most")
    if settings.kernel != "shapley":
        width = f"{settings.kernel}, width {settings.kernel_width:g}"
        kernel = Fact("Kernel", width, "coalitions near the whole excerpt count more")
    surrogate = "fitted to the model’s outputs"
    if settings.surrogate.startswith("WeightedRidge"):
        surrogate += ": least squares, alpha pulls towards 0"
    return [
        *([Fact("Model", settings.model)] if settings.model else []),
        Fact("Segments", settings.segments),
        Fact(
            "Content",
            f"{settings.content} ({settings.content_space})",
            "replaces the occluded segments",
        ),
        Fact("Design", f"{settings.design}, seed {settings.seed}", "choice of the coalitions"),
        Fact("Coalitions", f"{explanation.n_coalitions:,} for {explanation.n_samples:,} samples"),
        Fact(
            "Passes",
            significant(explanation.passes),
            "work of the model, in evaluations of one excerpt",
        ),
        kernel,
        Fact("Surrogate", settings.surrogate, surrogate),
        Fact(
            "R²",
            UNKNOWN if explanation.is_saturated else decimals(explanation.r2, 3),
            "fraction of the outputs’ variance that the sum explains",
        ),
        Fact(
            "Named from",
            f"R² {settings.min_r2:g}, change {settings.min_change:g}",
            "below these no segment is said to matter",
        ),
        Fact("Error at the excerpt", number(explanation.local_error), "sum against model"),
        Fact(
            "Effective samples",
            f"{explanation.effective_samples:.1f}",
            "equally weighted outputs that would be as good",
        ),
        *([Fact("Link", settings.link, "scale of the outputs")] * (settings.link != "identity")),
        Fact("Output, all kept", significant(explanation.output_all, 4)),
        Fact("Output, none kept", "not computed" if none is None else significant(none, 4)),
        Fact("Intercept", significant(explanation.intercept, 4), "where the sum starts"),
        *version_facts(explanation.versions),
    ]


def explanation_page(
    explanation: Explanation,
    curve: OutputCurve | None = None,
    title: str | None = None,
    truth: Sequence[tuple[float, float]] | None = None,
    notes: Sequence[str] = (),
) -> ExplanationPage:
    """Compute everything that the page shows; arguments as for `save_html`."""
    patch, bars = explanation.patch, segment_bars(explanation)
    sounds, sources = segment_sounds(explanation), source_players(explanation)
    given = content_in_words(explanation)
    listening_note = ""
    if sounds and explanation.mixture is not None:
        listening_note = f"You hear what the model heard: {given} replaces the other components."
    elif any(sound.key == "rest" for sound in sounds):
        listening_note = (
            f"In the players occluded segments are silent; the model was given {given}."
        )
    return ExplanationPage(
        title=title or f"Why “{explanation.target}”?",
        about=_about(explanation),
        others=_others(explanation),
        sentence=sentence(explanation),
        cautions=[*notes, *cautions(explanation)],
        sounds=sounds,
        listening_note=listening_note,
        sources=sources,
        target=explanation.target,
        spectrogram=loudness_png(patch),
        size=tuple(patch.values.shape),
        cells=segment_cells(explanation, bars),
        time_unit=time_unit(patch),
        time_ticks=ticks(*time_span(patch)),
        mel_unit="" if patch.mel_hz is None else "Hz",
        mel_ticks=mel_ticks(patch),
        waveform=waveform(patch) if has_sound(patch) else "",
        truth=None if truth is None else time_spans(patch, truth),
        bars=bars,
        bars_legend=_bars_legend(explanation, bars),
        chart=None if curve is None else output_chart(curve, explanation),
        decisive=decisive_view(explanation),
        interactions=interaction_rows(explanation),
        measures=[],
        facts=facts(explanation),
        json=in_script(explanation.to_json(patch=False)),
    )


def segment_cells(explanation: Explanation, bars: Sequence[SegmentBar]) -> list[Cells]:
    """Describe the segments of the spectrogram in the order of their ids."""
    cells = []
    for bar in sorted(bars, key=lambda bar: bar.segment):
        path = outline(explanation.segment_ids == bar.segment)
        opacity = f"{0.9 * bar.strength**0.75:.3f}"
        box = " box" if path.count("M") == 1 else ""
        cells.append(Cells(bar.segment, path, bar.side, opacity, box, bar.spoken))
    return cells


def _bars_legend(explanation: Explanation, bars: Sequence[SegmentBar]) -> str:
    """Explain what the bars, diamonds and lines show."""
    parts = [_BARS.get(explanation.measure, "Bars: coefficients of the surrogate.")]
    if max(bar.strength for bar in bars) < 0.999:
        parts.append("All are small against the output; so are the bars.")
    if bars[0].shapley is not None:
        parts.append("Diamonds: Shapley values.")
    if bars[0].error:
        parts.append("Lines: two standard errors to each side, for another draw of samples.")
    elif explanation.design == "exact":
        parts.append(
            f"All {explanation.n_coalitions:,} coalitions were evaluated: no sampling error."
        )
    return " ".join(parts)


def _about(explanation: Explanation) -> str:
    """Name the excerpt, the model and the output."""
    patch = explanation.patch
    start, end = time_span(patch)
    excerpt = "" if patch.duration is None else f"Excerpt {start:.2f}–{end:.2f} s"
    output = f"output “{explanation.target}”"
    return " · ".join(filter(None, [excerpt, explanation.settings.model, output]))


def _others(explanation: Explanation) -> str:
    """Tell the targets that the page does not show, and how to see one; empty if there are none."""
    names = [target for target in explanation.targets if target != explanation.target]
    if not names:
        return ""
    return f"{others(explanation)} A page shows one: save explanation[{names[0]!r}] for another."


def measure_facts(measures: ExplanationReport) -> list[Fact]:
    """List the measures; those that were not made are left out."""
    told, stable = measures.faithfulness, measures.stability
    facts = [
        Fact("Deletion", _text(told.deletion_auc), "mean output as the strongest leave; low"),
        Fact("Insertion", _text(told.insertion_auc), "mean output as the strongest return; high"),
        Fact("Faithfulness correlation", _text(told.correlation), "of sums with falls; 1 is best"),
        Fact("Average drop", _text(told.drop), "fraction lost with the named alone; low"),
        Fact("Average gain", _text(told.gain), "rise with the named alone; high"),
        Fact("Average increase", str(int(told.increase)), "1: higher with the named alone"),
        Fact("Fidelity (FF)", _text(told.fidelity), "fall without the named; high"),
        Fact("Sparseness (SPS)", _text(measures.sparseness), "Gini index; 0: all alike"),
        Fact("Complexity (COMP)", _text(measures.complexity), "entropy in nats; low is simple"),
    ]
    if stable is not None:
        for name, value in (
            ("Stability, seeds", stable.seeds),
            ("Stability, shifted segments", stable.shift),
            ("Stability, noise", stable.noise),
        ):
            if value is not None:
                facts.append(Fact(name, _text(value), "rank correlation; 1 is best"))
    for layer, value in measures.weights.items():
        note = "rank correlation with weights replaced from the last layer to this; low"
        facts.append(Fact(f"Weights to {layer}", _text(value), note))
    for key, found in measures.localisation.items():
        name, note = _LOCALISED[key]
        facts.append(Fact(name, UNKNOWN if found is None else _text(found), note))
    return facts


def _text(value: float) -> str:
    if not math.isfinite(value):
        return UNKNOWN
    return number(value) if abs(value) < 0.005 else decimals(value)
