"""A sound that was cut off, and a link to nothing, are told by every command that reads sounds."""

from __future__ import annotations

import csv
import json
import shutil
from pathlib import Path

import pytest
import soundfile
from typer.testing import CliRunner

from otoscope.cli.app import app
from otoscope.data import synthesise

MODEL = ["--model", "synth-singing"]
LOST = {"lost.wav": "is a link to nothing"}
WORD = "halved.wav is cut off: its header tells 8.00 s, 4.00 s are there"


def run(*arguments: object, code: int = 0) -> str:
    """Run a command that must end with an exit code."""
    result = CliRunner().invoke(app, [str(a) for a in arguments])
    assert result.exit_code == code, result.output
    return " ".join(result.output.split())


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write a whole song, a halved one, and a link to nothing."""
    folder = tmp_path_factory.mktemp("songs") / "songs"
    folder.mkdir()
    made = synthesise(0, seconds=8)
    for name in ("whole", "halved"):
        soundfile.write(folder / f"{name}.wav", made.mix, made.sr)
    content = (folder / "halved.wav").read_bytes()
    (folder / "halved.wav").write_bytes(content[: len(content) // 2])
    (folder / "lost.wav").symlink_to(folder / "nowhere.wav")
    return folder


def test_explain_tells_it_in_table_report_and_json(folder: Path, tmp_path: Path) -> None:
    page, numbers = tmp_path / "why.html", tmp_path / "why.json"
    options = (*MODEL, "--segments", "temporal:4")
    halved = folder / "halved.wav"
    output = run("explain", halved, *options, "--html", page, "--json", numbers)
    assert output.count(WORD) == 1
    assert f"{WORD}." in page.read_text()
    document = json.loads(numbers.read_text())
    assert document["truncated"] == WORD
    assert WORD in document["warnings"]
    assert "cut off" not in run("explain", folder / "whole.wav", *options)
    index, table = tmp_path / "all.html", tmp_path / "all.csv"
    output = run("explain", folder, *options, "--html", index, "--csv", table)
    assert WORD in output
    assert index.read_text().count(WORD) == 1
    with table.open(newline="") as file:
        rows = {Path(row["file"]).name: row for row in csv.DictReader(file)}
    assert [rows[f"{name}.wav"]["truncated"] for name in ("halved", "whole", "lost")] == [
        WORD,
        "",
        "",
    ]
    assert "1 of 3 could not be explained" in output
    assert "is a link to nothing" in output


def test_attack_tells_it_in_output_report_and_json(folder: Path, tmp_path: Path) -> None:
    page, numbers = tmp_path / "adv.html", tmp_path / "adv.json"
    options = (*MODEL, "--steps", 1, "--duration", 2, "--out", tmp_path / "adv.wav")
    result = CliRunner().invoke(
        app,
        [
            *map(str, ("attack", folder / "halved.wav", *options)),
            *("--html", str(page), "--json", str(numbers)),
        ],
    )
    assert WORD in " ".join(result.output.split())
    assert WORD in page.read_text()
    assert f"{WORD}." in json.loads(numbers.read_text())["notes"]


def test_distance_and_stats_tell_it_beside_what_was_skipped(folder: Path, tmp_path: Path) -> None:
    out, numbers = tmp_path / "a.npz", tmp_path / "a.json"
    for _ in range(2):  # the second run resumes
        output = run("stats", folder, *MODEL, "--out", out, "--json", numbers)
        assert WORD in output
        assert "1 skipped" in output
        document = json.loads(numbers.read_text())
        assert document["truncated"] == {"halved.wav": WORD}
        assert document["skipped"] == LOST
    whole = tmp_path / "whole"
    whole.mkdir()
    for name in "ab":
        shutil.copy(folder / "whole.wav", whole / f"{name}.wav")
    output = run("distance", whole, out, *MODEL, "--json", numbers)
    assert output.count(WORD) == 1
    document = json.loads(numbers.read_text())
    assert document["real"]["truncated"] == document["real"]["skipped"] == {}
    assert document["generated"]["truncated"] == {"halved.wav": WORD}


def test_maximise_tells_it_in_output_report_and_json(folder: Path, tmp_path: Path) -> None:
    page, numbers = tmp_path / "unit.html", tmp_path / "unit.json"
    options = ("--layer", "fc9", "--seeds", 2, "--iterations", 3, "--every", 2, "--html", page)
    output = run("maximise", *MODEL, *options, "--real", folder, "--json", numbers)
    assert WORD in output
    assert "1 skipped" in output
    assert WORD in page.read_text()
    assert (
        "1 sound files are skipped; the first: lost.wav: is a link to nothing" in page.read_text()
    )
    document = json.loads(numbers.read_text())
    assert any(WORD in note for note in document["notes"])
    assert (document["skipped"], document["truncated"]) == (LOST, {"halved.wav": WORD})


def test_a_folder_of_which_nothing_can_be_used_names_each_file_once(tmp_path: Path) -> None:
    (tmp_path / "sounds").mkdir()
    (tmp_path / "sounds" / "text.wav").write_text("la la la")
    sounds = (tmp_path / "sounds", *MODEL)
    for command in (
        ("stats", *sounds, "--out", tmp_path / "a.npz"),
        ("distance", *sounds[:1], *sounds),
        ("maximise", *MODEL, "--layer", "fc9", "--real", tmp_path / "sounds"),
        ("explain", *sounds),
    ):
        output = run(*command, code=2)
        assert output.split("otoscope: ")[-1].count("text.wav") == 1, output


def test_interrogate_tells_it_in_output_report_and_json(folder: Path, tmp_path: Path) -> None:
    for label in ("high", "low"):
        (tmp_path / "data" / label).mkdir(parents=True)
        for name in ("halved", "whole"):
            shutil.copy(folder / f"{name}.wav", tmp_path / "data" / label)
    system = tmp_path / "system.py"
    system.write_text("def make():\n    return lambda sounds: ['high'] * len(sounds)\n")
    page, numbers = tmp_path / "horse.html", tmp_path / "horse.json"
    arguments = ("--data", tmp_path / "data", "--model", f"{system}:make", "--gain", 6)
    output = run("interrogate", *arguments, "--html", page, "--json", numbers)
    word = f"2 sound files are cut off; the first: {WORD}"
    assert output.count(word) == 1
    assert f"{word}." in page.read_text()
    truncated = json.loads(numbers.read_text())["truncated"]
    assert truncated == {
        str(tmp_path / "data" / label / "halved.wav"): WORD for label in ("high", "low")
    }
