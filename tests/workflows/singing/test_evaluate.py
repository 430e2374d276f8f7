"""Evaluation of detectors whose answers are known, on sounds whose truth is known."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from otoscope.cli.app import app
from otoscope.errors import ParameterError
from otoscope.signal import write_audio
from otoscope.workflows import EvaluateConfig, evaluate_detector

SR = 22050

MODEL = '''
import torch
from otoscope.models import Listener
from otoscope.signal import svd2015

class Loud(torch.nn.Module):
    """Says how loud the middle frame is: 1 for a tone, 0 for silence."""

    def forward(self, x):
        p = ((x[:, 0, x.shape[2] // 2].amax(1, keepdim=True) + 10) / 8).clamp(0, 1)
        return torch.cat([1 - p, p], 1) if OUTPUTS == 2 else p

OUTPUTS = 1

def loud():
    return Listener(Loud(), svd2015(), patch_frames=11, output_names=["singing"]).eval()

def two():
    global OUTPUTS
    OUTPUTS = 2
    names = ["none", "singing"]
    return Listener(Loud(), svd2015(), patch_frames=11, output_names=names).eval()
'''


def tones(path: Path, intervals: list[tuple[float, float]], seconds: float = 6.0) -> None:
    time = np.arange(round(SR * seconds)) / SR
    on = np.zeros(len(time), bool)
    for start, end in intervals:
        on |= (start <= time) & (time < end)
    y = np.where(on, 0.5 * np.sin(2 * np.pi * 440 * time), 0.0)
    write_audio(path, torch.from_numpy(y.astype(np.float32)), sr=SR)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model, a corpus of two songs, and a recording without voice with two tones."""
    folder = tmp_path_factory.mktemp("evaluate")
    (folder / "model.py").write_text(MODEL)
    corpus, music = folder / "corpus", folder / "music"
    for place in (corpus, music):
        place.mkdir()
    truth = {"a": [(1.0, 3.0), (4.0, 6.0)], "b": [(2.0, 5.0)]}
    records = []
    for name, sung in truth.items():
        tones(corpus / f"{name}.wav", sung)
        records.append({"key": name, "files": {"mix": f"{name}.wav"}, "sung": sung})
    records[1]["sung"] = [(2.0, 5.5)]  # half a second that the model cannot hear
    (corpus / "manifest.jsonl").write_text("".join(json.dumps(r) + "\n" for r in records))
    tones(music / "c.wav", [(1.0, 2.0), (4.0, 5.0)])
    return folder


def config(folder: Path, function: str = "loud", **changes: Any) -> EvaluateConfig:
    settings = {"songs": folder / "corpus", "model": f"{folder}/model.py:{function}", **changes}
    return EvaluateConfig(**settings)


def test_error_is_the_half_second_that_is_not_heard(folder: Path) -> None:
    result = evaluate_detector(config(folder))
    assert result.scores is not None
    n_frames = (6 * SR - 1024) // 315 + 1
    assert result.scores.n_frames == 2 * n_frames
    assert result.songs[0].scores.error < 8 / n_frames  # two frames at each edge
    wrong = result.songs[1].scores.false_negatives
    assert wrong == pytest.approx(0.5 * 70, abs=3)
    assert result.scores.error == pytest.approx(wrong / (2 * n_frames), abs=9 / n_frames)
    assert result.scores.precision > 0.97
    assert result.threshold == 0.5


def test_alarms_are_counted_per_minute(folder: Path) -> None:
    result = evaluate_detector(config(folder, songs=None, instrumental=folder / "music"))
    assert result.scores is None
    assert [song.alarms for song in result.instrumental] == [2]
    assert result.alarms_per_minute == pytest.approx(2 * 60 / 6)
    assert result.alarm_fraction == pytest.approx(2 / 6, abs=0.03)


def test_a_click_is_no_alarm_after_the_median(folder: Path, tmp_path: Path) -> None:
    tones(tmp_path / "click.wav", [(3.0, 3.2)])
    only: dict[str, Any] = {"songs": None, "instrumental": tmp_path}
    assert evaluate_detector(config(folder, **only)).alarms_per_minute == 0
    raw = evaluate_detector(config(folder, median=0.01, **only))
    assert [song.alarms for song in raw.instrumental] == [1]


def test_validation_songs_choose_the_threshold(folder: Path) -> None:
    """The model gives 0 or 1: every threshold between serves, and the nearest to 0.5 is taken."""
    result = evaluate_detector(config(folder, validation=folder / "corpus", threshold=1.0))
    assert result.threshold == 0.5
    never = evaluate_detector(config(folder, threshold=1.0)).scores
    assert never is not None
    assert never.recall == 0


def test_output_is_named_where_there_are_several(folder: Path) -> None:
    with pytest.raises(ParameterError, match="2 outputs"):
        evaluate_detector(config(folder, "two"))
    named = evaluate_detector(config(folder, "two", output="singing")).scores
    other = evaluate_detector(config(folder, "two", output="none")).scores
    assert named == evaluate_detector(config(folder)).scores
    assert other is not None
    assert other.recall < 0.1


def test_hop_keeps_the_times(folder: Path) -> None:
    coarse = evaluate_detector(config(folder, hop=7)).scores
    assert coarse is not None
    assert coarse.n_frames == 2 * -(-((6 * SR - 1024) // 315 + 1) // 7)
    assert coarse.error == pytest.approx(0.5 / 12, abs=0.02)


@pytest.mark.parametrize(
    ("changes", "match"),
    [
        ({"songs": None}, "neither songs nor instrumental"),
        ({"hop": 0}, "hop is 0"),
        ({"median": 0.0}, r"median 0\.0"),
        ({"frame_time": "end"}, "frame_time is 'end'"),
    ],
)
def test_impossible_settings_are_refused(folder: Path, changes: dict[str, Any], match: str) -> None:
    with pytest.raises(ParameterError, match=match):
        config(folder, **changes)


def test_command_prints_scores_and_writes_json(folder: Path) -> None:
    arguments = [str(folder / "corpus"), "--model", f"{folder}/model.py:loud"]
    arguments += ["--instrumental", str(folder / "music"), "--json", str(folder / "e.json")]
    result = CliRunner().invoke(app, ["evaluate", *arguments], env={"COLUMNS": "120"})
    assert result.exit_code == 0, result.output
    assert "20.00 false alarms per minute" in result.stdout
    document = json.loads((folder / "e.json").read_text())
    assert document["format"] == "otoscope.Evaluation/1"
    expected = evaluate_detector(config(folder)).scores
    assert expected is not None
    assert document["scores"]["error"] == expected.error
    assert f"{expected.error:.3f}" in result.stdout
    assert [song["name"] for song in document["songs"]] == ["a", "b"]
