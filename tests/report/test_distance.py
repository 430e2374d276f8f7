"""The page of a distance: what it says, hostile names, narrow screens."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from otoscope.metrics import Extrapolation, Interval
from otoscope.report.distance.page import (
    DistanceContent,
    FileRow,
    Measure,
    Side,
    _methods,
    distance_sentence,
    save_distance,
)
from tests.report.test_methods import end_of
from tests.support.browser import PHONE, WIDE, opened
from tests.support.reports import HOSTILE

REAL, GENERATED = Side("songs", 2, 40), Side(HOSTILE, 1, 20, {"bad.wav": "cannot be read"})
CONTENT = DistanceContent(
    "all",
    3.21,
    REAL,
    GENERATED,
    "net, layer fc8",
    interval=Interval(3.21, 2.5, 4.5, 0.95),
    infinity=Extrapolation(2.0, 9.0, torch.tensor([10, 20]), torch.tensor([2.9, 2.45])),
    measures=[
        Measure("FAD", "Fréchet distance", 3.21, 2.5, 4.5),
        Measure("MAD", "divergence", None, reason="too few files"),
    ],
    files=[FileRow(HOSTILE, 20, (6.0, 1.5)), FileRow("b.wav", 1, (None, None))],
    notes=["songs has few excerpts", "values are in net"],
    record={"distance": 3.21, "name": HOSTILE},
)


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("distance") / "distance.html"
    save_distance(CONTENT, path)
    return path


def test_a_sentence_says_distance_interval_and_limit() -> None:
    assert distance_sentence(CONTENT) == (
        "Fréchet distance 3.21, 95 % interval of sets of this size 2.5 to 4.5, "
        "extrapolated to infinitely many excerpts 2"
    )
    kernel = DistanceContent("kernel", -0.5, REAL, GENERATED, "")
    assert distance_sentence(kernel) == "Kernel distance −0.5"


def test_the_page_ends_with_sets_and_sources(path: Path) -> None:
    paragraph, bibtex = end_of(path)
    assert "(Heusel et al., 2017; Kilgour et al., 2019)" in paragraph
    assert "kernel distance" in paragraph
    assert all(name in paragraph for name in (HOSTILE, "songs", "net, layer fc8", "MAD"))
    assert "@inproceedings{binkowski2018," in bibtex
    paragraph = _methods(DistanceContent("kernel", -0.5, REAL, GENERATED, "")).paragraph
    assert "Fréchet" not in paragraph


def test_the_page_holds_measures_files_notes_and_the_record(path: Path) -> None:
    page = path.read_text("utf-8")
    text = re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", page.split("<body")[1]))
    for words in (
        "FAD 3.21 2.5 to 4.5 Fréchet distance",
        "MAD – – divergence; too few files",
        "20 6 1.5",
        "b.wav 1 – –",
        "songs has few excerpts.",
        "Values are in net.",
        "bad.wav: cannot be read",
        "∞ 2",
        "2 files, 40 excerpts",
        "1 file, 20 excerpts",
    ):
        assert words in text
    record = re.search(r'id="distance">(.*?)</script>', page, re.S)
    assert record is not None
    assert json.loads(record[1]) == {"distance": 3.21, "name": HOSTILE}
    assert HOSTILE not in page


@pytest.fixture(params=[WIDE, PHONE], ids=["wide", "phone"])
def page(browser: Any, path: Path, request: pytest.FixtureRequest) -> Iterator[Any]:
    yield from opened(browser, path, viewport=request.param)


@pytest.mark.browser
def test_names_stay_text_and_nothing_is_wider_than_the_screen(page: Any) -> None:
    assert HOSTILE in page.locator("h1").inner_text()
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    bars = page.locator(".bar i")
    widths = [bars.nth(i).bounding_box()["width"] for i in range(bars.count())]
    assert widths[0] > 40
    assert widths[1] == 0
