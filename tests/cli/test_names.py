"""Names of files and tunes: nothing in them is obeyed by a terminal or a spreadsheet."""

from __future__ import annotations

import csv
import re
import shutil
import sys
from pathlib import Path

import pytest
import torch
from rich.table import Table
from typer.testing import CliRunner

from otoscope.cli.app import app
from otoscope.cli.output import console
from otoscope.records import cell, printable
from otoscope.signal import write_audio

MODEL = ["--model", "synth-singing", "--segments", "temporal:2"]
OBEYED = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202e]")
HOSTILE = ["\x1b]0;title\x07\x1b[31mred.wav", "\x9b31m.wav", "a\rb.wav", "\u202egnp.wav"]
FORMULAS = ["=SUM(A1).wav", "+1.wav", "-1.wav", "@a.wav", "\t=1.wav", " =1.wav", "＝1.wav"]

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such names")


def run(*arguments: object, code: int = 0) -> str:
    """Run a command; return all that it printed."""
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    assert result.exit_code == code, result.output
    return result.output


@pytest.fixture
def sounds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Go to a folder of sounds with hostile names."""
    monkeypatch.chdir(tmp_path)
    y = torch.randn(3 * 22050, generator=torch.Generator().manual_seed(0)) / 20
    write_audio("x.wav", y.clamp(-1, 1), sr=22050)
    for name in (*HOSTILE, *FORMULAS):
        shutil.copy("x.wav", name)
    return tmp_path


def test_names_reach_terminal_and_table_as_text(sounds: Path) -> None:
    Path("bad\x1b[2J.wav").write_text("no sound")
    printed = run("explain", ".", *MODEL, "--csv", "t.csv")
    assert not OBEYED.search(printed)
    assert r"\x1b]0" in printed
    text = Path("t.csv").read_text("utf-8")
    assert not OBEYED.search(text)
    rows = list(csv.DictReader(text.splitlines()))
    assert not [row["file"] for row in rows if row["file"].lstrip()[:1] in "=+-@＝"]
    named = {Path(row["file"]) for row in rows if Path(row["file"]).exists()}
    assert {Path(name) for name in FORMULAS if "\t" not in name} <= named
    assert not OBEYED.search(run("explain", ".", *MODEL, "--csv"))


@pytest.mark.usefixtures("sounds")
def test_names_in_errors_are_text(monkeypatch: pytest.MonkeyPatch) -> None:
    assert not OBEYED.search(run("explain", "gone\x1b]0;a\x07.wav", *MODEL, code=2))
    Path("bad\x1b[2J.wav").write_text("no sound")
    assert r"bad\x1b[2J.wav" in run("explain", "bad\x1b[2J.wav", *MODEL, code=2)
    monkeypatch.setenv("OTOSCOPE_TRACEBACK", "1")
    assert not OBEYED.search(run("explain", "bad\x1b[2J.wav", *MODEL, code=2))


@pytest.mark.usefixtures("sounds")
def test_titles_and_labels_are_text() -> None:
    Path("t.abc").write_text(
        "X:1\nT:a\x9b31m\u202eb\nM:4/4\nL:1/8\nK:C\nCDEF GABc|CDEF GABc|]\n", "utf-8"
    )
    for command in (["check", "t.abc"], ["score", "t.abc"], ["nearest", "t.abc", "--in", "t.abc"]):
        assert not OBEYED.search(run("folk", *command))
    assert not OBEYED.search(run("folk", "continue", "t.abc", "--n", "1", "--bars", "1"))
    skipped = run("stats", ".", "--model", "synth-singing", "--hop", "0.5", "--out", "s.npz")
    assert not OBEYED.search(skipped)


def test_a_name_with_an_emoji_code_stays_as_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    console().print("a:cat:.wav")
    assert capsys.readouterr().out == "a:cat:.wav\n"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a\x1bb", r"a\x1bb"),
        ("\x7f\x9b\u202e\u2066", r"\x7f\x9b\u202e\u2066"),
        ("\udcff", r"\udcff"),
        ("Jürgen – 12 %\t日本\n", "Jürgen – 12 %\t日本\n"),
    ],
)
def test_printable_text(text: str, shown: str) -> None:
    assert printable(text) == shown


def test_a_line_feed_in_a_name_breaks_no_line(capsys: pytest.CaptureFixture[str]) -> None:
    table = Table("a\nb.wav", box=None)
    table.add_row("c\td\n.wav")
    console().print("e\r\nf.wav")
    console().print(table)
    lines = [line.strip() for line in capsys.readouterr().out.splitlines()]
    assert lines == [r"e\r\nf.wav", r"a\nb.wav", r"c\td\n.wav"]


@pytest.mark.parametrize(
    ("text", "path", "other"),
    [
        ("=1", "./=1", "'=1"),
        (" +1", "./ +1", "' +1"),
        ("\t1", "./\t1", "'\t1"),
        ("a=1", "a=1", "a=1"),
        ("a\nb", r"a\nb", r"a\nb"),
        ("/=1", "/=1", "/=1"),
        ("", "", ""),
    ],
)
def test_cells_begin_no_formula(text: str, path: str, other: str) -> None:
    assert cell(text, is_path=True) == path
    assert cell(text) == other
