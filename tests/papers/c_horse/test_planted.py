"""A planted tempo horse is found, an honest model is not called one; nor is chance."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ET
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from shutil import which
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from typer.testing import CliRunner

from otoscope.cli.app import app
from otoscope.data import DanceRecipe, plan_dance, render_dance
from otoscope.errors import ParameterError
from otoscope.intervene import Interrogation, InterrogationSettings, Tempo
from otoscope.papers.c_horse.planted import HorsePlantedConfig, horse_planted
from otoscope.papers.c_horse.stretched_dances import (
    PAPER_STRETCHER,
    Dances,
    StretchedTempo,
    hear_dances,
)

DOSES = (-6.0, 6.0)
RECIPE = DanceRecipe(styles=("Samba", "ChaChaCha"), n_groups=3, seconds=2.0, sr=8000)


@pytest.fixture(scope="module")
def record(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Run the quick experiment once, from the command line."""
    out = tmp_path_factory.mktemp("planted") / "new"
    small = ["--quick", "--train-clips", "2", "--seconds", "4.5"]
    result = CliRunner().invoke(app, ["experiment", "horse-planted", *small, "--out", str(out)])
    assert result.exit_code == 0, result.output
    assert "How weak a confound is found" in result.output
    assert "tempo horse" in "".join(ET.parse(out / "horse_planted.svg").getroot().itertext())
    content: dict[str, Any] = json.loads((out / "horse_planted.json").read_text())
    return content


def worst(result: dict[str, Any]) -> float:
    return min(float(point["score"]["value"]) for point in result["curves"][0]["points"])


@pytest.mark.parametrize(
    "system", ["tempo horse", "tempo horse, neighbours", "deep net, confounded"]
)
def test_planted_horse_is_found(record: dict[str, Any], system: str) -> None:
    result = record["found"][system]
    (search,) = result["searches"]
    assert result["verdict"]["kind"] == "horse"
    assert result["baseline"]["value"] > 0.9
    assert result["confound"]["value"] > 0.8
    assert worst(result) < result["baseline"]["value"] - 0.15
    assert search["deflated"]["value"] < 0.7 < 0.9 < search["inflated"]["value"]
    assert search["control_deflated"]["value"] > 0.85  # it is not the stretcher


def test_honest_model_is_no_horse(record: dict[str, Any]) -> None:
    result = record["found"]["pattern model"]
    assert result["verdict"]["kind"] in ("cleared", "undecided")  # of few items
    assert result["baseline"]["value"] > 0.8
    assert result["confound"]["value"] < 0.6
    assert worst(result) > result["baseline"]["value"] - 0.1


def test_confound_is_found_where_there_is_one(record: dict[str, Any]) -> None:
    for row in record["power"]:
        assert row["is_score_moved"] == (row["confounding"] == 1)
        assert (row["confound"] > 0.8) == (row["confounding"] == 1)


def test_nobody_honest_is_accused(record: dict[str, Any]) -> None:
    assert {name: len(rows) for name, rows in record["alarms"].items()} == {
        "pattern models": 2,
        "errors at random": 2,
    }
    for rows in record["alarms"].values():
        assert all(row["verdict"] != "horse" for row in rows)


def describe(sounds: Tensor) -> Tensor:
    """Level of each eighth of a second: it moves with tempo."""
    levels: Tensor = sounds[:, : 16 * 1000].unflatten(1, (16, 1000)).square().mean(2)
    return levels


def heard(doses: Sequence[float] = DOSES) -> Dances:
    return hear_dances(
        12, 5, RECIPE, {"level": describe}, doses=doses, progress=lambda items, _: items
    )


@pytest.mark.parametrize("version", [0, 1])
def test_lookup_answers_as_the_interrogated_sounds_do(version: int) -> None:
    """The features are what Interrogation would have rendered, placebos included."""
    dances = heard()
    plan = plan_dance(12, 5, recipe=replace(RECIPE, confounding=float(version), seconds=2.5))
    sounds = [
        (torch.from_numpy(render_dance(clip, replace(RECIPE, seconds=2.5))), 8000) for clip in plan
    ]
    tempi = [clip.tempo_bpm for clip in plan]
    assert dances.tempo_bpm[version].tolist() == tempi
    settings = InterrogationSettings(duration=2.0)
    labels = dances.style.tolist()

    def by_levels(levels: Tensor) -> list[str]:
        early = levels[:, :8].sum(1) > levels[:, 8:].sum(1)
        return ["Samba" if is_early else "ChaChaCha" for is_early in early]

    by_sound = Interrogation(
        lambda y: by_levels(describe(y)), sounds, labels, settings=settings
    ).run([Tempo(6, stretcher=PAPER_STRETCHER)], doses={StretchedTempo.name: DOSES})
    looked_up = Interrogation(
        by_levels, dances.features["level"][version], labels, settings=settings
    ).run([StretchedTempo(6, available=(0, *DOSES))])
    assert len(by_sound.curves[0].placebo) == 2
    assert looked_up.curves == by_sound.curves
    assert looked_up.searches == by_sound.searches
    assert looked_up.verdict == by_sound.verdict


def test_corpus_is_confounded_as_much_as_is_asked_for() -> None:
    dances = heard(())
    assert dances.features["level"].shape == (2, 12, 1, 16)
    rng = np.random.default_rng(0)
    for confounding, version in ((0.0, 0), (1.0, 1)):
        corpus = dances.confounded(confounding, rng)
        assert torch.equal(corpus.features["level"], dances.features["level"][version])
        assert np.array_equal(corpus.tempo_bpm, dances.tempo_bpm[version])
    differ = dances.tempo_bpm[0] != dances.tempo_bpm[1]
    own = [
        np.mean((dances.confounded(0.25, rng).tempo_bpm == dances.tempo_bpm[1])[differ])
        for _ in range(400)
    ]
    assert np.mean(own) == pytest.approx(0.25, abs=0.03)


def test_artists_are_drawn_whole_and_from_every_style() -> None:
    dances = heard(())
    some = dances.some_artists(2 / 3, np.random.default_rng(1))
    for style in RECIPE.styles:
        assert len(set(some.artist[some.style == style])) == 2
    for artist in set(some.artist):
        assert (some.artist == artist).sum() == (dances.artist == artist).sum()
    kept = np.isin(dances.artist, some.artist)
    assert torch.equal(some.features["level"], dances.features["level"][:, kept])


@pytest.mark.parametrize(
    ("changes", "match"),
    [
        ({"corpus": "birds"}, "corpus is 'birds'"),
        ({"doses": (0.0, 6.0)}, "doses are"),
        ({"doses": ()}, "one or more"),
        ({"test_artists": 1}, "test_artists is 1, must be >= 2"),
        ({"seconds": 4.0}, "seconds is 4.0"),
        ({"levels": (0.5, 1.5)}, "levels are"),
    ],
)
def test_settings_out_of_range_are_named(changes: dict[str, Any], match: str) -> None:
    with pytest.raises(ParameterError, match=match):
        HorsePlantedConfig(**changes)


def test_command_refuses_a_corpus_that_is_not_there(tmp_path: Path) -> None:
    for options in (["--corpus", "birds"], ["--corpus", "mma", "--quick"]):
        output = CliRunner().invoke(
            app, ["experiment", "horse-planted", *options, "--out", str(tmp_path)]
        )
        assert output.exit_code == 2


@pytest.mark.slow
def test_experiment_keeps_its_promises(tmp_path: Path) -> None:
    systems, power, alarms = horse_planted(HorsePlantedConfig(), tmp_path)
    verdicts = {row[0]: row[-1] for row in systems.rows}
    assert verdicts["tempo horse"] == verdicts["deep net, confounded"] == "horse"
    assert verdicts["pattern model"] in ("cleared", "undecided")  # 240 clips bound 5 points or not
    assert verdicts["pattern model, confounded"] == "cleared"
    assert verdicts["deep net, separated"] != "horse"
    counts = [int(row[1].split()[0]) for row in power.rows]
    assert counts[0] <= 1  # of 20
    assert counts[-3:] == [20, 20, 20]
    assert all(int(row[1].split()[0]) <= 2 for row in alarms.rows)  # of 50


@pytest.mark.slow
@pytest.mark.skipif(
    not all(map(which, ("mma", "fluidsynth"))), reason="apt-get install mma fluidsynth"
)
def test_bands_that_others_wrote_hide_no_horse(tmp_path: Path) -> None:
    """Few clips of mma's bands: enough to find two horses, too few to clear anybody."""
    few = replace(HorsePlantedConfig.quick(), train_artists=6, n_power=1, n_honest=1, levels=(1.0,))
    systems, _, alarms = horse_planted(replace(few, corpus="mma"), tmp_path)
    verdicts = {row[0]: row[-1] for row in systems.rows}
    assert verdicts["tempo horse, neighbours"] == verdicts["deep net, confounded"] == "horse"
    assert verdicts["pattern model"] != "horse"
    assert all(row[1] == "0 of 1" for row in alarms.rows)
