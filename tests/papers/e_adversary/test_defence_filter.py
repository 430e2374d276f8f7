"""defence-filter on two tones: what a filter below the high one must do is known."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from scipy.signal import firwin
from torch import nn
from typer.testing import CliRunner

from otoscope.cli.app import app
from otoscope.errors import ParameterError
from otoscope.papers.e_adversary import defence_filter as module
from otoscope.papers.e_adversary.defence_filter import (
    DefenceFilterConfig,
    LowPassed,
    defence_filter,
)
from tests.support.planted_genres import GAIN_DB, save_planted, write_tones


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> DefenceFilterConfig:
    folder = tmp_path_factory.mktemp("tones")
    corpus = write_tones(folder / "corpus")
    frames = save_planted(folder / "frames", corpus)
    return DefenceFilterConfig(
        corpus=corpus,
        models=f"random={frames}",
        n=4,
        seconds=2.0,
        snr_db=GAIN_DB - 10,
        steps=20,
        cutoffs_hz=(1000.0, 3000.0, 5000.0),
    )


def test_a_filter_below_the_tone_restores_and_one_above_it_does_not(
    config: DefenceFilterConfig, tmp_path: Path
) -> None:
    (table,) = defence_filter(config, tmp_path)
    rows = {row[2]: dict(zip(table.columns, row, strict=True)) for row in table.rows}
    assert set(rows) == {"none", "1000 Hz", "3000 Hz"}  # 5 kHz is above half the sample rate
    for wide in ("none", "3000 Hz"):
        assert rows[wide]["clean"].startswith("1.00")
        assert rows[wide]["adversary"].startswith("0.50")
        assert rows[wide]["through the filter"].startswith("0.50")
        assert rows[wide]["restored"] == "0 of 2"
    narrow = rows["1000 Hz"]
    assert narrow["clean"].startswith("1.00")  # what is left of a high tone is still in no low one
    assert narrow["restored"] == "2 of 2"
    assert "frames, random" in (tmp_path / "defence_filter.svg").read_text()


def test_noise_of_the_same_ratio_is_spread_over_all_bands(
    config: DefenceFilterConfig, tmp_path: Path
) -> None:
    """Few of its samples are in the band of the tone: 5 of 129 bins, at 30 dB."""
    defence_filter(replace(config, snr_db=60.0), tmp_path)
    rows = json.loads((tmp_path / "defence_filter.json").read_text())["rows"]
    for row in rows:
        assert row["columns"]["noise"] == row["columns"]["label"]


def test_the_filter_is_that_of_scipy_and_has_a_gradient() -> None:
    class Whole(nn.Module):
        sample_rate = 8000
        outputs = "logits"

        def forward(self, y: torch.Tensor) -> torch.Tensor:
            return y[:, None]

    y = torch.randn(2, 3000, dtype=torch.float64, requires_grad=True)
    filtered = LowPassed(Whole(), 1500.0)(y)
    expected = np.stack(
        [np.convolve(row, firwin(511, 1500.0, fs=8000), "same") for row in y.detach().numpy()]
    )
    np.testing.assert_allclose(filtered[:, 0].detach().numpy(), expected, atol=1e-12)
    filtered.square().sum().backward()
    assert y.grad is not None
    assert float(y.grad.norm()) > 0


def test_an_interrupted_run_goes_on(
    config: DefenceFilterConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, n_filters = module._columns, []

    def stopping(*arguments: Any) -> Any:
        n_filters.append(1)
        if len(n_filters) == 2:
            raise KeyboardInterrupt
        return whole(*arguments)

    monkeypatch.setattr(module, "_columns", stopping)
    config = replace(config, n=2, steps=2)
    with pytest.raises(KeyboardInterrupt):
        defence_filter(config, tmp_path)
    defence_filter(config, tmp_path)
    assert len(n_filters) == 4


@pytest.mark.parametrize("changes", [{"n": 1}, {"steps": 0}, {"cutoffs_hz": ()}])
def test_nothing_to_do_is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(ParameterError, match="need"):
        DefenceFilterConfig(**changes)


@pytest.mark.slow
def test_quick_experiment_runs_from_the_command_line(tmp_path: Path) -> None:
    command = ["experiment", "defence-filter", "--quick", "--out", str(tmp_path), "--json"]
    result = CliRunner().invoke(app, command)
    assert result.exit_code == 0, result.output
    assert len(json.loads(result.stdout)["tables"]) == 1
