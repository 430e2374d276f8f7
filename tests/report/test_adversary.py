"""The page and the words of an adversary: nothing is claimed that was not measured."""

from __future__ import annotations

import base64
import io
import json
import math
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import torch
from torch import Tensor

from otoscope.attack.evaluation import Evaluation, LowPassResult
from otoscope.errors import ParameterError
from otoscope.report import save_adversary
from otoscope.report.adversary import cautions, facts, sentence
from tests.support.browser import PHONE, PLAYING, WIDE, lightness, opened, wait_until
from tests.support.reports import HOSTILE

SR = 16000

FOUND = Evaluation(
    path="adv.wav",
    sr=SR,
    seconds=2.0,
    aim="singing",
    targeted=True,
    success=True,
    success_before_writing=True,
    label_before="not singing",
    label_after="singing",
    confidence_before=0.1,
    confidence_after=0.91,
    threshold=0.5,
    confidence=(0.1, 0.4, 0.91),
    iterations=2,
    snr_bound_db=40.0,
    snr_guaranteed_db=39.97,
    snr_db=40.0,
    support_snr_db=40.0,
    segmental_snr_db=31.0,
    clipped_before=0,
    clipped=0,
    inconsistency_before=1e-16,
    inconsistency_after=2e-16,
    low_pass=(
        LowPassResult(1000.0, "singing", "singing", 0.6, 0.7),
        LowPassResult(4000.0, "not singing", "not singing", 0.2, 0.3),
        LowPassResult(6000.0, "not singing", "singing", 0.2, 0.8),
    ),
)


STUCK = replace(FOUND, success=False, confidence=(0.1, 0.1, 0.1), low_pass=())


def test_search_that_moved_nothing_is_no_proof_of_robustness() -> None:
    assert "gradient is 0" in cautions(STUCK)[0]
    moved = replace(STUCK, confidence=(0.1, 0.1, 0.11))
    no_step = replace(STUCK, confidence=(0.1,), iterations=0)
    for other in (FOUND, moved, no_step):
        assert not any("gradient is 0" in text for text in cautions(other))


# the adversary is heard as the original was, and there the original is not
_SWAPPED = LowPassResult(500.0, "singing", "not singing", 0.6, 0.3)


def pair(*, n_samples: int = 2 * SR) -> tuple[Tensor, Tensor]:
    """Noise, and the same with a tone at 40 dB."""
    x = 0.2 * torch.rand(n_samples, generator=torch.Generator().manual_seed(0)) - 0.1
    tone = torch.sin(torch.arange(n_samples) * 2.0)
    return x, x + tone * float(x.norm() / tone.norm()) / 100


def test_sentence_says_who_is_fooled_and_that_the_bound_held() -> None:
    assert sentence(FOUND, model="the ear") == (
        "Fooled: the ear heard “not singing” and hears “singing” in the file (confidence 0.10, "
        "now 0.91). The bound held on the file: 40.00 dB required, 40.00 dB measured."
    )
    text = sentence(replace(FOUND, success=False, label_after="not singing", confidence_after=0.3))
    assert text.startswith(
        "Not fooled: the model hears “not singing” in the file (confidence in “singing” 0.10, now"
    )


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"snr_guaranteed_db": None, "snr_db": 27.0}, "on magnitudes: 40.00 dB required, 27.00 dB"),
        ({"snr_db": 39.9}, "The bound did not hold: 40.00 dB required, 39.90 dB measured."),
        (
            {"snr_db": 39.98},
            "The bound held: 40.00 dB required; rounding to 16 bits left 39.98 dB in the file.",
        ),
        ({"snr_db": math.inf}, "The sound is unchanged."),
    ],
)
def test_bound_is_spoken_of_as_it_was_measured(changes: dict[str, Any], text: str) -> None:
    assert text in sentence(replace(FOUND, **changes))


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({}, "A low-pass filter undoes it: at 4000 Hz."),
        ({"low_pass": FOUND.low_pass[::2]}, "No low-pass filter undoes it: wherever"),
        ({"low_pass": FOUND.low_pass[:1]}, "No low-pass filter leaves the original heard as it"),
        ({"low_pass": (_SWAPPED, *FOUND.low_pass)}, "A low-pass filter undoes it: at 4000 Hz."),
        ({"low_pass": ()}, "No low-pass filter was tried."),
        ({"segmental_snr_db": 12.0}, "In its worst 25 ms the ratio is 12.00 dB: there the change"),
        ({"segmental_snr_db": -math.inf}, "Something was added to digital silence"),
        ({"clipped": 1234}, "1,234 samples of the adversary do not fit the file: clipped."),
        ({"clipped_before": 3}, "3 samples of the original are at full scale: clipped?"),
        ({"inconsistency_after": 0.2}, "that of no sound (inconsistency 0.20)."),
        ({"success": False}, "Rounding to 16 bits undid it"),
    ],
)
def test_what_speaks_against_it_is_told(changes: dict[str, Any], text: str) -> None:
    assert any(text in caution for caution in cautions(replace(FOUND, **changes)))


def test_an_attack_that_failed_is_not_said_to_be_undone_by_a_filter() -> None:
    failed = replace(FOUND, success=False, success_before_writing=False)
    assert cautions(failed) == []


def test_facts_give_infinite_ratios_as_such() -> None:
    matches = {
        fact.name: fact.value
        for fact in facts(replace(FOUND, segmental_snr_db=-math.inf, inconsistency_after=None))
    }
    assert matches["Worst 25 ms"] == "\N{MINUS SIGN}∞ dB"
    assert matches["Inconsistency"] == "0 → –"


def sounds_of(page: str) -> dict[str, Tensor]:
    """Decode the page's sounds."""
    matches = re.findall(r'id="sound-(\w+)".*?base64,([^"]+)"', page)
    return {
        key: torch.from_numpy(soundfile.read(io.BytesIO(base64.b64decode(code)))[0])
        for key, code in matches
    }


def test_sounds_of_the_page_are_those_of_the_files(tmp_path: Path) -> None:
    """A lossy code could undo an adversary; and the gain that is told is the gain there is."""
    x, y = (torch.round(sound * 32768) / 32768 for sound in pair())
    save_adversary(FOUND, tmp_path / "adv.html", (x, y))
    page = (tmp_path / "adv.html").read_text()
    heard = sounds_of(page)
    assert torch.equal(heard["original"].float(), x)
    assert torch.equal(heard["adversary"].float(), y)
    gain = re.search(r"Difference, (\d+) dB louder", page)
    assert gain is not None
    louder = (y - x).double() * 10 ** (int(gain[1]) / 20)
    torch.testing.assert_close(heard["difference"], louder, rtol=0, atol=2**-15)
    assert int(gain[1]) == 39  # 40 dB, less what rounding the sounds added


def test_sound_that_is_unchanged_has_no_difference_to_hear(tmp_path: Path) -> None:
    x, _ = pair()
    unchanged = replace(FOUND, confidence=(0.1,), iterations=0, snr_db=math.inf)
    save_adversary(unchanged, tmp_path / "adv.html", (x, x))
    page = (tmp_path / "adv.html").read_text()
    assert set(sounds_of(page)) == {"original", "adversary"}
    assert "Confidence over steps" not in page


def test_page_holds_the_numbers(tmp_path: Path) -> None:
    save_adversary(FOUND, tmp_path / "adv.html", pair(), title="</script>")
    page = (tmp_path / "adv.html").read_text()
    held = re.search(r'id="adversary">(.*?)</script>', page)
    assert held is not None
    assert json.loads(held[1]) == FOUND.to_dict()


def test_page_tells_the_times_of_the_excerpt(tmp_path: Path) -> None:
    save_adversary(FOUND, tmp_path / "adv.html", pair(), start=12.0)
    page = (tmp_path / "adv.html").read_text()
    assert "Excerpt 12.00–14.00 s" in page
    assert all(f">{label}</" in page for label in ("12.5", "13.5"))


def test_sounds_of_two_lengths_are_refused(tmp_path: Path) -> None:
    x, y = pair()
    with pytest.raises(ParameterError, match=r"shape \(32000,\), adversary \(31999,\)"):
        save_adversary(FOUND, tmp_path / "adv.html", (x, y[1:]))
    assert not list(tmp_path.iterdir())


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write a page with everything on it."""
    path = tmp_path_factory.mktemp("report") / "adv.html"
    notes = ["a-very-long-note-without-any-space-in-it-" * 4]
    save_adversary(FOUND, path, pair(), model="the ear", title=HOSTILE, start=12.0, notes=notes)
    return path


@pytest.fixture
def page(browser: Any, report: Path) -> Iterator[Any]:
    """Open the page; afterwards nothing may have been complained about or asked of a network."""
    yield from opened(browser, report)


@pytest.mark.browser
def test_switching_goes_on_at_the_same_place(page: Any) -> None:
    page.get_by_role("button", name="Original").click()
    wait_until(page, "document.getElementById('sound-original').currentTime > 0.3")
    slow = "document.querySelectorAll('audio').forEach(a => { a.playbackRate = 1 / 16; })"
    page.evaluate(slow)  # so that a busy machine reads the places in time
    page.get_by_role("button", name="Adversary").click()
    assert page.evaluate(PLAYING) == "adversary"
    assert page.evaluate("document.getElementById('sound-original').paused")
    assert page.evaluate("document.getElementById('sound-adversary').currentTime") >= 0.3
    page.get_by_role("button", name="Adversary").click()
    assert page.evaluate(PLAYING) is None
    page.get_by_role("button", name="Difference").click()
    assert page.evaluate("document.getElementById('sound-difference').currentTime") < 0.3


@pytest.mark.browser
def test_every_control_has_a_name_and_the_title_stays_text(page: Any) -> None:
    names = page.locator("button, [role=button]").evaluate_all(
        "nodes => nodes.map(n => n.getAttribute('aria-label') || n.textContent.trim())"
    )
    assert len(names) == 5  # theme, three players, download
    assert all(names)
    assert page.title() == HOSTILE
    assert page.locator("[role=img]").count() == 4  # three spectrograms and the confidence


@pytest.mark.browser
def test_confidence_line_ends_above_the_threshold(page: Any) -> None:
    boxes = [page.locator(f".lines path.{name}").bounding_box() for name in ("target", "threshold")]
    line, threshold = boxes
    assert line["y"] < threshold["y"] < line["y"] + line["height"]


@pytest.mark.browser
def test_difference_is_drawn_paler_than_the_adversary(page: Any) -> None:
    """Its tone is 40 dB below the noise, on the same scale."""
    from PIL import Image

    greys = []
    for key in ("adversary", "difference"):
        href = page.locator(f"#spectrum-{key} image").get_attribute("href")
        picture = Image.open(io.BytesIO(base64.b64decode(href.split(",")[1])))
        greys.append(float(np.asarray(picture.convert("L")).mean()))
    assert greys[1] < greys[0] / 4


@pytest.mark.browser
def test_download_holds_the_evaluation(page: Any) -> None:
    with page.expect_download() as download:
        page.get_by_role("button", name="Download").click()
    assert download.value.suggested_filename == "adversary.json"
    assert json.loads(Path(download.value.path()).read_text()) == FOUND.to_dict()


@pytest.mark.browser
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_scheme_is_the_readers(browser: Any, report: Path, scheme: str) -> None:
    for page in opened(browser, report, color_scheme=scheme):
        assert (lightness(page) > 230) == (scheme == "light")


@pytest.mark.browser
@pytest.mark.parametrize("width", [320, PHONE["width"], WIDE["width"], 2560])
def test_no_width_needs_a_sideways_scroll(browser: Any, report: Path, width: int) -> None:
    for page in opened(browser, report, viewport={"width": width, "height": 800}):
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        stage = page.locator(".spectra .stage").bounding_box()
        axes = page.locator(".spectra .axis.value").evaluate_all(
            "nodes => nodes.map(n => n.getBoundingClientRect().height)"
        )
        assert stage["height"] == pytest.approx(sum(axes), abs=6)  # each axis beside its picture
