"""The benchmark on a made-up task with a known winner: records, tables, resumption, errors."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from otoscope.cli.app import app
from otoscope.errors import ParameterError
from otoscope.papers.explainers import benchmark, tasks
from otoscope.papers.explainers.benchmark import BenchmarkExplainersConfig, benchmark_explainers
from otoscope.papers.explainers.problem import Item, judge
from otoscope.papers.explainers.registry import OURS
from tests.papers.explainers.test_explainers import make_item
from tests.support.tones import write_detector, write_songs

NAMES = "captum Saliency,SoundLIME paper_a"


@dataclass(frozen=True)
class Known:
    """Every song has the same item; the gradient knows the truth."""

    note: str = "made up"
    empty: bool = False

    def items(self, song: int, n: int) -> Iterator[Item]:
        for _ in range(0 if self.empty else n):
            yield make_item()


@pytest.fixture
def known(monkeypatch: pytest.MonkeyPatch) -> None:
    entry = tasks.TaskEntry("known", 1, "seven frames", lambda *_: Known())
    empty = tasks.TaskEntry("empty", 1, "nothing", lambda *_: Known(empty=True))
    monkeypatch.setattr(tasks, "TASKS", {"known": entry, "empty": empty})


CONFIG = BenchmarkExplainersConfig(
    tasks="known", explainers=NAMES, n_songs=4, per_song=1, n_tuning=2, budget=64
)


def record(out: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((out / "benchmark_explainers.json").read_text())
    for row in content["rows"]:
        row.pop("seconds")
        for item in row["items"]:
            for settings in item["scores"].values():
                for made in settings.values():
                    made.pop("seconds", None)
    return content


@pytest.mark.usefixtures("known")
def test_who_knows_the_truth_wins_and_chance_is_last(tmp_path: Path) -> None:
    tier, contents, lost, notes = benchmark_explainers(CONFIG, tmp_path)
    assert tier.title == ("Tier 1, known by construction (known: seven frames, 4 items of 4 songs)")
    named = [row[1] for row in tier.rows]
    assert named[-2:] == ["random", "best possible"]
    assert {OURS, "captum Saliency"} == {*named[:2]}
    best = float(tier.rows[-1][3])
    assert float(tier.rows[0][3].split(" ")[0]) == pytest.approx(best, abs=0.01)
    low_of_winner, high_of_chance = (
        tier.rows[i][3].strip("]").split("[")[1].split(", ")[k] for i, k in ((0, 0), (-2, 1))
    )
    assert float(low_of_winner) > float(high_of_chance)
    assert contents.columns == ("design", "zero", "half")
    assert [row[0] for row in contents.rows] == [OURS, "SoundLIME paper_a"]
    assert lost.rows[0][0] in ("none", "known")
    assert ("known: made up",) in notes.rows
    (above,) = [row[0] for row in notes.rows if "are above random" in row[0]]
    assert above.startswith(("known: 2 of 3", "known: 3 of 3"))
    ET.parse(tmp_path / "benchmark_explainers.svg")
    assert not (tmp_path / "benchmark_explainers.jsonl").exists()


@pytest.mark.usefixtures("known")
def test_an_interrupted_run_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    benchmark_explainers(CONFIG, whole)
    calls = 0

    def stop(*arguments: Any, **settings: Any) -> dict[str, float]:
        nonlocal calls
        calls += 1
        if calls > 20:
            raise KeyboardInterrupt
        return made(*arguments, **settings)

    made = judge
    monkeypatch.setattr(benchmark, "judge", stop)
    with pytest.raises(KeyboardInterrupt):
        benchmark_explainers(CONFIG, broken)
    monkeypatch.setattr(benchmark, "judge", made)
    with pytest.raises(ParameterError, match="unfinished run with other settings"):
        benchmark_explainers(replace(CONFIG, seed=1), broken)
    benchmark_explainers(CONFIG, broken)
    first, second = record(whole), record(broken)
    assert first["rows"] == second["rows"]
    assert len(first["rows"]) == 6


@pytest.mark.usefixtures("known")
def test_the_setting_is_chosen_on_other_songs(tmp_path: Path) -> None:
    benchmark_explainers(CONFIG, tmp_path)
    rows = record(tmp_path)["rows"]
    splits = [
        [row["song"] for row in rows if row["split"] == split] for split in ("tuning", "test")
    ]
    assert len(splits[0]) == 2
    assert len({*splits[0], *splits[1]}) == 6
    tuned, tested = (row["items"][0]["scores"] for row in (rows[0], rows[-1]))
    assert list(tuned["captum Saliency"]) == ["absolute", "signed", "input x gradient"]
    assert len(tested["captum Saliency"]) == 1
    assert list(tested[OURS]) == ["zero", "half"]  # ours with each content


@pytest.mark.usefixtures("known")
def test_a_task_without_items_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ParameterError, match="task empty makes no item of 2 songs"):
        benchmark_explainers(replace(CONFIG, tasks="empty"), tmp_path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"tasks": "nothing"}, "tasks are 'nothing', must be some of horse, drums, "),
        ({"explainers": "other"}, "explainers are 'other'"),
    ],
)
def test_unknown_names_are_errors(change: dict[str, Any], message: str, tmp_path: Path) -> None:
    with pytest.raises(ParameterError, match=message):
        benchmark_explainers(replace(CONFIG, **change), tmp_path)


@pytest.mark.parametrize("name", ["n_songs", "per_song", "n_tuning", "budget", "n_segments"])
def test_numbers_out_of_range_are_errors(name: str) -> None:
    with pytest.raises(ParameterError, match=f"{name} is 0, must be >= "):
        replace(CONFIG, **{name: 0})  # type: ignore[arg-type]


@pytest.mark.usefixtures("known")
def test_the_command_prints_the_tables(tmp_path: Path) -> None:
    arguments = ["--tasks", "known", "--explainers", NAMES, "--n-songs", "2", "--n-tuning", "1"]
    out = str(tmp_path / "new")
    command = ["benchmark-explainers", "--quick", *arguments, "--out", out]
    result = CliRunner().invoke(app, [*command, "--json", str(tmp_path / "a.json")])
    assert result.exit_code == 0, result.output
    printed = json.loads((tmp_path / "a.json").read_text())
    assert printed["tables"][0]["columns"][1] == "explainer"
    assert "Tier 1, known by construction" in result.stdout
    assert "all numbers: " in result.stdout


def test_a_folder_with_too_few_songs_is_an_error(tmp_path: Path) -> None:
    songs = write_songs(tmp_path / "songs", 3)
    config = BenchmarkExplainersConfig(
        tasks="sung", model=write_detector(tmp_path), songs=songs, n_tuning=2
    )
    with pytest.raises(ParameterError, match="has 3 songs; 2 are for tuning, and two more"):
        benchmark_explainers(config, tmp_path / "out")
