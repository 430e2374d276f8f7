"""Generated concepts differ in what they are named by; a network that holds one is told so."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from otoscope.cli.app import app
from otoscope.data.concept_pairs import ConceptPair
from otoscope.data.concepts import load_concept_caps
from otoscope.data.synthesis import mma, sinsy
from otoscope.errors import ParameterError
from otoscope.signal import write_audio
from otoscope.workflows.concepts import ConceptsConfig, find_concepts

SR = 8000
MODEL = """
import torch
from torch import nn
from otoscope.models import WaveformListener

class Level(nn.Module):
    # units: level, its opposite, and four that hear the first samples
    def __init__(self):
        super().__init__()
        self.units = nn.Identity()
        self.end = nn.Linear(6, 1)
        with torch.no_grad():
            self.end.weight.copy_(torch.tensor([[1.0, 0, 0, 0, 0, 0]]))
    def forward(self, x):
        y = x.reshape(len(x), -1)
        level = y.square().mean(1, keepdim=True).clamp(min=1e-9).log10()
        units = self.units(torch.cat([level, -level, y[:, 1000:1004]], 1))
        return self.end(units).sigmoid()

def make():
    return WaveformListener(Level(), sample_rate=8000, seconds=2.0, output_names=["loud"])
"""


def test_a_network_of_level_holds_level_and_uses_it(tmp_path: Path) -> None:
    (tmp_path / "m.py").write_text(MODEL)
    words = f"concepts --model {tmp_path / 'm.py'}:make --layer units --n 8 --n-splits 3"
    words += f" --n-placebos 99 --concept level --concept brightness --html {tmp_path / 'c.html'}"
    run = CliRunner().invoke(app, [*words.split(), "--json"])
    assert run.exit_code == 0, run.output
    page = (tmp_path / "c.html").read_text()
    assert "units holds level (1 of 2 concepts). 1 of 2 sensitivities of outputs is beyond" in page
    assert "loud rises along level in network.units: sensitivity" in page
    (layer,) = json.loads(run.stdout)["layers"]
    level, bright = layer["held"]
    assert level["accuracy"]["value"] == 1
    assert level["p_holm"] < 0.05 < bright["p_holm"]
    (of_level, of_bright) = layer["outputs"]
    assert of_level["score"]["value"] == 1
    assert of_level["sensitivity"]["value"] > 0.6  # of two units of one size, one is used
    assert of_level["p"] < 0.03 < of_bright["p"]
    assert of_level["p_random_holm"] < 0.05
    assert layer["cosines"][0][0] == pytest.approx(1)
    assert ", of random sets " in page


def made_of_fonts(_: str, n: int, *, sr: int, soundfonts: Any, **__: object) -> list[ConceptPair]:
    """Pairs of noise that differ in level by 12 dB, of SoundFonts in turn."""
    sounds = np.random.default_rng(0).standard_normal((n, 5 * sr)).astype(np.float32)
    return [
        ConceptPair(0.4 * y, 0.1 * y, Path(soundfonts[i % len(soundfonts)]).stem)
        for i, y in enumerate(sounds)
    ]


def test_soundfonts_make_the_concepts_and_are_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "m.py").write_text(MODEL)
    digests = {"one.sf2": "aa", "two.sf2": "bb", "copy.sf2": "aa"}
    monkeypatch.setattr(sinsy, "versions", lambda: {"pysinsy": "1"})
    monkeypatch.setattr(
        mma, "versions", lambda *fonts: {"soundfont_sha256": " ".join(digests[f] for f in fonts)}
    )
    monkeypatch.setattr("otoscope.workflows.concepts.sounds.render_concept", made_of_fonts)
    noise = np.random.default_rng(1).standard_normal((8, 5 * SR)).astype(np.float32)
    monkeypatch.setattr(
        "otoscope.workflows.concepts.sounds.render_songs",
        lambda *_, soundfonts, **__: list(noise) if soundfonts else [],
    )
    words = f"concepts --model {tmp_path / 'm.py'}:make --layer units --n 8 --n-placebos 99"
    words += " --concept level --json --soundfont one.sf2"
    run = CliRunner().invoke(app, [*words.split(), "--soundfont", "two.sf2"])
    assert run.exit_code == 0, run.output
    found = json.loads(run.stdout)
    assert found["tools"] == {"pysinsy": "1", "soundfont_sha256": "aa bb"}
    (level,) = found["layers"][0]["held"]
    assert level["accuracy"]["value"] == 1  # trained on one SoundFont, tested on the other
    alone = CliRunner().invoke(app, words.split())
    assert alone.exit_code == 2
    assert "soundfonts names one.sf2 alone; need two or more" in " ".join(alone.stderr.split())
    fonts = ("one.sf2", "two.sf2", "copy.sf2")
    with pytest.raises(ParameterError, match=r"one.sf2 and copy.sf2, which are equal; training"):
        find_concepts(ConceptsConfig(f"{tmp_path / 'm.py'}:make", ("units",), soundfonts=fonts))
    with pytest.raises(ParameterError, match="neither concepts nor inputs are generated"):
        ConceptsConfig("m", concepts=("folder",), inputs=tmp_path, soundfonts=fonts)
    with pytest.raises(ParameterError, match=r"soundfonts names 'one.sf2' twice"):
        ConceptsConfig("m", soundfonts=("one.sf2", "one.sf2"))


def test_folders_are_concepts_and_bad_ones_are_named(tmp_path: Path) -> None:
    (tmp_path / "m.py").write_text(MODEL)
    model = f"{tmp_path / 'm.py'}:make"
    for side, level in (("positive", 0.5), ("negative", 0.05)):
        (tmp_path / "loud" / side).mkdir(parents=True)
        for i in range(6):
            y = level * torch.rand(3 * SR, generator=torch.Generator().manual_seed(i))
            write_audio(tmp_path / "loud" / side / f"{i}.wav", y, sr=SR)
    config = ConceptsConfig(
        model, ("units",), (str(tmp_path / "loud"),), n=8, n_splits=2, n_placebos=19
    )
    (held,) = find_concepts(config).layers[0].held
    assert held.concept == "loud"
    assert held.accuracy.value > 0.9
    with pytest.raises(ParameterError, match="concept 'hum' is none of tempo, voice"):
        find_concepts(ConceptsConfig(model, ("units",), ("hum",), n=8))
    with pytest.raises(ParameterError, match="no layer 'fc'"):
        find_concepts(ConceptsConfig(model, ("fc",), ("level",), n=8))
    with pytest.raises(ParameterError, match="n is 3, must be >= 8"):
        ConceptsConfig(model, n=3)
    with pytest.raises(ParameterError, match="concepts names 'level' twice"):
        ConceptsConfig(model, concepts=("level", "level"))


COLUMNS = ("genre_aspects", "mood_aspects", "instrument_aspects", "tempo_aspects")
TAGS: dict[str, tuple[list[str], ...]] = {
    "a": (["rock"], ["happy"], ["piano", "drums, loud"], ["fast"]),
    "b": (["jazz"], ["sad"], ["guitar"], ["slow"]),
    "c": (["jazz"], ["sad"], ["piano"], ["slow"]),
    "d": (["jazz"], ["sad"], [], ["slow"]),
}


@pytest.mark.parametrize("table", ["metadata.csv", "metadata.jsonl"])
def test_concept_caps_are_the_files_with_and_without_a_tag(tmp_path: Path, table: str) -> None:
    """The columns of the dataset card: https://huggingface.co/datasets/bsienkiewicz/ConceptCaps."""
    rows = [
        {"file_name": f"{name}.wav", **dict(zip(COLUMNS, tags, strict=True))}
        for name, tags in TAGS.items()
    ]
    for name in TAGS:
        write_audio(tmp_path / f"{name}.wav", torch.zeros(8), sr=SR)
    with (tmp_path / table).open("w", newline="") as file:
        if table.endswith(".csv"):
            writer = csv.DictWriter(file, rows[0])
            writer.writeheader()
            writer.writerows(rows)  # lists as Python writes them
        else:
            file.writelines(json.dumps(row) + "\n" for row in rows)
    sounds = load_concept_caps(tmp_path, "piano", table=table)
    assert [file.name for file in sounds.positive] == ["a.wav", "c.wav"]
    assert [file.name for file in sounds.negative] == ["b.wav"]  # d has no instruments at all
    with pytest.raises(ParameterError, match="no sound with the tag 'tuba'"):
        load_concept_caps(tmp_path, "tuba", table=table)
    with pytest.raises(ParameterError, match="has no column 'style'"):
        load_concept_caps(tmp_path, "piano", table=table, tag_columns=("style",))
    (tmp_path / "b.wav").unlink()
    with pytest.raises(ParameterError, match=r"b.wav, which is not there \(1 of 4\)"):
        load_concept_caps(tmp_path, "piano", table=table)


def test_tags_between_commas_are_read_and_broken_tables_are_named(tmp_path: Path) -> None:
    for name in "ab":
        write_audio(tmp_path / f"{name}.wav", torch.zeros(8), sr=SR)
    table = tmp_path / "metadata.csv"
    table.write_text('file_name,tags\na.wav,"piano, drums"\nb.wav,guitar\n')
    sounds = load_concept_caps(tmp_path, "drums", tag_columns=("tags",))
    assert [file.name for file in sounds.positive] == ["a.wav"]
    table.write_text("file_name,tags\na.wav,['piano'\n")
    with pytest.raises(ParameterError, match=r"has the tags \"\['piano'\", which are no list"):
        load_concept_caps(tmp_path, "piano", tag_columns=("tags",))
    (tmp_path / "t.jsonl").write_text("{]\n")
    with pytest.raises(ParameterError, match="is not a table of JSON Lines"):
        load_concept_caps(tmp_path, "piano", table="t.jsonl")
