"""Corpora go on by contents: what is gone, changed or of other tools is not taken as it is."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from otoscope import records
from otoscope.data import corpus
from otoscope.data.dance import DanceRecipe, write_dance
from otoscope.errors import ParameterError
from otoscope.records import Records

SHORT = DanceRecipe(seconds=2.0, sr=8000)


def content(folder: Path) -> dict[str, bytes]:
    """Return the sounds of a folder, by name."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*.wav")}


@pytest.mark.parametrize("fault", ["gone", "changed", "unknown"])
def test_a_sound_that_is_not_what_was_written_is_rendered_again(fault: str, tmp_path: Path) -> None:
    manifest = write_dance(tmp_path, 3, recipe=SHORT)
    whole, rows = content(tmp_path), records.read(manifest)
    path = tmp_path / rows[1]["file"]
    if fault == "gone":
        path.unlink()
    elif fault == "changed":
        path.write_bytes(path.read_bytes()[:-2] + b"..")
    else:
        rows[1].pop("sha256")
        manifest.write_text("".join(records.to_json(row) + "\n" for row in rows))
        path.write_bytes(b"")
    write_dance(tmp_path, 3, recipe=SHORT)
    assert content(tmp_path) == whole
    assert sorted(row["key"] for row in records.read(manifest)) == sorted(r["key"] for r in rows)


def test_a_corpus_of_other_tools_is_refused(tmp_path: Path) -> None:
    manifest = tmp_path / "manifest.jsonl"
    with Records(manifest) as written:
        written.append("a", {"recipe": {}, "tools": {"mma": "1"}}, seed=0)
        with pytest.raises(ParameterError, match=r"is of tools .*'1'.*, not .*'2'.*; name another"):
            corpus.resume(written, manifest, seed=0, recipe={}, tools={"mma": "2"})


def test_a_manifest_of_something_else_is_refused_and_kept(tmp_path: Path) -> None:
    manifest = tmp_path / "manifest.jsonl"
    manifest.write_text(json.dumps({"key": "mine"}) + "\n")
    with pytest.raises(ParameterError, match=r"manifest\.jsonl is of seed None"):
        write_dance(tmp_path, 1, recipe=SHORT)
    assert manifest.read_text() == json.dumps({"key": "mine"}) + "\n"


def test_a_sound_of_somebody_else_is_kept(tmp_path: Path) -> None:
    name = records.read(write_dance(tmp_path / "whole", 1, recipe=SHORT))[0]["file"]
    path = tmp_path / "other" / name
    path.parent.mkdir(parents=True)
    path.write_bytes(b"mine")
    with pytest.raises(ParameterError, match="exists, and is not of this corpus; name another"):
        write_dance(tmp_path / "other", 1, recipe=SHORT)
    assert path.read_bytes() == b"mine"


def test_a_sound_without_a_record_is_that_of_a_killed_run(tmp_path: Path) -> None:
    manifest = write_dance(tmp_path, 2, recipe=SHORT)
    whole, (first, *_) = content(tmp_path), manifest.read_text().splitlines()
    manifest.write_text(f"{first}\n")
    write_dance(tmp_path, 2, recipe=SHORT)
    assert content(tmp_path) == whole
