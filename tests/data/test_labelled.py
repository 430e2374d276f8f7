"""Labelled sounds: folders of our corpora, GTZAN and LMD; what is missing is said."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from otoscope.data import (
    GenreRecipe,
    LabelledSound,
    load_genre_folders,
    load_genres,
    load_gtzan,
    load_lmd,
    write_genres,
)
from otoscope.errors import ParameterError
from tests.support.gtzan import GTZAN


def files(root: Path, *names: str) -> Path:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(b"")
    return root


def gtzan(root: Path, n: int = 2, suffix: str = "wav") -> Path:
    return files(root, *(f"genres/{g}/{g}.{i:05d}.{suffix}" for g in GTZAN for i in range(n)))


def test_our_corpus_has_labels_and_artists(tmp_path: Path) -> None:
    recipe = GenreRecipe(("jazz", "rock"), n_groups=2, seconds=4.0, sr=8000)
    write_genres(tmp_path, 4, recipe=recipe)
    sounds = load_genres(tmp_path)
    assert [(sound.label, sound.group) for sound in sounds] == [
        ("jazz", "jazz-0"),
        ("rock", "rock-0"),
        ("jazz", "jazz-1"),
        ("rock", "rock-1"),
    ]
    sounds[1].path.unlink()
    with pytest.raises(ParameterError, match=r"names .*rock.00000.wav, which is not there \(1 of"):
        load_genres(tmp_path)


@pytest.mark.parametrize("suffix", ["wav", "au"])
def test_gtzan_is_found_by_its_folders(suffix: str, tmp_path: Path) -> None:
    folder = gtzan(tmp_path, suffix=suffix)
    sounds = load_genres(folder)
    assert sounds == load_gtzan(folder) == load_gtzan(folder / "genres")
    assert len(sounds) == 20
    assert sounds[2] == LabelledSound(
        "classical/classical.00000",
        folder / f"genres/classical/classical.00000.{suffix}",
        "classical",
        "classical/classical.00000",
    )


def test_what_gtzan_lacks_is_named(tmp_path: Path) -> None:
    folder = gtzan(tmp_path)
    for path in (folder / "genres/metal").iterdir():
        path.unlink()
    (folder / "genres/metal").rmdir()
    with pytest.raises(ParameterError, match="has no folder metal; GTZAN has blues"):
        load_gtzan(folder)


def test_artists_of_lmd_are_read_from_the_names(tmp_path: Path) -> None:
    files(tmp_path, "tango/Carlos Gardel - A.mp3", "tango/carlos gardel - B.mp3", "axe/X - Y.mp3")
    groups = [sound.group for sound in load_lmd(tmp_path)]
    assert groups == ["x", "carlos gardel", "carlos gardel"]
    assert load_genres(tmp_path) == load_lmd(tmp_path)
    files(tmp_path, "axe/track 1.mp3")
    assert load_genres(tmp_path) == load_genre_folders(tmp_path)


def test_names_without_artists_are_refused(tmp_path: Path) -> None:
    files(tmp_path, "tango/a.mp3", "axe/b.mp3")
    with pytest.raises(ParameterError, match='no file is named "ARTIST - TITLE"'):
        load_lmd(tmp_path)
    assert [sound.label for sound in load_genre_folders(tmp_path)] == ["axe", "tango"]


def test_a_folder_of_one_label_is_refused(tmp_path: Path) -> None:
    files(tmp_path, "tango/a.mp3", "notes/readme.txt")
    with pytest.raises(ParameterError, match=r"holds 1 folders with sounds .*two at least"):
        load_genres(tmp_path)
    with pytest.raises(ParameterError, match="is not a folder"):
        load_genre_folders(tmp_path / "nowhere")


def test_a_manifest_of_something_else_is_refused(tmp_path: Path) -> None:
    (tmp_path / "manifest.jsonl").write_text('{"key": "a", "file": "a.wav"}\n')
    with pytest.raises(ParameterError, match=r"names no genres; otoscope corpus genres"):
        load_genres(tmp_path)


@pytest.mark.parametrize(
    ("place", "value"),
    [("key", 5), ("key", [1]), ("file", None), ("file", 5), ("clip", {"style": 5, "group": "a"}),
     ("clip", {"style": "Waltz"}), ("clip", {"genre": "jazz", "group": [1]})],
)  # fmt: skip
def test_a_manifest_of_other_types_is_one_error(place: str, value: object, tmp_path: Path) -> None:
    record = {"key": "a", "file": "a.wav", "clip": {"style": "Waltz", "group": "1"}, place: value}
    (tmp_path / "manifest.jsonl").write_text(json.dumps(record) + "\n")
    (tmp_path / "a.wav").touch()
    with pytest.raises(ParameterError, match="a record"):
        load_genres(tmp_path)


def test_ballroom_is_grouped_by_album_and_its_rumbas_are_one(tmp_path: Path) -> None:
    for name in ("Rumba-American/Albums-Fire-01", "Rumba-Misc/Media-1", "Jive/Albums-Fire-02"):
        path = tmp_path / "BallroomData" / f"{name}.wav"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    sounds = load_genres(tmp_path)
    assert [(sound.label, sound.group) for sound in sounds] == [
        ("Jive", "Albums-Fire"),
        ("Rumba", "Albums-Fire"),
        ("Rumba", "Rumba/Media-1"),
    ]


def test_extended_ballroom_has_ballrooms_names_and_its_artists(tmp_path: Path) -> None:
    listing = tmp_path / "extendedballroom_v1.1.xml"
    listing.write_text(
        "<Root><Chacha><song id='7' artist='Ann'/><song id='9'/></Chacha>"
        "<Foxtrot><song id='7' artist='ann '/></Foxtrot></Root>"
    )
    with pytest.raises(ParameterError, match="3 are missing: looked for Chacha/7, Chacha/9"):
        load_genres(tmp_path)
    for name in ("Chacha/7.mp3", "Chacha/9.mp3", "Foxtrot/7.mp3"):
        path = tmp_path / "sounds" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    assert [(s.name, s.label, s.group) for s in load_genres(tmp_path)] == [
        ("ChaChaCha/7", "ChaChaCha", "ann"),
        ("ChaChaCha/9", "ChaChaCha", "ChaChaCha/9"),
        ("Foxtrot/7", "Foxtrot", "ann"),
    ]
    listing.write_text("<Root")
    with pytest.raises(ParameterError, match="is not a listing"):
        load_genres(tmp_path)
    listing.write_text("<!DOCTYPE a [<!ENTITY b 'c'>]><Root/>")
    with pytest.raises(ParameterError, match="declares entities"):
        load_genres(tmp_path)
