"""otoscope interrogate --plan: how many items which bound takes, before a model is asked."""

from __future__ import annotations

import json
import math
from pathlib import Path
from statistics import NormalDist

import pytest
import torch
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


def needed_by_hand(bound: float, flips: float, n_doses: int) -> int:
    """Schuirmann's two tests at 0.05, each dose missed with 0.1 / n_doses, half at either side."""
    normal = NormalDist()
    z = normal.inv_cdf(0.95) + normal.inv_cdf(1 - 0.1 / n_doses / 2)
    variance = flips * (1 + (PER_GROUP - 1) * 0.1)
    return math.ceil(z**2 * variance / bound**2)


def test_a_plan_says_how_many_items_are_needed(data: Path) -> None:
    words = ["interrogate", "--plan", "--data", str(data), "--labels", str(data / "table.csv")]
    result = CliRunner().invoke(app, [*words, "--gain", "6", "--json"])
    assert result.exit_code == 0, result.output
    plan = json.loads(result.stdout)
    assert (plan["n_items"], plan["n_groups"], plan["n_doses"]) == (24, 8, 6)
    for row in plan["needed"]:
        bound = row["bound"] / 100
        items = needed_by_hand(bound, row["flips"], 6)
        groups = math.ceil(math.log(0.05) / math.log(1 - bound))
        assert row["n_items"] == max(items, groups * PER_GROUP)
        assert row["n_groups"] == max(math.ceil(items / PER_GROUP), groups)
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
