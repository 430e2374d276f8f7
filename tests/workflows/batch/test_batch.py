"""A batch resumes from its parts, whatever was killed, and loses or doubles no file."""

from __future__ import annotations

import json
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

pytest.importorskip("pyarrow")

from otoscope.errors import ParameterError
from otoscope.records.parts import part_names, read_parts
from otoscope.records.places import Place
from otoscope.workflows.batch.batch import estimate_batch
from otoscope.workflows.batch.manifest import read_manifest
from tests.support.batches import Tiny, TinyTask, config_of, files_in, run_tiny, texts

TEXTS = ["a", "b", "bad", "c", "odd", "d", "e"]


def names(out: Path) -> set[str]:
    return set(part_names(Place(str(out))))


@pytest.mark.parametrize("workers", [1, 2])
def test_every_file_has_a_row_or_a_reason(tmp_path: Path, workers: int) -> None:
    out = tmp_path / "out"
    result = run_tiny(texts(tmp_path / "in", TEXTS), out, workers=workers, chunk=2)
    assert (result.n_files, result.counts[:3]) == (7, (7, 7, 2))
    rows = {row["file"]: row for row in read_parts(str(out)).to_pylist()}
    assert [rows[f"{i:05}.txt"]["target"] for i in (0, 1, 3, 5, 6)] == ["a", "b", "c", "d", "e"]
    assert rows["00002.txt"]["error"] == "is bad"
    assert rows["00004.txt"]["error"].startswith("raised KeyError: 'odd' (batches.py, line ")
    about = json.loads(rows["00000.txt"]["settings"]), rows["00000.txt"]["model"]
    assert about == ({"note": ""}, "0123")
    assert json.loads(rows["00002.txt"]["versions"]).keys() == {
        "otoscope",
        "torch",
        "numpy",
        "python",
    }
    pids = {row["output_all"] for row in rows.values()} - {None}
    assert (os.getpid() in pids) == (workers == 1)


def test_what_is_done_is_not_done_again(tmp_path: Path) -> None:
    manifest, out = texts(tmp_path / "in", TEXTS), tmp_path / "out"
    run_tiny(manifest, out, workers=1, chunk=3)
    before = {name: (out / name).stat().st_mtime_ns for name in names(out)}
    assert len(before) == 3
    victim = sorted(before)[0]
    (out / victim).unlink()
    result = run_tiny(manifest, out, workers=1, chunk=3)
    assert (result.n_before, result.counts.files) == (7 - result.counts.files, result.counts.files)
    assert 0 < result.counts.files <= 3
    after = {name: (out / name).stat().st_mtime_ns for name in names(out)}
    assert after.keys() == before.keys()
    assert {name for name in before if after[name] != before[name]} == {victim}
    assert run_tiny(manifest, out, workers=1, chunk=3).counts.files == 0


def test_another_size_of_chunks_and_more_files_go_on(tmp_path: Path) -> None:
    manifest, out = texts(tmp_path / "in", TEXTS[:4]), tmp_path / "out"
    run_tiny(manifest, out, workers=1, chunk=3)
    manifest = texts(tmp_path / "in", [*TEXTS, "f"])
    result = run_tiny(manifest, out, workers=1, chunk=2)
    assert (result.n_before, result.counts.files) == (4, 4)
    assert len(files_in(out)) == 8


def test_errors_are_tried_again_when_asked(tmp_path: Path) -> None:
    folder, out = tmp_path / "in", tmp_path / "out"
    manifest = texts(folder, TEXTS)
    run_tiny(manifest, out, workers=1, chunk=3)
    (folder / "00002.txt").write_text("mended")
    result = run_tiny(manifest, out, workers=1, chunk=3, retry_errors=True)
    assert (result.n_before, result.counts[:3]) == (5, (2, 2, 1))
    errors = files_in(out)
    assert len(errors) == 7
    assert errors["00002.txt"] == ""
    assert run_tiny(manifest, out, workers=1, chunk=3, retry_errors=True).counts.files == 1


def test_shards_share_a_place_and_cover_the_manifest_once(tmp_path: Path) -> None:
    manifest, out = texts(tmp_path / "in", list("abcdefghijk")), tmp_path / "out"
    done = [run_tiny(manifest, out, workers=1, chunk=2, shard=f"{i}/3") for i in (1, 2, 3)]
    assert [result.counts.files for result in done] == [4, 4, 3]
    assert len(files_in(out)) == 11
    assert run_tiny(manifest, out, workers=1, chunk=2).counts.files == 0
    with pytest.raises(ParameterError, match="shard is '4/3', must be I/N"):
        run_tiny(manifest, out, shard="4/3")


def test_a_place_of_other_settings_is_refused_by_their_names(tmp_path: Path) -> None:
    manifest, out = texts(tmp_path / "in", ["a"]), tmp_path / "out"
    run_tiny(manifest, out, workers=1)
    with pytest.raises(ParameterError, match=r"other settings \(note , not x\)"):
        run_tiny(manifest, out, task=Tiny("x"), workers=1)
    settings = json.loads((out / "_settings.json").read_text())
    settings["versions"]["torch"] = "1.0"
    (out / "_settings.json").write_text(json.dumps(settings))
    with pytest.raises(ParameterError, match=r"versions torch 1.0, not "):
        run_tiny(manifest, out, workers=1)
    (out / "_settings.json").write_text(json.dumps({**settings, "workflow": "stats"}))
    with pytest.raises(ParameterError, match=r"other settings \(workflow stats, not explain\)"):
        run_tiny(manifest, out, workers=1)
    (out / "_settings.json").unlink()
    with pytest.raises(ParameterError, match=r"holds parts without _settings.json"):
        run_tiny(manifest, out, workers=1)


def test_no_usable_file_is_an_error(tmp_path: Path) -> None:
    manifest = texts(tmp_path / "in", ["bad", "odd"])
    with pytest.raises(ParameterError, match=r"none of 2 files can be used.*00000.txt: is bad"):
        run_tiny(manifest, tmp_path / "out", workers=1)


def test_a_second_driver_is_refused_and_named(tmp_path: Path) -> None:
    manifest, out = texts(tmp_path / "in", ["a", "b"]), tmp_path / "out"
    with Place(str(out)).claimed("_driver.json", "_driver"), ThreadPoolExecutor(1) as others:
        for shard in (None, "1/2"):
            message = rf"is being written by process {os.getpid()} on .* since 20"
            with pytest.raises(ParameterError, match=message):
                others.submit(run_tiny, manifest, out, workers=1, shard=shard).result()
    assert run_tiny(manifest, out, workers=1, shard="1/2").counts.files == 2


def test_shards_of_one_number_run_at_once(tmp_path: Path) -> None:
    manifest, out = texts(tmp_path / "in", ["a", "b"]), tmp_path / "out"
    with Place(str(out)).claimed("_driver-1-of-2.json", "_driver"):
        assert run_tiny(manifest, out, workers=1, shard="2/2", chunk=1).counts.files == 1
        with ThreadPoolExecutor(1) as others:
            later = others.submit(run_tiny, manifest, out, workers=1, shard="2/3")
            with pytest.raises(ParameterError, match="is being written by"):
                later.result()


def test_a_dry_run_writes_nothing_and_multiplies(tmp_path: Path) -> None:
    manifest, out = texts(tmp_path / "in", [*"abcdefgh", "bad"]), tmp_path / "out"
    estimate = estimate_batch(config_of(manifest, out))
    assert (estimate.n_files, estimate.n_timed) == (9, 3)
    assert estimate.core_hours == pytest.approx(estimate.seconds * 9 / 3600)
    assert not out.exists()


class Refused(Tiny):
    """A workflow of a model that does not exist."""

    def as_task(self, place: object) -> TinyTask:
        raise ParameterError("there is no such model")


def test_a_task_that_is_refused_leaves_no_folder(tmp_path: Path) -> None:
    manifest = texts(tmp_path / "in", ["a"])
    for workers in (1, 2):
        with pytest.raises(ParameterError, match="no such model"):
            run_tiny(manifest, tmp_path / "runs" / "out", task=Refused(), workers=workers)
        assert not (tmp_path / "runs").exists()


def test_a_dry_run_refuses_a_place_of_other_settings(tmp_path: Path) -> None:
    manifest, out = texts(tmp_path / "in", ["a", "b"]), tmp_path / "out"
    run_tiny(manifest, out, workers=1, shard="1/2", chunk=1)
    config = config_of(manifest, out, chunk=1)
    assert estimate_batch(config).n_files == 1
    with pytest.raises(ParameterError, match=r"other settings \(note , not x\)"):
        estimate_batch(config_of(manifest, out, task=Tiny("x"), chunk=1))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("file\na\n", "has no column 'path'; it has file"),
        ("path\na\na\n", "names a twice \\(1 of 2\\)"),
        ("path,artist\na\n", "a row is not of 2 columns"),
        ("path\n", "names no files"),
        ("path,x\n,1\n", "path of row 1 is '', must name a file"),
    ],
)
def test_a_manifest_is_checked(tmp_path: Path, content: str, message: str) -> None:
    manifest = tmp_path / "m.csv"
    manifest.write_text(content)
    with pytest.raises(ParameterError, match=message):
        read_manifest(str(manifest))


def test_other_columns_come_along(tmp_path: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    folder = tmp_path / "in"
    texts(folder, ["a", "b"])
    table = pa.table({"artist": ["x", None], "path": ["00000.txt", "00001.txt"]})
    pq.write_table(table, folder / "m.parquet")
    run_tiny(folder / "m.parquet", tmp_path / "out", workers=1)
    others = read_parts(str(tmp_path / "out"), columns=["others"])["others"].to_pylist()
    assert [json.loads(text) for text in others] == [{"artist": "x"}, {"artist": None}]


def test_places_of_other_libraries_are_opened_by_fsspec(tmp_path: Path) -> None:
    manifest, out = texts(tmp_path / "in", TEXTS), f"memory://{tmp_path.name}"
    assert run_tiny(manifest, out, workers=1, chunk=2).counts.files == 7
    assert len(files_in(out)) == 7
    assert run_tiny(manifest, out, workers=1, chunk=2).counts.files == 0
    for uri in ("nothing://a", "s3://a/b?colour=red"):
        with pytest.raises(ParameterError, match="cannot be opened"):
            run_tiny(manifest, uri, workers=1)


def test_columns_are_chosen_by_name(tmp_path: Path) -> None:
    out = str(tmp_path / "out")
    run_tiny(texts(tmp_path / "in", ["a"]), out, workers=1)
    assert read_parts(out, columns=["target"]).to_pylist() == [{"target": "a"}]
    with pytest.raises(ParameterError, match=r"columns has 'r3'; .* has file, start"):
        read_parts(out, columns=["r3"])
    with pytest.raises(ParameterError, match="holds no parts"):
        read_parts(str(tmp_path / "in"))
