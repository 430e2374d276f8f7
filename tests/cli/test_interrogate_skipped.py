"""otoscope interrogate skips files that cannot be read, counts and lists them; --strict refuses."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from typer.testing import CliRunner

from otoscope.cli.app import app

SR = 8000
SYSTEM = """
def make():
    return lambda sounds: ["loud" if y.abs().max() > 0.3 else "soft" for y in sounds]
"""
BROKEN = ("0.wav", "1.wav", "2.wav", "3.wav")


def tone(path: Path, level: float) -> None:
    soundfile.write(path, level * np.sin(0.3 * np.arange(400)), SR, subtype="FLOAT")


def run(code: int, data: Path, *arguments: object) -> str:
    options = ("--model", data / ".system.py:make", "--data", data, "--gain", 1, "--doses", 1)
    result = CliRunner().invoke(app, ["interrogate", *map(str, (*options, *arguments))])
    assert result.exit_code == code, result.output
    return " ".join(result.output.split())


def written(data: Path, *arguments: object) -> dict[str, Any]:
    run(0, data, *arguments, "--json", data / "out.json")
    document: dict[str, Any] = json.loads((data / "out.json").read_text())
    return document


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Write two classes of twelve tones, four of them broken, the very first file among them."""
    for label, level in (("loud", 0.6), ("soft", 0.1)):
        (tmp_path / label).mkdir()
        for i in range(12):
            tone(tmp_path / label / f"{i}.wav", level)
    (tmp_path / ".system.py").write_text(SYSTEM)
    (tmp_path / "loud" / "0.wav").write_bytes(b"RIFF" + bytes(range(256)))
    (tmp_path / "loud" / "1.wav").write_bytes(b"")
    (tmp_path / "loud" / "2.wav").unlink()
    (tmp_path / "loud" / "2.wav").symlink_to(tmp_path / "nothing.wav")
    soundfile.write(tmp_path / "loud" / "3.wav", np.full(400, np.nan), SR, subtype="FLOAT")
    return tmp_path


def test_broken_files_are_skipped_counted_and_listed(data: Path) -> None:
    page = data / "page.html"
    printed = run(0, data, "--html", page, "--json", data / "out.json")
    assert f"{data}: 4 skipped" in printed
    document = json.loads((data / "out.json").read_text())
    assert list(document["skipped"]) == [str(data / "loud" / name) for name in BROKEN]
    reasons = ("cannot be read", "is empty (0 bytes)", "is a link to nothing", "NaN or infinite")
    for (name, told), reason in zip(document["skipped"].items(), reasons, strict=True):
        assert reason in told
        assert f"{name}: {told}" in printed
        assert name in page.read_text()
    assert "Skipped: 4 sound files that cannot be read" in page.read_text()
    assert len(document["items"]) == 20
    assert {item["name"] for item in document["items"]}.isdisjoint(document["skipped"])


def test_the_others_are_judged_as_if_alone(data: Path) -> None:
    """Labels, groups and confounds stay with their items."""
    table = data / "table.csv"
    rows = [f"{label}/{i}.wav,{label},{i % 6},{i}" for i in range(12) for label in ("loud", "soft")]
    table.write_text("\n".join(["file,label,group,confound", *rows]))
    skipping = written(data, "--labels", table)
    lines = [row for row in rows if not row.startswith(tuple(f"loud/{name}" for name in BROKEN))]
    table.write_text("\n".join(["file,label,group,confound", *lines]))
    alone = written(data, "--labels", table)
    assert len(skipping.pop("skipped")) == 4
    assert alone.pop("skipped") == {}
    assert skipping == alone
    assert {item["answer"] == item["label"] for item in alone["items"]} == {True}


def test_strict_refuses_in_one_line(data: Path) -> None:
    output = run(2, data, "--strict", "--json", data / "out.json")
    assert f"4 of 24 sound files cannot be read; {data / 'loud' / '0.wav'}: " in output
    assert not (data / "out.json").exists()
    for name in BROKEN:
        (data / "loud" / name).unlink()
    assert "skipped" not in run(0, data, "--strict")


def test_a_run_continues_with_the_same_files_and_a_repaired_one_is_refused(data: Path) -> None:
    records = data / "answers.jsonl"
    first = written(data, "--records", records)
    n_lines = records.read_bytes().count(b"\n")
    assert n_lines == 1 + 20
    half = b"".join(records.read_bytes().splitlines(keepends=True)[:9])
    records.write_bytes(half)
    assert written(data, "--records", records) == first
    assert records.read_bytes().count(b"\n") == n_lines
    tone(data / "loud" / "1.wav", 0.6)
    output = run(2, data, "--records", records)
    assert "holds an interrogation with other items, content, labels" in output


@pytest.mark.parametrize(
    ("n_left", "message"),
    [
        (0, "12 of 24 sound files are skipped, and none of 'soft' is left; "),
        (1, "11 of 24 sound files are skipped, and 1 of 2 classes have one item"),
    ],
)
def test_a_class_that_loses_its_files_is_an_error(data: Path, n_left: int, message: str) -> None:
    for name in BROKEN:
        (data / "loud" / name).unlink()
        tone(data / "loud" / name.replace(".", "x."), 0.6)
    for file in sorted((data / "soft").iterdir())[n_left:]:
        file.write_bytes(b"no sound")
    output = run(2, data)
    assert message in output
    assert "soft/" in output.split(message)[1]


def test_too_few_groups_or_no_files_are_an_error(data: Path) -> None:
    for folder, group in (("loud", "one"), ("soft", "two")):
        lines = [f"{folder}/{i}.wav,{label},{group}" for i, label in enumerate(["x", "y"] * 6)]
        table = data / f"{folder}.csv"
        table.write_text("\n".join(lines))
    table.write_text(
        "\n".join(
            ["file,label,group", *((data / f"{n}.csv").read_text() for n in ("loud", "soft"))]
        )
    )
    for file in (data / "soft").iterdir():
        file.write_bytes(b"no sound")
    asked = ("--labels", table, "--classes", "x,y,loud,soft")
    output = run(2, data, *asked)
    assert "16 of 24 sound files are skipped, and 8 items in 1 group" in output
    for file in (data / "loud").iterdir():
        file.unlink()
        file.touch()
    first = data / "loud" / "0.wav"
    output = run(2, data, "--unlabelled")
    assert f"none of 24 sound files can be read; {first}: is empty (0 bytes)" in output
    (data / ".system.py").write_text(
        SYSTEM.replace("return", "predict =")
        + "    predict.sample_rate = 4000\n    return predict\n"
    )
    assert f"none of 24 sound files can be read; {first}: " in run(2, data, "--unlabelled")


def test_a_file_that_a_table_names_and_is_not_there_is_an_error(data: Path) -> None:
    table = data / "table.csv"
    table.write_text("file,label\nloud/40.wav,loud\nsoft/0.wav,soft\n")
    assert "40.wav, which is not there (1 of 2)" in run(2, data, "--labels", table)
