"""The composing page in Chromium: from the click to the sheet music, and from start to page.

Each round starts `otoscope serve` and opens the page in a new browser context. "start to page" runs
from the start of the process until the page is ready; "first tune" from the click on "Write a tune"
until the sheet music of the first of three candidates is painted, the first one that this server
writes; "next tune" is the same for further ones, with other seeds. A tune is to be visible within
two seconds on two cores: the bar. Without Chromium, playwright or the extra serve it says so.

    python benchmarks/bench_compose.py [--quick]
"""

from __future__ import annotations

import shutil
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter, sleep
from typing import Any

from command import run
from timing import Bar, Case, Timing

SIZES = {"cpu": (5, 4), "cuda": (5, 4), "quick": (1, 1)}  # rounds, next tunes in each
AT_MOST = 2.0  # seconds
_BROWSERS = ("chromium", "chromium-browser", "google-chrome")
_SECONDS = 120
# Two frames after the notes are there they are on the screen.
_WRITE = """async () => {
  const sheet = document.getElementById("sheet"), written = document.body.dataset;
  const before = written.written, frame = () => new Promise(requestAnimationFrame);
  const start = performance.now();
  document.getElementById("write").click();
  while (written.written === before || !sheet.querySelector(".abcjs-note")) await frame();
  await frame();
  await frame();
  return (performance.now() - start) / 1000;
}"""


def missing() -> str:
    """Return what is not installed, in one line; "" if all is there."""
    for module, extra in (("playwright", "test"), ("starlette", "serve"), ("uvicorn", "serve")):
        if not find_spec(module):
            return f'{module} is not installed: pip install "otoscope[{extra}]"'
    return "" if _browser() else f"none of {', '.join(_BROWSERS)} is installed"


def _browser() -> str | None:
    return next((path for name in _BROWSERS if (path := shutil.which(name))), None)


@contextmanager
def served(folder: str, path: str) -> Iterator[str]:
    """Start the server; yield the address of the page at ``path``, and end the server."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "otoscope.cli", "serve", "--port", str(port)]
    with (Path(folder) / "log").open("w") as log:
        process = subprocess.Popen(command, cwd=folder, stdout=log, stderr=log)
    try:
        yield f"http://127.0.0.1:{port}{path}"
    finally:
        process.terminate()
        process.wait(timeout=_SECONDS)


def ready(page: Any, url: str) -> None:
    """Wait until the server answers, and open the page."""
    end = perf_counter() + _SECONDS
    while True:
        try:
            urllib.request.urlopen(url, timeout=_SECONDS).read()
            break
        except OSError:
            if perf_counter() > end:
                raise
            sleep(0.02)
    page.goto(url)
    while page.evaluate("document.body.dataset.ready") != "yes":
        sleep(0.01)


def measured(
    rounds: int, more: int, *, path: str, act: str, names: tuple[str, str, str]
) -> dict[str, list[float]]:
    """Return the seconds of each kind: until the page is ready, of the first act, of next ones.

    An act is a function in JavaScript that returns its seconds.
    """
    from playwright.sync_api import sync_playwright

    seconds: dict[str, list[float]] = {name: [] for name in names}
    until_page, first, later = seconds.values()
    with sync_playwright() as playwright, TemporaryDirectory() as folder:
        browser = playwright.chromium.launch(executable_path=_browser(), args=["--no-sandbox"])
        for _ in range(rounds):
            page = browser.new_context(viewport={"width": 1100, "height": 900}).new_page()
            start = perf_counter()
            with served(folder, path) as url:
                ready(page, url)
                until_page.append(perf_counter() - start)
                first.append(page.evaluate(act))
                later += [page.evaluate(act) for _ in range(more)]
                page.context.close()
        browser.close()
    return seconds


def cases(device: str, sizes: tuple[int, int]) -> Iterator[Case]:
    """Measure start, first and next tunes."""
    del device  # the page's network runs on the CPU
    names = ("start to page", "first tune", "next tune")
    for name, seconds in measured(*sizes, path="/folk", act=_WRITE, names=names).items():
        timing = Timing(tuple(seconds))
        bar = None if name == "start to page" else AT_MOST / timing.median_s
        yield Case(
            name,
            {"rounds": sizes[0], "candidates": 3},
            {"ours": timing},
            None if bar is None else Bar(f"{AT_MOST:g} s / ours", bar, 1.0),
        )


if __name__ == "__main__":
    if reason := missing():
        print(f"compose: not measured: {reason}")
    else:
        run("compose", __doc__, cases, SIZES)
