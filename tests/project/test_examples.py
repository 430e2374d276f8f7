"""The examples run as their first lines say."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.support.scripts import run_script


def run(name: str, *arguments: str) -> str:
    done = run_script(f"examples/{name}", *arguments)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_singing_precision_prints_means_of_the_rows_it_writes(tmp_path: Path) -> None:
    path = tmp_path / "precision.json"
    small = ["--model", "synth-singing", "--segments", "6", "--contents", "mean_inp", "zero"]
    printed = run("singing_precision.py", "synth", "--n", "2", *small, "--json", str(path))
    written = json.loads(path.read_text())
    for mean in written["means"]:
        rows = [row for row in written["rows"] if row["content"] == mean["content"]]
        assert len(rows) == mean["n"] == 2
        assert {row["random"] for row in rows} == {0.5}  # three of six segments are sung
        hits = [len({*row["top"]} & {*row["sung"]}) / len(row["top"]) for row in rows]
        assert mean["precision"] == pytest.approx(sum(hits) / 2)
        assert f"{mean['precision']:.3f}" in printed
        assert mean["excess"] == pytest.approx(mean["precision"] - 0.5)


def test_distance_pairs_are_in_the_order_that_everyone_expects(tmp_path: Path) -> None:
    path = tmp_path / "pairs.json"
    small = ["--songs", "3", "--seconds", "24", "--n", "24", "--layer", "fc8"]
    printed = run("distance_pairs.py", "--model", "synth-singing", *small, "--json", str(path))
    same, tones = json.loads(path.read_text())["rows"]
    assert (same["second"], tones["second"]) == ("other parts of them", "tones")
    assert tones["low"] > same["high"]
    assert tones["kernel"] > same["kernel"]
    assert f"{tones['frechet']:.3g}" in printed


@pytest.mark.slow
def test_intervals_hold_the_truth_about_as_often_as_they_say(tmp_path: Path) -> None:
    """Of 100 draws at 95 %, fewer than 88 hold it once in 500 runs."""
    path = tmp_path / "coverage.json"
    run("interval_coverage.py", "--songs", "24", "--draws", "100", "--json", str(path))
    rows = json.loads(path.read_text())["rows"]
    names = ["FAD", "KID", "KAD", "MAD", "precision", "recall", "density", "coverage"]
    assert [row["measure"] for row in rows] == names
    assert all(row["coverage"] >= 0.88 for row in rows), rows


def test_occlude_writes_a_picture(tmp_path: Path) -> None:
    run("occlude.py", str(tmp_path / "picture.png"))
    assert (tmp_path / "picture.png").read_bytes().startswith(b"\x89PNG")
