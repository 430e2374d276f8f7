"""Figures of results for papers: matplotlib axes with labels and units.

A figure is drawn on given axes or on new ones, and saved by matplotlib: SVG and PDF keep its text.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import singledispatch
from typing import Any

import torch
from torch import Tensor

from otoscope.attack import AttackResult
from otoscope.errors import ParameterError
from otoscope.explain import Explanation
from otoscope.explain.maximise import MaximisationResult
from otoscope.intervene.interrogation.result import InterrogationResult
from otoscope.protocols import Patch
from otoscope.report.figures import COLOURS
from otoscope.report.geometry import mel_ticks, time_span, time_unit
from otoscope.report.interrogation.dose_charts import draw_dose_curve
from otoscope.report.interrogation.text import metric_name, typeset
from otoscope.report.notebook.tops import is_plane, is_waveform, patch_of
from otoscope.report.numbers import significant
from otoscope.report.sentences import place

__all__ = ["plot"]

_MEASURES = {
    "coefficient": "Coefficient",
    "importance": "Signed importance",
    "shapley": "Shapley value",
}
_BLUE, _ORANGE, _GREY = COLOURS[0], COLOURS[1], COLOURS[3]


@singledispatch
def plot(result: object, kind: str | None, ax: Any) -> Any:
    """Draw a result on axes.

    Parameters
    ----------
    result : Explanation, AttackResult, InterrogationResult or MaximisationResult
        Result to draw.
    kind : str, optional
        Kind of figure; see `otoscope.display.Shown.plot`.
    ax : Axes, optional
        Axes of matplotlib; new ones by default.

    Returns
    -------
    Axes
        The axes.

    Examples
    --------
    >>> from otoscope.explain import SoundLIME
    >>> lime = SoundLIME(torch.nn.Flatten(), segments="temporal:4", content=0.0, target=3)
    >>> plot(lime.explain(torch.ones(4, 1)), "bars", None).get_xlabel()
    'Coefficient'
    """
    raise TypeError(f"{type(result).__name__} has no figure")


@plot.register
def _(result: Explanation, kind: str | None, ax: Any) -> Any:
    is_picture = _chosen(kind, ("spectrogram", "bars")) == "spectrogram"
    ax = _axes(ax)
    measure, values = _MEASURES[result.measure], result.coefficients
    if not is_picture:
        labels = [place(result, extent) for extent in result.extents]
        errors = None if result.standard_error is None else (2 * result.standard_error).tolist()
        colours = [_ORANGE if value >= 0 else _BLUE for value in values.tolist()]
        ax.barh(range(len(labels)), values.tolist(), xerr=errors, color=colours, ecolor=_GREY)
        ax.set_yticks(range(len(labels)), labels)
        ax.invert_yaxis()
        ax.axvline(0, color="black", linewidth=0.8)
        ax.set_xlabel(measure)
        ax.set_ylabel("Segment")
    else:
        _draw_spectrogram(ax, result.patch)
        largest = float(values.abs().max()) or 1.0
        (start, end), n_bands = time_span(result.patch), result.patch.values.shape[1]
        drawn = ax.imshow(
            values[result.segment_ids.long()].T.numpy(),
            extent=(start, end, 0, n_bands),
            **{"origin": "lower", "aspect": "auto", "interpolation": "nearest"},
            **{"cmap": _diverging(), "vmin": -largest, "vmax": largest, "alpha": 0.55},
        )
        ax.figure.colorbar(drawn, ax=ax, label=measure)
    ax.set_title(f"{result.target}: {significant(result.output_all)}", parse_math=False)
    return ax


@plot.register
def _(result: AttackResult, kind: str | None, ax: Any) -> Any:
    of_steps = _chosen(kind, ("confidence", "spectrum")) == "confidence"
    ax = _axes(ax)
    if of_steps:
        for i, row in enumerate(result.confidence.detach().cpu()):
            known = row[: int(result.iterations[i]) + 1].tolist()
            ax.plot(known, marker=".", label=f"sound {i}: {float(result.snr_db[i]):.1f} dB")
        ax.set(xlabel="Step", ylabel="Confidence in the aim", ylim=(-0.02, 1.02))
    else:
        row, sr = result.shown, result.sr
        sounds = {"original": result.original[row], "difference": result.difference[row]}
        for (label, y), colour in zip(sounds.items(), (_BLUE, _ORANGE), strict=True):
            ax.plot(*_spectrum(y, sr or 1.0), color=colour, label=label, linewidth=1)
        unit = "Hz" if sr else "cycles per sample"
        ax.set(
            xlabel=f"Frequency ({unit})",
            ylabel="Power spectral density (dB re full scale² per Hz)"
            if sr
            else "Power spectral density (dB)",
            title=f"sound {row}: {float(result.snr_db[row]):.1f} dB",
        )
    if len(result.sound) <= 10 or not of_steps:
        ax.legend(frameon=False)
    return ax


@plot.register
def _(result: InterrogationResult, kind: str | None, ax: Any) -> Any:
    curves = {curve.name: curve for curve in result.curves}
    chosen = _chosen(kind, ("scores", *curves))
    ax, metric = _axes(ax), metric_name(result).capitalize()
    limit = result.baseline.value - result.max_change
    if chosen != "scores":
        curve = curves[chosen]
        draw_dose_curve(ax, curve, result.baseline, colour=_BLUE, label=curve.name)
        _mark(ax.axhline, result, limit if curve.label_preserving else None)
        dose = f"Dose of {curve.name}" + (f" ({curve.unit})" if curve.unit else "")
        ax.set(xlabel=dose, ylabel=metric, ylim=(-0.02, 1.02))
    else:
        rows = [("unchanged", result.baseline, _GREY, "full")]
        for curve in result.curves:
            colour = _BLUE if curve.label_preserving else _ORANGE
            for style, points in (("full", curve.points), ("none", curve.placebo)):
                rows += [(typeset(p.intervention), p.score, colour, style) for p in points]
        for y, (_, score, colour, style) in enumerate(rows):
            ax.plot([score.low, score.high], [y, y], color=colour, linewidth=1)
            ax.plot(score.value, y, "o", color=colour, fillstyle=style, markersize=5)
        _mark(ax.axvline, result, limit)
        ax.set_yticks(range(len(rows)), [name for name, *_ in rows])
        ax.invert_yaxis()
        ax.set(xlabel=metric, ylabel="Change (open: placebo)", xlim=(-0.02, 1.02))
    ax.legend(frameon=False, fontsize="small")
    return ax


@plot.register
def _(result: MaximisationResult, kind: str | None, ax: Any) -> Any:
    kind = _chosen(kind, ("trace", "input", "spectrogram"))
    if not result.order:
        raise ParameterError(f"no search met a finite activation of {result.unit}: nothing to draw")
    best = result.best
    if kind == "trace":
        ax, trace = _axes(ax), result.trace[result.order].double().cpu()
        steps = torch.arange(1, trace.shape[1] + 1)
        low, high = trace.nan_to_num(torch.inf).amin(0), trace.nan_to_num(-torch.inf).amax(0)
        label = f"{len(trace)} searches"
        ax.fill_between(steps, low, high, color=_BLUE, alpha=0.2, linewidth=0, label=label)
        ax.plot(steps, trace[0], color=_BLUE, label="best")
        ax.set(xlabel="Iteration", title=str(result.setting))
        ax.set_ylabel(f"Activation of {result.unit}", parse_math=False)
        ax.legend(frameon=False)
        return ax
    values = result.input[best].detach().cpu()
    is_sound = is_waveform(values)
    if not is_sound and not is_plane(values):
        raise ParameterError(
            f"an input is {list(values.shape)}; one spectrogram [1, frame, mel] or one waveform "
            "[sample] can be drawn"
        )
    ax = _axes(ax)
    if is_sound and kind == "input":
        ax.plot(torch.arange(values.numel()) / (result.sr or 1), values.flatten(), linewidth=0.8)
        ax.set(xlabel="Time (s)" if result.sr else "Sample", ylabel="Amplitude")
    else:
        _draw_spectrogram(ax, patch_of(result, values, None))
    title = f"{result.unit}: {significant(float(result.activation[best]))}"
    ax.set_title(title, parse_math=False)
    return ax


def _chosen(kind: str | None, kinds: Sequence[str]) -> str:
    if kind is not None and kind not in kinds:
        raise ParameterError(f"kind is {kind!r}, must be one of {', '.join(kinds)}")
    return kinds[0] if kind is None else kind


def _axes(ax: Any) -> Any:
    """Check the given axes, or make new ones in a figure of a column's width."""
    if ax is None:
        from matplotlib import pyplot

        return pyplot.subplots(figsize=(5.5, 3.5), layout="constrained")[1]
    if not hasattr(ax, "fill_between"):
        raise ParameterError(f"ax is {type(ax).__name__}, must be axes of matplotlib: one Axes")
    return ax


def _draw_spectrogram(ax: Any, patch: Patch) -> None:
    values = patch.values.detach().cpu().double()
    values = values if patch.domain is None else patch.domain.log_mel(values)
    (start, end), n_bands = time_span(patch), values.shape[1]
    ax.imshow(
        values.T.numpy(),
        extent=(start, end, 0, n_bands),
        **{"origin": "lower", "aspect": "auto", "interpolation": "nearest", "cmap": "gray_r"},
    )
    marks = mel_ticks(patch)
    ax.set_yticks([tick.at / 100 * n_bands for tick in marks], [tick.label for tick in marks])
    unit = time_unit(patch)
    ax.set_xlabel("Time (s)" if unit == "s" else unit.capitalize())
    ax.set_ylabel("Mel band" if patch.mel_hz is None else "Frequency (Hz)")


def _diverging() -> Any:
    """Return the colours of the report: blue against, orange for the output."""
    from matplotlib.colors import LinearSegmentedColormap

    return LinearSegmentedColormap.from_list("otoscope", [_BLUE, "#ffffff", _ORANGE])


def _mark(line: Any, result: InterrogationResult, limit: float | None) -> None:
    """Draw the reference scores as lines."""
    line(result.baseline.value, color="black", linewidth=0.8, label="unchanged")
    if limit is not None:
        line(limit, color=_ORANGE, linewidth=0.8, linestyle="--", label="bound")
    if result.chance is not None:
        line(result.chance.mean, color=_GREY, linewidth=0.8, linestyle=":", label="chance")


def _spectrum(y: Tensor, sr: float) -> tuple[Any, Any]:
    """Estimate the power spectral density in dB by Welch's method."""
    import numpy as np
    from scipy.signal import welch

    samples = y.detach().cpu().double().numpy()
    frequencies, density = welch(samples, fs=sr, nperseg=min(2048, len(samples)))
    return frequencies, 10 * np.log10(np.maximum(density, 1e-30))
