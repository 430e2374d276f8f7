"""From BALLROOM's features to Extended BALLROOM's, on a made-up pair of files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from otoscope.cli.app import app

STYLES = ("Jive", "Rumba", "Waltz")


def write(path: Path, recordings: list[str], labels: list[str], seed: int, shift: float) -> None:
    rng = np.random.default_rng(seed)
    centres = {label.casefold(): 10.0 * i for i, label in enumerate(STYLES)}
    rows = [centres.get(label.casefold(), -50.0) + shift + rng.normal(size=13) for label in labels]
    np.savez(
        path,
        features=np.stack([rows, rows]),
        dilation_percent=np.array([4, 0]),
        recording=np.array(recordings),
        label=np.array(labels),
    )


@pytest.fixture
def pair(tmp_path: Path) -> Path:
    labels = [STYLES[i % 3] for i in range(120)]
    home = [f"{label}/Media-{1000 + i}" for i, label in enumerate(labels)]
    write(tmp_path / "home.npz", home, labels, 0, 0.0)
    away = [STYLES[i % 3] for i in range(36)]
    names = [f"{label}/{1000 + i}" if i < 6 else f"x/{2000 + i}" for i, label in enumerate(away)]
    away[30:] = ["Foxtrot"] * 6
    write(tmp_path / "away.npz", names, away, 1, 0.0)
    return tmp_path


def run(pair: Path, *options: str) -> Any:
    files = ["--features", str(pair / "home.npz"), "--extended", str(pair / "away.npz")]
    return CliRunner().invoke(
        app, ["experiment", "horse-transfer", *files, "--out", str(pair / "out"), *options]
    )


def test_what_ballroom_holds_is_left_out_and_foxtrot_named(pair: Path) -> None:
    result = run(pair)
    assert result.exit_code == 0, result.output
    record = json.loads((pair / "out" / "horse_transfer.json").read_text())
    for name in ("LDA", "QDA", "1NN", "9NN"):
        found = record["transfers"][name]
        without, with_all = found["without overlap"], found["with overlap"]
        assert (without["n_away"], with_all["n_away"]) == (24, 30)
        assert [one["name"] for one in without["overlap"]] == [str(1000 + i) for i in range(6)]
        assert without["unknown"] == {"Foxtrot": 6}
        assert without["missing"] == []
        assert without["n_home"] == 36
    assert record["transfers"]["LDA"]["without overlap"]["away"]["value"] == 1


def test_a_file_without_unchanged_features_is_named(pair: Path) -> None:
    with np.load(pair / "away.npz") as arrays:
        np.savez(pair / "away.npz", **{**arrays, "dilation_percent": np.array([4, 2])})
    result = run(pair)
    assert result.exit_code == 2
    assert "has no features at dilation_percent 0" in " ".join(result.stderr.split())
