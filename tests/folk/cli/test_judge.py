"""otoscope folk judge: a ranking, its page, and its agreement with ratings."""

from __future__ import annotations

import json
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from otoscope.cli.app import app
from otoscope.folk.abc import book_to_abc, transpose
from otoscope.folk.data import generate_tune

TUNES = [generate_tune(0, i) for i in range(400)]
JIGS = [tune for tune in TUNES if tune.meter.text == "6/8"]
OPTIONS = ("--preset", "challenge2020", "--copied", 0.9)


def run(*arguments: object, code: int = 0) -> str:
    result = CliRunner().invoke(app, ["folk", "judge", *map(str, arguments)])
    assert result.exit_code == code, result.output
    assert "Traceback" not in result.output
    return result.output


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Reference tunes, and a book: five tunes, a copy, a tune of other bars, one that is none."""
    path = tmp_path_factory.mktemp("judge")
    (path / "known.abc").write_text(book_to_abc(JIGS[:-5]))
    book = book_to_abc([*JIGS[-5:], transpose(JIGS[0], 2)])
    book += "\nX:7\nT:<b>short\nM:6/8\nK:C\nCDE|F|\n\nX:8\nT:none\nK:C\nC;D|\n"
    (path / "a.abc").write_text(book)
    return path


def ranked(folder: Path, *arguments: object) -> dict[str, Any]:
    known = folder / "known.abc"
    written = run(folder / "a.abc", "--in", known, *OPTIONS, "--json", *arguments)
    record: dict[str, Any] = json.loads(written)
    return record


def test_copies_and_broken_bars_come_last(folder: Path) -> None:
    record = ranked(folder)
    numbers = [tune["number"] for tune in record["tunes"]]
    assert sorted(numbers) == list(range(1, 9))
    assert numbers[-1] == 8
    assert set(numbers[-3:]) == {6, 7, 8}
    by_number = {tune["number"]: tune for tune in record["tunes"]}
    screens = {s["name"]: s["passed"] for s in by_number[6]["judgement"]["screens"]}
    assert screens["plagiarism"] is False
    assert by_number[8]["error"]
    assert record["agreement"] is None
    assert "has not been measured" in record["notes"][0]


def test_ratings_are_compared_with_the_ranking(folder: Path) -> None:
    order = [tune["number"] for tune in ranked(folder)["tunes"]]
    path = folder / "ratings.csv"
    lines = [f"{number},{9 - rank},expert" for rank, number in enumerate(order)]
    path.write_text("tune,quality,musician\n" + "\n".join(lines))
    same = ranked(folder, "--ratings", path)
    assert same["agreement"]["value"] == pytest.approx(1)
    assert {tune["rating"] for tune in same["tunes"]} == {float(9 - rank) for rank in range(8)}
    reversed_lines = [f"{number},{rank},expert" for rank, number in enumerate(order)]
    path.write_text("tune,quality,musician\n" + "\n".join(reversed_lines))
    assert ranked(folder, "--ratings", path)["agreement"]["value"] == pytest.approx(-1)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a,b\n1,2\n", "has no column tune"),
        ("tune,x\n1,2\n", "has numbers for 1 tunes"),
        ("tune,x\n99,2\n", "line 2: tune 99"),
        ("tune,x\n1,2\n2,2\n3,2\n", "all ratings are equal"),
    ],
)
def test_bad_ratings(folder: Path, text: str, words: str) -> None:
    path = folder / "bad.csv"
    path.write_text(text)
    arguments = (folder / "a.abc", "--in", folder / "known.abc", *OPTIONS, "--ratings", path)
    assert words in " ".join(run(*arguments, code=2).split())


def test_bad_input(folder: Path) -> None:
    arguments = (folder / "a.abc", "--in", folder / "known.abc")
    assert "preset is 'x'" in run(*arguments, "--preset", "x", code=2)
    assert "--n is 0" in run(*arguments, "--n", 0, code=2)
    few = run(*arguments[:2], folder / "a.abc", *OPTIONS, code=2)
    assert "needs at least 20" in " ".join(few.split())
    nothing = run(*arguments, *OPTIONS, "--ratings", folder / "none.csv", code=2)
    assert "there is no file" in " ".join(nothing.split())


@pytest.mark.skipif(find_spec("verovio") is None, reason="verovio is not installed: extra folk")
def test_page_shows_the_first_of_the_ranking(folder: Path) -> None:
    page = folder / "ranking.html"
    run(folder / "a.abc", "--in", folder / "known.abc", *OPTIONS, "--html", page, "--n", 2)
    text = page.read_text()
    assert "plagiarism: passed" in text
    assert "The first 2 of 8 tunes." in text
    assert text.count('<section class="tune"') == 2
    run(folder / "a.abc", "--in", folder / "known.abc", *OPTIONS, "--html", page)
    assert "<b>short" not in page.read_text()
    assert "cannot be read" in page.read_text()
