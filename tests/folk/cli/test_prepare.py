"""otoscope folk prepare: from sources to a folder that training reads, and what bad input gets."""

from __future__ import annotations

import errno
import json
from importlib.util import find_spec
from pathlib import Path

import pytest
from typer.testing import CliRunner

from otoscope.cli.app import app
from otoscope.folk.abc import to_abc
from otoscope.folk.data import collections, generate_tune, load_prepared

FILES = {
    "train.txt",
    "valid.txt",
    "test.txt",
    "vocabulary.json",
    "tunes.jsonl",
    "rejected.jsonl",
    "report.json",
    "report.html",
}


def run(*arguments: object) -> str:
    """Run a command that must succeed."""
    result = CliRunner().invoke(app, ["folk", "prepare", *map(str, arguments)])
    assert result.exit_code == 0, result.output
    return result.stdout


def refused(*arguments: object) -> str:
    """Run a command that must end with one line and exit code 2."""
    result = CliRunner().invoke(app, ["folk", "prepare", *map(str, arguments)])
    assert result.exit_code == 2, result.output
    assert "Traceback" not in result.output
    return " ".join(result.output.split())


def test_writes_a_folder_that_training_reads(tmp_path: Path) -> None:
    out = tmp_path / "new" / "tunes"
    output = run("generated:40", "--out", out, "--valid", 0.1, "--test", 0.2, "--seed", 3)
    assert "All 40 tunes can be used" in output
    assert f"report: {out / 'report.html'}" in output
    assert {path.name for path in out.iterdir()} == FILES
    prepared = load_prepared(out)
    assert [len(prepared.train), len(prepared.valid), len(prepared.test)] == [28, 4, 8]
    lines = (out / "train.txt").read_text().splitlines()
    assert lines[0].startswith("M:")
    assert lines[1].startswith("K:C")
    assert lines[2].split(" ")[0] == "|:"
    assert lines[3] == ""


def test_same_seed_same_files(tmp_path: Path) -> None:
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        run("generated:20", "--out", tmp_path / name, "--seed", seed)
    for name in FILES:
        first, same = ((tmp_path / folder / name).read_bytes() for folder in "ab")
        assert first == same
    assert (tmp_path / "a/train.txt").read_bytes() != (tmp_path / "c/train.txt").read_bytes()


def test_json_and_report_tell_what_was_rejected_and_why(tmp_path: Path) -> None:
    songs = tmp_path / "songs"
    songs.mkdir()
    (songs / "a.abc").write_text("".join(f"{to_abc(generate_tune(0, i))}\n" for i in range(9)))
    (songs / "b.abc").write_text("X:1\nT:<b>Five\nM:5/4\nL:1/8\nK:D\nD10|\n")
    (songs / "c.abc").write_bytes(b"\0\xff" * 100)
    page = tmp_path / "page.html"
    document = json.loads(
        run(songs, "generated:5", "--out", tmp_path / "out", "--json", "--html", page)
    )
    assert document["format"] == "otoscope.PrepareFolk/2"
    counts = document["counts"]
    assert (counts["read"], counts["kept"]) == (15, 14)
    assert counts["reasons"]["meter"] == 1
    assert [source["read"] for source in counts["sources"]] == [10, 5]
    rows = [json.loads(row) for row in (tmp_path / "out/rejected.jsonl").read_text().splitlines()]
    assert [row["file"] for row in rows] == ["b.abc", "c.abc"]
    assert (rows[0]["title"], rows[0]["reason"]) == ("<b>Five", "meter")
    assert page.read_bytes() == (tmp_path / "out" / "report.html").read_bytes()
    html = page.read_text()
    assert "14 of 15 tunes can be used" in html
    assert "https:" not in html
    assert json.loads((tmp_path / "out/report.json").read_text())["counts"] == counts


@pytest.mark.parametrize("tokens", ["v1", "v3"])
def test_other_tokens_are_said_in_the_folder(tmp_path: Path, tokens: str) -> None:
    run("generated:10", "--out", tmp_path / "out", "--tokens", tokens)
    prepared = load_prepared(tmp_path / "out")
    assert prepared.tokens == tokens
    copies = 2 if tokens == "v3" else 1
    assert sum(map(len, (prepared.train, prepared.valid, prepared.test))) == 10 * copies


def test_a_share_that_no_group_fits_is_told(tmp_path: Path) -> None:
    assert "There is no tune in valid and test" in run("generated:3", "--out", tmp_path / "out")


@pytest.mark.skipif(find_spec("music21") is None, reason="music21's tunes are not installed")
def test_modes_of_old_prints_are_not_the_papers(tmp_path: Path) -> None:
    output = run("misc", "--out", tmp_path / "out")
    assert "not to be compared with the paper’s" in output
    assert "rejected: " in output


def test_a_collection_without_music21_says_how_to_get_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(collections, "find_spec", lambda _: None)
    message = refused("generated:2", "ryan", "--out", tmp_path / "out")
    assert "pip install --no-deps music21" in message
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ["no.abc"],
            "no.abc is not there; need a file, a folder",
        ),
        (["generated:0"], "generated:0 must be generated: and a number of tunes"),
        (["generated:3", "generated:3"], "generated:3 is given twice"),
        (["generated:3", "--tokens", "v4"], "tokens is 'v4', must be v1, v2 or v3"),
        (["generated:3", "--valid", "0.5", "--test", "0.5"], "with a sum below 1"),
        (["generated:3", "--seed", "-1"], "seed is -1"),
        (["generated:3", "--html", "no/a.html"], "there is no folder"),
    ],
)
def test_bad_input_is_one_line(tmp_path: Path, arguments: list[str], message: str) -> None:
    assert message in refused(*arguments, "--out", tmp_path / "out")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "a.abc: "),
        (b"\0\xff" * 99, "a.abc: "),
        (b"X:1\nM:4/4\nL:1/8\nK:G\nGA }|\n", "line 5, column 4"),
    ],
)
def test_files_without_a_tune_to_use(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "a.abc"
    path.write_bytes(content)
    assert message in refused(path, "--out", tmp_path / "out")
    assert list(tmp_path.iterdir()) == [path]


def test_a_folder_that_is_not_empty_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    assert "not an empty folder" in refused("generated:3", "--out", tmp_path)
    assert "is not a folder" in refused("generated:3", "--out", tmp_path / "mine.txt")
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


def test_a_full_disk_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device", "report.html")

    monkeypatch.setattr("otoscope.folk.workflows.prepare.save_counts", full)
    assert "No space left" in refused("generated:5", "--out", tmp_path / "out")
    assert list(tmp_path.iterdir()) == []
