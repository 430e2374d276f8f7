"""otoscope folk check: findings with their places, rates beside real ones, and bad input."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from otoscope.cli.app import app
from otoscope.folk.abc import book_to_abc
from otoscope.folk.data import generate_tune
from otoscope.folk.metrics import RULES, Conventions, Summary
from otoscope.folk.tokens import get_tokeniser, write_token_file
from otoscope.folk.workflows.check import CheckFolkConfig, check_folk
from otoscope.records import to_json
from tests.support.tune_faults import with_wrong_duration

BROKEN = "X:1\nT:Broken\nM:2/4\nL:1/4\nK:D\nFE|D;2|]\n"


@pytest.fixture
def book(tmp_path: Path) -> Path:
    """Six right tunes, a wrong one, and one that cannot be read."""
    tunes = [generate_tune(0, i, meter="6/8") for i in range(6)]
    wrong = with_wrong_duration(generate_tune(0, 6), np.random.default_rng(1))
    path = tmp_path / "a.abc"
    path.write_text(book_to_abc([*tunes, wrong]) + "\n" + BROKEN.replace("X:1", "X:8"))
    return path


@pytest.fixture
def prepared(tmp_path: Path) -> Path:
    out = tmp_path / "tunes"
    run("prepare", "generated:20", "--out", out, "--valid", 0.2, "--test", 0.2)
    return out


def run(*arguments: object, code: int = 0) -> str:
    """Run a command that must end with a code."""
    result = CliRunner().invoke(app, ["folk", *map(str, arguments)])
    assert result.exit_code == code, result.output
    assert "Traceback" not in result.output
    return result.output


def refused(*arguments: object) -> str:
    """Run a command that must end with one line and exit code 2."""
    return " ".join(run(*arguments, code=2).split())


def checked_by_command(*arguments: object) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(run("check", *arguments, "--json", "-"))
    return document


def test_json_has_one_object_a_tune_and_rates(book: Path, tmp_path: Path) -> None:
    out = tmp_path / "c.json"
    output = run("check", book, "--json", out)
    assert "6 of 8 tunes can be read and have bars that add up (75.0 %); of 428 real" in output
    assert "held out from folkrnn-small" in output
    document = json.loads(out.read_text())
    assert document["format"] == "otoscope.CheckFolk/4"
    assert [tune["number"] for tune in document["tunes"]] == list(range(1, 9))
    assert [tune["valid"] for tune in document["tunes"]] == [True] * 6 + [False] * 2
    assert all(set(tune["rules"]) == set(RULES) for tune in document["tunes"])
    assert document["summary"]["rates"]["valid"] == pytest.approx(
        {"count": 6, "of": 8, "value": 0.75, "low": 0.409, "high": 0.929}, abs=1e-3
    )
    assert document["real"]["tunes"] == 428  # from the shipped network's card
    assert set(document["differences"]) <= set(document["real"]["rates"])


def test_findings_have_line_and_column_of_the_file(book: Path) -> None:
    lines = book.read_text().splitlines()
    *_, wrong, broken = checked_by_command(book)["tunes"]
    (finding,) = wrong["violations"]
    assert finding["rule"] == "bars"
    assert "lasts" in finding["message"]
    music = lines[finding["line"] - 1][finding["column"] - 1 :]
    assert music[0].upper() in "ABCDEFG"
    (finding,) = broken["violations"]
    assert (finding["rule"], finding["line"]) == ("parse", len(lines))
    assert lines[finding["line"] - 1][finding["column"] - 1] == ";"


def test_at_other_bounds_than_the_usual_the_card_is_no_comparison(book: Path) -> None:
    result = check_folk(CheckFolkConfig(str(book), conventions=Conventions(widest_range=12)))
    assert result.real is None
    assert result.notes == (
        "No real tunes to compare with at other bounds than the default; give --against.",
    )


def test_rates_read_from_json_are_those_written(book: Path) -> None:
    summary = check_folk(CheckFolkConfig(str(book))).summary
    assert Summary.from_dict(json.loads(to_json(summary.to_dict()))) == summary


def test_rates_stand_beside_those_of_held_out_tunes(book: Path, prepared: Path) -> None:
    output = run("check", book, "--against", prepared)
    assert "of 8 real tunes 100.0 %." in output
    assert "folkrnn-small" not in output
    document = checked_by_command(book, "--against", prepared)
    assert document["real"]["tunes"] == 8
    assert document["real"]["rates"]["valid"]["count"] == 8
    apart = document["differences"]["valid"]
    assert apart["value"] == pytest.approx(-0.25)
    assert apart["low"] < apart["value"] < apart["high"]


def test_exit_code_tells_a_gate(book: Path) -> None:
    run("check", book, "--min-valid", 0.75)
    run("check", book, "--min-valid", 0.76, code=1)


def test_bounds_of_rules_are_options(book: Path) -> None:
    rates = checked_by_command(book, "--widest-range", 1)["summary"]["rates"]
    assert rates["range"]["count"] == 0


def test_tokens_are_checked_as_their_tunes_are(tmp_path: Path) -> None:
    tunes = [generate_tune(0, i) for i in range(4)]
    checked = []
    for form in ("v2", "v3"):
        path = tmp_path / f"{form}.txt"
        write_token_file(path, [get_tokeniser(form).tokens(tune) for tune in tunes])
        checked.append(checked_by_command(path))
    for result in checked:
        assert result["summary"]["rates"]["valid"]["count"] == 4
        assert result["summary"]["rates"]["tonic"]["count"] == 4


def test_token_that_is_none_is_a_finding(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("M:2/4\nK:Cmaj\nC 2 D 2 |\n\nM:2/4\nK:Cmaj\nC 2 | ?? |\n")
    _, wrong = checked_by_command(path)["tunes"]
    assert wrong["violations"][0]["rule"] == "parse"
    assert "'??'" in wrong["violations"][0]["message"]


def test_unfinished_tune_says_so(tmp_path: Path) -> None:
    path = tmp_path / "a.abc"
    path.write_text("X:1\nN:unfinished: broken off after 5 tokens\nM:2/4\nL:1/4\nK:D\nFE|D\n")
    document = checked_by_command(path)
    assert document["tunes"][0]["finished"] is False
    assert document["summary"]["rates"]["finished"]["count"] == 0


def test_tunes_that_cannot_be_read_are_told_and_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.abc"
    path.write_text(BROKEN)
    out = tmp_path / "c.json"
    assert "no tune that can be read; the first: line 6, column 5" in refused(
        "check", path, "--json", out
    )
    assert json.loads(out.read_text())["tunes"][0]["violations"][0]["column"] == 5


@pytest.mark.parametrize(
    ("content", "message"),
    [(b"", "empty"), (b"\0\xff" * 50, "binary"), (b"Dear Sir\n", "no tune found")],
)
def test_file_that_is_no_book_is_refused(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "a.abc"
    path.write_bytes(content)
    assert message in refused("check", path)


def test_other_bad_input_is_refused(book: Path, tmp_path: Path) -> None:
    assert "is not there" in refused("check", tmp_path / "none.abc")
    assert "is not there" in refused("check", book, "--against", tmp_path / "none")
    assert "--min-valid" in refused("check", book, "--min-valid", 70)
    assert "no folder" in refused("check", book, "--json", tmp_path / "none" / "c.json")
    assert "at least 1" in refused("check", book, "--widest-range", 0)
    empty = tmp_path / "empty"
    empty.mkdir()
    assert "no files that end in .abc" in refused("check", empty)


def test_prepared_folder_that_holds_nothing_out_is_refused(book: Path, tmp_path: Path) -> None:
    out = tmp_path / "tunes"
    run("prepare", "generated:5", "--out", out, "--valid", 0, "--test", 0)
    assert "holds out no tune" in refused("check", book, "--against", out)
