"""Sheet music, its page, and otoscope folk render."""

from __future__ import annotations

import io
import json
import re
from collections import Counter
from itertools import pairwise
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import numpy as np
import pytest
import soundfile
from typer.testing import CliRunner

from otoscope import errors
from otoscope.cli.app import app
from otoscope.errors import MissingExtra
from otoscope.folk.abc import NotationError, book_to_abc, parse_tune, to_abc
from otoscope.folk.data import generate_tune
from otoscope.folk.metrics import check_tune
from otoscope.folk.model import SamplingConfig
from otoscope.folk.report.sheet import engrave
from otoscope.folk.report.tune_sheets import RenderedTune, save_sheets
from otoscope.folk.workflows.sample import SampleFolkConfig, sample_folk, save_book
from tests.support.browser import PHONE, PLAYING, WIDE, opened, wait_until

pytest.importorskip("verovio", reason='verovio is not installed: pip install "otoscope[folk]"')

HOSTILE = "<script>alert(1)</script> & 'co'"
SVG = "{http://www.w3.org/2000/svg}"


def drawn(svg: str) -> Counter[str]:
    """Count what is drawn, by verovio's classes; glyphs are defined once and used often."""
    classes = (group.get("class", "").split() for group in ET.fromstring(svg).iter(f"{SVG}g"))
    return Counter(name for names in classes for name in names)


@pytest.mark.parametrize("index", range(5))
def test_every_note_and_measure_is_drawn(index: int) -> None:
    tune = generate_tune(0, index)
    result = drawn(engrave(tune))
    assert result["note"] == len(tune.notes)
    assert result["measure"] == len(tune.measures)


def test_tokens_lengths_stay_with_their_notes() -> None:
    """Spaces between a note and its length make tools drop the length: none are left."""
    tight = parse_tune("M:4/4\nL:1/8\nK:C\n|:C2DE>F (3GAB|1c4 [EG]4:|2c8|]")
    result = drawn(engrave(tight))
    assert result["note"] == len(tight.notes)
    assert result["tuplet"] == 1
    assert result["chord"] == 1


def test_endings_are_drawn() -> None:
    tune = parse_tune("M:2/4\nL:1/4\nK:C\nC|:DE|F2|1G2:|2A2||B2|B2|1c2:|2d2|]")
    assert drawn(engrave(tune))["ending"] == 4
    plain = parse_tune("M:2/4\nL:1/4\nK:C\n|:DE|F2:|")
    assert drawn(engrave(plain))["ending"] == 0


def test_double_repeat_loses_no_measure() -> None:
    tune = parse_tune("M:2/4\nL:1/4\nK:C\n|:CD|EF::GA|B2:|")
    assert drawn(engrave(tune))["measure"] == 4


def test_same_tune_same_svg() -> None:
    assert engrave(generate_tune(0, 0)) == engrave(generate_tune(0, 0))


def test_missing_verovio_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> Any:
        raise ModuleNotFoundError(name=name)

    monkeypatch.setattr(errors, "import_module", missing)
    with pytest.raises(MissingExtra, match=r"otoscope\[folk\]"):
        engrave(generate_tune(0, 0))


def sheets() -> list[RenderedTune]:
    tune = parse_tune(f"T:{HOSTILE}\nM:2/4\nL:1/4\nQ:240\nK:D\n|:FE|DEF|D2:|")
    y = (np.sin(np.arange(60000) / 10) / 2).astype(np.float32)
    unreadable = check_tune(NotationError("';' came", reason="x", line=3, column=2), name="tune 3")
    whole = generate_tune(0, 0)
    return [
        RenderedTune(check_tune(tune), engrave(tune), y),
        RenderedTune(check_tune(whole), engrave(whole), y),
        RenderedTune(unreadable),
    ]


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("sheets") / "tunes.html"
    save_sheets(sheets(), path, title=HOSTILE, notes=["The first 3 of 9 tunes."])
    return path


def test_page_has_music_sound_and_findings(page: Path) -> None:
    html = page.read_text()
    assert html.count("<audio") == 2
    pictures = re.findall(r"<svg .*?</svg></svg>", html, re.S)
    assert [drawn(picture)["measure"] for picture in pictures] == [3, 16]
    assert "bar 2 lasts 3/4, the meter is 2/4" in html
    assert "All conventions are kept." in html
    assert "line 3, column 2: &#39;;&#39; came" in html
    assert "Of 3 tunes, 1 can be read" in html
    assert "<script>alert" not in html
    data = re.search(r'<script type="application/json" id="checks">(.*?)</script>', html, re.S)
    assert data is not None
    assert [tune["valid"] for tune in json.loads(data[1])["tunes"]] == [False, True, False]


def test_page_of_one_tune_speaks_of_one(tmp_path: Path) -> None:
    save_sheets([RenderedTune(check_tune(generate_tune(0, 0)))], tmp_path / "a.html")
    assert "Its bars add up." in (tmp_path / "a.html").read_text()


@pytest.mark.browser
@pytest.mark.parametrize("size", [WIDE, PHONE])
def test_plays_and_shows_without_complaint(browser: Any, page: Path, size: dict[str, int]) -> None:
    for view in opened(browser, page, viewport=size):
        assert view.locator("h1").inner_text() == HOSTILE
        assert view.evaluate("document.documentElement.scrollWidth") <= size["width"]
        button = view.get_by_role("button", name="Play").nth(1)
        slow = "document.getElementById('sound-2').playbackRate = 0.1"  # it must not end meanwhile
        view.evaluate(slow)
        button.click()
        assert view.evaluate(PLAYING) == "2"
        wait_until(view, "document.getElementById('sound-2').currentTime > 0")
        button.click()
        assert view.evaluate("document.getElementById('sound-2').paused")
        assert view.locator(".sheet").nth(1).bounding_box()["height"] > 100
        assert len(view.locator(".scrolled").nth(1).screenshot()) > 4000  # staves, no empty card


def run(*arguments: object, code: int = 0) -> str:
    result = CliRunner().invoke(app, ["folk", "render", *map(str, arguments)])
    assert result.exit_code == code, result.output
    assert "Traceback" not in result.output
    return " ".join(result.output.split())


def test_render_writes_all_forms_and_a_page(tmp_path: Path) -> None:
    book = tmp_path / "a.abc"
    broken = "\nX:3\nT:Broken\nK:D\nF;D|\n"
    book.write_text(book_to_abc(generate_tune(0, i, meter="2/4") for i in range(2)) + broken)
    out = tmp_path / "new" / "out"
    output = run(book, "--out", out)
    assert "Not rendered: tune 3: line " in output
    assert f"page: {out / 'index.html'}" in output
    names = ["001-polka-0-0", "002-polka-0-1"]
    forms = {f"{name}.{form}" for name in names for form in ("svg", "mid", "ogg", "abc")}
    assert {path.name for path in out.iterdir()} == forms | {"index.html"}
    assert (out / "001-polka-0-0.mid").read_bytes()[:4] == b"MThd"
    assert (out / "001-polka-0-0.ogg").read_bytes()[:4] == b"OggS"
    assert sum(path.stat().st_size for path in out.iterdir()) < 1_000_000  # 5 MB as WAV


def test_the_page_of_eight_sampled_tunes_is_small(tmp_path: Path) -> None:
    """It was 20 MB with sound as WAV, and is 2.7 MB; encoders differ."""
    sampled = sample_folk(SampleFolkConfig(8, sampling=SamplingConfig(bars_add_up=True)))
    save_book(sampled, tmp_path / "a.abc")
    run(tmp_path / "a.abc", "--out", tmp_path / "out")
    assert (tmp_path / "out" / "index.html").stat().st_size < 4e6


def test_render_takes_the_first_tunes_and_says_so(tmp_path: Path) -> None:
    book = tmp_path / "a.abc"
    book.write_text(book_to_abc(generate_tune(0, i, meter="2/4") for i in range(3)))
    document = json.loads(run(book, "--out", tmp_path / "out", "--n", 1, "--json"))
    assert document["format"] == "otoscope.RenderFolk/2"
    assert (document["tunes"], document["rendered"]) == (3, 1)
    assert "The first 1 of 3 tunes." in (tmp_path / "out" / "index.html").read_text()


def test_render_refuses_bad_input_and_leaves_nothing(tmp_path: Path) -> None:
    book = tmp_path / "a.abc"
    book.write_text("X:1\nT:Broken\nK:D\nF;D|\n")
    out = tmp_path / "out"
    assert "line 4, column 2" in run(book, "--out", out, code=2)
    assert not out.exists()
    book.write_text(to_abc(generate_tune(0, 0)))
    assert "'organ'" in run(book, "--out", out, "--sound", "organ", code=2)
    assert "tempo_bpm is 1" in run(book, "--out", out, "--tempo-bpm", 1, code=2)
    assert not out.exists()
    assert [path.name for path in tmp_path.iterdir()] == ["a.abc"]  # no draft either
    assert "not an empty folder" in run(book, "--out", tmp_path, code=2)
    assert "is not a folder" in run(book, "--out", book / "x", code=2)
    book.write_bytes(b"\0\1\2")
    assert "binary" in run(book, "--out", out, code=2)


@pytest.mark.browser
def test_a_tune_is_slowed_down_and_downloaded_and_fits_a_phone(
    browser: Any, tmp_path: Path
) -> None:
    tune = generate_tune(0, 0, meter="2/4")
    book, out = tmp_path / "a.abc", tmp_path / "out"
    book.write_text(to_abc(tune, 1))
    run(book, "--out", out)
    for view in opened(browser, out / "index.html", viewport=PHONE):
        assert view.evaluate("document.documentElement.scrollWidth <= innerWidth")
        assert view.locator(".sheet.narrow").is_visible()
        assert not view.locator(".sheet.wide").is_visible()
        assert view.evaluate(
            "document.querySelector('.scrolled').scrollWidth"
            " <= document.querySelector('.scrolled').clientWidth"
        )
        view.locator("[data-tempo]").fill("50")
        assert view.evaluate("document.querySelector('audio').playbackRate") == 0.5
        view.locator(".abc summary").click()
        assert view.locator(".abc pre").inner_text().strip() == to_abc(tune, 1).strip()
        for name, begins in (("ABC", b"X:1"), ("MIDI", b"MThd"), ("WAV", b"RIFF")):
            with view.expect_download() as waiting:
                view.locator(".files").get_by_text(name, exact=True).click()
            content = Path(waiting.value.path()).read_bytes()
            assert content.startswith(begins)
        y, sr = soundfile.read(io.BytesIO(content))
        assert sr == 22050
        assert abs(y).max() > 0.3


def test_every_event_is_numbered_as_written_and_grace_notes_are_none() -> None:
    tune = parse_tune("M:4/4\nL:1/8\nK:D\n{g}D2-D>F (3GAB [DF]2|z4 {ab}c2 d2|Z|x4 [df]4|")
    groups = re.findall(r'data-event="(\d+)" class="(\w+)"', engrave(tune))
    kinds = ["note"] * 6 + ["chord", "rest", "note", "note", "multiRest"]
    assert [kind for _, kind in groups] == [*kinds, "chord"]  # an invisible rest has a number too
    assert [int(number) for number, _ in groups] == [*range(11), 12]


BY_HAND = "X:1\nT:By hand\nM:4/4\nL:1/4\nK:D\n|:{g}D2 E-E|[FA]2 z2:|(3GAB c2|]\n"
# Event and onset in quarters, the repeat played; 4 is the rest, -1 the end.
PLAYED: list[tuple[int, float]] = [(0, 0), (1, 2), (2, 3), (3, 4), (4, 6)]
PLAYED += [
    (0, 8),
    (1, 10),
    (2, 11),
    (3, 12),
    (4, 14),
    (5, 16),
    (6, 16 + 2 / 3),
    (7, 16 + 4 / 3),
    (8, 18),
    (-1, 20),
]
QUARTER = 0.25  # seconds
LIT = "[...new Set([...document.querySelectorAll('.sounding')].map(note => note.dataset.event))]"
LOG = """
window.log = [];
new MutationObserver(changes => changes.forEach(({ target }) => {
  if (target.classList.contains("sounding") && target.closest(".wide"))
    log.push([Number(target.dataset.event), document.querySelector("#sound-2").currentTime]);
})).observe(document.querySelectorAll(".scrolled")[1], { subtree: true, attributes: true });
"""


@pytest.mark.browser
@pytest.mark.parametrize("percent", [100, 200])
def test_notes_light_up_as_they_sound(browser: Any, tmp_path: Path, percent: int) -> None:
    book, out = tmp_path / "a.abc", tmp_path / "out"
    book.write_text(to_abc(generate_tune(0, 0), 1) + "\n" + BY_HAND.replace("X:1", "X:2"))
    run(book, "--out", out, "--tempo-bpm", 60 / QUARTER)
    for view in opened(browser, out / "index.html"):
        view.locator("[data-tempo]").nth(1).fill(str(percent))
        view.get_by_role("button", name="Play").nth(1).click()
        view.evaluate("document.getElementById('sound-2').pause()")  # the page follows it still
        for (event, onset), (_, end) in pairwise(PLAYED):
            middle = QUARTER * (onset + end) / 2
            view.evaluate(f"document.getElementById('sound-2').currentTime = {middle}")
            wait_until(view, "!document.getElementById('sound-2').seeking")
            view.evaluate("new Promise(done => requestAnimationFrame(() => setTimeout(done, 50)))")
            assert view.evaluate(LIT) == ([] if event == 4 else [str(event)])
            assert view.locator("section").nth(0).locator(".sounding").count() == 0
        view.evaluate(f"document.getElementById('sound-2').currentTime = {QUARTER * 14.5}")
        view.evaluate(LOG)
        view.evaluate("document.getElementById('sound-2').play()")
        wait_until(view, "document.documentElement.dataset.playing === undefined")
        assert view.evaluate(LIT) == []  # none after the end
        spans = {event: (on, off) for (event, on), (_, off) in pairwise(PLAYED)}
        log = view.evaluate("window.log")
        assert log
        for event, at in log:
            assert spans[event][0] * QUARTER <= at < spans[event][1] * QUARTER + 0.2
        rate = view.evaluate("document.getElementById('sound-2').playbackRate")
        assert rate == percent / 100
