"""Predictions of what spectral periodicity can carry are tested, and the outcomes recorded."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from otoscope.cli.app import app
from otoscope.errors import ParameterError
from otoscope.papers.c_horse.desperf.predict import PREDICTIONS, HorsePredictConfig
from otoscope.papers.c_horse.desperf.predict_sounds import CHANGES, PAIRS, READINGS, dances
from otoscope.signal.rhythm.spectral_periodicity import SpectralPeriodicity

KINDS = {"tempo", "meter", "rhythm", "timbre", "harmony", "order", "metamers", "answers"}


@pytest.fixture(scope="module")
def record(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    out = tmp_path_factory.mktemp("predict")
    result = CliRunner().invoke(app, ["experiment", "horse-predict", "--quick", "--out", str(out)])
    assert result.exit_code == 0, result.output
    assert (out / "horse_predict.svg").is_file()
    content: dict[str, Any] = json.loads((out / "horse_predict.json").read_text())
    return content


def test_every_kind_of_knowledge_has_predictions_that_are_tests() -> None:
    assert {one.knowledge for one in PREDICTIONS} == KINDS
    assert len({one.name for one in PREDICTIONS}) == len(PREDICTIONS)
    for one in PREDICTIONS:
        known = READINGS if one.measure == "read" else {**CHANGES, **PAIRS}
        assert one.of in known
        assert one.holds(one.bound)
        assert one.holds(one.bound + 0.1) == (one.sign == ">=")


def test_the_record_says_of_each_prediction_whether_it_held(record: dict[str, Any]) -> None:
    n_kept = sum(one.measure == "kept" for one in PREDICTIONS)
    assert len(record["rows"]) == len(PREDICTIONS) + n_kept  # two models
    for row in record["rows"]:
        value, is_least = row["value"]["value"], row["sign"] == ">="
        assert row["held"] == (value >= row["bound"] if is_least else value <= row["bound"])
        assert row["held"] or not row["interval held"]
    assert len(record["predictions"]) == len(PREDICTIONS)


def test_what_the_definition_of_the_feature_implies_is_measured(record: dict[str, Any]) -> None:
    """Distances have no direction, and a linear filter adds the same to all log spectra."""
    rows = [row for row in record["rows"] if row["measure"] == "moved"]
    moved = {row["of"]: row["value"]["value"] for row in rows}
    assert moved["reversal"] < 0.05
    assert moved["equaliser"] < 0.1
    assert moved["homometric"] < 0.1
    assert moved["shuffle"] > 0.5


def test_homometric_patterns_have_equal_intervals_and_are_no_turn_or_mirror() -> None:
    first, second = (0, 1, 3, 4), (0, 1, 2, 5)

    def intervals(pattern: tuple[int, ...]) -> Counter[int]:
        return Counter((a - b) % 8 for a in pattern for b in pattern)

    assert intervals(first) == intervals(second)
    turned = [{(sign * step + turn) % 8 for step in first} for sign in (1, -1) for turn in range(8)]
    assert set(second) not in turned


def test_halves_that_are_exchanged_keep_every_sample() -> None:
    few = dances(2, 0, 8000)
    for name in ("reversal", "halves"):
        changed = CHANGES[name](few, 8000, 0)
        assert torch.equal(changed.sort(-1).values, few.sounds.sort(-1).values)
        assert not torch.equal(changed, few.sounds)


def test_one_performance_on_two_kits_has_one_rhythm() -> None:
    feature = SpectralPeriodicity(8000, n_fft=744, hop_length=160)
    first, second = PAIRS["kit"](8, 0, feature)
    same = (first - second).norm(dim=-1)
    others = torch.cdist(first, first)[~torch.eye(8, dtype=torch.bool)]
    assert same.mean() < others.mean()


def test_chords_differ_in_their_third_alone() -> None:
    modes = READINGS["mode"].sounds(8, 0, 22050)
    assert set(modes.labels) == {"major", "minor"}
    spectrum = np.abs(np.fft.rfft(modes.sounds[0, :11025].numpy()))
    assert spectrum.max() > 0
    assert set(READINGS["changes"].sounds(8, 0, 22050).labels) == {2, 4}


def test_too_few_sounds_are_refused() -> None:
    with pytest.raises(ParameterError, match="n is 7, must be >= 8"):
        HorsePredictConfig(n=7)
