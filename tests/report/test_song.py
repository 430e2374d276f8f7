"""The page of a song: contributions of overlapping excerpts at each place, and a cursor."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from otoscope.errors import ParameterError
from otoscope.report import save_song, song_map
from tests.support.browser import PLAYING, opened, wait_until
from tests.support.reports import HOSTILE

SECONDS = np.arange(0.05, 6.0, 0.1)
HZ = np.array([100.0, 1000.0, 5000.0])


def row(start: float, values: list[float], **changes: Any) -> dict[str, Any]:
    """Explain 3 s in three segments of 1 s."""
    extents = [{"seconds": [start + i, start + i + 1], "hz": None} for i in range(3)]
    return {
        "coefficients": values,
        "extents": extents,
        "target": "singing",
        "output_all": 0.25 * (start + 1),
        "passes": 8.0,
        "error": "",
        **changes,
    }


ROWS = [row(0.0, [0.0, 0.3, 0.1]), row(1.0, [0.5, 0.1, -0.2]), row(2.0, [0.3, -0.4, 0.0])]
SOUND = (0.1 * torch.randn(48000, generator=torch.Generator().manual_seed(0)), 8000.0)


def test_a_place_has_the_mean_of_the_excerpts_that_hold_it() -> None:
    made = song_map(ROWS, SECONDS, HZ)
    by_second = made.values.reshape(6, 10, 3).mean(1)
    expected = [0.0, (0.3 + 0.5) / 2, (0.1 + 0.1 + 0.3) / 3, (-0.2 - 0.4) / 2, 0.0, 0.0]
    assert by_second[:, 0] == pytest.approx(expected)
    assert np.ptp(made.values, axis=1).max() == 0  # segments in time count in all bands
    assert made.count[::10].tolist() == [1, 2, 3, 2, 1, 0]


def test_bands_count_where_they_are() -> None:
    extents = [{"seconds": [0.0, 1.0], "hz": hz} for hz in ([0.0, 500.0], [500.0, 8000.0])]
    made = song_map([{"coefficients": [1.0, 2.0], "extents": extents}], SECONDS, HZ)
    assert made.values[0].tolist() == [1.0, 2.0, 2.0]


def test_the_page_names_the_places_and_holds_the_numbers(tmp_path: Path) -> None:
    page = tmp_path / "song.html"
    failed = {"file": "x", "error": "too short"}
    save_song([*ROWS, failed], SOUND, page, title=HOSTILE)
    text = page.read_text()
    assert "<script>alert(1)" not in text
    assert "“singing” rests most on 1.0–2.0 s (+0.40)." in text
    assert "6.0 s · 3 excerpts · 1 could not be explained" in text
    numbers = json.loads(re.findall(r'id="song">(.*?)</script>', text)[0])
    assert [run["contribution"] for run in numbers["map"]] == pytest.approx(
        [0.0, 0.4, 0.5 / 3, -0.3, 0.0]
    )
    assert numbers["map"][1]["start"] == pytest.approx(1.0, abs=0.011)
    assert [point["second"] for point in numbers["outputs"]] == [1.5, 2.5, 3.5]


@pytest.mark.parametrize(
    ("rows", "sound", "message"),
    [
        ([{"error": "no"}], SOUND, "none of 1 records"),
        ([*ROWS, row(3.0, [0.0] * 3, target="speech")], SOUND, "explain singing, speech; a map"),
        ([row(0.0, [1.0], extents=[{"seconds": None, "hz": None}])], SOUND, "their seconds"),
        (ROWS, (torch.zeros(601), 1.0), "lasts 601 s; a page holds up to 600 s: cut the file"),
    ],
)
def test_records_without_a_map_are_refused(
    rows: list[dict[str, Any]], sound: Any, message: str, tmp_path: Path
) -> None:
    with pytest.raises(ParameterError, match=message):
        save_song(rows, sound, tmp_path / "song.html")


@pytest.mark.browser
def test_the_cursor_follows_the_sound_and_goes_where_the_map_is_clicked(
    browser: Any, tmp_path: Path
) -> None:
    path = tmp_path / "song.html"
    save_song(ROWS, SOUND, path)
    for page in opened(browser, path):
        stage = page.locator("[data-seek]")
        width = stage.bounding_box()["width"]
        stage.click(position={"x": width / 2, "y": 40})
        assert page.evaluate(PLAYING) == "song"
        wait_until(page, "document.getElementById('sound-song').currentTime > 3.1")
        left, time = page.evaluate(
            "new Promise(done => requestAnimationFrame(() => done([parseFloat(document"
            ".querySelector('.playhead').style.left), document.getElementById('sound-song')"
            ".currentTime])))"
        )
        assert left == pytest.approx(100 * time / 6, abs=3)
        stage.focus()
        page.keyboard.press("ArrowLeft")
        assert float(stage.get_attribute("aria-valuenow")) < 1.5
        page.keyboard.press("Enter")
        assert page.evaluate(PLAYING) is None
