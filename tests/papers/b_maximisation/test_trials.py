"""Optuna beside the grid: equal steps, trials that resume, and judgement on new seeds."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from otoscope.errors import MissingExtra, ParameterError
from otoscope.explain.maximise import scalar_frechet
from otoscope.papers.b_maximisation.am_grid import AmGridConfig, am_grid
from tests.papers.b_maximisation.test_experiments import grid_config, places, stopped_after

__all__ = ["grid_config", "places"]  # fixtures


@pytest.fixture(scope="module")
def config(grid_config: AmGridConfig) -> AmGridConfig:
    return replace(grid_config, search="optuna", direction="maximise")


@pytest.fixture(scope="module")
def record(config: AmGridConfig, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    pytest.importorskip("optuna", reason="pip install otoscope[search]")
    out = tmp_path_factory.mktemp("search")
    am_grid(config, out)
    assert not list(out.glob("*.jsonl"))
    return dict(json.loads((out / "am_grid.json").read_text()))


def test_optuna_takes_as_many_steps_as_the_grid(
    record: dict[str, Any], config: AmGridConfig
) -> None:
    (search,) = record["optuna"]
    taken = sum(sum(row["results"]["6"]["steps"]) for row in record["rows"])
    assert search["budget"] == taken
    steps = sum(trial["steps"] for trial in search["trials"])
    assert taken - min(config.iterations) * config.seeds < steps <= taken
    for trial in search["trials"]:
        setting = trial["setting"]
        assert 0.001 <= setting["rate"] <= 0.1
        assert 0.001 <= setting["penalty"] <= 0.1
        assert 2 <= setting["iterations"] <= 6
        assert len(trial["activation"]) == config.seeds
    assert search["best"]["distance"] == min(trial["distance"] for trial in search["trials"])


def test_what_was_chosen_is_judged_on_new_seeds(record: dict[str, Any]) -> None:
    table = record["tables"][1]
    assert table["title"].startswith("Optuna beside the grid, equal steps")
    assert [row[1] for row in table["rows"]] == ["grid", "optuna"]
    (search,) = record["optuna"]
    best = record["tables"][2]["rows"][0]
    assert table["rows"][0][4] == ", ".join(best[1:4])
    judged, chosen = search["judged"]["optuna"], search["best"]
    assert judged["setting"] == chosen["setting"]
    assert judged["activation"] != chosen["activation"]
    shown = table["rows"][1][6].split(" ")[0].replace(",", "")
    assert shown not in ("", "–")


def test_distances_of_trials_are_those_of_their_activations(
    record: dict[str, Any], grid_config: AmGridConfig, tmp_path: Path
) -> None:
    from otoscope.papers.b_maximisation._search import UnitSearch

    search = UnitSearch(grid_config)
    real = search.real.activations[search.real.furthest(grid_config.seeds, maximise=True)]
    for trial in record["optuna"][0]["trials"]:
        made = torch.tensor(trial["activation"], dtype=torch.float64)
        assert trial["distance"] == pytest.approx(scalar_frechet(real, made), rel=1e-9)


@pytest.mark.parametrize("n", [9, 40])
def test_an_interrupted_search_continues(
    n: int, config: AmGridConfig, record: dict[str, Any], tmp_path: Path
) -> None:
    """Interrupted after the runs of the grid, of which there are eight, and after some steps."""
    seen = 0

    def interrupted(items: Any, description: str) -> Any:
        nonlocal seen
        for item in items:
            if seen == n:
                raise KeyboardInterrupt
            seen += 1
            yield item

    with pytest.raises(KeyboardInterrupt):
        am_grid(config, tmp_path, progress=interrupted)
    assert (tmp_path / "am_grid_optuna.jsonl").exists()
    am_grid(config, tmp_path)
    (whole,), (search,) = (
        it["optuna"] for it in (record, json.loads((tmp_path / "am_grid.json").read_text()))
    )
    for trial, other in zip(search["trials"], whole["trials"], strict=True):
        assert trial["setting"] == pytest.approx(other["setting"], rel=1e-3)
        assert trial["distance"] == pytest.approx(other["distance"], rel=1e-2)


def test_without_optuna_there_is_one_error(
    config: AmGridConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "optuna", None)
    with pytest.raises(MissingExtra, match=r"otoscope\[search\]"):
        am_grid(config, tmp_path, progress=stopped_after(0))
    with pytest.raises(ParameterError, match="search is 'random', must be grid or optuna"):
        replace(config, search="random")
