"""ten-songs on two tones and a network that is fooled at a known ratio."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from otoscope.cli.app import app
from otoscope.errors import ParameterError
from otoscope.papers.e_adversary import ten_songs as module
from otoscope.papers.e_adversary.ten_songs import TenSongsConfig, ten_songs
from tests.support.planted_genres import GAIN_DB, save_planted, write_tones

NO_GRADIENT = """
import torch
from otoscope.models import WaveformListener

class Loudness(torch.nn.Module):
    def forward(self, y):
        p = y.detach().square().mean(-1, keepdim=True).clamp(0, 1)
        return torch.cat([p, 1 - p], -1)

def make():
    return WaveformListener(
        Loudness(), sample_rate=8000, seconds=1.0, output_names=["high", "low"]
    )
"""


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> TenSongsConfig:
    folder = tmp_path_factory.mktemp("tones")
    corpus = write_tones(folder / "corpus")
    frames = save_planted(folder / "frames", corpus)
    return TenSongsConfig(corpus=corpus, models=f"random={frames}", n=4, seconds=2.0)


def test_the_ratio_is_the_planted_one(config: TenSongsConfig, tmp_path: Path) -> None:
    summary, songs = ten_songs(config, tmp_path)
    rows = json.loads((tmp_path / "ten_songs.json").read_text())["rows"]
    for row in rows:
        other = 1 - row["targets"].index(row["before"])
        assert row["before"] == row["label"]
        assert row["snr_db"][1 - other] is None  # nothing was added
        if row["label"] == "low":
            assert row["reached"] == [True, True]
            assert GAIN_DB - 3 <= row["snr_db"][other] <= GAIN_DB + 10
            assert row["snr_db"][other] <= row["fails_db"][other]
        else:
            assert not row["reached"][other]
    assert summary.rows[0][3] == "2 of 4"
    assert {row[1:][("high", "low").index(row[1]) + 1] for row in songs.rows} == {"as it is"}
    assert "frames, random" in (tmp_path / "ten_songs.svg").read_text()


def test_all_labels_of_a_song_are_one_batch(
    config: TenSongsConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes = []
    whole = module.LeastNorm.run  # type: ignore[attr-defined]

    def spied(self: Any, x: Any, *arguments: Any, **keywords: Any) -> Any:
        sizes.append(len(x))
        return whole(self, x, *arguments, **keywords)

    monkeypatch.setattr("otoscope.attack.strong.LeastNorm.run", spied)
    ten_songs(replace(config, n=2, steps=2), tmp_path)
    assert sizes == [2, 2]


def test_an_interrupted_run_goes_on(
    config: TenSongsConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, n_pushed = module._every_label, []

    def stopping(*arguments: Any) -> Any:
        n_pushed.append(1)
        if len(n_pushed) == 2:
            raise KeyboardInterrupt
        return whole(*arguments)

    monkeypatch.setattr(module, "_every_label", stopping)
    config = replace(config, n=2, steps=2)
    with pytest.raises(KeyboardInterrupt):
        ten_songs(config, tmp_path)
    ten_songs(config, tmp_path)
    assert len(n_pushed) == 3


def test_a_model_without_gradient_gets_the_black_box_offered(
    config: TenSongsConfig, tmp_path: Path
) -> None:
    (tmp_path / "own.py").write_text(NO_GRADIENT)
    config = replace(config, models=f"random={tmp_path / 'own.py'}:make")
    with pytest.raises(ParameterError, match=r"no gradient.*Square"):
        ten_songs(config, tmp_path / "out")


@pytest.mark.parametrize("changes", [{"n": 1}, {"steps": 0}])
def test_nothing_to_do_is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(ParameterError, match="need >= 2 and >= 1"):
        TenSongsConfig(**changes)


@pytest.mark.slow
def test_quick_experiment_runs_from_the_command_line(tmp_path: Path) -> None:
    command = ["experiment", "ten-songs", "--quick", "--out", str(tmp_path), "--json"]
    result = CliRunner().invoke(app, command)
    assert result.exit_code == 0, result.output
    assert len(json.loads(result.stdout)["tables"]) == 3
