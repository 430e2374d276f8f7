"""Chromium for the tests of pages: launching it, opening a page that must not complain, waiting."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

CHROMIUM = Path("/usr/bin/chromium")
WIDE, PHONE = {"width": 1280, "height": 800}, {"width": 360, "height": 740}
PLAYING = "document.documentElement.dataset.playing"


def launched() -> Iterator[Any]:
    """Launch Debian's Chromium, and close it at the end."""
    try:
        from playwright.sync_api import sync_playwright
    except ModuleNotFoundError:
        _skip('playwright is not installed: pip install "otoscope[test]"')
    if not CHROMIUM.exists():
        _skip(f"{CHROMIUM} is not there: apt install chromium")
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(
            executable_path=str(CHROMIUM), args=["--no-sandbox", "--disable-gpu"]
        )
        yield chromium
        chromium.close()


def opened(
    browser: Any, page: Path | str, *, forgiven: tuple[str, ...] = (), **settings: Any
) -> Iterator[Any]:
    """Open a file or an address; afterwards, it must have no messages, errors, dialogs or requests.

    Requests of a served page to servers of this machine are its own. Messages with a text of
    ``forgiven`` are not counted.
    """
    context = browser.new_context(**{"viewport": WIDE, **settings})
    here = context.new_page()
    complaints: list[str] = []
    requests: list[str] = []
    here.on("console", lambda message: complaints.append(message.text))
    here.on("pageerror", lambda error: complaints.append(str(error)))
    here.on("dialog", lambda dialog: complaints.append(f"dialog {dialog.message}"))
    here.on("request", lambda request: requests.append(request.url))
    here.goto(page.as_uri() if isinstance(page, Path) else page)
    yield here
    context.close()
    assert [text for text in complaints if not any(part in text for part in forgiven)] == []
    own = "file:" if isinstance(page, Path) else "http://127.0.0.1:"
    foreign = [each for each in requests if not each.startswith((own, "data:", "blob:"))]
    assert foreign == []


def wait_until(page: Any, condition: str) -> None:
    """Wait up to two minutes; playwright's own waiting evaluates strings: the policy bars that."""
    for _ in range(2400):
        if page.evaluate(condition):
            return
        page.wait_for_timeout(50)
    pytest.fail(f"not within two minutes: {condition}")


def lightness(page: Any) -> float:
    """Return the background's mean of red, green and blue, in 0..255."""
    colour = page.evaluate("getComputedStyle(document.body).backgroundColor")
    numbers = colour[colour.index("(") + 1 : -1].split(",")[:3]
    return sum(map(float, numbers)) / 3


def _skip(reason: str) -> None:
    if os.environ.get("OTOSCOPE_REQUIRE_BROWSER") == "1":
        pytest.fail(reason)
    pytest.skip(reason)
