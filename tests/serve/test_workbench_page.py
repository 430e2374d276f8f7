"""The workbench in Chromium, and under ten users: see, hear, attack, cancel, restart, keys."""

from __future__ import annotations

import io
import json
import signal
import urllib.parse
import urllib.request
import zipfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from tests.support.browser import launched, opened, wait_until
from tests.support.servers import READY, SERVER_ENDED, SERVER_MARKS, Server

pytestmark = SERVER_MARKS
HOSTILE = "<img src=x onerror=alert(1)>.wav"
CONTROLS = "button, input, select, textarea, a[href], audio, iframe"
MOST_BYTES = 4 * 2**30  # of the server and its four workers


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    here = Server(path="/")
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


def sound(seed: int = 0, seconds: float = 3.0) -> bytes:
    y = 0.1 * np.random.default_rng(seed).standard_normal(int(seconds * 22050))
    file = io.BytesIO()
    soundfile.write(file, y, 22050, format="WAV")
    return file.getvalue()


def run(page: Any, kind: str) -> str:
    """Press the button of a kind of job, and wait; return what the page says."""
    before = page.evaluate("Number(document.body.dataset.runs || 0)")
    page.click(f"#tab-{kind}")
    page.click(f"[data-run={kind}]")
    wait_until(page, f"Number(document.body.dataset.runs || 0) > {before}")
    return str(page.inner_text("#state"))


def report_of(page: Any) -> Any:
    """Return the frame of the report once it is loaded."""
    wait_until(page, "document.body.dataset.seen == document.body.dataset.shown")
    (frame,) = [frame for frame in page.frames if frame.url.endswith("report.html")]
    return frame


def test_a_sample_is_explained_seen_and_heard(page: Any, tmp_path: Path) -> None:
    assert run(page, "explain").startswith("done")
    frame = report_of(page)
    assert "piano-ballad" in frame.evaluate("document.title")
    assert frame.locator("audio").count() > 0
    blocked = frame.evaluate(
        "(() => { try { return String(localStorage) } catch { return 'no' } })()"
    )
    assert blocked == "no"
    assert frame.evaluate("window.origin") == "null"
    assert page.inner_text("#sentence")
    for name, begins in (("report.html", b"<!doctype html>"), ("result.json", b"{")):
        with page.expect_download() as download:
            page.click(f"#files a[download='{name}']")
        download.value.save_as(tmp_path / name)
        assert (tmp_path / name).read_bytes().startswith(begins)
    page.select_option("#content", "noise")
    first = page.evaluate("document.body.dataset.shown")
    assert run(page, "explain").startswith("done")
    assert page.evaluate("document.body.dataset.shown") != first
    page.reload()
    wait_until(page, "document.body.dataset.ready == 'yes'")
    page.click("#history li:last-child button")
    wait_until(page, f"document.body.dataset.shown == '{first}'")


def test_an_upload_is_attacked_and_hostile_names_stay_text(page: Any) -> None:
    uploads: list[str] = []
    page.on("request", lambda sent: uploads.append(sent.url) if "/uploads" in sent.url else None)
    content = {"name": HOSTILE, "mimeType": "audio/wav", "buffer": sound()}
    page.set_input_files("#file", content)
    assert page.inner_text("#chosen").startswith("<img")
    assert run(page, "explain").startswith("done")
    page.click("#tab-attack")
    page.focus("#snr")
    for _ in range(5):
        page.keyboard.press("ArrowLeft")
    assert page.inner_text("#snr-said") == "25 dB"
    assert run(page, "attack").startswith("done")
    assert len(uploads) == 1
    frame = report_of(page)
    with page.context.expect_page() as tab:
        page.get_by_role("link", name="Open the report in a tab").click()
    assert tab.value.evaluate("window.origin") == "null"
    tab.value.close()
    assert frame.locator("[aria-label=Listen] button").count() >= 2
    assert frame.locator("img[src=x]").count() == page.locator("img").count() == 0
    assert "<img" in page.inner_text("#history")
    page.fill("#target", "<script>alert(1)</script>")
    run(page, "explain")
    assert "<script>" in page.inner_text("#state")
    page.click("#forget")
    wait_until(page, "document.getElementById('state').textContent == 'Deleted.'")
    assert page.locator("#history li").count() == 0


def test_a_folder_is_interrogated_and_two_sets_are_measured(page: Any) -> None:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for i in range(6):
            archive.writestr(f"songs/{'ab'[i % 2]}/{i} <b>.wav", sound(i))
    folder = {"name": "songs.zip", "mimeType": "application/zip", "buffer": file.getvalue()}
    page.set_input_files("#archive", folder)
    page.click("#tab-interrogate")
    page.uncheck("#change-tempo")
    page.check("#change-gain")
    assert "“Take the answers" in run(page, "interrogate")
    page.check("#unlabelled")
    assert run(page, "interrogate").startswith("done")
    assert page.locator("#table tr").count() >= 2
    assert page.locator("#table b").count() == 0
    assert report_of(page).evaluate("document.title")
    assert "Choose a file first: Real sounds." in run(page, "distance")
    page.set_input_files("#real", folder)
    alone = [
        {"name": f"{i}.wav", "mimeType": "audio/wav", "buffer": sound(9 + i)} for i in range(3)
    ]
    page.set_input_files("#generated", alone)
    page.check("#per_file")
    assert run(page, "distance").startswith("done")
    assert "distance" in page.inner_text("#sentence")
    assert page.locator("#table tr").count() == 4
    assert "How far is generated from real?" in report_of(page).inner_text("h1")
    page.fill("#layer", "nowhere")
    assert "nowhere" in run(page, "distance")
    assert page.locator("#result").is_hidden()


def test_a_job_shows_its_progress_and_is_cancelled(page: Any) -> None:
    page.click("#tab-attack")
    page.select_option("#method", "square")
    page.evaluate("document.getElementById('snr').value = 60")
    page.click("[data-run=attack]")
    wait_until(page, "/^working: /.test(document.getElementById('state').textContent)")
    page.click("#cancel")
    wait_until(page, "document.getElementById('state').textContent == 'cancelled'")
    assert run(page, "explain").startswith("done")


def test_a_killed_server_is_said_and_the_upload_is_sent_again(page: Any, server: Server) -> None:
    content = {"name": "a.wav", "mimeType": "audio/wav", "buffer": sound()}
    page.set_input_files("#file", content)
    assert run(page, "explain").startswith("done")
    server.end(signal.SIGKILL)
    assert "otoscope serve" in run(page, "explain")
    server.start()
    assert run(page, "explain").startswith("done")
    page.click("#history li:last-child button")
    wait_until(page, "/no longer has/.test(document.getElementById('state').textContent)")


@pytest.mark.parametrize("page", [{"width": 390, "height": 780}], indirect=True)
def test_phone_and_keyboard_alone(page: Any) -> None:
    for kind in ("explain", "attack", "interrogate", "distance"):
        assert page.locator(f"#{kind}").is_visible()
        assert page.evaluate("document.documentElement.scrollWidth <= 390"), kind
        wanted = page.evaluate(
            f"[...document.querySelectorAll('{CONTROLS}')].filter(e => e.offsetParent && "
            "!e.disabled && e.tabIndex >= 0).length"
        )
        page.evaluate("window.reached = new Set(); document.activeElement.blur()")
        for _ in range(4 * wanted):
            page.keyboard.press("Tab")
            page.evaluate(
                f"document.activeElement.matches('{CONTROLS}') && "
                "window.reached.add(document.activeElement)"
            )
            if page.evaluate("window.reached.size") == wanted:
                break
        assert page.evaluate("window.reached.size") == wanted, kind
        page.focus(f"#tab-{kind}")
        page.keyboard.press("ArrowRight")
    page.focus("[data-run=explain]")
    page.keyboard.press("Enter")
    wait_until(page, "Number(document.body.dataset.runs || 0) > 0")
    assert page.inner_text("#state").startswith("done")
    assert page.evaluate("document.documentElement.scrollWidth <= 390")
    names = page.evaluate(
        "[...document.querySelectorAll('button, input, select, textarea, audio, iframe')].filter("
        "e => !(e.labels && e.labels.length) && !e.ariaLabel && !e.textContent.trim() "
        "&& !e.title).length"
    )
    assert names == 0


def asked(url: str, content: bytes | None = None) -> bytes:
    with urllib.request.urlopen(urllib.request.Request(url, content), timeout=600) as answer:
        body: bytes = answer.read()
        return body


def explained(url: str, user: int) -> dict[str, Any]:
    """Upload a sound of one's own and explain it; return the last event."""
    name = urllib.parse.quote(f"user {user}.wav")
    key = json.loads(asked(f"{url}work/uploads?name={name}", sound(user, 20)))["upload"]
    item = {"kind": "explain", "model": "synth-singing", "upload": key}
    job = json.loads(asked(f"{url}work/jobs", json.dumps(item).encode()))["job"]
    events = asked(f"{url}work/jobs/{job}").decode().strip().split("\n\n")
    last: dict[str, Any] = json.loads(events[-1].removeprefix("data: "))
    return last


def resident_bytes(process: int) -> int:
    """Memory of a process and its children."""
    total = 0
    for place in Path("/proc").glob("[0-9]*"):
        try:
            parent = int((place / "stat").read_text().rpartition(")")[2].split()[1])
            if process in (parent, int(place.name)):
                lines = (place / "status").read_text().splitlines()
                total += sum(int(x.split()[1]) * 1024 for x in lines if x.startswith("VmRSS"))
        except OSError:  # it has ended
            continue
    return total


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="memory is read from /proc")
def test_ten_users_at_once_are_answered_within_bounded_memory(server: Server) -> None:
    with ThreadPoolExecutor(10) as users:
        for _ in range(2):
            answers = [*users.map(explained, [server.url] * 10, range(10))]
            assert [answer["state"] for answer in answers] == ["done"] * 10
    sentences = {answer["result"]["result"] for answer in answers}
    assert len(sentences) == 10
    assert resident_bytes(server.process.pid) < MOST_BYTES
