"""otoscope folk convert: files for notation programs and back, and what cannot be converted."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from otoscope.cli.app import app
from otoscope.folk.abc import Tune, book_to_abc, read_book
from otoscope.folk.data import generate_tune
from otoscope.folk.workflows.book_tunes import read_book_tunes

TUNES = [generate_tune(3, index) for index in range(3)]


def run(*arguments: object, code: int = 0) -> str:
    result = CliRunner().invoke(app, ["folk", *map(str, arguments)])
    assert result.exit_code == code, result.output
    assert "Traceback" not in result.output
    return result.output


@pytest.fixture
def book(tmp_path: Path) -> Path:
    """Three tunes, one that cannot be read, and one with a chord that MusicXML cannot write."""
    path = tmp_path / "book.abc"
    bad = "\nX:4\nT:none\nK:C\nC;D|\n\nX:5\nT:uneven\nK:C\n[C2E]4|\n"
    path.write_text(book_to_abc(TUNES) + bad)
    return path


@pytest.mark.parametrize("to", ["musicxml", "midi", "abc"])
def test_every_tune_is_a_file_and_comes_back(tmp_path: Path, book: Path, to: str) -> None:
    out = tmp_path / "scores"
    result = json.loads(run("convert", book, "--out", out, "--to", to, "--json"))
    assert [path.name for path in sorted(out.iterdir())] == result["files"]
    assert result["notes"][0].startswith("Not converted: book.abc#4")
    assert any("book.abc#5: line" in note for note in result["notes"]) == (to == "musicxml")
    again = [item.tune for item in read_book_tunes(out)][:3]
    for tune, other in zip(TUNES, again, strict=True):
        assert isinstance(other, Tune)
        assert other.notes == (tune.unfolded.notes if to == "midi" else tune.notes)


def test_other_commands_read_scores(tmp_path: Path, book: Path) -> None:
    scores = tmp_path / "scores"
    run("convert", book, "--out", scores)
    nearest = json.loads(run("nearest", scores, "--in", book, "--json"))
    assert [row["neighbours"][0]["containment"] for row in nearest["tunes"]] == [1, 1, 1]
    for command in ("score", "check"):
        rows = json.loads(run(command, scores, "--json"))["tunes"]
        assert len(rows) == 3
    assert {row["valid"] for row in rows} == {True}
    run("prepare", scores, "--valid", 0, "--test", 0, "--out", tmp_path / "prepared")
    assert len(read_book_tunes(tmp_path / "prepared")) == 3
    (first, *_) = scores.iterdir()
    assert "K:" in run("continue", first, "--bars", 1, "--n", 1)


def test_a_score_becomes_abc(tmp_path: Path, book: Path) -> None:
    run("convert", book, "--out", tmp_path / "scores")
    score = next((tmp_path / "scores").glob("001-*"))
    assert "Wrote one tune" in run("convert", score, "--to", "abc", "--out", tmp_path / "abc")
    (written,) = (tmp_path / "abc").iterdir()
    (tune,) = read_book(written)
    assert isinstance(tune, Tune)
    assert tune.notes == TUNES[0].notes


def test_what_cannot_be_converted_is_said_and_leaves_nothing(tmp_path: Path, book: Path) -> None:
    (tmp_path / "bad.musicxml").write_text("<score")
    out = tmp_path / "out"
    assert "bad.musicxml" in run("convert", tmp_path / "bad.musicxml", "--out", out, code=2)
    assert "musicxml, midi" in run("convert", book, "--out", out, "--to", "pdf", code=2)
    (tmp_path / "empty").mkdir()
    assert "no files that end in" in run("convert", tmp_path / "empty", "--out", out, code=2)
    assert not out.exists()
