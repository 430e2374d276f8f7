"""Reports in a real browser: what is heard and seen, by mouse and by keyboard."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from otoscope.explain import segments
from otoscope.protocols import Patch
from otoscope.report import IndexRow, OutputCurve, save_html, save_index
from tests.support.browser import PHONE, PLAYING, WIDE, lightness, opened, wait_until
from tests.support.reports import HOSTILE, explain, patch

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write a report with everything on it."""
    path = tmp_path_factory.mktemp("report") / "why.html"
    curve = OutputCurve(torch.arange(0, 5, 0.1), torch.rand(50, 2), ("singing", "speech"))
    asked = explain({2: 0.5, 3: 0.2, 7: 0.2})
    truth = [(0.0, 3.0), (6.5, 9.0)]
    save_html(asked, path, curve=curve, title=HOSTILE, truth=truth)
    return path


@pytest.fixture
def page(browser: Any, report: Path) -> Iterator[Any]:
    """Open the report; afterwards nothing may have been complained about or asked of a network."""
    yield from opened(browser, report)


def test_durations_are_those_of_the_segments(page: Any) -> None:
    wait_until(page, "[...document.querySelectorAll('audio')].every(audio => audio.readyState > 0)")
    spans = page.evaluate(
        "Object.fromEntries([...document.querySelectorAll('audio')].map(a => [a.id, a.duration]))"
    )
    # the smallest sufficient part is the first of the three, and without it the answer changes
    keys = ("excerpt", "support", "rest", "enough", "without")
    wholes = {f"sound-{key}": 5.0 for key in keys}
    assert spans == pytest.approx(wholes | {f"sound-{i}": 0.5 for i in range(10)}, abs=1e-4)


def test_click_on_a_segment_plays_it(page: Any) -> None:
    page.locator(".segment").nth(4).click()
    assert page.evaluate(PLAYING) == "4"
    wait_until(page, "document.getElementById('sound-4').currentTime > 0")


def test_enter_on_a_segment_plays_it_and_arrows_walk(page: Any) -> None:
    page.locator(".segment").nth(0).focus()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Enter")
    assert page.evaluate(PLAYING) == "2"
    wait_until(page, "document.getElementById('sound-2').currentTime > 0")


def test_segments_are_one_stop_of_the_tab_key_and_every_control_has_a_name(page: Any) -> None:
    assert page.locator(".segment[tabindex='0']").count() == 1
    names = page.locator("button, [role=button]").evaluate_all(
        "nodes => nodes.map(n => n.getAttribute('aria-label') || n.textContent.trim())"
    )
    assert len(names) == 27  # theme, five players, ten segments twice, download
    assert all(names)


def test_player_plays_until_pressed_again(page: Any) -> None:
    player = page.get_by_role("button", name="Only the supporting parts")
    player.click()
    assert page.evaluate(PLAYING) == "support"
    assert player.get_attribute("aria-pressed") == "true"
    player.click()
    assert page.evaluate(PLAYING) is None
    assert page.evaluate("document.getElementById('sound-support').paused")


def test_second_sound_silences_the_first(page: Any) -> None:
    page.get_by_role("button", name="Excerpt").click()
    page.locator(".row[data-play='7']").click()
    assert page.evaluate(PLAYING) == "7"
    assert page.evaluate("document.getElementById('sound-excerpt').paused")
    wait_until(page, f"{PLAYING} === undefined")  # to its end


def test_hostile_name_stays_text(page: Any) -> None:
    assert page.title() == HOSTILE
    assert page.locator("h1").inner_text() == HOSTILE


@pytest.mark.parametrize("size", [WIDE, PHONE])
def test_diamonds_touch_no_number_and_truth_lies_below_the_picture(
    browser: Any, report: Path, size: dict[str, int]
) -> None:
    for page in opened(browser, report, viewport=size):
        diamonds, numbers = (
            page.locator(f".row {part}").evaluate_all(
                "nodes => nodes.map(n => n.getBoundingClientRect().toJSON())"
            )
            for part in (".shapley", ".number")
        )
        assert len(diamonds) == len(numbers) == 10
        assert all(d["right"] + 3 < n["left"] for d, n in zip(diamonds, numbers, strict=True))
        picture, *parts = (
            page.locator(part).bounding_box() for part in (".picture", ".truth i >> nth=0")
        )
        assert parts[0]["y"] > picture["y"] + picture["height"]
        assert parts[0]["width"] == pytest.approx(picture["width"] / 5, abs=1)  # 2 to 3 of 2 to 7 s


def test_download_holds_the_coefficients(page: Any) -> None:
    with page.expect_download() as download:
        page.get_by_role("button", name="Download").click()
    assert '"coefficients"' in Path(download.value.path()).read_text()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_scheme_is_the_readers_until_toggled(browser: Any, report: Path, scheme: str) -> None:
    for page in opened(browser, report, color_scheme=scheme):
        levels = [lightness(page)]
        page.locator("#theme").click()
        levels.append(lightness(page))
        light, dark = levels if scheme == "light" else reversed(levels)
        assert light > 230
        assert dark < 40


@pytest.mark.parametrize("kind", ["temporal", "grid", "labels", "index"])
def test_phone_needs_no_sideways_scroll(browser: Any, tmp_path: Path, kind: str) -> None:
    path = tmp_path / "why.html"
    long = "a-very-long-name-without-any-space-in-it-" * 3 + ".wav"
    if kind == "index":
        save_index([IndexRow(long, path, "singing", 0.97, "3.0–4.0 s", 0.9)], path)
    else:
        labels = (torch.arange(100)[:, None] // 30 + torch.arange(40) // 20) % 3
        cuts: dict[str, segments.Segmentation] = {
            "temporal": segments.temporal(10),
            "grid": segments.grid(3, 3),
            "labels": segments.from_labels(labels, names=[long, "b", "c"]),
        }
        save_html(explain({2: 0.5, 5: 0.2}, of=patch(), cut=cuts[kind]), path, title=long)
    for page in opened(browser, path, viewport=PHONE):
        assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_colours_of_segments_are_seen_on_loud_cells(
    browser: Any, tmp_path: Path, scheme: str
) -> None:
    import io

    from matplotlib.image import imread

    values = torch.zeros(100, 40)
    values[:, 20:] = 1.0  # every segment has a loud half
    path = tmp_path / "why.html"
    save_html(explain({2: 0.6, 5: -0.3}, of=Patch(values), offset=0.3), path)
    for page in opened(browser, path, color_scheme=scheme):
        box = page.locator(".picture").bounding_box()
        picture = imread(io.BytesIO(page.screenshot()), format="png")

        def colour(segment: int, height: float, box: Any = box, picture: Any = picture) -> Any:
            x = box["x"] + box["width"] * (segment + 0.5) / 10
            return 255 * picture[int(box["y"] + box["height"] * height), int(x), :3]

        loud, quiet = 0.2, 0.8
        for height in (loud, quiet):
            (red, _, blue), grey, (red_against, _, blue_against) = (
                colour(segment, height) for segment in (2, 8, 5)
            )
            assert red - blue > 60  # orange
            assert blue_against - red_against > 20
            assert max(grey) - min(grey) < 20
        assert abs(colour(8, loud) - colour(8, quiet)).mean() > 150  # loudness shows all the same
        assert abs(colour(2, loud) - colour(2, quiet)).mean() > 40


def test_print_is_light_and_without_buttons(browser: Any, report: Path) -> None:
    for page in opened(browser, report, color_scheme="dark"):
        page.emulate_media(media="print", color_scheme="dark")
        assert lightness(page) > 230
        assert not any(players.is_visible() for players in page.locator(".players").all())
        assert page.locator(".picture").is_visible()


def test_picture_without_sound_opens(browser: Any, tmp_path: Path) -> None:
    path = tmp_path / "why.html"
    save_html(explain({2: 0.5}, of=Patch(patch().values)), path)
    for page in opened(browser, path):
        assert page.locator("audio").count() == 0
        page.locator(".segment").nth(1).hover()
