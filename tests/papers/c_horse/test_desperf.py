"""DeSPerF on confounded and separated dances: interrogated, dissected and repaired, on few."""

from __future__ import annotations

import json
import math
import xml.etree.ElementTree as ET
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from scipy import stats
from typer.testing import CliRunner

from otoscope.cli.app import app
from otoscope.errors import ParameterError
from otoscope.papers.c_horse.desperf import collapse
from otoscope.papers.c_horse.desperf.collapse import HorseDesperfConfig, horse_desperf
from otoscope.papers.c_horse.desperf.dances import (
    FEATURE,
    DanceSizes,
    corpus,
    hear_part,
    over_seeds,
)
from otoscope.papers.c_horse.desperf.dissect import HorseDissectConfig
from otoscope.papers.c_horse.desperf.dissect_parts import BANDS, CLASSIFIERS, bands, classifier
from otoscope.papers.c_horse.desperf.repair import HorseRepairConfig
from otoscope.papers.c_horse.stretched_dances import HeardDances
from otoscope.progress import silent

SIZES = DanceSizes.quick()


@pytest.fixture(scope="module")
def dances(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("dances")


def run(name: str, dances: Path, out: Path, *options: str) -> dict[str, Any]:
    arguments = ["experiment", name, "--quick", "--dances", str(dances), "--out", str(out)]
    result = CliRunner().invoke(app, [*arguments, *options])
    assert result.exit_code == 0, result.output
    record = name.replace("-", "_")
    assert "confounded" in "".join(ET.parse(out / f"{record}.svg").getroot().itertext()) or (
        name == "horse-repair"
    )
    assert not (out / f"{record}.jsonl").exists()
    content: dict[str, Any] = json.loads((out / f"{record}.json").read_text())
    return content


@pytest.fixture(scope="module")
def desperf(dances: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    return run("horse-desperf", dances, tmp_path_factory.mktemp("desperf"))


@pytest.fixture(scope="module")
def dissect(dances: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    return run("horse-dissect", dances, tmp_path_factory.mktemp("dissect"))


@pytest.fixture(scope="module")
def repair(dances: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    return run("horse-repair", dances, tmp_path_factory.mktemp("repair"))


def rows(record: dict[str, Any], **wanted: str) -> list[dict[str, Any]]:
    return [row for row in record["rows"] if all(row[key] == wanted[key] for key in wanted)]


def test_a_system_of_confounded_dances_collapses_and_the_placebo_moves_little(
    desperf: dict[str, Any],
) -> None:
    (row,) = rows(desperf, kind="training", corpus="confounded")
    unchanged = row["unchanged"]["value"]
    assert unchanged > 0.7
    assert row["worst"]["value"] < unchanged - 0.1
    assert row["deflated"]["value"] < row["by placebo, deflated"]["value"] - 0.1
    assert row["placebo, worst"]["value"] > row["worst"]["value"]
    assert len(row["curve"]) == len(row["placebo"]) == len(SIZES.doses)


def test_corpora_report_what_tempo_and_timbre_alone_score(desperf: dict[str, Any]) -> None:
    (confounded,), (separated,) = (
        rows(desperf, kind="corpus", corpus=name) for name in ("confounded", "separated")
    )
    assert confounded["tempo"]["value"] > 0.8 > 0.6 > separated["tempo"]["value"]
    assert confounded["clips"] == separated["clips"] == 3 * 4 * 2
    assert confounded["artists"] == 3 * 4
    assert 0 <= confounded["timbre"]["value"] <= 1


def test_the_artists_effect_is_the_difference_of_both_tests(desperf: dict[str, Any]) -> None:
    for row in rows(desperf, kind="artists"):
        difference = row["known"]["value"] - row["new"]["value"]
        assert row["effect"]["value"] == pytest.approx(difference)


def test_tempo_explains_a_confounded_system(dissect: dict[str, Any]) -> None:
    (confounded,), (separated,) = (
        rows(dissect, kind="net", corpus=name) for name in ("confounded", "separated")
    )
    agreement = confounded["explained"]["agreement"]["value"]
    assert agreement > confounded["explained"]["by chance"] + 0.3
    assert agreement > separated["explained"]["agreement"]["value"]
    assert confounded["explained"]["changed, predicted"] <= confounded["explained"]["changed"]


def test_every_layer_is_moved_by_tempo_more_than_by_its_placebo(dissect: dict[str, Any]) -> None:
    for row in rows(dissect, kind="net"):
        layers = [layer["layer"] for layer in row["layers"]]
        assert layers == ["feature", "hidden1", "hidden2", "hidden3", "logits"]
        assert all(layer["moved"] > layer["placebo"] > 0 for layer in row["layers"])


def test_maximised_features_get_the_answer_that_they_are_to_get(dissect: dict[str, Any]) -> None:
    for row in rows(dissect, kind="net"):
        assert [own["answer"] for own in row["maximised"]] == sorted(SIZES.styles)
        for own in row["maximised"]:
            assert np.mean(own["feature"]) == pytest.approx(0, abs=0.01)
            assert np.std(own["feature"]) == pytest.approx(1, abs=0.01)


def test_all_classifiers_are_interrogated_on_both_corpora(dissect: dict[str, Any]) -> None:
    table = next(t for t in dissect["tables"] if t["title"].startswith("Classifiers"))
    systems = ["net", *CLASSIFIERS]
    assert [row[:2] for row in table["rows"]] == [
        [name, system] for name in ("confounded", "separated") for system in systems
    ]


def test_repairs_are_paired_by_seed(repair: dict[str, Any]) -> None:
    arms = {arm: rows(repair, arm=arm) for arm in ("plain", "tempo", "placebo")}
    assert {len(own) for own in arms.values()} == {2}
    table = next(t for t in repair["tables"] if t["title"].startswith("Differences"))
    pairs = zip(arms["tempo"], arms["plain"], strict=True)
    changes = [one["separated"]["value"] - two["separated"]["value"] for one, two in pairs]
    (cell,) = [row[-1] for row in table["rows"] if row[0] == "tempo less plain"]
    assert float(cell.split()[0].replace("\N{MINUS SIGN}", "-")) == pytest.approx(
        np.mean(changes), abs=0.005
    )


def test_a_repair_is_tested_on_artists_who_did_not_serve_to_find_the_fault(dances: Path) -> None:
    parts: tuple[tuple[Any, tuple[float, ...]], ...] = (
        ("train", ()),
        ("test", SIZES.doses),
        ("repair test", SIZES.doses),
    )
    features = []
    for part, doses in parts:
        heard = hear_part(part, SIZES, dances, seed=0, doses=doses, progress=silent)
        features.append(corpus(heard, "confounded").features["timbre"][:, 0])
    for i, first in enumerate(features):
        for second in features[:i]:
            assert torch.cdist(first, second).min() > 1e-3


def test_features_are_kept_and_read_again(dances: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def hear() -> torch.Tensor:
        part = hear_part("test", SIZES, dances, seed=0, doses=SIZES.doses, progress=silent)
        return part.features["periodicity"]

    before = hear()
    monkeypatch.setattr("otoscope.papers.c_horse.stretched_dances.render_dance", lambda *_: 1 / 0)
    assert torch.equal(hear(), before)
    assert before.shape == (2, 24, 2 * (1 + len(SIZES.doses)), FEATURE.n_lags - 1)


def test_a_damaged_file_of_features_is_named(tmp_path: Path) -> None:
    few = DanceSizes(("Samba", "Tango"), test_artists=2, test_clips=1, seconds=4.6, doses=(6.0,))
    hear_part("test", few, tmp_path, seed=0, progress=silent)
    file = min(tmp_path.rglob("*.safetensors"))
    file.write_bytes(b"no features")
    with pytest.raises(ParameterError, match="is not a file of features; remove it"):
        hear_part("test", few, tmp_path, seed=0, progress=silent)


def test_an_interrupted_run_goes_on(
    dances: Path, tmp_path: Path, desperf: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    config = HorseDesperfConfig(sizes=SIZES, seeds=1, iterations=3, dances=dances)
    row, calls = collapse._row, list[str]()

    def stopping(parts: Any, config: Any, kind: str, name: str, seed: int) -> dict[str, Any]:
        calls.append(f"{kind} {name}")
        if len(calls) == 3:
            raise KeyboardInterrupt
        return row(parts, config, kind, name, seed)

    monkeypatch.setattr(collapse, "_row", stopping)
    with pytest.raises(KeyboardInterrupt):
        horse_desperf(config, tmp_path)
    horse_desperf(config, tmp_path)
    assert len(calls) == 7  # of six tasks, one was begun twice
    record = json.loads((tmp_path / "horse_desperf.json").read_text())
    assert record["tables"] == desperf["tables"]


def test_one_band_holds_a_pure_repetition() -> None:
    """Eight periods in 4 s, 2 per second, are heard as long as the band of 1.5 to 3 is there."""
    lags = np.arange(FEATURE.n_lags - 1) / (FEATURE.n_lags - 1)
    phases = torch.tensor([0.0, math.pi] * 8)
    features = torch.sin(2 * math.pi * 8 * torch.from_numpy(lags) + phases[:, None])[:, None]
    labels = np.array(["up", "down"] * 8)
    heard = HeardDances({"periodicity": features}, labels, labels.copy(), np.ones(16))

    def answers(rows: torch.Tensor) -> list[str]:
        return ["up" if row[10] > 0.5 else "down" if row[10] < -0.5 else "none" for row in rows]

    for band in bands(answers, heard):
        is_inside = band["band"] == [1.5, 3.0]
        assert (band["alone"].value > 0.9) == is_inside
        assert (band["without"].value > 0.9) != is_inside
    assert BANDS[0][0] == 0
    assert all(first[1] == second[0] for first, second in pairwise(BANDS))


@pytest.mark.parametrize("name", CLASSIFIERS)
def test_classifiers_separate_what_is_far_apart(name: str) -> None:
    rng = np.random.default_rng(0)
    labels = np.array(["a", "b", "c"] * 10)
    means = {"a": 0.0, "b": 10.0, "c": 20.0}
    features = torch.tensor(np.array([[means[label]] * 6 for label in labels])) + torch.from_numpy(
        rng.normal(size=(30, 6))
    )
    assert classifier(name, features, labels)(features) == labels.tolist()


def test_intervals_over_trainings_are_students() -> None:
    values = [0.4, 0.5, 0.75, 0.6, 0.55]
    interval = over_seeds(values)
    low, high = stats.t.interval(0.95, 4, loc=np.mean(values), scale=stats.sem(values))
    assert [interval.low, interval.high] == pytest.approx([low, high])
    assert over_seeds([0.9, 1.0], bounds=(0, 1)).high == 1
    assert math.isnan(over_seeds([0.9]).low)


@pytest.mark.parametrize(
    ("make", "match"),
    [
        (lambda: HorseDesperfConfig(seeds=0), "seeds is 0, must be >= 1"),
        (lambda: HorseDesperfConfig(iterations=0), "iterations is 0"),
        (lambda: HorseDissectConfig(seeds=0), "seeds is 0"),
        (lambda: HorseRepairConfig(augmentation=()), "need one change or more"),
        (lambda: HorseRepairConfig(augmentation=(0.0, 8.0)), "none of them 0"),
        (lambda: DanceSizes(artists=2), "artists is 2, must be >= 3"),
        (lambda: DanceSizes(seconds=4.0), "seconds is 4.0"),
        (lambda: DanceSizes(doses=(0.0,)), "none of them 0"),
    ],
)
def test_settings_out_of_range_are_named(make: Any, match: str) -> None:
    with pytest.raises(ParameterError, match=match):
        make()
