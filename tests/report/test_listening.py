"""A listening test in a real browser: nothing gives conditions away, and its table is analysed."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from otoscope.errors import ParameterError
from otoscope.report.listening.page import save_listening_page
from otoscope.signal.audio.files import write_audio
from otoscope.workflows.listening.analyse import RatingsConfig, analyse_ratings
from otoscope.workflows.listening.export import (
    ListeningTest,
    ListeningTestConfig,
    export_listening_test,
)
from tests.support.browser import PHONE, PLAYING, WIDE, opened, wait_until
from tests.support.reports import HOSTILE

pytestmark = pytest.mark.browser

SR = 16000
CONDITIONS = ("alpha", "beta", "gamma")


def write_sounds(folder: Path) -> Path:
    for i, condition in enumerate(CONDITIONS):
        (folder / condition).mkdir(parents=True)
        for item in range(2):
            random = torch.Generator().manual_seed(10 * i + item)
            y = 0.1 * 0.3**i * torch.randn(SR // 2, generator=random).clamp(-3, 3)
            write_audio(folder / condition / f"thing-{item}.wav", y, sr=SR)
    return folder


@pytest.fixture(scope="module", params=["mushra", "abx"])
def test_of(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Any:
    folder = tmp_path_factory.mktemp(request.param)
    config = ListeningTestConfig(
        write_sounds(folder / "sounds"), request.param, reference="alpha", anchors=("gamma",)
    )
    return export_listening_test(config, folder / "test"), folder / "test"


@pytest.fixture
def page(browser: Any, test_of: Any) -> Iterator[Any]:
    """Open the page; afterwards nothing may have been complained about or asked of a network."""
    yield from opened(browser, test_of[1] / "test.html")


def begin(page: Any, name: str) -> None:
    page.locator("[name=listener]").fill(name)
    page.get_by_role("button", name="Begin").click()


def order(page: Any) -> list[str]:
    """Names of the sounds of the trial that is shown, from A on."""
    rows: list[str] = page.locator(".trial:not([hidden]) [data-token]").evaluate_all(
        "rows => rows.map(row => row.dataset.token)"
    )
    return rows


def answer(page: Any, key: dict[str, str], *, rates: dict[str, int]) -> None:
    """Hear everything of the trial that is shown, and rate or choose as the key says."""
    shown = page.locator(".trial:not([hidden])")
    following = shown.get_by_role("button", name="Next")
    assert following.is_disabled()
    for button in shown.locator("[data-play]").all():
        button.click()
    assert following.is_disabled()  # nothing is rated yet
    for row in shown.locator("[data-token]").all():
        token = row.get_attribute("data-token")
        if row.locator("[type=range]").count():
            row.locator("[type=range]").fill(str(rates[key[token]]))
        elif key.get("right") == token:
            row.locator("[type=radio]").check()
    assert following.is_enabled()
    following.click()


def keys(test: ListeningTest) -> dict[str, dict[str, str]]:
    """Conditions by the names of sounds, and the right choice, of each trial."""
    return {
        trial["trial"]: {**trial["stimuli"], "right": trial.get("right", "")}
        for trial in test.trials
    }


def run(page: Any, test: ListeningTest, name: str, **rates: int) -> str:
    begin(page, name)
    for place in range(len(test.trials)):
        heading = page.locator(".trial:not([hidden]) h2").inner_text()
        assert heading == f"Trial {place + 1} of {len(test.trials)}"
        trial = page.locator(".trial:not([hidden])").get_attribute("data-trial")
        answer(page, keys(test)[trial], rates=rates)
    with page.expect_download() as download:
        page.get_by_role("button", name="Download the answers").click()
    assert download.value.suggested_filename.endswith(".csv")
    return Path(download.value.path()).read_bytes().decode()


def test_the_table_that_the_page_writes_is_what_the_analysis_reads(
    page: Any, test_of: Any, tmp_path: Path
) -> None:
    test, folder = test_of
    text = run(page, test, f'{HOSTILE}, "one"', alpha=100, beta=61, gamma=7)
    rows = list(csv.DictReader(text.splitlines()))
    assert {row["test"] for row in rows} == {test.test}
    assert {row["listener"] for row in rows} == {f'{HOSTILE}, "one"'}
    assert [int(row["position"]) for row in rows] == sorted(int(row["position"]) for row in rows)
    (tmp_path / "a.csv").write_text(text)
    result = analyse_ratings(RatingsConfig(folder, (tmp_path / "a.csv",)))
    assert result.failed == {}
    assert result.listeners == (f'{HOSTILE}, "one"',)
    assert not [note for note in result.notes if "answers." in note and "has" in note]
    if test.config.kind == "mushra":
        found = {each.condition: each.mean.value for each in result.conditions}
        assert found == pytest.approx({"alpha": 100, "beta": 61, "gamma": 7})
    else:
        assert [pair.right.value for pair in result.pairs] == [1, 1]


def test_no_text_attribute_or_order_gives_conditions_away(page: Any, test_of: Any) -> None:
    test, _ = test_of
    begin(page, "a")
    for _ in test.trials:
        seen = page.evaluate("document.body.innerText").lower()
        attributes = page.evaluate(
            "[...document.querySelectorAll('*')].flatMap(node => [...node.attributes])"
            ".filter(a => !a.value.startsWith('data:audio')).map(a => a.value).join(' ')"
        ).lower()
        for name in (*CONDITIONS, "thing", "anchor"):
            assert name not in seen
            assert name not in attributes
        letters = page.locator(".trial:not([hidden]) .stimuli button .letter").all_inner_texts()
        assert letters == ["A", "B", "C"][: len(letters)]
        trial = page.locator(".trial:not([hidden])").get_attribute("data-trial")
        answer(page, keys(test)[trial], rates={"alpha": 1, "beta": 2, "gamma": 3})


def test_each_listener_has_another_order_and_the_same_again(browser: Any, test_of: Any) -> None:
    test, folder = test_of
    orders = []
    for name in ("ann", "ann", "bob", "cat", "dan"):
        for page in opened(browser, folder / "test.html"):
            begin(page, name)
            seen = []
            for _ in test.trials:
                trial = page.locator(".trial:not([hidden])").get_attribute("data-trial")
                seen.append((trial, tuple(order(page))))
                answer(page, keys(test)[trial], rates={"alpha": 1, "beta": 2, "gamma": 3})
            orders.append(tuple(seen))
    assert orders[0] == orders[1]
    assert len({*orders}) > 2


def test_a_nameless_listener_does_not_begin_and_sounds_play_one_at_a_time(page: Any) -> None:
    page.locator("[name=listener]").fill("  ")
    page.get_by_role("button", name="Begin").click()
    assert page.locator(".trial:not([hidden])").count() == 0
    begin(page, "a")
    buttons = page.locator(".trial:not([hidden]) [data-play]")
    buttons.nth(0).click()
    wait_until(page, f"{PLAYING} !== undefined")
    buttons.nth(1).click()
    assert page.evaluate(PLAYING) == buttons.nth(1).get_attribute("data-play")
    assert buttons.nth(0).get_attribute("aria-pressed") == "false"


@pytest.mark.parametrize("size", [WIDE, PHONE])
def test_nothing_runs_over_the_edge_and_every_control_has_a_name(
    browser: Any, test_of: Any, size: dict[str, int]
) -> None:
    for page in opened(browser, test_of[1] / "test.html", viewport=size):
        begin(page, "a")
        assert page.evaluate("document.documentElement.scrollWidth") <= size["width"]
        controls = page.locator(".trial:not([hidden]) :is(button, [type=range])").evaluate_all(
            "nodes => nodes.map(n => n.getAttribute('aria-label') || n.textContent.trim())"
        )
        assert all(controls)


def test_questions_are_text(browser: Any, tmp_path: Path) -> None:
    config = ListeningTestConfig(
        write_sounds(tmp_path / "sounds"), question=HOSTILE, low="<b>low", high='"high"'
    )
    export_listening_test(config, tmp_path / "test")
    for page in opened(browser, tmp_path / "test" / "test.html"):
        assert page.locator(".lead").first.inner_text() == HOSTILE
        begin(page, "a")
        assert page.get_by_text("<b>low", exact=True).count() == 6


def test_a_page_without_trials_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ParameterError, match="there are no trials"):
        save_listening_page(
            [], tmp_path / "a.html", test="", kind="abx", question="", scale=("", ""), sr=SR
        )


def test_the_page_keeps_its_key_elsewhere(test_of: Any) -> None:
    _, folder = test_of
    key = json.loads((folder / "key.json").read_text())
    page = (folder / "test.html").read_text()
    assert "right" not in json.dumps(page.split('id="listening">')[1].split("</script>")[0])
    assert {c for t in key["trials"] for c in t["stimuli"].values()} == {*CONDITIONS}
