"""The page of concepts: sentences and places of known numbers, and the page in a real browser."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from otoscope.errors import ParameterError
from otoscope.explain.concepts import ConceptInLayer, ConceptOnOutput, LayerConcepts
from otoscope.metrics import Interval
from otoscope.report.units.concepts import ConceptsSummary, save_concepts
from tests.support.browser import PHONE, WIDE, lightness, opened
from tests.support.reports import HOSTILE

NAMES = ("voice", HOSTILE)


def about(value: float, spread: float = 0.05) -> Interval:
    return Interval(value, value - spread, value + spread, 0.95)


def layer(name: str) -> LayerConcepts:
    held = [
        ConceptInLayer(concept, about(value), (0.4, 0.6), 0.001)
        for concept, value in zip(NAMES, (0.9, 0.55), strict=True)
    ]
    used = [
        ConceptOnOutput(
            concept, "singing", about(1, 0), about(value), (-0.1, 0.1), 0.001, (-0.2, 0.3), 0.002
        )
        for concept, value in zip(NAMES, (-0.35, 0.05), strict=True)
    ]
    cosines = np.array([[1.0, -0.3], [-0.3, 1.0]])
    return LayerConcepts(name, tuple(held), tuple(used), cosines, {})


LAYERS = (layer("conv"), layer("dense"))
SUMMARY = ConceptsSummary(
    f"detector {HOSTILE}",
    {(one, name): 0.004 if name == "voice" else 0.4 for one in ("conv", "dense") for name in NAMES},
    {
        (one, name, "singing"): 0.004 if (one, name) == ("conv", "voice") else 0.4
        for one in ("conv", "dense")
        for name in NAMES
    },
    {(one, name, "singing"): 0.03 for one in ("conv", "dense") for name in NAMES},
    {("voice", "singing", "conv", "dense"): 0.75},
    1999,
    record='{"layers": 2}',
)


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("report") / "concepts.html"
    save_concepts(LAYERS, path, SUMMARY)
    return path


def test_the_page_says_what_is_held_and_what_is_used(report: Path) -> None:
    page = " ".join(report.read_text().split())
    assert "conv holds voice (1 of 2 concepts); dense holds voice (1 of 2 concepts)" in page
    assert "1 of 4 sensitivities of outputs is beyond those of placebos" in page
    assert "singing falls along voice in conv: sensitivity −0.35 [−0.40, −0.30]" in page
    assert "of placebos −0.10 to 0.10, p = 0.004, of random sets −0.20 to 0.30, p = 0.03" in page
    assert "is not shown to hold it" not in page
    assert "random sets of sounds: other" not in page
    # on scales from 0 to 1, and from -0.4 to 0.4
    assert 'class="spot" style="left:90.0%"' in page
    assert 'class="between placebo" style="left:37.5%;width:25.0%"' in page
    assert 'class="spot placebo" style="left:56.25%"' in page
    assert "−0.40 to 0.40" in page
    assert 'data-name="One sign at" class="number">75 %' in page


def test_directions_without_meaning_and_too_few_placebos_are_cautions(tmp_path: Path) -> None:
    used = {**SUMMARY.p_used, ("dense", HOSTILE, "singing"): 0.01}
    random = {**SUMMARY.p_random, ("conv", "voice", "singing"): 0.2}
    summary = replace(SUMMARY, p_used=used, p_random=random, n_placebos=79)
    save_concepts(LAYERS, tmp_path / "c.html", summary)
    page = (tmp_path / "c.html").read_text()
    assert "in dense, but the layer is not shown to hold it" in page
    assert "singing depends on voice in conv beyond placebos, but not beyond vectors" in page
    assert "79 placebos are too few for 4 tests" in page
    with pytest.raises(ParameterError, match="no layers"):
        save_concepts((), tmp_path / "d.html", SUMMARY)


@pytest.mark.browser
@pytest.mark.parametrize("size", [WIDE, PHONE])
def test_nothing_runs_over_the_edge_and_names_stay_text(
    browser: Any, report: Path, size: dict[str, int]
) -> None:
    for page in opened(browser, report, viewport=size):
        assert page.evaluate("document.documentElement.scrollWidth") <= size["width"]
        assert page.get_by_text(f"detector {HOSTILE}").count() >= 1
        assert page.locator(".forest .row").count() == 8


@pytest.mark.browser
def test_dark_scheme_and_download(browser: Any, report: Path) -> None:
    for page in opened(browser, report, color_scheme="dark"):
        assert lightness(page) < 40
        with page.expect_download() as download:
            page.get_by_role("button", name="Download").click()
        assert json.loads(Path(download.value.path()).read_text()) == {"layers": 2}
