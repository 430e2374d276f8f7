"""horse-zoo: which songs are asked about, and what is written, on a model of our own."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from otoscope import data
from otoscope.errors import ParameterError
from otoscope.intervene import Gain, Polarity
from otoscope.papers.c_horse.zoo import HorseZooConfig, ZooTask, horse_zoo, interrogate_tasks
from otoscope.signal import write_audio
from tests.support.paths import ROOT

RESULTS = ROOT / "docs" / "papers" / "results"
OURS = (
    ZooTask("rendered", "synth-singing", is_labelled=True),
    ZooTask("real", "synth-singing", is_labelled=False),
)
SMALL = HorseZooConfig(n=4, seconds=2.0, interventions=(Gain(12), Polarity()), tasks=OURS)


@pytest.fixture
def songs(tmp_path: Path) -> Path:
    """Two songs of two stems each, one of them with a sub-folder above."""
    for number, name in enumerate(("b", "deep/a")):
        folder = tmp_path / "songs" / name
        folder.mkdir(parents=True)
        song = data.synthesise(number, seconds=12.0)
        for part in ("voice", "backing"):
            y = torch.from_numpy(getattr(song, part)[: 12 * song.sr - 100 * number])
            write_audio(folder / f"{part}.ogg", y, sr=song.sr)
    return tmp_path / "songs"


def test_labelled_items_are_pairs_of_a_song_and_the_rest_have_their_own_answers(
    songs: Path, tmp_path: Path
) -> None:
    result = interrogate_tasks(replace(SMALL, real=songs), tmp_path / "out")
    rendered, real = result["rendered"], result["real"]
    assert [item.label for item in rendered.items] == ["singing", "not singing"] * 2
    assert [item.group for item in rendered.items] == ["song 0"] * 2 + ["song 1"] * 2
    assert rendered.has_labels
    assert not real.has_labels
    assert real.baseline.value == 1
    assert {item.group for item in real.items} == {"a", "b"}
    polarity = {curve.name: curve for curve in real.curves}["polarity"]
    assert polarity.worst.moved.value == 0  # energies have no sign
    moves, verdicts = horse_zoo(replace(SMALL, real=songs), tmp_path / "out")  # answers are logged
    written = json.loads((tmp_path / "out" / "horse_zoo.json").read_text())
    assert set(written["found"]) == {"rendered", "real"}
    assert str(tmp_path) not in json.dumps(written["found"])
    assert (tmp_path / "out" / "real.html").stat().st_size > 10_000
    assert len(moves.rows) == 4
    assert [row[0] for row in verdicts.rows] == ["rendered", "real"]


def test_without_real_songs_their_tasks_are_left_out(tmp_path: Path) -> None:
    result = interrogate_tasks(replace(SMALL, real=tmp_path / "none"), tmp_path / "out")
    assert set(result) == {"rendered"}
    with pytest.raises(ParameterError, match="no task has sounds: there is no song below"):
        horse_zoo(replace(SMALL, real=tmp_path / "none", tasks=OURS[1:]), tmp_path / "out")


def test_too_few_items_are_refused() -> None:
    with pytest.raises(ParameterError, match="n is 2"):
        HorseZooConfig(n=2)


def test_the_family_is_that_of_the_registry_in_the_order_of_the_record() -> None:
    """Renderings are seeded by the place of an intervention: the record keeps its numbers."""
    record = json.loads((RESULTS / "horse_zoo.json").read_text())
    before = [entry["intervention"] for entry in record["settings"]["interventions"]]
    now = [i.settings["intervention"] for i in HorseZooConfig().interventions]
    assert now == before
