"""The composing page in Chromium: write, hear, change, download, reload, link, keys, phone."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from otoscope.folk.abc import Form, book_to_abc, parse_tune, to_abc
from otoscope.folk.data import generate_tune
from otoscope.folk.metrics import has_form
from tests.support.browser import launched, opened, wait_until
from tests.support.servers import READY, SERVER_ENDED, SERVER_MARKS, Server

pytestmark = SERVER_MARKS
HOSTILE = "X:1\nT:<img src=x onerror=alert(1)>\nM:4/4\nL:1/8\nK:D\n|:DEFG ABcd|d4 D4:|\n"


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    here = Server(path="/folk")
    yield here
    here.end()


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    yield from launched()


@pytest.fixture
def page(browser: Any, server: Server, request: pytest.FixtureRequest) -> Iterator[Any]:
    size = getattr(request, "param", {"width": 1100, "height": 900})
    for here in opened(
        browser, server.url, forgiven=SERVER_ENDED, viewport=size, accept_downloads=True
    ):
        wait_until(here, READY)
        yield here


def visit(page: Any, url: str) -> None:
    page.goto(url)
    wait_until(page, READY)


def told(page: Any) -> int:
    return int(page.evaluate("Number(document.body.dataset.told || 0)"))


def write(page: Any, button: str = "#write") -> str:
    """Press a button that writes; return the tune."""
    before = page.evaluate("Number(document.body.dataset.written || 0)")
    page.click(button)
    wait_until(page, f"Number(document.body.dataset.written || 0) > {before}")
    return str(page.input_value("#abc"))


def typed(page: Any, abc: str) -> None:
    before = told(page)
    page.fill("#abc", abc)
    wait_until(page, f"Number(document.body.dataset.told || 0) > {before}")


def bars_of(abc: str) -> list[tuple[int, ...]]:
    """Pitches of each bar."""
    tune = parse_tune(abc)
    return [
        tuple(n.pitch for n in tune.notes if m.onset <= n.onset < m.onset + m.duration)
        for m in tune.measures
    ]


def test_a_tune_is_written_seen_and_heard(page: Any) -> None:
    page.select_option("#meter", "6/8")
    page.select_option("#semitones", "2")
    tune = parse_tune(write(page))
    assert tune.meter.text == "6/8"
    assert tune.key.abc.startswith("D")
    assert page.locator("#sheet .abcjs-note").count() > 10
    assert page.locator("#candidates button").count() == 3
    page.click("#candidates button >> nth=1")
    page.click(".abcjs-midi-start")
    wait_until(page, "Number(document.body.dataset.followed || 0) > 2")
    page.check("#coloured")
    wait_until(
        page, "!!document.querySelector('#sheet .abcjs-note[data-nats]:not([data-nats=\"\"])')"
    )


def test_a_form_is_kept_or_refused(page: Any) -> None:
    page.fill("#form", "AABA:4")
    assert has_form(parse_tune(write(page)), Form.parse("AABA:4"))
    page.fill("#form", "<b>8")
    page.click("#write")
    wait_until(page, "document.getElementById('state').textContent.includes('neither letters')")
    assert page.locator("#state b").count() == 0
    page.fill("#form", "")
    write(page)


def test_bars_are_kept_and_the_others_written_anew(page: Any) -> None:
    page.select_option("#meter", "4/4")
    page.select_option("#mode", "maj")
    before = write(page)
    wait_until(page, "document.querySelectorAll('#bars button').length > 4")
    bars = bars_of(before)
    page.click("#bars button >> nth=0")
    page.click("#bars button >> nth=2")
    after = bars_of(write(page, "#anew"))
    assert len(after) == len(bars)
    assert (after[0], after[2]) == (bars[0], bars[2])
    assert after != bars
    whole = page.input_value("#abc")
    page.click("#bars button >> nth=3")
    assert page.inner_text("#from") == "4"
    on = bars_of(write(page, "#continue"))
    assert on[:3] == bars_of(whole)[:3]
    moved = bars_of(write(page, "#up"))
    assert moved[0] == tuple(pitch + 1 for pitch in bars_of(page.evaluate("tune.past.at(-1)"))[0])
    page.click("#undo")
    wait_until(page, "document.getElementById('abc').value === tune.abc")


def test_edits_are_kept_and_hostile_text_stays_text(page: Any) -> None:
    typed(page, HOSTILE)
    assert page.locator("img").count() == 0
    assert "<img" in page.inner_text("#title")
    page.fill("#prime", "<script>alert(1)</script>")
    wait_until(page, "document.getElementById('prime-said').textContent != ''")
    page.fill("#prime", "|: G2 ;")
    wait_until(page, "document.getElementById('prime-said').textContent.includes('column')")
    assert page.get_attribute("#prime", "aria-invalid") == "true"
    page.fill("#prime", "|: ^^^G2")
    wait_until(page, "document.getElementById('prime-said').textContent.includes('^^^')")
    page.fill("#prime", "|: G2 E")
    wait_until(page, "document.getElementById('prime-said').textContent == 'can be read'")
    assert page.get_attribute("#prime", "aria-invalid") == "false"
    typed(page, HOSTILE.replace("ABcd", "AB;d"))
    assert "line 6, column 10" in page.inner_text("#said")
    typed(page, HOSTILE)
    page.reload()
    wait_until(page, "document.body.dataset.ready == 'yes'")
    assert page.input_value("#abc") == HOSTILE
    assert page.locator("#history li").count() >= 2
    assert page.locator("img").count() == 0


def test_files_and_link(page: Any, server: Server, tmp_path: Path) -> None:
    write(page)
    wait_until(page, "document.getElementById('link').getAttribute('href').length > 10")
    files = {"abc": b"X:", "mid": b"MThd", "svg": b"<svg", "wav": b"RIFF", "musicxml": b"<?xml"}
    for form, begins in files.items():
        with page.expect_download() as download:
            page.click(f"[data-file={form}]")
        path = tmp_path / f"tune.{form}"
        download.value.save_as(path)
        assert path.read_bytes().startswith(begins)
    y, _ = soundfile.read(tmp_path / "tune.wav")
    assert np.sqrt(np.mean(y**2)) > 0.01
    abc, link = page.input_value("#abc"), page.get_attribute("#link", "href")
    page.evaluate("localStorage.clear()")
    page.goto("about:blank")
    visit(page, server.url + link)
    assert page.input_value("#abc") == abc


@pytest.mark.parametrize("page", [{"width": 390, "height": 780}], indirect=True)
def test_phone_and_keyboard_only(page: Any) -> None:
    page.locator("body").press("n")
    wait_until(page, "Number(document.body.dataset.written || 0) > 0")
    assert page.evaluate("document.documentElement.scrollWidth <= 390")
    wait_until(page, "document.querySelectorAll('#bars button').length > 2")
    page.focus("#bars button >> nth=1")
    page.keyboard.press("Space")
    assert page.get_attribute("#bars button >> nth=1", "aria-pressed") == "true"
    page.focus("#continue")
    before = page.evaluate("Number(document.body.dataset.written)")
    page.keyboard.press("Enter")
    wait_until(page, f"Number(document.body.dataset.written) > {before}")
    names = page.evaluate(
        "[...document.querySelectorAll('button, input, select, textarea')].filter("
        "e => !(e.labels && e.labels.length) && !e.ariaLabel && !e.textContent.trim() "
        "&& !e.title).length"
    )
    assert names == 0


def test_ten_at_once_are_answered_and_a_cancelled_one_frees_the_worker(
    page: Any, server: Server
) -> None:
    tunes = page.evaluate(
        "Promise.all(Array.from({length: 10}, (_, i) => work(request({seed: i, n: 1}))))"
    )
    assert len({one[0]["abc"] for one in tunes}) == 10
    gone = page.evaluate(
        """(async () => {
          let key = null;
          const slow = work(request({n: 8, seed: 1}), now => { key = now.key; });
          while (!key) await new Promise(wait => setTimeout(wait, 5));
          await post(`/folk/jobs/${key}/cancel`, {});
          return slow.then(() => "done", problem => problem.message);
        })()"""
    )
    assert gone in ("cancelled", "done")
    assert len(page.evaluate("work(request({n: 1, seed: 3}))")) == 1


def test_a_killed_server_loses_nothing_that_the_browser_has(page: Any, server: Server) -> None:
    abc = write(page)
    server.end(signal.SIGKILL)
    page.click("#write")
    wait_until(page, "document.getElementById('state').classList.contains('wrong')")
    assert "otoscope serve" in page.inner_text("#state")
    server.start()
    page.reload()
    wait_until(page, "document.body.dataset.ready == 'yes'")
    assert page.input_value("#abc") == abc
    assert write(page) != abc


def test_a_kept_seed_writes_the_same_and_a_bar_is_chosen_in_the_sheet(page: Any) -> None:
    first = write(page)
    page.check("#locked")
    assert write(page) == first
    page.uncheck("#locked")
    assert write(page) != first
    page.locator("#sheet .abcjs-note.abcjs-mm2").first.click(force=True)
    assert page.inner_text("#from") == "3"
    bars = bars_of(page.input_value("#abc"))
    assert bars_of(write(page, "#continue"))[:2] == bars[:2]


def test_every_control_is_reached_and_used_by_keyboard_alone(page: Any) -> None:
    write(page)
    wait_until(page, "document.querySelectorAll('#bars button').length > 2")
    controls = "button, input, select, textarea, a[href], #sheet"
    wanted = page.evaluate(
        f"[...document.querySelectorAll('{controls}')].filter(e => e.offsetParent || "
        "getComputedStyle(e).position === 'fixed').filter(e => !e.disabled).length"
    )
    page.evaluate("window.reached = new Set(); document.activeElement.blur()")
    for _ in range(3 * wanted):
        page.keyboard.press("Tab")
        page.evaluate(
            f"document.activeElement.matches('{controls}') && "
            "window.reached.add(document.activeElement)"
        )
        if page.evaluate("window.reached.size") == wanted:
            break
    assert page.evaluate("window.reached.size") == wanted
    while page.evaluate("document.activeElement.id") != "write":
        page.keyboard.press("Tab")
    before = page.evaluate("Number(document.body.dataset.written)")
    page.keyboard.press("Enter")
    wait_until(page, f"Number(document.body.dataset.written) > {before}")


@pytest.fixture(scope="module")
def judging(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Server, str]]:
    """A server that knows forty jigs, and one of them."""
    tunes = [generate_tune(1, i, meter="6/8") for i in range(40)]
    known = tmp_path_factory.mktemp("judging") / "known.abc"
    known.write_text(book_to_abc(tunes))
    here = Server("--in", str(known), path="/folk")
    yield here, to_abc(tunes[7], 1)
    here.end()


def test_candidates_are_ranked_and_a_known_tune_is_told(
    page: Any, judging: tuple[Server, str]
) -> None:
    server, known = judging
    visit(page, server.url)
    page.select_option("#meter", "6/8")
    write(page)
    wait_until(page, "document.body.dataset.ranked === 'yes'")
    ranks = page.locator("#candidates small").all_inner_texts()
    assert [text[:2] for text in ranks] == ["1.", "2.", "3."]
    failed = [text.count(",") + 1 if " fails " in text else 0 for text in ranks]
    assert failed == sorted(failed)
    typed(page, known)
    assert any(
        text.startswith("plagiarism") for text in page.locator("#remarks li").all_inner_texts()
    )
