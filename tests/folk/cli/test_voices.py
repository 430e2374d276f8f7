"""Second voices and overlays: every command says what it leaves out, and --strict refuses it."""

from __future__ import annotations

import json
from importlib.util import find_spec
from pathlib import Path

import pytest
from typer.testing import CliRunner

from otoscope.cli.app import app
from otoscope.folk.abc import parse_tune, to_abc
from otoscope.folk.data import generate_tune

NOTE = "One tune has several voices, of which one is read"


@pytest.fixture
def book(tmp_path: Path) -> Path:
    """Five tunes of one voice, and one with an overlay."""
    tunes = [to_abc(generate_tune(0, i), i + 1) for i in range(5)]
    overlaid = to_abc(generate_tune(0, 5), 6).replace(" |", " & z8 |", 1)
    path = tmp_path / "a.abc"
    path.write_text("\n".join([*tunes, overlaid]))
    return path


def run(*arguments: object) -> str:
    result = CliRunner().invoke(app, ["folk", *map(str, arguments)])
    assert result.exit_code == 0, result.output
    return " ".join(result.output.split())


def commands(book: Path) -> dict[str, tuple[object, ...]]:
    folder = book.parent
    return {
        "check": (book,),
        "score": (book,),
        "nearest": (book, "--in", folder / "one.abc"),
        "prepare": (book, "--out", folder / "tunes"),
        "analyse": (book, folder / "one.abc", "--draws", 10),
        "render": (book, "--out", folder / "page"),
    }


@pytest.mark.parametrize("command", ["check", "score", "nearest", "prepare", "analyse", "render"])
def test_what_is_left_out_is_told(book: Path, command: str) -> None:
    if command == "render" and find_spec("verovio") is None:
        pytest.skip("verovio is not installed: the extra folk")
    (book.parent / "one.abc").write_text(book.read_text().split("\nX:6")[0])
    arguments = commands(book)[command]
    assert NOTE in run(command, *arguments)
    arguments = tuple(f"{x}-strict" if x in ("tunes", "page") else x for x in arguments)
    for name in ("tunes", "page"):
        if (book.parent / name).exists():
            (book.parent / name).rename(book.parent / f"{name}-before")
    assert NOTE not in run(command, *arguments, "--strict")


def test_rows_have_the_notices(book: Path) -> None:
    document = json.loads(run("check", book, "--json", "-"))
    assert [len(tune["notices"]) for tune in document["tunes"]] == [0, 0, 0, 0, 0, 1]
    assert "'&' begins a second voice, left out" in document["tunes"][-1]["notices"][0]
    strict = json.loads(run("check", book, "--strict", "--json", "-"))
    assert strict["summary"]["rates"]["parse"]["count"] == 5


def test_continue_names_what_is_left_out(book: Path) -> None:
    text = run("continue", book, "--tune", 6, "--bars", 2, "--n", 1)
    assert "N:the given tune: line" in text
    result = CliRunner().invoke(app, ["folk", "continue", str(book), "--tune", "6", "--strict"])
    assert result.exit_code == 2
    assert "begins a second voice" in " ".join(result.output.split())


def test_a_tune_without_bar_lines_is_said_to_have_none(tmp_path: Path) -> None:
    path = tmp_path / "a.abc"
    path.write_text("X:1\nM:4/4\nL:1/4\nK:C\n" + "CDEF" * 30 + "CD\n")
    assert "no bar lines: the music lasts 61/2, the meter is 4/4" in run("check", path)
    assert parse_tune(path.read_text()).measures[0].duration == 30.5
