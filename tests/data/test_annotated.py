"""Annotated songs of others: Jamendo's layout, our corpora, stems by the names of their files."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from otoscope.data import load_annotated, load_jamendo, load_stems, load_sung
from otoscope.errors import ParameterError
from otoscope.signal import write_audio


def sound(path: Path, value: float = 0.0, *, n: int = 80, sr: int = 8000) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    write_audio(path, torch.full((n,), value), sr=sr)
    return path


@pytest.fixture
def jamendo(tmp_path: Path) -> Path:
    for folder in ("audio", "filelists", "labels"):
        (tmp_path / folder).mkdir()
    for name in ("01 - A song", "b"):
        sound(tmp_path / "audio" / f"{name}.wav")
        (tmp_path / "labels" / f"{name}.lab").write_text(
            "0.00 1.5 nosing\n1.5 3.25 sing\n3.25 4 nosing\n\n4 5 sing\n"
        )
    (tmp_path / "filelists/test").write_text("b.wav\n01 - A song.wav\n\n")
    return tmp_path


def test_jamendo_is_read_in_the_order_of_its_list(jamendo: Path) -> None:
    songs = load_jamendo(jamendo, "test")
    assert [song.name for song in songs] == ["b", "01 - A song"]
    assert songs[1].path == jamendo / "audio/01 - A song.wav"
    assert songs[0].sung == ((1.5, 3.25), (4.0, 5.0))
    assert load_annotated(jamendo) == songs


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_jamendo_may_have_been_edited_on_windows(jamendo: Path, encoding: str) -> None:
    songs = load_jamendo(jamendo, "test")
    for file in (jamendo / "filelists/test", jamendo / "labels/b.lab"):
        file.write_bytes(file.read_text().replace("\n", "\r\n").encode(encoding))
    assert load_jamendo(jamendo, "test") == songs


@pytest.mark.parametrize(
    "line", ["1.0 sing", "0 1 singing", "x 1 sing", "2 1 sing", "nan 1 sing", "0 inf sing"]
)
def test_a_label_that_is_none_is_named_with_its_line(jamendo: Path, line: str) -> None:
    (jamendo / "labels/b.lab").write_text(f"0 0.5 nosing\n{line}\n")
    with pytest.raises(ParameterError, match=rf"b\.lab, line 2: '{line}'"):
        load_jamendo(jamendo, "test")


def test_what_jamendo_lacks_is_named(jamendo: Path) -> None:
    with pytest.raises(ParameterError, match="split is 'dev', must be one of train, valid, test"):
        load_jamendo(jamendo, "dev")
    with pytest.raises(ParameterError, match=r"filelists.train is not there"):
        load_jamendo(jamendo, "train")
    (jamendo / "labels/b.lab").unlink()
    with pytest.raises(ParameterError, match=r"lists what is not there: .*b\.lab"):
        load_jamendo(jamendo, "test")
    (jamendo / "filelists/test").write_text("\n")
    with pytest.raises(ParameterError, match="lists no file"):
        load_jamendo(jamendo, "test")


def test_a_folder_of_neither_kind_says_what_was_looked_for(tmp_path: Path) -> None:
    with pytest.raises(ParameterError, match=r"neither manifest\.jsonl .* nor filelists"):
        load_annotated(tmp_path)


def test_a_corpus_is_its_mixes_and_intervals(tmp_path: Path) -> None:
    record = {"key": "song-0", "files": {"mix": "0/mix.wav"}, "sung": [[1, 2.5]]}
    manifest = tmp_path / "manifest.jsonl"
    manifest.write_text(json.dumps(record) + "\n")
    (song,) = load_annotated(tmp_path)
    assert (song.name, song.path, song.sung) == ("song-0", tmp_path / "0/mix.wav", ((1.0, 2.5),))
    manifest.write_text(json.dumps({"key": "song-0", "files": {}}) + "\n")
    with pytest.raises(ParameterError, match="song-0 has no mix and sung intervals"):
        load_sung(tmp_path)
    manifest.write_text("")
    with pytest.raises(ParameterError, match="has no songs"):
        load_sung(tmp_path)


def test_stems_go_by_their_roles_whatever_the_data_set(tmp_path: Path) -> None:
    for name, value in (("vocals", 0.5), ("drums", 0.125), ("bass", 0.25), ("mixture", 0.9)):
        sound(tmp_path / "musdb/A song" / f"{name}.wav", value)
    for name, value in (("source-01", 0.25), ("source-02", -0.5), ("mix", 0.9)):
        sound(tmp_path / "ccmixter/B" / f"{name}.wav", value)
    sound(tmp_path / "other/no stem.wav")
    ccmixter, musdb = load_stems(tmp_path)
    assert (ccmixter.name, musdb.name) == ("B", "A song")
    assert [path.name for path in musdb.backing] == ["bass.wav", "drums.wav"]
    voice, backing, sr = musdb.read()
    np.testing.assert_allclose([voice.mean(), backing.mean()], [0.5, 0.375], atol=1e-4)
    assert (len(voice), sr) == (80, 8000)
    assert ccmixter.read()[0].mean().item() == pytest.approx(-0.5, abs=1e-4)
    assert [len(y) for y in musdb.read(sr=16000)[:2]] == [160, 160]


def test_stems_of_other_lengths_or_rates_are_named(tmp_path: Path) -> None:
    sound(tmp_path / "vocals.wav")
    sound(tmp_path / "other.wav", n=81)
    with pytest.raises(ParameterError, match=r"differ in samples: vocals\.wav 80, other\.wav 81"):
        load_stems(tmp_path)[0].read()
    sound(tmp_path / "other.wav", sr=16000)
    with pytest.raises(ParameterError, match=r"differ in Hz: vocals\.wav 8000, other\.wav 16000"):
        load_stems(tmp_path)[0].read()


def test_folders_without_roles_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ParameterError, match="no folder of a song with a stem vocals"):
        load_stems(tmp_path)
    sound(tmp_path / "vocals.wav")
    with pytest.raises(ParameterError, match=r"1 voices \(vocals\.wav\) and 0 other stems"):
        load_stems(tmp_path)
    sound(tmp_path / "voice.wav")
    with pytest.raises(ParameterError, match="has 2 voices"):
        load_stems(tmp_path)
