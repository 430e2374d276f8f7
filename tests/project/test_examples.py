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
    small = ["--songs", "4", "--seconds", "24", "--n", "24", "--layer", "fc8"]
    printed = run("distance_pairs.py", "--model", "synth-singing", *small, "--json", str(path))
    same, tones = json.loads(path.read_text())["rows"]
    assert (same["second"], tones["second"]) == ("other parts of them", "tones")
    assert tones["frechet"] > 3 * same["frechet"]
    assert all(row["low"] <= row["frechet"] <= row["high"] for row in (same, tones))
    assert tones["kernel"] > same["kernel"]
    assert f"{tones['frechet']:.3g}" in printed


@pytest.mark.slow
def test_intervals_hold_the_truth_about_as_often_as_they_say(tmp_path: Path) -> None:
    """Of 40 draws at 95 %, fewer than 33 hold it once in 500 runs."""
    path = tmp_path / "coverage.json"
    cells = ["--columns", "4", "64", "--songs", "24", "--draws", "40"]
    run("interval_coverage.py", *cells, "--json", str(path))
    rows = json.loads(path.read_text())["rows"]
    names = ["FAD", "KID", "KAD", "MAD", "precision", "recall", "density", "coverage"]
    assert [row["measure"] for row in rows] == 2 * names
    assert all(row["coverage"] >= 33 / 40 for row in rows), rows
    wide = rows[len(names)]
    assert wide["of_distributions"] == 0  # which the interval does not claim to hold
    assert abs(wide["truth"] - 31) < 1  # 5.76 of distributions


def test_occlude_writes_a_picture(tmp_path: Path) -> None:
    run("occlude.py", str(tmp_path / "picture.png"))
    assert (tmp_path / "picture.png").read_bytes().startswith(b"\x89PNG")
