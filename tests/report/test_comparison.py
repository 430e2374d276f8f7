"""Comparisons and summaries: what they say of explanations whose evidence is known."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.stats import spearmanr

from otoscope.errors import ParameterError
from otoscope.explain import Explanation, segments
from otoscope.report import agreement, save_comparison, save_summary
from otoscope.report.comparison.page import variant_names
from otoscope.report.profiles import features_of, profile_of
from tests.support.browser import PHONE, WIDE, opened
from tests.support.reports import HOSTILE, explain, patch

NBSP = "\N{NO-BREAK SPACE}"


def named(explanation: Explanation, **settings: Any) -> Explanation:
    """Give an explanation other settings."""
    return replace(explanation, settings=replace(explanation.settings, **settings))


FIRST = {2: 0.5, 3: 0.3}
SECOND = {3: 0.5, 4: 0.3}


def test_agreement_names_the_places_that_most_explanations_name() -> None:
    first, second, third = explain(FIRST), explain(SECOND), explain({8: 0.5})
    text = agreement([first, second]).replace(NBSP, " ")
    assert text.startswith("Both explanations name 3.5–4.0 s. Rank correlation")
    assert agreement([first, second, third]).startswith("2 of 3 explanations name 3.5–4.0")
    assert agreement([first, third]).startswith("No two explanations name the same place.")


def test_correlation_is_spearmans() -> None:
    weights = {i: 0.01 * (i - 5) ** 2 + 0.02 * (i % 3) for i in range(10)}
    first, second = explain(weights), explain({i: 0.01 * i for i in range(1, 10)})
    ranks = spearmanr(first.coefficients.round(decimals=9), second.coefficients.round(decimals=9))
    written = agreement([first, second]).rstrip(".").split("contributions: ")[1]
    assert written.replace("−", "-") == f"{ranks.statistic:.2f}"


def test_agreement_counts_what_cannot_be_told() -> None:
    told, untold = explain(FIRST), explain({2: 0.01}, offset=0.4)
    text = agreement([told, untold])
    assert text.startswith("1 of 2 explanations names 3.0–4.0")
    assert "It cannot be told which segments the output rests on in 1 of 2 explanations." in text
    neither = agreement([untold, untold])
    assert neither.startswith("It cannot be told which segments the output rests on in 2 of 2")


def test_explanations_with_other_segments_are_compared_in_time() -> None:
    first = explain(FIRST)  # of half seconds: 3.0 to 4.0
    halves = named(explain({2: 0.9}, cut=segments.temporal(2)), min_r2=0.0)  # 2.0 to 4.5
    assert agreement([first, halves]) == f"Both explanations name 3.00–4.00{NBSP}s."
    bands = named(explain({0: 0.9}, cut=segments.spectral(2)), min_r2=-9.0)
    assert agreement([first, bands]).startswith("Their segments differ and are not all in time")


def test_explanations_without_an_order_are_in_no_correlation() -> None:
    none, first, second = explain({}, offset=0.4), explain(FIRST), explain(SECOND)
    assert "Rank correlation" not in agreement([none, first])
    assert agreement([none, first, second]).count("Rank correlation") == 1
    assert "nan" not in agreement([none, first, second])


def test_page_places_the_excerpts_on_one_axis_and_bars_by_their_sign(tmp_path: Path) -> None:
    early, late = explain({2: 0.5, 4: -0.25}), explain({2: 0.5, 4: -0.25}, of=patch(n_frames=50))
    late = replace(late, patch=replace(late.patch, start=4.5))
    save_comparison([early, late], tmp_path / "a.html")
    page = (tmp_path / "a.html").read_text("utf-8")
    places = re.findall(r'class="panel" style="margin-left:([\d.]+)%;width:([\d.]+)%"', page)
    assert [(float(left), float(width)) for left, width in places] == [(0, 100), (50, 50)]
    save_comparison([early, early], tmp_path / "b.html")
    page = (tmp_path / "b.html").read_text("utf-8")
    cells = re.findall(r'<td class="number (for|against)[^>]*>([^<]*)</td>', page)
    assert cells.count(("for", "+0.50")) == 2
    assert cells.count(("against", "\N{MINUS SIGN}0.25")) == 2


def test_names_are_what_differs() -> None:
    base = explain(FIRST)
    a, b = named(base, content="noise", model="m"), named(base, content="zero", model="m")
    assert variant_names([a, b]) == ["noise", "zero"]
    other = named(base, content="zero", model="n")
    assert variant_names([a, b, other]) == ["m · noise", "m · zero", "n · zero"]
    assert variant_names([a, a]) == ["1", "2"]
    assert variant_names([a, a], ["x.py:make", "y.py:make"]) == ["x.py:make", "y.py:make"]
    with pytest.raises(ParameterError, match="there are 1 explanations to compare; give 2"):
        variant_names([a])
    with pytest.raises(ParameterError, match="names are 1, explanations 2"):
        save_comparison([a, b], "never.html", names=["a"])


def records(n: int) -> list[dict[str, Any]]:
    """Explanations of two classes: of segment 2, and of segment 7; the last has its own reason."""
    rows = []
    for i in range(n):
        weights = {2: 0.5 + i / 100} if i % 2 else {7: 0.6}
        row = explain({5: 0.9} if i == n - 1 else weights).to_record()
        target = "singing" if i % 2 else "speech"
        rows.append({**row, "file": f"{i}.wav", "target": target})
    return rows


def test_profiles_divide_contributions_between_parts_of_an_axis() -> None:
    row = explain({2: 0.5, 7: -0.25}, offset=0.3).to_record()
    (times,) = profile_of([row], "shapley", "frames").values
    np.testing.assert_allclose(times, [0, 0, 0.5, 0, 0, 0, 0, -0.25, 0, 0], atol=1e-9)
    grid = explain({0: 0.5}, cut=segments.grid(5, 2)).to_record()
    in_time, in_bands = (profile_of([grid], "shapley", axis) for axis in ("frames", "bands"))
    assert in_time.names[0] == "0.00–1.00 s"
    np.testing.assert_allclose(in_time.values, [[0.5, 0, 0, 0, 0]], atol=1e-9)
    np.testing.assert_allclose(in_bands.values, [[0.25, 0.25]], atol=1e-9)
    lows = [float(name.split("\N{EN DASH}")[0]) for name in in_bands.names]
    assert len(lows) == 2
    assert lows == sorted(lows)
    assert in_bands.names[0].endswith(" Hz")
    other = explain({2: 0.5}, cut=segments.temporal(7)).to_record()
    mixed = profile_of([row, other], "shapley", "frames")
    np.testing.assert_allclose(mixed.values.sum(1), [0.25, 0.5], atol=1e-9)  # nothing is lost
    assert len(mixed.names) == 10


def test_levels_are_the_means_of_the_cells() -> None:
    record = explain(FIRST).to_record()
    means = patch().values.unflatten(0, (10, 10)).double().mean((1, 2))
    assert record["levels"] == pytest.approx(means.tolist())
    features = features_of([record], "shapley", [])
    assert features.levels is not None
    assert features.levels.tolist() == [record["levels"]]


def text_of(page: Path) -> str:
    body = page.read_text("utf-8").split("<body>")[1].split("<script")[0]
    return " ".join(re.sub(r"<[^>]*>", " ", body).split())


def test_summary_has_means_by_class_and_the_excerpt_that_stands_out(tmp_path: Path) -> None:
    rows = records(8)
    save_summary([*rows, {"file": "bad.wav", "error": "is empty"}], tmp_path / "all.html")
    text = text_of(tmp_path / "all.html")
    assert "8 excerpts of 8 files · 1 could not be explained" in text
    assert "in 4 it rests on segments" in text
    means = {
        name: np.mean([row["shapley"] for row in rows if row["target"] == name], 0)
        for name in ("singing", "speech")
    }
    assert f"speech {' '.join(['0.00'] * 7)} +{means['speech'][7]:.2f}" in text
    sung = means["singing"]
    assert f"singing 0.00 0.00 +{sung[2]:.2f} 0.00 0.00 +{sung[5]:.2f} 0.00" in text
    surprising = text.split("Most surprising")[1].split("Most of all at ")[1]
    assert surprising.startswith("7.wav at 2.00 s singing")
    assert "time 5: +0.90" in surprising


def test_summary_needs_an_explanation(tmp_path: Path) -> None:
    with pytest.raises(ParameterError, match="none of 1 records has an explanation"):
        save_summary([{"error": "is empty"}], tmp_path / "all.html")
    with pytest.raises(ParameterError, match="reports are 1, explanations 2"):
        save_summary(records(2), tmp_path / "all.html", reports=["a.html"])


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write both pages, with names that must stay text."""
    folder = tmp_path_factory.mktemp("pages")
    explained = [
        named(explain(weights), content=content, model="m")
        for weights, content in ((FIRST, "noise"), (SECOND, HOSTILE))
    ]
    save_comparison(explained, folder / "compared.html", title=HOSTILE, reports=["a b.html", "c"])
    rows = [{**row, "file": HOSTILE} for row in records(8)]
    save_summary(rows, folder / "summary.html", reports=["a b.html"] * 8)
    return folder


@pytest.mark.browser
@pytest.mark.parametrize("size", [WIDE, PHONE], ids=["wide", "phone"])
def test_comparison_shows_what_it_says(browser: Any, pages: Path, size: dict[str, int]) -> None:
    for page in opened(browser, pages / "compared.html", viewport=size):
        assert page.evaluate("document.documentElement.scrollWidth") <= size["width"]
        assert page.locator("h1").inner_text() == HOSTILE
        assert page.locator(".picture").count() == 2
        assert page.locator(".matrix .named").count() == 4
        colours = page.locator(".matrix td.number").evaluate_all(
            "cells => cells.map(cell => getComputedStyle(cell).backgroundColor)"
        )
        assert len(set(colours)) >= 3  # strong, weak, none
        links = page.locator("tbody a").evaluate_all("a => a.map(x => x.getAttribute('href'))")
        assert links == ["a%20b.html", "c"]


@pytest.mark.browser
@pytest.mark.parametrize("size", [WIDE, PHONE], ids=["wide", "phone"])
def test_summary_plots_a_dot_for_each_excerpt(
    browser: Any, pages: Path, size: dict[str, int]
) -> None:
    for page in opened(browser, pages / "summary.html", viewport=size):
        assert page.evaluate("document.documentElement.scrollWidth") <= size["width"]
        assert page.locator(".swarm svg").count() == 10
        first = page.locator(".swarm svg").nth(0)
        box, dots = first.bounding_box(), first.locator(".dots")
        paths = dots.evaluate_all("dots => dots.map(dot => dot.getAttribute('d'))")
        assert sum(path.count("M") for path in paths) == 8
        for place in dots.evaluate_all("d => d.map(x => x.getBoundingClientRect().toJSON())"):
            assert box["y"] - 1 <= place["top"] <= place["bottom"] <= box["y"] + box["height"] + 1
