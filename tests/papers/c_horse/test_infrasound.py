"""A planted inaudible tone: filters find the systems that use it, and clear the others."""

from __future__ import annotations

import json
import math
import xml.etree.ElementTree as ET
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from typer.testing import CliRunner

from otoscope.cli.app import app
from otoscope.errors import ParameterError
from otoscope.intervene import HighPass
from otoscope.papers.c_horse.infrasound import (
    FILTERS,
    HorseInfrasoundConfig,
    _music,
    _with_cues,
    horse_infrasound,
    low_spectrum,
)

SMALL = replace(HorseInfrasoundConfig.quick(), n_artists=4, filters=("steep",))


@pytest.fixture(scope="module")
def record(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Run the quick experiment once, from the command line."""
    out = tmp_path_factory.mktemp("infrasound") / "new"
    result = CliRunner().invoke(
        app, ["experiment", "horse-infrasound", "--quick", "--out", str(out)]
    )
    assert result.exit_code == 0, result.output
    assert "Systems under a high-pass filter" in result.output
    assert "unchanged" in "".join(ET.parse(out / "horse_infrasound.svg").getroot().itertext())
    content: dict[str, Any] = json.loads((out / "horse_infrasound.json").read_text())
    return content


@pytest.mark.parametrize("system", ["low spectrum, tree", "low spectrum, LDA"])
def test_planted_horse_is_found_and_taken_to_chance(record: dict[str, Any], system: str) -> None:
    for result in record["found"][system].values():
        (point,) = result["curves"][0]["points"]
        assert result["baseline"]["value"] > 0.9
        assert result["chance"]["low"] <= point["score"]["value"] <= result["chance"]["high"]
        assert result["verdict"]["kind"] == "horse"
        assert "high-pass" in result["verdict"]["sentence"]


def test_who_hears_patterns_is_cleared(record: dict[str, Any]) -> None:
    for result in record["found"]["patterns, LDA"].values():
        assert result["baseline"]["value"] > 0.8
        assert result["verdict"]["kind"] == "cleared"


def test_without_the_cue_the_horse_knows_nothing(record: dict[str, Any]) -> None:
    for result in record["found"]["low spectrum, tree, no cue"].values():
        assert result["verdict"]["kind"] == "chance"


def test_table_tells_the_verdicts_of_the_record(record: dict[str, Any]) -> None:
    rows = {(row[0], row[1]): row[-1] for row in record["tables"][0]["rows"]}
    assert rows == {
        (system, design): result["verdict"]["kind"]
        for system, of_design in record["found"].items()
        for design, result in of_design.items()
    }


@pytest.mark.parametrize("design", list(FILTERS))
def test_cue_is_all_that_the_filters_take(design: str) -> None:
    music = _music(SMALL, lambda items, _: items)
    cued = _with_cues(music, SMALL)
    tones = cued.sounds - music.sounds
    level = 20 * (tones.square().mean(1) / music.sounds.square().mean(1)).sqrt().log10()
    torch.testing.assert_close(level, torch.full_like(level, SMALL.cue_db), rtol=0, atol=0.01)
    kept = [FILTERS[design].render(y, 11025) for y in (cued.sounds, music.sounds)]
    settled = slice(2 * 11025, 3 * 11025)  # a steep filter rings where the tone begins
    left = (kept[0] - kept[1])[:, settled].square().mean(1).sqrt()
    assert (20 * (left / tones.square().mean(1).sqrt()).log10() < -25).all()


def test_only_what_lies_above_hearing_is_left_by_all_four_filters() -> None:
    assert {
        (high_pass.hz, high_pass.design, high_pass.zero_phase) for high_pass in FILTERS.values()
    } == {
        (20, design, zero_phase) for design in ("gentle", "steep") for zero_phase in (False, True)
    }
    assert all(
        high_pass.label_preserving and isinstance(high_pass, HighPass)
        for high_pass in FILTERS.values()
    )


@pytest.mark.parametrize("hz", [7.0, 15.0, 60.0])
def test_low_spectrum_holds_the_level_of_a_tone_in_its_band(hz: float) -> None:
    tone = 0.1 * torch.sin(2 * math.pi * hz * torch.arange(4 * 8000) / 8000)
    (levels,) = low_spectrum(tone[None], sr=8000)
    assert levels.argmax() == hz - 5
    assert levels.max() == pytest.approx(20 * math.log10(0.1 / math.sqrt(2)), abs=0.3)
    assert levels.min() == pytest.approx(-70, abs=0.1)


def test_same_seed_same_record(tmp_path: Path) -> None:
    made = []
    for seed in (0, 0, 1):
        horse_infrasound(replace(SMALL, seed=seed), tmp_path)
        made.append(json.loads((tmp_path / "horse_infrasound.json").read_text())["found"])
    assert made[0] == made[1] != made[2]


@pytest.mark.parametrize(
    ("changes", "match"),
    [
        ({"cues_hz": (("Waltz", 12.0), ("Samba", 21.0))}, "cues_hz are"),
        ({"cues_hz": (("Waltz", 12.0),)}, "need two or more"),
        ({"n_artists": 3}, "n_artists is 3"),
        ({"seconds": 4.0}, "seconds 4.0"),
        ({"filters": ("soft",)}, "filters are"),
    ],
)
def test_settings_out_of_range_are_named(changes: dict[str, Any], match: str) -> None:
    with pytest.raises(ParameterError, match=match):
        HorseInfrasoundConfig(**changes)
