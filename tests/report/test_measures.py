"""Measures on pages and at the command line."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from otoscope.cli.app import app
from otoscope.data import synthesise
from otoscope.explain import ExplanationReport
from otoscope.explain.evaluation import Faithfulness, Stability
from otoscope.report.explanation import measure_facts
from otoscope.signal import write_audio

FAITHFUL = Faithfulness(
    (0.9, 0.2), (0.2, 0.9), 0.55, 0.55, float("nan"), (0,), 0.25, False, 0.0, 0.7, 0
)


def test_facts_are_those_that_were_measured() -> None:
    facts = {
        fact.name: fact.value for fact in measure_facts(ExplanationReport("a", FAITHFUL, 0.5, 2.0))
    }
    assert facts["Deletion"] == "0.55"
    assert facts["Faithfulness correlation"] == "–"  # it was constant
    assert "Stability, noise" not in facts
    more = ExplanationReport(
        "a", FAITHFUL, 0.5, 2.0, Stability(1.0, None, 0.25), {"fc9": 0.1},
        {"roc_auc": 0.75, "relaxed_auc": None, "iou": 0.5, "pointing_game": 1.0},
    )  # fmt: skip
    facts = {fact.name: fact.value for fact in measure_facts(more)}
    assert facts["Stability, seeds"] == "1.00"
    assert "Stability, shifted segments" not in facts
    assert facts["Weights to fc9"] == "0.10"
    assert (facts["ROC AUC"], facts["Relaxed AUC"], facts["Overlap"]) == ("0.75", "–", "0.50")


@pytest.fixture(scope="module")
def song(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("songs") / "song.wav"
    made = synthesise(0, seconds=4)
    write_audio(path, torch.from_numpy(made.mix), sr=made.sr)
    return path


def run(*arguments: object, code: int = 0) -> str:
    result = CliRunner().invoke(app, [str(a) for a in arguments])
    assert result.exit_code == code, result.output
    return result.output


def test_command_measures_the_explanation(song: Path, tmp_path: Path) -> None:
    base = ("explain", song, "--model", "synth-singing", "--segments", "temporal:2", "--start", 1)
    page = tmp_path / "why.html"
    text = run(*base, "--measured", "--html", page)
    assert "Deletion: " in text
    assert "Stability, noise: " in text
    assert "How far to trust it" in page.read_text("utf-8")
    without = run(*base, "--html", page)
    assert "Deletion: " not in without
    assert "How far to trust it" not in page.read_text("utf-8")


def test_command_measures_an_attribution_made_elsewhere(song: Path, tmp_path: Path) -> None:
    base = ("explain", song, "--model", "synth-singing", "--segments", "temporal:2", "--start", 1)
    np.save(tmp_path / "a.npy", np.array([0.0, 1.0]))
    record = json.loads(run(*base, "--attribution", tmp_path / "a.npy", "--json"))
    assert record["measures"]["faithfulness"]["named"] == [1]
    assert record["measures"]["stability"] is None
    np.save(tmp_path / "a.npy", np.zeros(7))
    assert "must be one number per segment (2,)" in run(
        *base, "--attribution", tmp_path / "a.npy", code=2
    )
