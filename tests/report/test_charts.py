"""Drawings of a report: bars, outlines, axes and waveform, from numbers to places."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.ticker import MaxNLocator

from otoscope.explain import Explanation
from otoscope.report import save_html
from otoscope.report.charts import OutputCurve, output_chart, segment_bars
from otoscope.report.geometry import mel_ticks, outline, waveform
from otoscope.report.numbers import ticks
from tests.support.examples import examples
from tests.support.reports import BANDS, FRAMES, HOP, explain, patch

THREE = {2: 0.5, 3: 0.2, 7: 0.2}


@pytest.fixture(scope="module")
def three() -> Explanation:
    return explain(THREE)


def test_bars_are_coefficients_in_order(three: Explanation) -> None:
    rows = segment_bars(three)
    assert rows[0].segment == 2
    assert [row.value for row in rows[:4]] == ["+0.50", "+0.20", "+0.20", "0.00"]
    width = [row.span[1] - row.span[0] for row in rows]
    assert width[1] / width[0] == pytest.approx(0.4)
    assert rows[0].place == "3.00–3.50\N{NO-BREAK SPACE}s"


def test_bars_against_the_output_go_the_other_way() -> None:
    rows = segment_bars(explain({0: 0.3, 1: -0.1}))
    assert (rows[0].side, rows[-1].side) == ("for", "against")
    assert rows[0].span == pytest.approx((25, 100))
    assert rows[-1].span == pytest.approx((0, 25))
    assert rows[-1].value == "\N{MINUS SIGN}0.10"


def test_bars_show_two_standard_errors_where_there_are_any(three: Explanation) -> None:
    drawn = explain(THREE, design="permutation", n_samples=330)
    assert drawn.standard_error is not None
    assert all(row.error is None for row in segment_bars(three))
    wide = replace(drawn.fits[0], standard_error=torch.full((10,), 0.05).double())
    row = segment_bars(replace(drawn, fits=(wide,)))[0]
    assert row.error is not None
    unit = (row.span[1] - row.span[0]) / 0.5
    assert row.error[1] - row.error[0] == pytest.approx(0.2 * unit, rel=1e-3)
    for effective_samples, has_error in ((19.0, False), (20.0, True)):
        few = replace(drawn, fits=(wide,), effective_samples=effective_samples)
        assert (segment_bars(few)[0].error is not None) == has_error


def test_effects_tiny_against_the_output_are_drawn_tiny(tmp_path: Path) -> None:
    untrained = explain({2: 0.0006, 5: -0.0006}, offset=0.63)
    rows = segment_bars(untrained)
    assert max(row.strength for row in rows) == pytest.approx(0.0006 / (0.63 / 20), rel=1e-3)
    assert all(row.span[1] - row.span[0] < 3 for row in rows)
    save_html(untrained, tmp_path / "why.html")
    assert "small against the output" in (tmp_path / "why.html").read_text("utf-8")


def test_every_bar_begins_at_the_zero_line() -> None:
    for row in segment_bars(explain({0: 0.3, 1: -0.1})):
        assert row.zero in (pytest.approx(row.span[0]), pytest.approx(row.span[1]))


def test_shapley_values_are_drawn_unless_they_are_the_bars(three: Explanation) -> None:
    at_bars_end = segment_bars(three)[0]
    assert at_bars_end.shapley == pytest.approx(at_bars_end.span[1], abs=0.1)  # additive model
    assert segment_bars(explain(THREE, design="kernelshap", n_samples=100))[0].shapley is None


@given(st.lists(st.lists(st.booleans(), min_size=3, max_size=3), min_size=1, max_size=6))
def test_outline_covers_the_cells_and_no_others(rows: list[list[bool]]) -> None:
    cells = torch.tensor(rows)
    covered = torch.zeros(len(rows), 3, dtype=torch.int64)
    for box in re.findall(r"M(\d+) (\d+)H(\d+)V(\d+)H\d+Z", outline(cells)):
        left, top, right, bottom = map(int, box)
        covered[left:right, 3 - bottom : 3 - top] += 1
    assert torch.equal(covered, cells.long())


def test_ticks_are_round_and_where_they_say() -> None:
    assert [(tick.label, tick.at) for tick in ticks(1.0, 3.0, most=4)] == [
        ("1", 0.0),
        ("1.5", 25.0),
        ("2", 50.0),
        ("2.5", 75.0),
        ("3", 100.0),
    ]


@given(st.integers(-999, 999), st.integers(1, 999), st.sampled_from([3, 4, 5, 6, 8]))
@examples(200)
def test_ticks_are_those_of_matplotlib(first: int, length: int, most: int) -> None:
    low, size = first * np.pi, length * np.e  # no round number, where rounding decides
    locator = MaxNLocator(nbins=most, steps=[1, 2, 5, 10])
    at = 100 * (np.array(locator.tick_values(low, low + size)) - low) / size
    ours = np.array([tick.at for tick in ticks(low, low + size, most=most)])
    np.testing.assert_allclose(ours, at[(at > -1e-7) & (at < 100 + 1e-7)], atol=1e-3)


def test_mel_tick_lies_in_the_middle_of_its_band() -> None:
    marked = replace(patch(), mel_hz=torch.linspace(100, 100 * BANDS, BANDS))
    at = {tick.label: tick.at for tick in mel_ticks(marked)}
    assert at["1k"] == pytest.approx(100 * 9.5 / BANDS)


def test_waveform_of_silence_is_a_line() -> None:
    silent = replace(patch(), y=torch.zeros(FRAMES * HOP))
    heights = {float(y) for y in re.findall(r" (-?[\d.]+)", waveform(silent))}
    assert heights == {-0.01, 0.01}


def test_the_top_of_a_waveform_is_its_maximum() -> None:
    half = torch.zeros(FRAMES * HOP)
    half[: len(half) // 2] = 0.5
    first, last = (float(waveform(replace(patch(), y=y)).split()[1].split("L")[0])
                   for y in (half, half.flip(0)))  # fmt: skip
    assert (first, last) == (-1.01, -0.01)


def test_the_output_explained_is_drawn_over_the_three_largest_others(three: Explanation) -> None:
    names = ("drums", "singing", "bass", "flute", "noise")
    values = torch.tensor([0.4, 0.1, 0.9, 0.2, 0.3]).expand(3, 5)
    chart = output_chart(OutputCurve(torch.arange(3.0), values, names), three)
    assert [(line.name, line.style) for line in chart.lines] == [
        ("bass", "other-1"),
        ("drums", "other-2"),
        ("noise", "other-3"),
        ("singing", "target"),
    ]
    assert chart.lines[0].path.split()[0] == "M0.00"
    assert chart.lines[-1].path.endswith("100.00 90.00")
