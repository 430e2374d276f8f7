"""otoscope interrogate --plan: how many items which bound takes, before a model is asked."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.stats import nbinom, norm
from typer.testing import CliRunner

from otoscope.cli.app import app
from otoscope.signal import write_audio

N, PER_GROUP = 24, 3


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder of two classes, and a table of artists with three clips each."""
    top = tmp_path_factory.mktemp("plan")
    rows = ["file,label,group"]
    for label in ("a", "b"):
        (top / label).mkdir()
        for i in range(N // 2):
            write_audio(top / label / f"{i}.wav", torch.zeros(8), sr=8000)
            rows.append(f"{label}/{i}.wav,{label},{label}{i // PER_GROUP}")
    (top / "table.csv").write_text("\n".join(rows) + "\n")
    return top


def probability_by_hand(n_items: int, bound: float, flips: float, n_doses: int) -> float:
    """Sum over the number of flips, which is negative binomial: Schuirmann's two tests at 0.05."""
    design, n_groups = 1 + (PER_GROUP - 1) * 0.1, n_items / PER_GROUP
    mean = n_items * flips
    k = np.arange(1, round(mean + 12 * math.sqrt(design * mean)))
    weights = nbinom.pmf(k, mean / (design - 1), 1 / design)
    error = np.sqrt(k * design) / n_items
    half = norm.isf(0.05) * np.sqrt(error**2 + 0.5 / n_groups**2)
    missed = np.where(half < bound, 2 * norm.sf((bound - half) / error), 1)
    return float(1 - n_doses * (weights * missed).sum())


def test_a_plan_says_how_many_items_are_needed(data: Path) -> None:
    words = ["interrogate", "--plan", "--data", str(data), "--labels", str(data / "table.csv")]
    result = CliRunner().invoke(app, [*words, "--gain", "6", "--json"])
    assert result.exit_code == 0, result.output
    plan = json.loads(result.stdout)
    assert (plan["n_items"], plan["n_groups"], plan["n_doses"]) == (24, 8, 6)
    for row in plan["needed"]:
        bound = row["bound"] / 100
        least = math.ceil(math.log(0.05) / math.log(1 - bound))
        assert row["n_groups"] == max(math.ceil(row["n_items"] / PER_GROUP), least)
        probability = probability_by_hand(row["n_items"], bound, row["flips"], 6)
        if row["n_groups"] > least:
            assert probability == pytest.approx(0.9, abs=0.02)
        else:
            assert row["n_items"] == least * PER_GROUP
            assert probability >= 0.9
        assert row["probability"] == 0  # 8 groups clear nothing
    text = CliRunner().invoke(app, [*words, "--gain", "6", "--max-drop", "4"]).output
    assert "24 items of 2 classes in 8 groups, 6 doses" in " ".join(text.split())
    assert "4 points" in text


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ("--gain 6 --model m.py:f", "--model and --plan exclude each other"),
        ("--gain 6 --budget 3", "budget is 3, and a plan asks no model; leave out --budget"),
        ("--gain 6 --html a.html", "html cannot be written before there are predictions"),
        ("--gain 6 --records a.jsonl", "records cannot be written: no model is asked"),
        ("", "nothing is to be changed"),
    ],
)
def test_what_a_plan_does_not_use_is_refused(data: Path, more: str, message: str) -> None:
    words = f"interrogate --plan --data {data} {more}".split()
    result = CliRunner().invoke(app, words)
    assert result.exit_code == 2
    assert message in " ".join(result.stderr.split())
