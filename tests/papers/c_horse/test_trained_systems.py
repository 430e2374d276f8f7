"""Trained systems are judged one by one, and the rows hold what simulations need."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from otoscope.errors import ParameterError
from otoscope.papers.c_horse.trained_systems import HorseTrainedConfig, horse_trained


def test_a_horse_and_an_honest_system_are_trained_and_judged(tmp_path: Path) -> None:
    config = replace(HorseTrainedConfig.quick(), styles=("Samba", "ChaChaCha"), seconds=4.5)
    rates, means = horse_trained(config, tmp_path)
    assert [row[0] for row in rates.rows] == ["honest", "horse"]
    assert len(means.rows[0]) == len(means.columns)
    honest, horse = json.loads((tmp_path / "horse_trained.json").read_text())["rows"]
    assert honest["verdict"] != "horse"
    assert len(honest["right"]) == 2 * (1 + len(config.doses))
    assert len(honest["right"][0]) == 2 * config.test_artists * config.test_clips
    assert horse["unchanged"] > 0.8
    assert horse["placebo"] > horse["dose"]


@pytest.mark.parametrize(
    ("changes", "match"),
    [
        ({"doses": (0.0,)}, "doses are"),
        ({"seconds": 4.0}, "seconds is 4.0"),
        ({"n_systems": 0}, "n_systems is 0"),
    ],
)
def test_settings_out_of_range_are_named(changes: dict[str, Any], match: str) -> None:
    with pytest.raises(ParameterError, match=match):
        replace(HorseTrainedConfig(), **changes)
