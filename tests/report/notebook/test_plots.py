"""Figures of results: on the axes given, labelled with units, with the numbers of the result."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import matplotlib as mpl
import pytest
import torch
from matplotlib.figure import Figure

from otoscope.errors import ParameterError
from otoscope.protocols import Patch
from tests.report.notebook.test_tops import (
    attacked,
    interrogated,
    maximised_listener,
    maximised_sound,
)
from tests.support.interrogations import HORSE
from tests.support.maximisations import maximised
from tests.support.reports import explain


@pytest.fixture(autouse=True)
def _no_window() -> Iterator[None]:
    """Draw without a screen, and leave no figure of pyplot open."""
    mpl.use("agg")
    yield
    from matplotlib import pyplot

    pyplot.close("all")


def explained() -> Any:
    return explain({2: 0.5, 3: -0.2})


FIGURES: list[tuple[Callable[[], Any], str, str, str]] = [
    (explained, "spectrogram", "Time (s)", "Frequency (Hz)"),
    (explained, "bars", "Shapley value", "Segment"),
    (attacked, "confidence", "Step", "Confidence in the aim"),
    (attacked, "spectrum", "Frequency (Hz)", "Power spectral density (dB re full scale² per Hz)"),
    (interrogated, "scores", "Mean recall", "Change (open: placebo)"),
    (interrogated, "tempo", "Dose of tempo (%)", "Mean recall"),
    (maximised_listener, "input", "Time (s)", "Frequency (Hz)"),
    (maximised_sound, "input", "Time (s)", "Amplitude"),
    (maximised_sound, "spectrogram", "Time (s)", "Frequency (Hz)"),
    (maximised_listener, "trace", "Iteration", "Activation of"),
]


@pytest.mark.parametrize(("make", "kind", "x", "y"), FIGURES)
def test_a_figure_is_drawn_on_the_axes_given_and_saves_with_its_text(
    make: Callable[[], Any], kind: str, x: str, y: str
) -> None:
    ax = Figure().subplots()
    assert make().plot(kind, ax=ax) is ax
    x = x if kind != "bars" else {"coefficient": "Coefficient"}.get(make().measure, x)
    assert ax.get_xlabel() == x
    assert ax.get_ylabel().startswith(y)
    assert ax.has_data()
    with mpl.rc_context({"svg.fonttype": "none"}):
        for kind_of_file in ("svg", "pdf"):
            file = io.BytesIO()
            ax.figure.savefig(file, format=kind_of_file)
            assert file.getvalue()
            if kind_of_file == "svg":
                assert x in file.getvalue().decode()


@pytest.mark.parametrize(
    ("make", "kind"),
    [(explained, "spectrogram"), (attacked, "confidence"), (interrogated, "scores")],
)
def test_by_default_the_first_kind_on_new_axes(make: Callable[[], Any], kind: str) -> None:
    first, second = make().plot(), make().plot(kind)
    assert first is not second
    assert first.get_xlabel() == second.get_xlabel()


def test_a_name_is_text_and_no_formula() -> None:
    explanation = explained()
    fits = tuple(replace(fit, target="a $\\frac$ b") for fit in explanation.fits)
    ax = replace(explanation, fits=fits).plot("bars")
    ax.figure.savefig(io.BytesIO(), format="svg")
    assert ax.get_title().startswith("a $\\frac$ b")


def test_bars_and_colours_are_the_coefficients() -> None:
    explanation = explained()
    bars = explanation.plot("bars")
    assert [bar.get_width() for bar in bars.patches] == explanation.coefficients.tolist()
    labels = [label.get_text() for label in bars.get_yticklabels()]
    assert labels[2] == "3.00–3.50\N{NO-BREAK SPACE}s"
    image = explanation.plot("spectrogram").images[1].get_array()
    assert image[0, 25] == pytest.approx(float(explanation.coefficients[2]))
    assert image.shape == (40, 100)


def test_a_patch_without_units_is_in_frames_and_bands() -> None:
    explanation = explain({1: 1.0}, of=Patch(torch.rand(100, 8)))
    ax = explanation.plot()
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("Frame", "Mel band")
    assert attacked(1, sr=None).plot("spectrum").get_xlabel() == "Frequency (cycles per sample)"


def test_scores_and_traces_are_those_of_the_result() -> None:
    ax: Any = HORSE.plot()
    values = [float(line.get_xdata()[0]) for line in ax.lines if line.get_marker() == "o"]
    points = [p for curve in HORSE.curves for p in (*curve.points, *curve.placebo)]
    assert values == [HORSE.baseline.value, *(point.score.value for point in points)]
    result = maximised_listener()
    traced: Any = result.plot()
    assert list(traced.lines[0].get_ydata()) == pytest.approx(result.trace[result.best].tolist())
    sound = maximised_sound()
    drawn: Any = sound.plot("input")
    assert list(drawn.lines[0].get_ydata()) == sound.input[sound.best].flatten().tolist()
    assert drawn.lines[0].get_xdata()[-1] == pytest.approx(899 / 8000)
    assert maximised_sound(None).plot("spectrogram").get_xlabel() == "Sample"


def test_what_cannot_be_drawn_is_an_error_with_its_remedy() -> None:
    with pytest.raises(ParameterError, match="kind is 'pie', must be one of spectrogram, bars"):
        explained().plot("pie")
    with pytest.raises(ParameterError, match="must be one of scores, tempo, gain, high-pass"):
        HORSE.plot("pitch")
    with pytest.raises(ParameterError, match="ax is Figure, must be axes of matplotlib"):
        HORSE.plot(ax=Figure())  # type: ignore[arg-type]
    with pytest.raises(ParameterError, match="no search met a finite activation"):
        maximised([float("nan")], 0.1).plot()
    with pytest.raises(ParameterError, match=r"an input is \[1\]; one spectrogram"):
        maximised([1.0], 0.1).plot("input")
    assert replace(maximised([1.0, 2.0], 0.1), maximise=False).best == 0
