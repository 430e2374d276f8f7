"""otoscope contents: on sounds, on stems, and what is wrong with them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from typer.testing import CliRunner

from otoscope.cli.app import app
from otoscope.errors import ParameterError
from otoscope.signal.audio.files import write_audio
from otoscope.workflows import ContentsConfig, choose_contents
from tests.support.tones import SR, stems, write_detector, write_songs

FAST: dict[str, Any] = {"contents": "min_inp,zero,mean_inp", "changes": 0, "n": 2}


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> str:
    return write_detector(tmp_path_factory.mktemp("model"))


def test_command_chooses_by_stems(model: str, tmp_path: Path) -> None:
    songs = write_songs(tmp_path / "songs", 7)
    arguments = ["--stems", str(songs), "--model", model, "--contents", "min_inp,zero"]
    numbers = ["--n", "1", "--n-mixes", "1", "--skip", "10", "--changes", "0"]
    path = tmp_path / "choice.json"
    result = CliRunner().invoke(app, ["contents", *arguments, *numbers, "--json", str(path)])
    assert result.exit_code == 0, result.output
    assert "min_inp is clearly best on 7 excerpts of 7 songs" in " ".join(result.output.split())
    content = json.loads(path.read_text())
    assert content["best"] == "min_inp"
    assert content["notes"][0] == "7 of 7 mixes reach 0.5"
    assert content["rankings"][0]["criterion"] == "truth"


def test_sounds_need_no_labels(model: str, tmp_path: Path) -> None:
    for i in range(4):
        voice, backing = stems(seed=i)
        write_audio(tmp_path / f"{i}.wav", voice + backing, sr=SR)
    write_audio(tmp_path / "short.wav", torch.zeros(800), sr=SR)
    config = ContentsConfig((tmp_path,), model, layer="network", **FAST)
    with pytest.raises(ParameterError, match="no layer 'network'"):
        choose_contents(config)
    result = choose_contents(ContentsConfig((tmp_path,), model, **FAST))
    assert [r.criterion for r in result.choice.rankings] == ["faithfulness", "road"]
    assert (result.choice.n_songs, result.choice.n_excerpts) == (4, 8)
    assert "closeness to real inputs is not measured" in "".join(result.notes)
    assert any("short.wav is skipped" in note for note in result.notes)


def test_excerpts_do_not_overlap_and_are_the_highest(model: str, tmp_path: Path) -> None:
    from otoscope.models import Timeline
    from otoscope.workflows.contents.excerpts import apart

    outputs = [0.1, 0.9, 0.8, 0.2, 0.7]
    curve = Timeline(torch.arange(5.0), torch.tensor(outputs)[:, None], duration=2.0)
    assert apart(outputs, curve, 2) == [1, 4]
    assert apart(outputs, curve, 9) == [1, 4]


def test_low_outputs_are_noted(tmp_path: Path) -> None:
    deaf = write_detector(tmp_path, "bias=0.0")
    write_audio(tmp_path / "a.wav", stems()[1], sr=SR)
    result = choose_contents(ContentsConfig((tmp_path / "a.wav",), deaf, **FAST))
    assert any("have an output below 0.5" in note for note in result.notes)
    assert not result.choice.is_clear


def test_stems_that_are_never_heard_are_refused(tmp_path: Path) -> None:
    deaf = write_detector(tmp_path, "bias=13.0")
    songs = write_songs(tmp_path / "songs", 1)
    with pytest.raises(ParameterError, match=r"none of 8 mixes with 0.5 or more: the highest"):
        choose_contents(ContentsConfig((), deaf, stems=songs, skip=10, **FAST))


def test_stems_of_other_lengths_are_refused(model: str, tmp_path: Path) -> None:
    songs = write_songs(tmp_path / "songs", 1)
    write_audio(songs / "song-0" / "voice.wav", stems(1.5)[0], sr=SR)
    with pytest.raises(ParameterError, match=r"differ in samples: voice.wav 12000, backing.wav"):
        choose_contents(ContentsConfig((), model, stems=songs, skip=10, **FAST))
    write_audio(songs / "song-0" / "voice.wav", stems()[0], sr=2 * SR)
    with pytest.raises(ParameterError, match=r"differ in Hz: voice.wav 16000"):
        choose_contents(ContentsConfig((), model, stems=songs, skip=10, **FAST))


@pytest.mark.parametrize("sounds", [(), (Path("a.wav"),)])
def test_sounds_or_stems_are_needed(sounds: tuple[Path, ...]) -> None:
    stems_too = Path("songs") if sounds else None
    with pytest.raises(ParameterError, match="either sounds or stems"):
        ContentsConfig(sounds, "m", stems=stems_too)
