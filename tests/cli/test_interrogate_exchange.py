"""otoscope interrogate --export and --import: a program that is not Python gets a verdict."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest
import soundfile
from typer.testing import CliRunner

from otoscope.cli.app import app

SR = 8000
CHANGES = ("--gain", 6, "--polarity", "--doses", 1)


def run(code: int, *arguments: object) -> str:
    result = CliRunner().invoke(app, ["interrogate", *map(str, arguments)])
    assert result.exit_code == code, result.output
    return " ".join(result.output.split())


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Write tones of two classes, and a file that cannot be read."""
    for label, level in (("loud", 0.4), ("soft", 0.22)):
        (tmp_path / "data" / label).mkdir(parents=True)
        for i in range(8):
            y = level * (1 + 0.01 * i) * np.sin(0.3 * np.arange(400))
            soundfile.write(tmp_path / "data" / label / f"{i}.wav", y, SR, subtype="FLOAT")
    (tmp_path / "data" / "soft" / "9.wav").write_bytes(b"")
    (tmp_path / "system.py").write_text(
        "def make():\n"
        "    return lambda sounds: ['loud' if y.abs().max() > 0.3 else 'soft' for y in sounds]\n"
    )
    return tmp_path / "data"


def predict(folder: Path) -> None:
    """Answer the manifest, without torch and otoscope."""
    with (folder / "manifest.csv").open() as file, (folder / "horse.csv").open("w") as out:
        out.write("id,label\n")
        for row in csv.DictReader(file):
            y, _ = soundfile.read(folder / row["file"])
            out.write(f"{row['id']},{'loud' if np.abs(y).max() > 0.3 else 'soft'}\n")


def test_the_verdict_equals_the_one_of_the_model_in_python(data: Path, tmp_path: Path) -> None:
    export, page, numbers = (tmp_path / name for name in ("export", "a.html", "a.json"))
    output = run(0, "--data", data, *CHANGES, "--budget", 2, "--export", export)
    assert f"{export}: 96 sounds of 16 items" in output
    assert "1 skipped" in output
    predict(export)
    asked = ("--data", data, *CHANGES, "--budget", 2, "--json", tmp_path / "python.json")
    expected = run(1, "--model", f"{tmp_path / 'system.py'}:make", *asked)
    judged = run(1, "--import", export / "horse.csv", "--html", page, "--json", numbers)
    assert expected.partition(" 1 skipped")[0].startswith(judged.partition(" report:")[0][:400])
    assert judged.startswith("A horse: its answers move with gain.")
    records = [json.loads(path.read_text()) for path in (tmp_path / "python.json", numbers)]
    for record in records:
        for name in ("settings", "config", "skipped"):
            del record[name]
    assert records[0] == records[1]
    assert page.read_text().count("<audio") >= 2
    assert "What moves the answers of horse?" in page.read_text()
    assert "16 items of data" in page.read_text()


def test_classes_bounds_and_names_apply_to_an_import(data: Path, tmp_path: Path) -> None:
    export = tmp_path / "export"
    run(0, "--data", data, *CHANGES, "--export", export, "--sr", 4000)
    assert {soundfile.info(file).samplerate for file in (export / "sounds").iterdir()} == {4000}
    predict(export)
    table = export / "horse.csv"
    elsewhere = tmp_path / "elsewhere.csv"
    elsewhere.write_text(table.read_text().replace("loud", "LOUD"))
    asked = ("--import", elsewhere, "--data", export)
    assert "label 'LOUD' is none of loud, soft; name all answers with --classes" in run(2, *asked)
    run(0, *asked, "--classes", "loud,soft,LOUD", "--max-drop", 60)
    missed = ("--classes", "loud,soft,LOUD", "--max-drop", 60, "--min-score", 0.9)
    assert "The least mean recall of 0.900 is missed" in run(1, *asked, *missed)
    met = ("--max-drop", 60, "--min-score", 1, "--metric", "accuracy")
    assert "The least accuracy of 1.000 is reached" in run(0, "--import", table, *met)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--export", "{tmp}/e", "--model", "synth-singing"), "--model and --export exclude"),
        (("--import", "{tmp}/p.csv", "--model", "a"), "--model and --import exclude each other"),
        ((), "no model is named; give one of --model, --export, --import"),
        (("--import", "{tmp}/p.csv", "--gain", 6), "which the export has decided; leave it out"),
        (("--import", "{tmp}/p.csv", "--records", "{tmp}/r.jsonl"), "no model is asked"),
        (("--export", "{tmp}/e", "--html", "{tmp}/a.html"), "before there are predictions"),
        (("--export", "{tmp}/e"), "nothing is to be changed"),
        (("--import", "{tmp}/none.csv"), "none.csv is not there; name a table of predictions"),
        (("--import", __file__), "holds no key.json"),
    ],
)
def test_what_does_not_go_together_is_one_line(
    data: Path, tmp_path: Path, arguments: tuple[object, ...], message: str
) -> None:
    filled = [str(argument).format(tmp=tmp_path) for argument in arguments]
    assert message in run(2, "--data", data, *filled)
    assert not (tmp_path / "e").exists()
