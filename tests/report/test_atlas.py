"""The page of a layer's units in a real browser: filtered, heard, and safe from hostile names."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from otoscope.errors import ParameterError
from otoscope.protocols import Patch
from otoscope.report.maximisation import Specimen
from otoscope.report.units.atlas import AtlasSummary, AtlasUnit, save_atlas
from tests.support.browser import PHONE, PLAYING, WIDE, lightness, opened, wait_until
from tests.support.reports import HOSTILE

SR, HOP, FRAMES, BANDS = 16000, 160, 50, 20
SUMMARY = AtlasSummary(
    "conv4", f"detector {HOSTILE}", "2 of 3 units are left without a name.", record='{"units": 3}'
)


def specimen(label: str, origin: str, *, seed: int = 0, n: int = FRAMES) -> Specimen:
    random = torch.Generator().manual_seed(seed)
    patch = Patch(
        torch.rand(FRAMES, BANDS, generator=random),
        y=0.1 * torch.randn(n * HOP, generator=random).clamp(-3, 3),
        sr=SR,
        hop_length=HOP,
        mel_hz=torch.linspace(100, 3500, BANDS),
    )
    return Specimen(label, patch, 6.0 + seed, origin)


def unit(number: int, name: str, song: str) -> AtlasUnit:
    real = [specimen("Furthest", f"{song}, 1.00 s", seed=number), specimen("Second", "b.wav, 2 s")]
    made = specimen("Made up", "rate 0.1, seed 3", seed=number)
    return AtlasUnit(number, name, f"{name or 'x'}: AUC 0.9 where chosen.", "1.25", made, real)


UNITS = [unit(0, "voice", "a.wav"), unit(1, "", HOSTILE), unit(2, HOSTILE, "c.wav")]


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("report") / "atlas.html"
    save_atlas(UNITS, path, SUMMARY)
    return path


@pytest.fixture
def page(browser: Any, report: Path) -> Iterator[Any]:
    """Open the page; afterwards nothing may have been complained about or asked of a network."""
    yield from opened(browser, report)


def test_units_without_sound_are_shown_and_none_is_refused(tmp_path: Path) -> None:
    silent = replace(UNITS[0].made, patch=Patch(UNITS[0].made.patch.values))
    save_atlas([replace(UNITS[0], made=silent)], tmp_path / "a.html", SUMMARY)
    text = (tmp_path / "a.html").read_text()
    assert text.count("<audio ") == 2
    assert "sound-0-0" not in text
    with pytest.raises(ParameterError, match="no units"):
        save_atlas([], tmp_path / "b.html", SUMMARY)


@pytest.mark.browser
def test_every_picture_has_its_sound_and_playhead(page: Any) -> None:
    wait_until(page, "[...document.querySelectorAll('audio')].every(audio => audio.readyState > 0)")
    cells = page.locator(".cells > li")
    assert cells.count() == page.locator(".picture").count() == 9
    cells.nth(4).locator("[data-play]").click()
    assert page.evaluate(PLAYING) == "1-1"
    wait_until(page, "document.getElementById('sound-1-1').currentTime > 0")
    heads = page.locator(".playhead")
    assert [heads.nth(i).is_visible() for i in (3, 4, 5)] == [False, True, False]


@pytest.mark.browser
def test_words_filter_units_by_number_name_and_song(page: Any) -> None:
    shown, field = page.locator("section[data-words]:visible"), page.get_by_role("searchbox")
    assert shown.count() == 3
    for words, ids in (
        ("voice", ["unit-0"]),
        ("unit 2", ["unit-2"]),
        ("no name", ["unit-1"]),
        ("SCRIPT", ["unit-1", "unit-2"]),
        ("b.wav", ["unit-0", "unit-1", "unit-2"]),
        ("tuba", []),
    ):
        field.fill(words)
        assert [each.get_attribute("id") for each in shown.all()] == ids
        assert page.locator("#words-count").inner_text() == str(len(ids))
        assert page.locator(".contents li:visible").count() == len(ids)
    field.fill("")
    assert shown.count() == 3


@pytest.mark.browser
def test_hostile_names_stay_text_and_every_control_has_a_name(page: Any) -> None:
    assert page.get_by_text(f"Unit 2: {HOSTILE}").count() == 1
    assert page.locator("header").get_by_text(f"detector {HOSTILE}").count() == 1
    names = page.locator("button").evaluate_all(
        "nodes => nodes.map(n => n.getAttribute('aria-label') || n.textContent.trim())"
    )
    assert len(names) == 11  # theme, nine players, download
    assert all(names)


@pytest.mark.browser
@pytest.mark.parametrize("size", [WIDE, PHONE])
def test_nothing_runs_over_the_edge(browser: Any, report: Path, size: dict[str, int]) -> None:
    for page in opened(browser, report, viewport=size):
        assert page.evaluate("document.documentElement.scrollWidth") <= size["width"]


@pytest.mark.browser
def test_dark_scheme_download_and_links(browser: Any, report: Path) -> None:
    for page in opened(browser, report, color_scheme="dark"):
        assert lightness(page) < 40
        with page.expect_download() as download:
            page.get_by_role("button", name="Download").click()
        assert json.loads(Path(download.value.path()).read_text()) == {"units": 3}
        page.get_by_role("link", name="0 voice").click()
        assert page.url.endswith("#unit-0")
