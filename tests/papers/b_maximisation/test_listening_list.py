"""Sounds of settings for listeners: nine of them by their rank, with distances, and real ones."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from otoscope.errors import ParameterError
from otoscope.papers.b_maximisation.am_grid import AmGridConfig, am_grid
from otoscope.workflows.listening.export import ListeningTestConfig, export_listening_test
from otoscope.workflows.listening.stimuli import read_stimuli
from tests.papers.b_maximisation.test_unit_atlas import SOURCE
from tests.support.tones import SR, write_songs


def test_sounds_of_settings_are_a_listening_test_with_distances(tmp_path: Path) -> None:
    (tmp_path / "model.py").write_text(SOURCE)
    config = AmGridConfig(
        model=f"{tmp_path / 'model.py'}:make",
        songs=write_songs(tmp_path / "songs", 3),
        prior="raw",
        direction="minimise",
        n_songs=3,
        every=0.5,
        rates=(0.1, 0.01, 0.001),
        penalties=(0.1, 0.001),
        iterations=(2, 4),
        seeds=3,
        sounds=2,
        resamples=50,
    )
    am_grid(config, tmp_path / "grid")
    stimuli = read_stimuli(tmp_path / "grid" / "listening-minimise.csv")
    names = [s.condition for s in stimuli[::2]]
    assert names == [*(f"rank {i}" for i in (1, 2, 4, 5, 7, 8, 9, 11, 12)), "real"]
    table = json.loads((tmp_path / "grid" / "am_grid.json").read_text())["tables"][1]
    for stimulus in stimuli[:-2]:
        row = table["rows"][int(stimulus.condition.split()[1]) - 1]
        shown = float(row[4].split(" ")[0].replace(",", ""))
        assert stimulus.score == pytest.approx(shown, rel=0.01, abs=1e-3)
    assert {(len(s.y), s.sr) for s in stimuli} == {(50 * 80, SR)}
    listed = tmp_path / "grid" / "listening-minimise.csv"
    test = export_listening_test(
        ListeningTestConfig(listed, reference="real", anchors=("rank 12",)), tmp_path / "test"
    )
    assert len(test.trials) == 2
    with pytest.raises(ParameterError, match="sounds -1"):
        AmGridConfig(sounds=-1)
