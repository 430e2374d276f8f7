"""Statistics from elsewhere: nothing that they name is run, and odd settings are one error."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from otoscope.errors import ParameterError
from otoscope.workflows.distance import measure_distance
from otoscope.workflows.features import FeatureConfig

FEATURES = {
    "model": "synth-singing",
    "weights": "0123",
    "layer": "fc8",
    "channel_axis": 1,
    "sample_rate": 22050,
    "hop_length": 315,
    "excerpt_frames": 115,
    "hop_frames": 115,
    "padded": False,
}


def written(path: Path, settings: object, **arrays: Any) -> Path:
    text = settings if isinstance(settings, str) else json.dumps(settings)
    plain = {"mu": np.zeros(3), "cov": np.eye(3), "ddof": np.array(1), "count": np.array(100)}
    np.savez(path, **{**plain, "settings": np.array(text), **arrays})
    return path


@pytest.fixture
def songs(tmp_path: Path) -> Path:
    folder = tmp_path / "songs"
    folder.mkdir()
    soundfile.write(folder / "a.wav", np.zeros(16000), 16000)
    return folder


@pytest.mark.parametrize(
    "model",
    [
        "helper.py:make",
        "./helper.py:make",
        "helper.py",
        "helper.json",
        "helper",
        "otoscope.models:load",
        "",
    ],
)
@pytest.mark.parametrize("side", [0, 1])
def test_a_model_that_only_a_file_names_is_not_loaded(
    model: str, side: int, songs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", sys.path[:])
    (tmp_path / "helper.py").write_text(
        "import pathlib\npathlib.Path('RAN').touch()\ndef make(): raise SystemExit(0)\n"
    )
    (tmp_path / "helper.json").write_text("{}")
    real = written(Path("real.npz"), {"features": {**FEATURES, "model": model}})
    first, second = (songs, real) if side else (real, songs)
    with pytest.raises(ParameterError, match=r"not in the zoo.* name it: model="):
        measure_distance(first, second, FeatureConfig())
    assert not (tmp_path / "RAN").exists()
    if model == "helper.py:make":  # the user types it
        with pytest.raises(ParameterError, match="SystemExit: 0"):
            measure_distance(first, second, FeatureConfig(model=model))
        assert (tmp_path / "RAN").exists()


def test_a_model_of_the_zoo_is_taken_from_the_file(songs: Path, tmp_path: Path) -> None:
    real = written(tmp_path / "real.npz", {"features": {**FEATURES, "layer": "fc9"}})
    with pytest.raises(ParameterError, match="the statistics are of other features"):
        measure_distance(real, songs, FeatureConfig())  # it was loaded: its weights differ


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ("[" * 300 + "]" * 300, "nested more than 100"),
        ({"a": [[[]]], "features": 3}, "settings has features 3, needs dict"),
        ({"features": []}, r"has features \[\], needs dict"),
        ({"features": {"model": "synth-singing"}}, "lacks channel_axis"),
        ({"features": {**FEATURES, "model": ["a"]}}, "needs str"),
        ({"features": {**FEATURES, "hop_length": 1.5}}, "needs int"),
        ({"features": {**FEATURES, "hop_length": True}}, "needs int"),
        ({"features": {**FEATURES, "hop_length": 0}}, "hop_length is 0"),
        ('{"features": {}, "rates": {"inf": 1}}', "rates must be counts"),
        ({"rates": {"16000": "x"}}, "rates must be counts"),
        ({"files": 3}, "has files 3, needs dict"),
        ({"versions": "1"}, "has versions '1', needs dict"),
        ("null", "must be a JSON object"),
    ],
)
def test_settings_of_wrong_types_are_one_error(
    settings: object, message: str, tmp_path: Path
) -> None:
    real = written(tmp_path / "real.npz", settings)
    with pytest.raises(ParameterError, match=message) as error:
        measure_distance(real, real, FeatureConfig())
    assert "real.npz" in str(error.value)


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"count": np.array(np.inf)}, "count is inf"),
        ({"count": np.array(np.nan)}, "count is nan"),
        ({"count": np.array(-3)}, "count is -3"),
        ({"count": np.array([1, 2])}, r"count is \[1, 2\]"),
        ({"count": np.array(10.0**300)}, "count is 1e"),
        ({"count": np.array(2.5)}, "count is 2.5"),
        ({"count": np.array(1)}, "count is 1 and ddof 1"),
        ({"ddof": np.array(7)}, "ddof 7"),
        ({"format": np.array("otoscope.Statistics/" + "9" * 5000)}, "its format must be"),
        ({"format": np.array(3)}, "its format must be"),
        ({"mu": np.zeros((0,)), "cov": np.zeros((0, 0))}, r"mu has shape \(0,\)"),
    ],
)
def test_odd_numbers_are_one_error(arrays: dict[str, Any], message: str, tmp_path: Path) -> None:
    real = written(tmp_path / "real.npz", {}, **arrays)
    with pytest.raises(ParameterError, match=message):
        measure_distance(real, real, FeatureConfig())
