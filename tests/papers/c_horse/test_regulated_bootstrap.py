"""Planted artists: the truth is what it must be, and intervals hold it."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from otoscope.cli.app import app
from otoscope.errors import ParameterError
from otoscope.metrics import Interval
from otoscope.papers.c_horse import regulated_bootstrap as experiment
from otoscope.papers.c_horse.regulated_bootstrap import (
    RegulatedBootstrapConfig,
    _corpus,
    _truth,
    regulated_bootstrap,
)

SMALL = RegulatedBootstrapConfig(
    strengths=(0.0, 3.0), runs=4, iterations=40, n_classes=3, n_artists=6, n_items=5, worlds=60
)


def run(settings: RegulatedBootstrapConfig, out: Path) -> dict[str, Any]:
    regulated_bootstrap(settings, out)
    record: dict[str, Any] = json.loads((out / "regulated_bootstrap.json").read_text())
    return record


def test_strong_artists_are_found_and_absent_ones_are_not(tmp_path: Path) -> None:
    none, strong = run(SMALL, tmp_path / "new")["rows"]
    assert none["truth"]["effect"] == pytest.approx(0, abs=0.04)
    assert strong["truth"]["effect"] > 0.3
    assert strong["truth"]["interaction"] < -0.2
    for result in strong["found"]:
        assert 0.1 < result["effect"]["low"] < result["effect"]["value"] < result["effect"]["high"]
        assert result["interaction"]["high"] < 0
    assert (tmp_path / "new" / "regulated_bootstrap.svg").exists()


def test_same_seed_same_record(tmp_path: Path) -> None:
    few = replace(SMALL, runs=1, worlds=2, iterations=10)
    rows = [run(few, tmp_path)["rows"] for _ in range(2)]
    assert rows[0] == rows[1]
    assert run(replace(few, seed=1), tmp_path)["rows"] != rows[0]


def test_artists_are_of_one_class_each() -> None:
    corpus = _corpus(SMALL, 1.0, 4, np.random.default_rng(0))
    of_artist: dict[str, set[str]] = {}
    for artist, label in zip(corpus.artist, corpus.label, strict=True):
        of_artist.setdefault(artist, set()).add(label)
    assert len(of_artist) == 3 * 4
    assert all(len(labels) == 1 for labels in of_artist.values())
    assert len(corpus.label) == 3 * 4 * 5


def test_truth_grows_with_the_mark() -> None:
    rng = np.random.default_rng(0)
    effects = [_truth(SMALL, strength, rng)["effect"] for strength in (0.5, 1.5, 4.0)]
    assert effects == sorted(effects)


def test_command_prints_how_often_intervals_hold_the_truth(tmp_path: Path) -> None:
    command = ["experiment", "regulated-bootstrap", "--quick", "--runs", "1", "--worlds", "20"]
    command += ["--out", str(tmp_path), "--json", str(tmp_path / "tables.json")]
    result = CliRunner().invoke(app, command)
    assert result.exit_code == 0, result.output
    assert "Effect of knowing the artist" in result.output
    assert json.loads((tmp_path / "tables.json").read_text())["settings"]["runs"] == 1


def test_settings_out_of_range_are_named(tmp_path: Path) -> None:
    with pytest.raises(ParameterError, match="n_artists is 2, must be >= 3"):
        RegulatedBootstrapConfig(n_artists=2)
    with pytest.raises(ParameterError, match="strengths are"):
        RegulatedBootstrapConfig(strengths=(-1.0,))
    command = ["experiment", "regulated-bootstrap", "--runs", "0", "--out", str(tmp_path)]
    refused = CliRunner().invoke(app, command)
    assert refused.exit_code == 2
    assert "runs is 0" in refused.output


@pytest.mark.slow
def test_intervals_hold_the_truth_in_nine_of_ten_corpora(tmp_path: Path) -> None:
    record = run(RegulatedBootstrapConfig(strengths=(1.0, 2.0)), tmp_path)
    for shares in record["coverage"].values():
        assert min(shares) >= 0.9
    assert record["rows"][1]["truth"]["effect"] > 0.2


def test_shares_count_intervals_that_hold_the_truth_and_those_without_0() -> None:
    found = [{"effect": Interval(0.2, low, 0.4, 0.95)} for low in (0.1, 0.25, -0.1, 0.3)]
    shares = experiment._shares({"truth": {"effect": 0.2}, "found": found}, "effect")
    assert (shares["holds"], shares["finds"]) == (0.5, 0.75)
