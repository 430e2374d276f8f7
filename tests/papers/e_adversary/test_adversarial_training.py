"""adversarial-training on two tones, and its tables on rows whose answers are known."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from typer.testing import CliRunner

from otoscope import models
from otoscope.cli.app import app
from otoscope.data import GenreRecipe
from otoscope.errors import ParameterError
from otoscope.papers.e_adversary import adversarial_training as module
from otoscope.papers.e_adversary._genre_sounds import OwnCorpus
from otoscope.papers.e_adversary._training_tables import crossed_mean, training_tables
from otoscope.papers.e_adversary.adversarial_training import (
    AdversarialTrainingConfig,
    adversarial_training,
)
from otoscope.train.genre import TrainGenreConfig, one_step
from tests.support.planted_genres import write_tones

RECIPES = ("plain", "one step", "pgd")


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> AdversarialTrainingConfig:
    training = TrainGenreConfig(hidden=8, ramp=4)
    return AdversarialTrainingConfig(
        corpus=write_tones(tmp_path_factory.mktemp("tones") / "corpus"),
        trainings=2,
        every=1,
        batch=50,
        epochs=4,
        learning_rate=0.05,
        pgd_steps=2,
        n=4,
        n_strong=2,
        seconds=0.5,
        steps=6,
        own=OwnCorpus(8, GenreRecipe(("jazz",)), training),
    )


def test_every_network_is_trained_by_its_recipe_and_measured(
    config: AdversarialTrainingConfig, tmp_path: Path
) -> None:
    fixed: list[nn.Module] = []

    def spied(network: nn.Module, epsilon: float) -> Any:
        fixed.append(network)
        return one_step(network, epsilon)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "one_step", spied)
        resilience, checks, curves = adversarial_training(config, tmp_path)
    for number, network in enumerate(fixed):  # the plain one of the same number
        plain: Any = models.load(tmp_path / "models" / f"plain-{number}" / "model.json")
        for own, other in zip(network.parameters(), plain.network.parameters(), strict=True):
            assert torch.equal(own, other)
    assert [row[:2] for row in resilience.rows] == [(name, "2") for name in RECIPES]
    assert all(row[2].startswith("1.00") for row in resilience.rows)  # tones are told apart
    assert resilience.rows[0][-1] == "0.00 [0.00, 0.00]"
    for row in checks.rows:
        assert row[1].endswith("of 8")
        assert row[2:4] == ("0 of 4", "0 of 4")  # a tone is far from the other
    for row in curves.rows:
        assert [*row[1:]] == sorted(row[1:])
        assert row[-1] == "1.00"
    rows = json.loads((tmp_path / "adversarial_training.json").read_text())["rows"]
    weights = {
        path.parent.name: path.read_bytes() for path in tmp_path.glob("models/*/model.safetensors")
    }
    assert len(rows) == len(set(weights.values())) == 6
    assert "pgd" in (tmp_path / "adversarial_training.svg").read_text()


def test_networks_of_windows_are_trained_likewise(
    config: AdversarialTrainingConfig, tmp_path: Path
) -> None:
    config = replace(
        config, system="windows", channels=2, every=40, batch=4, epochs=1, n=2, n_strong=1, steps=2,
        seconds=2.4,
    )  # fmt: skip
    resilience, *_ = adversarial_training(config, tmp_path)
    assert [row[:2] for row in resilience.rows] == [(name, "2") for name in RECIPES]
    for folder in (tmp_path / "models").iterdir():
        network: Any = models.load(folder / "model.json")
        assert (network.network.channels, network.network.hidden) == (2, 8)
    with pytest.raises(ParameterError, match="channels is 2; networks of frames have none"):
        replace(config, system="frames")
    with pytest.raises(ParameterError, match="system is 'window', must be 'frames' or 'windows'"):
        replace(config, system="window")  # type: ignore[arg-type]


def test_an_interrupted_run_goes_on(
    config: AdversarialTrainingConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    measured = []

    def stopping(*_: object) -> dict[str, list[Any]]:
        measured.append(1)
        if len(measured) == 3:
            raise KeyboardInterrupt
        labels = ["high", "low"]
        unknown: list[Any] = [None, None]
        names = ("found_db", "by", "by_black_box", "noise")
        return {"label": labels, "group": labels, "heard": labels, **dict.fromkeys(names, unknown)}

    monkeypatch.setattr(module, "_measured", stopping)
    config = replace(config, epochs=1, n=2)
    with pytest.raises(KeyboardInterrupt):
        adversarial_training(config, tmp_path)
    adversarial_training(config, tmp_path)
    assert len(measured) == 6 + 1


def row(recipe: str, found_db: list[float | None], **changes: Any) -> dict[str, Any]:
    labels = ["a", "a", "b", "b"]
    return {
        "recipe": recipe,
        "label": labels,
        "group": ["1", "2", "3", "4"],
        "heard": labels,
        "found_db": found_db,
        "by": ["least norm"] * 4,
        "by_black_box": [False] * 4,
        "noise": [False] * 4,
        **changes,
    }


def test_a_sound_counts_where_it_is_right_and_not_fooled_at_the_bound() -> None:
    rows = [
        row("plain", [50.0, 40.0, 30.0, None], heard=["a", "a", "b", "a"]),  # the last is wrong
        row("pgd", [50.0, 39.0, 30.0, None]),  # the last is right, and nothing fools
    ]
    resilience, checks, curves = training_tables(rows, 40.0)
    plain, pgd = resilience.rows
    assert (plain[2][:4], plain[3][:4], plain[4][:4]) == ("0.75", "40.0", "0.25")
    assert (pgd[2][:4], pgd[4][:4], pgd[5][:4]) == ("1.00", "0.75", "0.50")
    assert [row[1] for row in checks.rows] == ["3 of 3", "3 of 4"]
    at = {name: index for index, name in enumerate(curves.columns)}
    assert [curves.rows[1][at[f"{ratio} dB"]] for ratio in (30, 35, 40, 50, 55)] == [
        "0.25",
        "0.50",
        "0.75",
        "0.75",
        "1.00",
    ]


def test_what_a_black_box_alone_fools_is_told() -> None:
    boxed = [True, True, False, None]
    rows = [row("plain", [50.0, 30.0, 30.0, 30.0], by_black_box=boxed)]
    rows += [row("pgd", [41.0, 42.0, 30.0, 30.0], by=["square", "least norm", "", ""],
                 by_black_box=boxed, noise=[True, False, False, None])]  # fmt: skip
    checks = training_tables(rows, 40.0)[1]
    assert checks.rows[0][2:] == ("2 of 3", "1 of 3", "0 of 4")
    assert checks.rows[1][2:] == ("2 of 3", "1 of 3", "1 of 3")


def test_intervals_draw_trainings_and_artists() -> None:
    same = np.zeros((5, 6))
    by_training, by_artist = same.copy(), same.copy()
    by_training[:2] = 1
    by_artist[:, :2] = 1
    artists = list("aabbcc")
    assert (crossed_mean(same, artists).low, crossed_mean(same, artists).high) == (0, 0)
    for values, n, k in ((by_training, 5, 2), (by_artist, 3, 1)):
        interval = crossed_mean(values, artists)
        assert interval.value == pytest.approx(k / n)
        assert interval.low in (0, 1 / n)
        assert interval.high >= (k + 1) / n  # binomial of n with k / n
    alone = crossed_mean(by_artist, list("abcdef"))
    assert alone.high - alone.low < 0.9
    assert np.isnan(crossed_mean(np.full((2, 2), np.nan), ["a", "b"]).value)
    values = np.array([[np.nan, 1.0], [3.0, 1.0]])
    assert crossed_mean(values, ["a", "b"]).value == pytest.approx(5 / 3)


@pytest.mark.parametrize("changes", [{"trainings": 1}, {"every": 0}, {"n": 1}, {"pgd_steps": 0}])
def test_nothing_to_do_is_refused(changes: dict[str, Any]) -> None:
    (name,) = changes
    with pytest.raises(ParameterError, match=f"{name} is"):
        AdversarialTrainingConfig(**changes)


@pytest.mark.slow
def test_quick_experiment_runs_from_the_command_line(tmp_path: Path) -> None:
    command = ["experiment", "adversarial-training", "--quick", "--out", str(tmp_path), "--json"]
    result = CliRunner().invoke(app, command)
    assert result.exit_code == 0, result.output
    assert len(json.loads(result.stdout)["tables"]) == 3
