"""The page of a maximised unit: what it says, shows and plays."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from otoscope.errors import ParameterError
from otoscope.explain.maximise import GridResult, MaximisationResult, Ranking, Setting
from otoscope.protocols import Patch
from otoscope.report import save_maximisation
from otoscope.report.maximisation import (
    MaximisationSummary,
    Specimen,
    search_cautions,
    sentence,
)
from tests.support.browser import PHONE, PLAYING, WIDE, lightness, opened, wait_until
from tests.support.reports import HOSTILE

SUMMARY = MaximisationSummary("unit 3 of conv4", "detector", "fourier", n_real=1234)
SR, HOP, FRAMES, BANDS = 16000, 160, 50, 20


def result_of(activation: list[float], iterations: int) -> MaximisationResult:
    """A setting whose rows rise evenly to these activations."""
    values = torch.tensor(activation)
    return MaximisationResult(
        activation=values,
        input=torch.zeros(len(values), 1, FRAMES, BANDS),
        latent=torch.zeros(len(values), 1),
        trace=values[:, None] * torch.linspace(0, 1, iterations),
        steps=torch.full((len(values),), iterations),
        failed=~values.isfinite(),
        flat=torch.zeros(len(values), dtype=torch.bool),
        exploded=torch.zeros(len(values), dtype=torch.bool),
        setting=Setting(0.01, 0.001, iterations),
        seeds=range(len(values)),
        maximise=True,
    )


def ranking(n_settings: int = 3) -> Ranking:
    settings = [
        result_of([5.0, 6.0], 10),
        result_of([1.0, 2.0], 1),
        result_of([9e4, math.nan, 8e4], 1000),
    ]
    return GridResult(tuple(settings[:n_settings])).rank(torch.tensor([5.0, 6.5]))


def specimen(label: str, level: float, *, origin: str = "") -> Specimen:
    random = torch.Generator().manual_seed(0)
    patch = Patch(
        level * torch.rand(FRAMES, BANDS, generator=random),
        y=0.1 * torch.randn(FRAMES * HOP, generator=random).clamp(-3, 3),
        sr=SR,
        hop_length=HOP,
        mel_hz=torch.linspace(100, 3500, BANDS),
    )
    return Specimen(label, patch, 6.0, origin or "rate 0.01", of_sound=4.25)


MADE = [specimen(label, 1.0) for label in ("Best setting", "Median setting", "Worst setting")]
REAL = [specimen("Furthest", 2.0, origin=HOSTILE), specimen("Second", 1.0, origin="b.wav, 1.00 s")]


def written(path: Path, **changes: Any) -> str:
    settings = {"summary": SUMMARY, "made": MADE, "real": REAL, **changes}
    save_maximisation(settings.pop("ranking", ranking()), path, **settings)
    return path.read_text()


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write a page with everything on it."""
    path = tmp_path_factory.mktemp("report") / "unit.html"
    written(path, notes=["3 of 7 searches met a NaN."])
    return path


def test_sentence_says_both_numbers_and_what_was_chosen() -> None:
    text = sentence(ranking(), SUMMARY, 6.0, 6.5)
    assert text.startswith("A made-up input drives unit 3 of conv4 up to 6; the furthest of 1,234")
    assert "Of 3 settings, rate 0.01, penalty 0.001, 10 iterations is nearest" in text
    down = sentence(ranking(1), replace(SUMMARY, maximise=False), -6.0, -0.5)
    assert down.endswith("down to −6; the furthest of 1,234 real excerpts, to −0.5.")


def test_page_holds_the_numbers_of_all_settings(report: Path) -> None:
    text = report.read_text()
    data = re.search(r'<script type="application/json".*?>(.*?)</script>', text, re.S)
    assert data is not None
    numbers = json.loads(data[1])
    assert [row["setting"]["iterations"] for row in numbers["settings"]] == [10, 1, 1000]
    assert numbers["settings"][2]["activation"] == [9e4, None, 8e4]
    assert [row["seen"] for row in numbers["settings"]] == [2, 2, 2]
    assert ">2 of 3<" in text
    assert numbers["settings"][2]["failed"] == [False, True, False]
    assert "3 of 7 searches met a NaN." in text
    assert HOSTILE not in text
    assert not re.search(r">\s*(nan|inf)", text, re.IGNORECASE)


def test_loudness_of_all_pictures_is_on_the_scale_of_the_real_ones(tmp_path: Path) -> None:
    """A picture ten times beyond the real ones is drawn full, and does not change the others."""
    pictures = re.compile(r'href="(data:image/png[^"]*)"')
    usual = pictures.findall(written(tmp_path / "a.html"))
    beyond = pictures.findall(written(tmp_path / "b.html", made=[specimen("Best", 1e6), *MADE[1:]]))
    assert len(usual) == len(beyond) == 5
    assert usual[1:] == beyond[1:]
    assert usual[0] != beyond[0]


def test_a_picture_without_sound_and_a_single_setting_do(tmp_path: Path) -> None:
    silent = replace(MADE[0], patch=Patch(MADE[0].patch.values), of_sound=None)
    text = written(tmp_path / "a.html", made=[silent], ranking=ranking(1))
    assert "sound-made-0" not in text
    assert "sound-real-0" in text
    assert "<table>" not in text


def test_two_settings_have_no_median_and_what_is_compared_is_said(tmp_path: Path) -> None:
    summary = replace(SUMMARY, compared="features in fc8")
    text = written(tmp_path / "a.html", ranking=ranking(2), summary=summary)
    assert "Best: rate" in text
    assert "Worst: rate" in text
    assert "Median: rate" not in text
    assert "compares the features in fc8 by" in text


def test_nothing_to_show_is_told(tmp_path: Path) -> None:
    with pytest.raises(ParameterError, match="0 made-up inputs and 2 real excerpts"):
        written(tmp_path / "a.html", made=[])
    with pytest.raises(ParameterError, match="regular file"):
        written(tmp_path)
    assert not list(tmp_path.glob("*.html"))


@pytest.fixture
def page(browser: Any, report: Path) -> Iterator[Any]:
    """Open the page; afterwards nothing may have been complained about or asked of a network."""
    yield from opened(browser, report)


@pytest.mark.browser
def test_each_side_has_its_playhead(page: Any) -> None:
    wait_until(page, "[...document.querySelectorAll('audio')].every(audio => audio.readyState > 0)")
    players, heads = page.locator("[data-play]"), page.locator(".playhead")
    assert players.count() == 5
    for player, key, side in ((1, "made-1", 0), (3, "real-0", 1)):
        players.nth(player).click()
        assert page.evaluate(PLAYING) == key
        assert heads.nth(side).is_visible()
        assert not heads.nth(1 - side).is_visible()
    wait_until(page, f"{PLAYING} === undefined")  # to its end
    assert not heads.nth(1).is_visible()


@pytest.mark.browser
def test_hostile_name_stays_text_and_every_control_has_a_name(page: Any) -> None:
    assert page.get_by_text(HOSTILE).count() == 1
    names = page.locator("button").evaluate_all(
        "nodes => nodes.map(n => n.getAttribute('aria-label') || n.textContent.trim())"
    )
    assert len(names) == 7  # theme, five players, download
    assert all(names)


@pytest.mark.browser
@pytest.mark.parametrize("size", [WIDE, PHONE])
def test_nothing_runs_over_the_edge(browser: Any, report: Path, size: dict[str, int]) -> None:
    for page in opened(browser, report, viewport=size):
        assert page.evaluate("document.documentElement.scrollWidth") <= size["width"]
        made, real = page.locator(".stage").evaluate_all(
            "nodes => nodes.map(n => n.getBoundingClientRect().toJSON())"
        )
        if size is WIDE:
            assert made["right"] < real["left"]
        else:
            assert made["bottom"] < real["top"]


@pytest.mark.browser
def test_dark_scheme_and_download(browser: Any, report: Path) -> None:
    for page in opened(browser, report, color_scheme="dark"):
        assert lightness(page) < 40
        with page.expect_download() as download:
            page.get_by_role("button", name="Download").click()
        assert download.value.suggested_filename == "maximisation.json"
        assert '"settings"' in Path(download.value.path()).read_text()


def cautions_of(*results: MaximisationResult, real: float) -> str:
    ranked = GridResult(results).rank(torch.tensor([real, real - 1]))
    made = Specimen("Furthest", Patch(torch.zeros(2, 2)), 1.0, "seed 0")
    return " ".join(search_cautions(ranked, made, real))


def test_searches_that_all_end_short_of_real_excerpts_are_warned_of() -> None:
    low, high = result_of([-3.0, 1.0], 4), result_of([1.0, 7.0], 4)
    text = "All 2 searches end below the furthest real excerpt"
    assert text in cautions_of(low, real=5.0)
    assert cautions_of(low, high, real=5.0) == ""
    lost = result_of([math.nan, 1.0], 4)
    assert "All 2 searches end below" in cautions_of(lost, real=5.0)
    down = replace(high, maximise=False)
    assert "All 2 searches end above the furthest real excerpt" in cautions_of(down, real=0.5)
    assert cautions_of(down, real=1.5) == ""


def test_searches_without_a_gradient_are_counted() -> None:
    result = replace(result_of([6.0, 6.0, 6.0], 4), flat=torch.tensor([True, False, True]))
    assert "The gradient is 0 from start to end in 2 of 3 searches" in cautions_of(result, real=5.0)
