"""horse-zoo on answers that are no labels: whose right answers move, and what counts as equal."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from otoscope.intervene import Gain, InterrogationSettings, Pitch, Polarity
from otoscope.models import WaveformListener, zoo
from otoscope.papers.c_horse import zoo_outputs
from otoscope.papers.c_horse.zoo import HorseZooConfig, horse_zoo
from otoscope.papers.c_horse.zoo_outputs import (
    OutputItem,
    interrogate_model,
    spoken_items,
    sung_items,
)
from tests.support.zoo import zoo_model

SR = 8000


class Rating(nn.Module):
    """3 plus ten times the root mean square, of the sound or of the sound at peak 1."""

    outputs = "values"

    def __init__(self, *, is_level_free: bool) -> None:
        super().__init__()
        self.is_level_free = is_level_free

    def forward(self, sounds: Tensor) -> Tensor:
        y = sounds / sounds.abs().amax(1, keepdim=True).clamp(min=1e-9)
        return 3 + 10 * (y if self.is_level_free else sounds).square().mean(1, keepdim=True).sqrt()


@pytest.mark.parametrize(("is_level_free", "kind"), [(True, "cleared"), (False, "horse")])
def test_a_rating_of_quality_must_not_follow_the_level(
    is_level_free: bool, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = WaveformListener(
        Rating(is_level_free=is_level_free), sample_rate=SR, seconds=0.1, output_names=["quality"]
    )
    items = [
        OutputItem(f"tone {i}", y, f"tone {i}")
        for i in range(60)
        for y in [(0.1 + 0.004 * i) * torch.sin(torch.arange(2400) * (0.1 + 0.01 * i))]
    ]
    settings = InterrogationSettings(sr=SR, duration=0.2, n_draws=200)
    result = interrogate_model(model, "rating", items, [Gain(6), Polarity()], settings=settings)
    assert result.verdict.kind == kind
    noise = result.curves[-1]
    assert not noise.label_preserving  # a control: ratings of noise are others
    assert [curve.name for curve in result.curves] == ["gain", "polarity", "noise", "noise instead"]


def test_ratings_and_voices_are_equal_within_what_is_declared() -> None:
    equal: Any = zoo_outputs._is_same_rating
    assert equal({"a": 3.0, "b": 2.0}, {"a": 3.25, "b": 1.75}) == 1
    assert equal({"a": 3.0, "b": 2.0}, {"a": 3.0, "b": 2.26}) == 0
    assert equal({"a": 3.0}, {"a": float("nan")}) == 0
    same: Any = zoo_outputs._is_same_voice
    one = np.array([[1.0, 0.0]])
    assert same(one, np.array([[0.76, (1 - 0.76**2) ** 0.5]])) == 1
    assert same(one, np.array([[0.74, (1 - 0.74**2) ** 0.5]])) == 0
    assert same(one, np.zeros((1, 2))) == 0


def test_the_melody_is_what_is_sung() -> None:
    """The strongest period of each second half of a note is the written one, within vibrato."""
    (item,) = sung_items(1, seconds=4.0, sr=16000)
    times, hz = item.reference
    y = item.y.numpy().astype(float)
    errors = []
    for start in np.arange(0.1, 3.8, 0.05):
        frame, written = y[round(start * 16000) :][:1024], hz[np.searchsorted(times, start + 0.032)]
        if written and np.abs(frame).max() > 0.05:
            lags = np.arange(round(16000 / (1.1 * written)), round(16000 / (0.9 * written)) + 1)
            best = max(lags, key=lambda lag: float(frame[:-lag] @ frame[lag:]))
            errors.append(abs(1200 * np.log2(16000 / best / written)))
    assert len(errors) > 15
    assert np.median(errors) < 50
    assert not y[: round(16000 * (times[hz > 0][0] - 0.01))].any()  # silent before the first note


def test_speech_is_kept_so_that_a_run_continues(tmp_path: Path) -> None:
    pytest.importorskip("espeakng_loader")
    first, again = (
        list(spoken_items(2, seconds=2.0, sr=16000, seed=0, folder=tmp_path)) for _ in range(2)
    )
    assert [item.name for item in first] == [item.group for item in again]
    assert len({item.name for item in first}) == 2
    for one, other in zip(first, again, strict=True):
        assert torch.equal(one.y, other.y)
        assert one.y.abs().max() == pytest.approx(0.9)


def test_without_espeak_there_is_no_speech(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(zoo_outputs, "find_spec", lambda name: None)
    assert not list(spoken_items(2, seconds=2.0, sr=16000, seed=0, folder=tmp_path))


def test_a_model_of_every_package_of_the_zoo_is_interrogated() -> None:
    tasks = {task.model for task in HorseZooConfig().tasks}
    packages = {entry.package for entry in zoo.describe()}
    assert {entry.package for entry in zoo.describe() if entry.name in tasks} == packages


def test_a_tracker_is_right_where_the_pitch_moves(tmp_path: Path) -> None:
    pytest.importorskip("mir_eval")
    zoo_model("crepe-tiny")
    config = HorseZooConfig(n=4, seconds=1.0, interventions=(Pitch(300), Gain(6)))
    names = ("pitch-sung", "pitch-sung-fixed")
    config = replace(config, tasks=tuple(t for t in config.tasks if t.name in names))
    scores, verdicts = horse_zoo(config, tmp_path)
    assert scores.title.startswith("Scores of pitches")
    assert [row[0] for row in verdicts.rows] == [*names]
    found = json.loads((tmp_path / "horse_zoo.json").read_text())["found"]
    pitch = {name: found[name]["curves"][0]["points"] for name in names}
    unchanged = found["pitch-sung"]["baseline"]["value"]
    assert min(point["score"]["value"] for point in pitch["pitch-sung"]) > unchanged - 0.15
    assert max(point["score"]["value"] for point in pitch["pitch-sung-fixed"]) < unchanged - 0.2
    assert (tmp_path / "pitch-sung.jsonl").exists()
    assert not (tmp_path / "pitch-sung-fixed.jsonl").exists()  # the same outputs, asked for once
    assert (tmp_path / "pitch-sung.html").exists()
    assert not (tmp_path / "horse_zoo.svg").exists()  # which draws labels
