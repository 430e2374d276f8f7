"""The page of an interrogation: what it says, draws and plays, wide and narrow, light and dark."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from otoscope.errors import ParameterError
from otoscope.intervene import Gain, HighPass, Polarity
from otoscope.intervene.interrogation.result import ClassFlips
from otoscope.report import save_interrogation
from otoscope.report.figures import svg_figure
from otoscope.report.interrogation.dose_charts import (
    dose_charts,
    draw_dose_curve,
    ranges,
    search_charts,
)
from otoscope.report.interrogation.page import interrogation_page
from otoscope.report.interrogation.text import (
    bound_text,
    change_table,
    curve_text,
    facts,
    metric_name,
    min_score_text,
    typeset,
)
from otoscope.report.numbers import format_change, format_p, format_score
from tests.support.browser import PHONE, WIDE, lightness, opened, wait_until
from tests.support.interrogations import (
    BASELINE,
    HONEST,
    HORSE,
    flip,
    interval,
    point,
    render_pair,
    single,
    tempo,
)
from tests.support.reports import HOSTILE

NARROW = {"width": 400, "height": 800}


def written(path: Path, result: Any = HORSE, **changes: Any) -> str:
    save_interrogation(result, path, **{"render_pair": render_pair, "model": "desperf", **changes})
    return path.read_text()


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write a page with everything on it, and names that would be markup."""
    path = tmp_path_factory.mktemp("report") / "horse.html"
    hostile = ClassFlips(HOSTILE, 4, 2, 1, 1, {HOSTILE: 3, "a": 2, "b": 1, "c": 1})
    result = replace(
        HORSE,
        flips=(*HORSE.flips, hostile),
        pairs=(*HORSE.pairs, flip(2, HOSTILE)),
    )
    written(path, result, title=HOSTILE, notes=["Two stretchers disagree."])
    return path


def test_bound_is_told_with_the_dose_that_loses_most() -> None:
    text = bound_text(HORSE)
    assert text.startswith("The bound of 5 points is broken at 6 of 14 doses; at tempo +6 % ")
    assert text.endswith("the score falls by 34 points.")
    assert bound_text(HONEST).startswith(
        "The bound of 5 points holds at all 7 doses; at tempo −6 % "
    )


def test_bound_without_a_fall_of_one_dose_and_of_none() -> None:
    risen = replace(HORSE, curves=(single(HighPass(20), BASELINE + 0.2),))
    assert bound_text(risen) == "The bound of 5 points holds; the score falls at no dose."
    lone = replace(HORSE, curves=(single(HighPass(20), BASELINE - 0.2),), max_change=0.01)
    assert bound_text(lone).startswith(
        "The bound of 1 point is broken; at high-pass 20 Hz the score"
    )
    control = replace(HORSE, curves=(single(HighPass(20, label_preserving=False), 0.1),))
    assert "no change was declared label-preserving" in bound_text(control)


def test_numbers_are_told_with_their_intervals_and_true_signs() -> None:
    assert format_score(interval(0.5, 0.1)) == "0.50 (0.40–0.60)"
    assert format_score(None) == "–"
    assert format_change(interval(-0.25, 0.3)) == "−0.25 (−0.55 to +0.05)"
    assert [format_p(p) for p in (1.0, 0.0421, 9e-5, None)] == ["1", "0.042", "< 0.0001", "–"]
    assert typeset("tempo -6 % | (-3)", is_sentence=True) == "Tempo −6 % | (−3)."
    assert typeset("is that so?", is_sentence=True) == "Is that so?"


def test_a_curve_is_told_in_words_with_every_dose() -> None:
    text = curve_text(tempo(), HORSE)
    assert text.startswith("tempo: mean recall 0.72 unchanged; 0.41 at tempo −6 %; 0.52 at")
    assert text.endswith("0.38 at tempo +6 %; placebo 0.70 to 0.72")


def test_places_are_those_of_the_scores() -> None:
    drawn, _ = dose_charts(HORSE)
    doses = [dot for dot in drawn.dots if dot.state in ("held", "broken")]
    assert [100 - dot.y for dot in doses] == pytest.approx([41, 52, 66, 69, 60, 38])
    assert [dot.x for dot in doses] == pytest.approx([5, 20, 35, 65, 80, 95])  # 0 is at 50
    assert drawn.zero == pytest.approx(50)
    assert [dot.state for dot in doses] == ["broken"] * 3 + ["held"] + ["broken"] * 2
    assert all(dot.low > dot.y > dot.high for dot in drawn.dots)
    assert [tick.label for tick in drawn.dose_ticks] == ["−6", "−4", "−2", "0", "+2", "+4", "+6"]
    placebos = [dot for dot in drawn.dots if dot.state == "placebo"]
    assert [dot.x for dot in placebos] == pytest.approx([7, 22, 37, 67, 82, 97])


def test_figure_of_an_experiment_draws_the_same_scores_as_the_page(tmp_path: Path) -> None:
    (chart, _), curve = dose_charts(HORSE), HORSE.curves[0]
    with svg_figure(tmp_path / "curve.svg", width=3, height=3) as figure:
        axes = figure.subplots()
        draw_dose_curve(axes, curve, HORSE.baseline, colour="#1f6fb5", label="tempo")
        line, placebo = axes.get_lines()
    on_page = [dot for dot in chart.dots if dot.state != "placebo"]
    assert list(line.get_xdata()) == [-6, -4, -2, 0, 2, 4, 6]
    assert [100 - 100 * y for y in line.get_ydata()] == pytest.approx([dot.y for dot in on_page])
    assert list(placebo.get_ydata()) == [point.score.value for point in curve.placebo]


def test_page_is_computed_before_it_is_printed() -> None:
    page = interrogation_page(HORSE, model="desperf", notes=["Mind the gap."])
    assert page.references.unchanged == pytest.approx(72)
    assert page.references.limit == pytest.approx(67)
    assert [section.heading for section in page.sections] == [
        "Evidence", "What is not supported", "Cautions",
    ]  # fmt: skip
    assert page.sections[-1].sentences[0] == "Mind the gap."
    assert not page.can_play
    assert interrogation_page(HORSE, render_pair=render_pair).can_play


def test_a_dose_far_from_no_change_is_a_line_and_no_curve() -> None:
    curve = replace(
        single(HighPass(20), 0.7), points=tuple(point(HighPass(f), f, 0.7) for f in (20, 40))
    )
    result = replace(HORSE, curves=(curve, single(Polarity(), 0.2), single(Gain(3), 0.7)))
    assert dose_charts(result) == []
    rows = ranges(result)
    assert [row.name for row in rows] == [
        "high-pass 20 Hz", "high-pass 40 Hz", "polarity", "gain +3 dB",
    ]  # fmt: skip
    assert [row.state for row in rows] == ["held", "held", "broken", "held"]
    assert rows[2].span == pytest.approx((15, 25))
    assert rows[2].dot == pytest.approx(20)


def test_a_positive_control_that_moves_breaks_no_bound() -> None:
    (row,) = [row for row in ranges(HORSE) if row.note]
    assert (row.name, row.note, row.state) == ("high-pass 2000 Hz", "positive control", "held")


def test_pushed_scores_stand_beside_placebos_and_a_coin() -> None:
    tempo_search, compositions = search_charts(HORSE)
    assert (tempo_search.name, tempo_search.tries) == ("tempo", "6 tries per item")
    rows, composed = tempo_search.rows, compositions.rows
    assert [row.name for row in rows] == ["Changed", "Placebo", "Coin"]
    assert [row.span for row in rows] == [
        pytest.approx(span) for span in ((12, 91), (68, 76), (0, 94))
    ]
    assert rows[0].value == "0.12 – 0.91"
    assert rows[0].note == "2.3 answers per item"
    assert rows[2].errors == ()
    assert [row.name for row in composed] == ["Changed", "Coin"]
    lone = replace(HORSE, searches=(replace(HORSE.searches[0], tries=1),))
    assert search_charts(lone) == []


def test_only_inflated_is_a_dot() -> None:
    result = replace(HORSE, searches=(replace(HORSE.searches[0], deflated=None),))
    assert search_charts(result)[0].rows[0].dot == pytest.approx(91)


def test_without_labels_answers_stay_or_not(tmp_path: Path) -> None:
    alone = replace(
        HORSE.searches[0],
        inflated=None,
        deflated=None,
        control_inflated=None,
        control_deflated=None,
        coin_inflated=None,
        coin_deflated=None,
    )
    result = replace(HORSE, has_labels=False, chance=None, confound=None, searches=(alone,))
    assert metric_name(result).startswith("fraction of answers that stay")
    assert [row.value for row in search_charts(result)[0].rows] == [
        "2.3 answers per item",
        "1.1 answers per item",
    ]
    text = written(tmp_path / "a.html", result)
    assert "chance level" not in text
    assert "label “" not in text
    assert "Chance level" not in {fact.name for fact in facts(result)}


def test_verdict_comes_first_then_evidence_then_what_is_not_supported(report: Path) -> None:
    text = report.read_text()
    parts = (
        "A horse: its answers move with tempo.",
        "The bound of 5 points is broken",
        "Tempo +6 % takes the mean recall from 0.720 to 0.380 [0.330, 0.430]:",
        "The mean recall of 0.720 is no evidence that the system hears what makes the classes:",
        "Two stretchers disagree.",
        "The confound alone scores 0.770 [0.730, 0.810]:",
        "Dose and response",
    )
    places = [text.index(part) for part in parts]
    assert places == sorted(places)


def test_page_holds_all_that_was_found(report: Path) -> None:
    data = re.search(r'<script type="application/json".*?>(.*?)</script>', report.read_text(), re.S)
    assert data is not None
    numbers = json.loads(data[1])
    assert numbers["is_broken"] is True
    assert [curve["name"] for curve in numbers["curves"]][:3] == ["tempo", "gain", "high-pass"]
    assert numbers["curves"][0]["points"][0]["score"]["value"] == pytest.approx(0.41)
    assert numbers["pairs"][0]["intervention"] == "tempo +2 % | high-pass 20 Hz"
    assert "torch" in numbers["versions"]
    assert HOSTILE not in report.read_text()


def test_table_has_every_dose_and_placebo(report: Path) -> None:
    text = report.read_text()
    table = text[text.index("<details>") : text.index("</details>")]
    assert table.count("<tr>") == 1 + 3 * 6 + 3  # heading, tempo and its placebos, gain, one each
    assert table.count(">placebo<") == 6
    assert "tempo −6 %" in table
    assert ">< 0.0001<" in table.replace("&lt;", "<")


def test_each_change_has_one_row_at_its_worst_dose(report: Path) -> None:
    """One table, on the page as on the command line, in place of a sentence per change."""
    headings, *rows = change_table(HORSE)
    assert headings == (
        "largest change at",
        "mean recall",
        "difference from unchanged",
        "p (Holm)",
        "worst to best dose per item",
        "the same of placebos",
    )
    names = [row[0] for row in rows]
    assert names[:3] == ["no change", "tempo +6 %", "tempo +6 %"]
    assert names[-2:] == ["high-pass 2000 Hz (positive control)", "compositions, 40 tries per item"]
    assert len(rows) == 1 + len(HORSE.curves) + 1
    assert rows[1][4:] == ("0.12 to 0.91", "0.68 to 0.76")
    text = report.read_text()
    assert text.count('<td data-name="largest change at">') == len(rows)
    assert '<th class="number">p (Holm)</th>' in text
    unlabelled = replace(HONEST, has_labels=False, searches=())
    assert len(change_table(unlabelled)[0]) <= 4


def test_a_least_score_is_told_as_reached_or_missed(tmp_path: Path) -> None:
    assert min_score_text(HORSE) == ""
    below = replace(HORSE, min_score=0.8)
    assert min_score_text(below) == "The least mean recall of 0.800 is missed: it is 0.720."
    assert min_score_text(replace(HORSE, min_score=0.72)).endswith("is reached: it is 0.720.")
    text = written(tmp_path / "a.html", below)
    assert '<p class="bound broken">The least mean recall of 0.800 is missed' in text


def test_classes_that_lose_most_come_first_and_name_three_answers(report: Path) -> None:
    text = report.read_text()
    rows = re.findall(r'<td data-name="Class">(.*?)</td>', text)
    assert [row for row in rows if "script" not in row] == ["Jive", "Waltz", "ChaChaCha"]
    assert "a 2, b 1 and 1 more" in text


def test_flips_are_told_where_nothing_can_be_heard(tmp_path: Path) -> None:
    text = written(tmp_path / "a.html", render_pair=None)
    assert "<audio" not in text
    assert "“Waltz” → “Jive”" in text


def test_a_page_of_nothing_found_opens(tmp_path: Path) -> None:
    text = written(tmp_path / "a.html", HONEST, model="", title="dances")
    assert "What moves the answers of the model?" in text
    assert "No horse found" in text
    assert "A horse answers by something other than its task, as Clever Hans" in text
    for absent in ("Answers that changed", "the confound alone"):
        assert absent not in text


def test_folder_is_refused_and_nothing_is_left(tmp_path: Path) -> None:
    with pytest.raises(ParameterError, match="regular file"):
        written(tmp_path)
    assert not list(tmp_path.iterdir())


@pytest.fixture
def page(browser: Any, report: Path) -> Iterator[Any]:
    """Open the page; afterwards nothing may have been complained about or asked of a network."""
    yield from opened(browser, report)


@pytest.mark.browser
def test_the_other_of_a_pair_goes_on_where_the_first_was(page: Any) -> None:
    wait_until(page, "[...document.querySelectorAll('audio')].every(audio => audio.readyState > 0)")
    page.locator("[data-play='before-0']").click()
    place, is_paused = page.evaluate(  # in one step: sounds go on while Python waits
        """() => {
            document.getElementById('sound-before-0').currentTime = 0.4;
            document.querySelector("[data-play='after-0']").click();
            return [document.getElementById('sound-after-0').currentTime,
                    document.getElementById('sound-before-0').paused];
        }"""
    )
    assert place > 0.25
    assert is_paused
    place = page.evaluate(  # another pair begins at its beginning
        """() => {
            document.querySelector("[data-play='before-1']").click();
            return document.getElementById('sound-before-1').currentTime;
        }"""
    )
    assert place < 0.25
    assert page.locator("li:has(#sound-before-1) .playhead").is_visible()
    assert not page.locator("li:has(#sound-before-0) .playhead").is_visible()


@pytest.mark.browser
def test_every_picture_and_control_has_words(page: Any) -> None:
    pictures = page.locator("svg[role=img]").evaluate_all(
        "nodes => nodes.map(n => n.getAttribute('aria-label'))"
    )
    assert len(pictures) == 2
    assert all("at tempo" in words for words in pictures)
    buttons = page.locator("button").evaluate_all(
        "nodes => nodes.map(n => n.getAttribute('aria-label') || n.textContent.trim())"
    )
    assert len(buttons) == 2 + 2 * 3  # theme, download, pairs
    assert all(buttons)
    page.locator("details:not(.methods details) > summary").focus()
    page.keyboard.press("Enter")
    assert page.locator("details table").is_visible()


@pytest.mark.browser
def test_dots_stand_where_the_axis_says(page: Any) -> None:
    stage = page.locator("svg.doses").first.bounding_box()
    dot = page.locator("svg.doses >> nth=0 >> path.dot.broken >> nth=0").evaluate(
        "node => node.getBoundingClientRect().toJSON()"
    )
    middle = dot["y"] + dot["height"] / 2
    assert (middle - stage["y"]) / stage["height"] == pytest.approx(1 - 0.41, abs=0.02)
    label = page.locator(".axis.time span").first.evaluate(
        "node => node.getBoundingClientRect().toJSON()"
    )
    assert label["x"] + label["width"] / 2 == pytest.approx(dot["x"] + dot["width"] / 2, abs=2)


@pytest.mark.browser
@pytest.mark.parametrize("size", [WIDE, NARROW, PHONE])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_nothing_runs_over_the_edge(
    browser: Any, report: Path, size: dict[str, int], scheme: str
) -> None:
    for page in opened(browser, report, viewport=size, color_scheme=scheme):
        page.locator("details:not(.methods details) > summary").click()
        assert page.evaluate("document.documentElement.scrollWidth") <= size["width"]
        widths = page.locator(".forest .bar").evaluate_all(
            "nodes => nodes.map(n => n.getBoundingClientRect().width)"
        )
        assert min(widths) > 100
        assert (lightness(page) > 230) == (scheme == "light")


@pytest.mark.browser
def test_download_holds_the_verdict(page: Any) -> None:
    with page.expect_download() as download:
        page.get_by_role("button", name="Download").click()
    assert download.value.suggested_filename == "interrogation.json"
    assert '"verdict"' in Path(download.value.path()).read_text()


@pytest.mark.browser
def test_hostile_names_stay_text(page: Any) -> None:
    assert HOSTILE in page.locator("header p").inner_text()
    assert HOSTILE in page.locator("td[data-name=Class]").all_inner_texts()
    assert page.locator("main script").count() == 0
