"""The atlas of a layer whose units are known: voice, its absence, one that is dead."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ET
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from otoscope import models
from otoscope.cli.app import app
from otoscope.errors import ParameterError
from otoscope.papers.a_soundlime._excerpts import SongStems
from otoscope.papers.b_maximisation._concepts import read_concepts, song_facts
from otoscope.papers.b_maximisation.unit_atlas import UnitAtlasConfig, unit_atlas, untrained
from otoscope.signal.audio.files import write_audio
from tests.support.reports import HOSTILE
from tests.support.tones import SR, stems

SOURCE = """
from collections import OrderedDict

import torch
from torch import nn

from otoscope.models import Listener
from tests.support.tones import detector


def make():
    weight = torch.zeros(4, 50, 8)
    weight[0, :, 6:], weight[1, :, 6:], weight[3, :, :2] = 1 / 100, -1 / 100, 1 / 100
    fc8, fc9 = nn.Linear(400, 4, bias=False), nn.Linear(4, 1)
    fc8.weight.data, fc9.weight.data = weight.flatten(1), torch.tensor([[1.0, 0.0, 0.0, 0.0]])
    fc9.bias.data[:] = 16.0
    layers = OrderedDict(flat=nn.Flatten(), fc8=fc8, fc9=fc9, probability=nn.Sigmoid())
    return Listener(
        nn.Sequential(layers), detector().front_end, patch_frames=50, output_names=["singing"]
    )
"""
N_SONGS = 14


def song(i: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Four seconds of two tones, of which the voice sounds in one or two."""
    voice, backing = stems(4.0, seed=i)
    first = int(np.random.default_rng(i).integers(3))
    sings = torch.zeros(len(voice))
    sings[first * SR : (first + 1 + i % 2) * SR] = 1
    return voice * sings, backing * (0.5 + 0.05 * ((5 * i) % 7))


@pytest.fixture(scope="module")
def places(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Songs with a manifest, one of a hostile name, and a model."""
    folder = tmp_path_factory.mktemp("atlas")
    (folder / "model.py").write_text(SOURCE)
    lines = []
    for i in range(N_SONGS):
        name = f"song-{i:02d}" if i else HOSTILE.replace("/", "_")
        place = folder / "songs" / name
        place.mkdir(parents=True)
        for stem, y in zip(("voice", "backing"), song(i), strict=True):
            write_audio(place / f"{stem}.wav", y, sr=SR)
        notes = [[0.0, 1.0, 60 + i, "a"]]
        record = {
            "key": name,
            "groove": "Ska" if i % 3 else "Folk",
            "soundfont": "",
            "notes": notes,
        }
        lines.append(json.dumps({**record, "others": ["lead"] * (i % 2), "tempo_bpm": 90 + i}))
    (folder / "songs" / "manifest.jsonl").write_text("\n".join(lines) + "\n")
    return {"model": f"{folder / 'model.py'}:make", "songs": folder / "songs"}


@pytest.fixture(scope="module")
def config(places: dict[str, Any]) -> UnitAtlasConfig:
    return UnitAtlasConfig(
        model=places["model"],
        tagger="none",
        prior="raw",
        songs=places["songs"],
        n_songs=N_SONGS,
        every=0.5,
        rates=(0.1, 0.01),
        penalties=(0.001,),
        iterations=(8,),
        seeds=3,
        permutations=1000,
        shuffles=3,
    )


@pytest.fixture(scope="module")
def atlas(
    config: UnitAtlasConfig, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, dict[str, Any]]:
    out = tmp_path_factory.mktemp("out") / "new"
    unit_atlas(config, out)
    return out, json.loads((out / "unit_atlas.json").read_text())


def test_units_that_are_the_voice_or_its_absence_get_its_name(
    atlas: tuple[Path, dict[str, Any]],
) -> None:
    _, record = atlas
    headline, names, every = record["tables"]
    assert [row[1] for row in every["rows"]][:3] == ["voice", "not voice", "—"]
    assert ["voice", "1"] in names["rows"]
    assert "measured by models, not by people" in headline["title"]
    trained, random, shuffled = headline["rows"]
    n_named = sum(row[1] != "—" for row in every["rows"])
    assert trained[1:4] == ["4", str(n_named), str(4 - n_named)]
    assert random[0] == "untrained network"
    assert shuffled[0] == "shuffled songs, mean of 3"
    assert max(record["named"]["shuffled"]) <= 1


def test_made_up_and_real_activations_are_those_of_the_unit(
    atlas: tuple[Path, dict[str, Any]], places: dict[str, Any]
) -> None:
    _, record = atlas
    model = models.load(places["model"])
    first = record["rows"][0]
    assert len(first["activation"]) == 3
    assert first["furthest"] == max(first["activation"])
    assert "example" not in first
    assert len({place["song"] for place in first["places"]}) == 3
    place = first["places"][0]
    order = [HOSTILE.replace("/", "_"), *(f"song-{i:02d}" for i in range(1, N_SONGS))]
    voice, backing = song(order.index(place["song"]))
    values = model.prepare(voice + backing)
    start = round(place["start"] * SR / 80)
    expected = model.tap("fc8")(values[start : start + 50][None, None])[0, 0].item()
    assert place["activation"] == pytest.approx(expected, abs=2e-3)
    dead = record["rows"][2]
    assert dead["flat"] == 3
    assert set(dead["activation"]) == {0.0}


def test_the_figure_and_the_page_are_written(atlas: tuple[Path, dict[str, Any]]) -> None:
    out, _ = atlas
    text = "".join(ET.parse(out / "unit_atlas.svg").getroot().itertext())
    assert "0: voice" in text
    page = (out / "unit_atlas.html").read_text()
    assert page.count('class="summary" id="unit-') == 4
    assert "Unit 1: not voice" in page
    assert "<script>alert" not in page
    assert page.count("<audio ") == 4 * 4
    assert not (out / "unit_atlas.jsonl").exists()


def test_an_interrupted_atlas_continues(
    config: UnitAtlasConfig, atlas: tuple[Path, dict[str, Any]], tmp_path: Path
) -> None:
    def interrupted(items: Sequence[Any], description: str) -> Iterable[Any]:
        for i, item in enumerate(items):
            if i == 2:
                raise KeyboardInterrupt
            yield item

    with pytest.raises(KeyboardInterrupt):
        unit_atlas(config, tmp_path, progress=interrupted)
    assert len((tmp_path / "unit_atlas.jsonl").read_text().splitlines()) == 3
    with pytest.raises(ParameterError, match="unfinished run with other settings"):
        unit_atlas(replace(config, seeds=4), tmp_path)
    unit_atlas(config, tmp_path)
    record = json.loads((tmp_path / "unit_atlas.json").read_text())
    for each in (record, record_of(atlas)):
        for row in each["rows"]:
            del row["seconds"]
    assert record["rows"] == record_of(atlas)["rows"]
    assert record["tables"] == record_of(atlas)["tables"]


def record_of(atlas: tuple[Path, dict[str, Any]]) -> dict[str, Any]:
    return atlas[1]


def test_concepts_are_those_of_stems_manifest_and_sound(places: dict[str, Any]) -> None:
    model = models.load(places["model"])
    names = sorted(p.name for p in places["songs"].iterdir() if p.is_dir())
    facts = song_facts(places["songs"], names)
    assert facts[names.index("song-03")] == {
        "lead instrument": True,
        "speech": False,
        "style Folk": True,
        "fast": False,
        "low melody": True,
    }
    assert song_facts(None, ["a"]) == [{}]
    made = [SongStems(str(i), *song(i)) for i in range(3)]
    numbers = [7] * 3  # excerpts of half a second, every half second
    table = read_concepts(made, numbers, model=model, hop=50, facts=facts[:3])
    voice = table.truths[:, table.names.index("voice")].reshape(3, 7)
    for i, row in enumerate(voice):
        first = int(np.random.default_rng(i).integers(3))
        expected = np.zeros(8, dtype=bool)
        expected[2 * first : 2 * (first + 1 + i % 2)] = True
        assert row.tolist() == expected[:7].tolist()
    bright = table.truths[:, table.names.index("bright")].reshape(3, 7)
    assert (voice <= bright).all()  # the voice is high


def test_a_tagger_adds_the_quarter_of_excerpts_that_have_a_tag_most(places: dict[str, Any]) -> None:
    model = models.load(places["model"])
    made = [SongStems(str(i), *song(i)) for i in range(4)]
    table = read_concepts(made, [7] * 4, model=model, hop=50, facts=[{}] * 4, tagger=model)
    tag = table.truths[:, table.names.index("tag singing")]
    assert 0 < tag.mean() <= 0.25
    voice = table.truths[:, table.names.index("voice")]
    assert (tag <= voice).all()


def test_an_untrained_copy_has_other_weights_and_the_model_its_own(places: dict[str, Any]) -> None:
    model = models.load(places["model"])
    before = {name: value.clone() for name, value in model.state_dict().items()}
    first, second, other = (untrained(model, seed) for seed in (0, 0, 1))
    x = torch.rand(2, 1, 50, 8)
    assert torch.equal(first.tap("fc8")(x), second.tap("fc8")(x))
    assert not torch.equal(first.tap("fc8")(x), other.tap("fc8")(x))
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())
    with pytest.raises(ParameterError, match="no untrained copy"):
        untrained(torch.nn.Flatten(), 0)


@pytest.mark.parametrize(
    ("settings", "match"),
    [
        ({"n_songs": 3}, "n_songs is 3, must be >= 4"),
        ({"seeds": 1}, "seeds is 1"),
        ({"shuffles": 0}, "shuffles 0"),
        ({"least_auc": 0.4}, "least_auc 0.4"),
    ],
)
def test_impossible_settings_are_refused(settings: dict[str, Any], match: str) -> None:
    with pytest.raises(ParameterError, match=match):
        UnitAtlasConfig(**settings)


def test_a_layer_that_does_not_exist_is_named_with_those_that_do(
    config: UnitAtlasConfig, tmp_path: Path
) -> None:
    with pytest.raises(ParameterError, match="fc8"):
        unit_atlas(replace(config, layer="fc88"), tmp_path)


def test_the_command_runs_a_small_atlas(places: dict[str, Any], tmp_path: Path) -> None:
    words = ["experiment", "unit-atlas", "--quick", "--model", places["model"], "--prior", "maco"]
    words += ["--songs", str(places["songs"]), "--every", "0.5", "--out", str(tmp_path)]
    result = CliRunner().invoke(app, words)
    assert result.exit_code == 0, result.output
    assert "Units that a concept names" in result.output
