"""``otoscope interrogate --import OUT``: one verdict over all parts of a batch."""

from __future__ import annotations

import csv
import json
import re
import shlex
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from typer.testing import CliRunner

pytest.importorskip("pyarrow")

from otoscope.cli.app import app
from otoscope.records import read_parts

MODEL = ("--model", "system.py:make")
CHANGES = ("--gain", 6, "--polarity", "--doses", 1)


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Write tones of two classes, a file that cannot be read, and a horse that goes by level."""
    monkeypatch.chdir(tmp_path)
    for label, level in (("loud", 0.4), ("soft", 0.22)):
        (tmp_path / "data" / label).mkdir(parents=True)
        for i in range(8):
            y = level * (1 + 0.01 * i) * np.sin(0.3 * np.arange(400))
            soundfile.write(tmp_path / "data" / label / f"{i}.wav", y, 8000, subtype="FLOAT")
    (tmp_path / "data" / "soft" / "9.wav").write_bytes(b"")
    (tmp_path / "system.py").write_text(
        "def make():\n"
        "    return lambda sounds: ['loud' if y.abs().max() > 0.3 else 'soft' for y in sounds]\n"
    )
    return tmp_path


def run(code: int, *arguments: object) -> Any:
    result = CliRunner().invoke(app, [*map(str, arguments)])
    assert result.exit_code == code, result.output
    return result


def batch(*arguments: object, data: str = "data") -> None:
    out = ("--out", "parts", "--workers", 1)
    run(0, "batch", "interrogate", data, *MODEL, *out, *(arguments or CHANGES))


def judged(code: int, *arguments: object) -> dict[str, Any]:
    run(code, "interrogate", *arguments, "--json", "told.json")
    told: dict[str, Any] = json.loads(Path("told.json").read_text())
    return told


NUMBERS = ("baseline", "chance", "curves", "searches", "flips", "verdict", "is_broken", "classes")


def test_the_verdict_is_that_of_the_folder_whatever_the_parts() -> None:
    whole = judged(1, "--data", "data", *MODEL, *CHANGES)
    batch(*CHANGES, "--chunk", 3, "--shard", "1/2")
    batch(*CHANGES, "--chunk", 3, "--shard", "2/2")
    assert len(list(Path("parts").glob("part-*"))) == 6
    told = judged(1, "--import", "parts", "--html", "horse.html")
    assert {name: told[name] for name in NUMBERS} == {name: whole[name] for name in NUMBERS}
    assert [*told["skipped"]] == ["soft/9.wav"]
    assert told["settings"]["sr"] is None  # each file has its own rate
    page = Path("horse.html").read_text()
    assert "<audio" not in page
    assert "Sampling rate" not in page
    assert "its answers move with gain" in page


def test_a_batch_says_how_its_verdict_is_had() -> None:
    out = ("--out", "my parts & more", "--workers", 1)
    told = run(0, "batch", "interrogate", "data", *MODEL, *out, *CHANGES).stdout
    (command,) = re.findall(r"^verdict over all files: otoscope (.*)$", told, re.M)
    assert "its answers move with gain" in run(1, *shlex.split(command)).stdout.lower()


def test_a_batch_that_is_not_finished_is_a_caution() -> None:
    batch(*CHANGES, "--sr", 8000)
    caution = "the batch is running, or was killed: the verdict is over the files"
    assert caution not in " ".join(run(1, "interrogate", "--import", "parts").stdout.split())
    Path("parts/_driver-1-of-2.json").write_text("{}")  # as a driver that is killed leaves it
    printed = run(1, "interrogate", "--import", "parts", "--html", "horse.html").stdout
    assert caution in " ".join(printed.split())
    page = " ".join(Path("horse.html").read_text().split())
    assert caution[1:] in page
    assert "8,000 Hz" in page


def test_labels_and_groups_are_columns_of_the_manifest_or_of_a_table() -> None:
    rows = [(f"{label}/{i}.wav", label, i // 2) for label in ("loud", "soft") for i in range(8)]
    for name, columns in (("m.csv", ("path", "label", "artist")), ("t.csv", ("file", "label"))):
        with Path(name).open("w", newline="") as file:
            csv.writer(file).writerows([columns, *(row[: len(columns)] for row in rows)])
    Path("data/m.csv").write_text(Path("m.csv").read_text())
    batch(data="data/m.csv")
    grouped = judged(1, "--import", "parts", "--groups", "artist")
    assert {item["group"] for item in grouped["items"]} == {"0", "1", "2", "3"}
    table = judged(1, "--import", "parts", "--labels", "t.csv")
    assert table["baseline"] == judged(1, "--import", "parts")["baseline"]
    assert table["baseline"]["value"] == 1.0
    assert not judged(1, "--import", "parts", "--unlabelled")["has_labels"]


def test_all_bit_rates_of_a_codec_are_asked_as_of_a_folder() -> None:
    changes = ("--codec", "mp3:32", "--codec", "mp3:64", "--gain", 6)
    batch(*changes)
    answers = {(row["change"], row["dose"]) for row in read_parts("parts").to_pylist()}
    assert {dose for change, dose in answers if change == "mp3"} == {32.0, 64.0}
    told, whole = (
        judged(1, *way) for way in (("--import", "parts"), ("--data", "data", *MODEL, *changes))
    )
    assert [point["dose"] for curve in told["curves"] for point in curve["points"]] == [
        point["dose"] for curve in whole["curves"] for point in curve["points"]
    ]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--data", "data"), "parts names its files; leave out --data"),
        (("--polarity",), "the change polarity is named, which the batch has decided"),
        (("--groups", "artist"), "parts has no column 'artist'; it has file, label"),
        (("--strict",), "1 of 17 files have an error; soft/9.wav"),
        *(
            (("--" + name.replace("_", "-"), value), f"{name} is ")
            for name, value in (
                ("seed", 1),
                ("doses", 2),
                ("classes", "a,b"),
                ("duration", 1),
                ("budget", 2),
            )
        ),
    ],
)
def test_what_the_batch_has_decided_is_refused(arguments: tuple[object, ...], message: str) -> None:
    batch()
    assert message in run(2, "interrogate", "--import", "parts", *arguments).stderr


def test_a_label_that_is_missing_and_answers_that_are_none_are_named() -> None:
    rows = "".join(f"loud/{i}.wav\n" for i in range(8))
    Path("data/flat.csv").write_text("path,label\n" + rows.replace(".wav\n", ".wav,\n"))
    batch(data="data/flat.csv")
    told = run(2, "interrogate", "--import", "parts").stderr
    assert "loud/0.wav has no label (8 of 8 files); give the manifest a column label" in told
    Path("t.csv").write_text("file,label\n" + "".join(f"loud/{i}.wav,x{i % 2}\n" for i in range(8)))
    told = run(2, "interrogate", "--import", "parts", "--labels", "t.csv").stderr
    assert "no answer is a label: parts answers loud, soft, and labels are x0, x1" in told


def test_other_folders_are_refused() -> None:
    Path("empty").mkdir()
    assert "empty holds no parts" in run(2, "interrogate", "--import", "empty").stderr
    assert "nowhere is not there" in run(2, "interrogate", "--import", "nowhere").stderr
    run(
        0,
        "batch",
        "stats",
        "data",
        "--model",
        "synth-singing",
        "--padded",
        "--out",
        "other",
        "--workers",
        1,
    )
    told = run(2, "interrogate", "--import", "other").stderr
    assert "other holds no parts of otoscope batch interrogate" in told
