"""The top of a report in a notebook: self-contained, escaped, of bounded size, and it plays."""

from __future__ import annotations

import html
import pickle
import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from otoscope.attack import AttackResult, WaveformPGD
from otoscope.errors import ParameterError
from otoscope.explain import ActivationMaximiser, RawPrior
from otoscope.explain.maximise import MaximisationResult
from otoscope.intervene import Gain, Interrogation
from otoscope.protocols import Patch
from otoscope.report import save_html
from otoscope.report.notebook import tops
from tests.support.browser import PLAYING, opened
from tests.support.interrogations import HORSE, flip, render_pair
from tests.support.listeners import listener
from tests.support.maximisations import maximised
from tests.support.reports import HOSTILE, explain


@cache
def explanation() -> Any:
    shown = explain({2: 0.5, 3: 0.2})
    extents = (replace(shown.extents[0], name=HOSTILE), *shown.extents[1:])
    fits = tuple(replace(fit, target=HOSTILE) for fit in shown.fits)
    return replace(shown, extents=extents, fits=fits)


@cache
def attacked(n: int = 3, *, sr: float | None = 8000) -> AttackResult:
    net = nn.Linear(4000, 2)
    y = 0.1 * torch.randn(n, 4000, generator=torch.Generator().manual_seed(0)).clamp(-4, 4)
    result = WaveformPGD(net, steps=3, sr=sr).run(y)
    return replace(result, label_names=(HOSTILE, HOSTILE))


def interrogated() -> Any:
    return replace(HORSE, pairs=(flip(0, HOSTILE), *HORSE.pairs * 3), render_pair=render_pair)


@cache
def maximised_listener() -> MaximisationResult:
    model = listener()
    prior = RawPrior((1, model.patch_frames, model.n_mels))
    maximiser = ActivationMaximiser(model, prior, layer="0", unit=(...,))
    return replace(maximiser.run(iterations=2, seeds=4), unit=HOSTILE)


@cache
def maximised_sound(sr: int | None = 8000) -> MaximisationResult:
    net = nn.Sequential(nn.Conv1d(1, 2, 8), nn.Flatten())
    net.sample_rate = sr  # type: ignore[assignment]
    maximiser = ActivationMaximiser(net, RawPrior((1, 900)), layer="0", unit=(0,))
    return replace(maximiser.run(rate=0.5, iterations=9, seeds=4), unit=HOSTILE)


RESULTS: list[tuple[Callable[[], Any], int]] = [  # with the number of sounds to play
    (explanation, 13),
    (attacked, 3),
    (interrogated, 6),
    (maximised_listener, 3),
    (maximised_sound, 3),
]


def page_of(result: Any) -> str:
    """Return the page inside the frame."""
    frame = result._repr_html_()
    (srcdoc,) = re.findall(r'^<iframe srcdoc="([^"]*)"', frame)
    assert frame.endswith("</iframe>")
    return html.unescape(srcdoc)


@pytest.mark.parametrize(("make", "n_sounds"), RESULTS, ids=lambda v: getattr(v, "__name__", ""))
def test_a_top_is_self_contained_escaped_and_plays(make: Callable[[], Any], n_sounds: int) -> None:
    frame = make()._repr_html_()
    assert len(frame) <= tops.LIMIT
    assert "<script" not in frame.replace("&lt;script", "")
    page = page_of(make())
    assert page.startswith("<!doctype html>")
    assert "<script>alert" not in page
    assert not re.findall(r"(?:src|href)=\"(?!data:|#)", page)
    assert page.count("<audio") == n_sounds
    assert "<svg" in page
    assert 'class="lead"' in page
    assert "<script type=" not in page  # the numbers stay in the report
    assert "<dl>" not in page


@pytest.mark.parametrize(("make", "n_sounds"), RESULTS, ids=lambda v: getattr(v, "__name__", ""))
def test_a_top_that_is_too_large_loses_its_sounds_and_says_so(
    make: Callable[[], Any], n_sounds: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = len(make()._repr_html_())
    monkeypatch.setattr(tops, "LIMIT", whole - 1)
    page = page_of(make())
    assert "<audio" not in page
    assert "The sounds are left out" in page
    assert "<svg" in page
    monkeypatch.setattr(tops, "LIMIT", 1000)  # even the picture is too large
    text = make()._repr_html_()
    assert text.startswith("<p>")
    assert "<script" not in text


def test_the_picture_of_a_long_excerpt_stays_within_the_limit() -> None:
    patch = Patch(torch.rand(60_000, 64))
    frame = explain({1: 1.0}, of=patch, design="leave_one_out")._repr_html_()
    assert len(frame) <= tops.LIMIT
    assert "<iframe" in frame


def test_the_adversary_shown_is_one_that_fools() -> None:
    result = attacked()
    only_second = replace(result, success=torch.tensor([False, True, False]))
    assert only_second.shown == 1
    assert "Fooled by 1 of 3 sounds. Sound 1: " in page_of(only_second)
    single = page_of(attacked(1, sr=None))
    assert "sample" in single
    assert "<audio" not in single


def test_a_result_without_pictures_is_a_sentence() -> None:
    nothing = maximised([float("nan")] * 2, 0.1)
    assert nothing._repr_html_() == (
        "<p>None of 2 searches met a finite activation of the unit.</p>"
    )
    climbed = maximised([1, 3.0], 1)
    assert "The best of 2 searches drives the unit up to 3." in climbed._repr_html_()
    assert str(replace(climbed, flat=torch.tensor([False, True]))) == str(climbed)
    still = replace(climbed, flat=torch.tensor([True, True]))
    assert "up to 3. The gradient was 0 from start to end" in str(still)


def test_a_maximised_waveform_is_drawn_as_wave_and_spectrogram() -> None:
    page = page_of(maximised_sound(None))
    assert page.count('class="wave"') == page.count('class="picture"') == 3
    assert "<audio" not in page  # of an unknown rate
    assert ">sample<" in page
    assert "Griffin" not in page
    assert "Griffin" in page_of(maximised_listener())


def test_an_interrogation_renders_its_pairs_and_pickles_without_its_sounds() -> None:
    sounds = [(torch.full((80,), 0.6 if i % 2 else 0.4), 80) for i in range(8)]
    system = lambda ys: ["b" if y.max() > 0.5 else "a" for y in ys]  # noqa: E731
    result = Interrogation(system, sounds, ["a", "b"] * 4).run([Gain(6)])
    assert "<audio" in page_of(result)
    again = pickle.loads(pickle.dumps(result))
    assert again == result
    assert again.render_pair is None
    assert "render_pair" not in result.to_dict()
    assert "<audio" not in page_of(again)


def test_a_maximisation_pickles_with_its_sounds_and_without_its_network() -> None:
    result = maximised_listener()
    again = pickle.loads(pickle.dumps(result))
    assert page_of(again) == page_of(result)


@pytest.fixture
def page(browser: Any, tmp_path: Path) -> Iterator[Any]:
    path = tmp_path / "notebook.html"
    frames = (make()._repr_html_() for make, _ in RESULTS)
    path.write_text(f"<!doctype html><meta charset=utf-8><body>{'<hr>'.join(frames)}")
    yield from opened(browser, path)


def test_frames_are_as_high_as_their_pages_and_play(page: Any) -> None:
    frames = page.frames[1:]
    assert len(frames) == len(RESULTS)
    for frame in frames:
        frame.wait_for_selector("[data-play]")
        page.wait_for_timeout(100)
        height, shown = frame.evaluate("[document.documentElement.offsetHeight, innerHeight]")
        assert shown == height
        frame.locator(".players [data-play]").first.click()
        for _ in range(100):
            if frame.evaluate(PLAYING):
                break
            page.wait_for_timeout(50)
        assert frame.evaluate(PLAYING)


def test_save_html_names_the_functions_of_other_results(tmp_path: Path) -> None:
    with pytest.raises(ParameterError, match="is dict, must be an Explanation; other results have"):
        save_html({}, tmp_path / "why.html")  # type: ignore[arg-type]
