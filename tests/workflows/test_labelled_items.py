"""Items and what is known of them: from folders, corpora, tables and features."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from otoscope.data import DanceRecipe, plan_dance, write_dance
from otoscope.errors import ParameterError
from otoscope.intervene import FeatureDilation
from otoscope.intervene.interrogation.items import Features
from otoscope.workflows.labelled_items import Columns, read_items

SR = 8000


def test_what_is_hidden_is_no_class(tmp_path: Path) -> None:
    """A repository's folder, and the files that a Mac leaves beside its own."""
    for label in ("high", "low", ".git"):
        (tmp_path / label).mkdir()
        for name in ("0.wav", "1.wav"):
            (tmp_path / label / name).touch()
    (tmp_path / "high" / "._0.wav").touch()
    assert read_items(tmp_path).labels == ("high", "high", "low", "low")


def test_no_class_is_without_sounds_and_no_sound_without_class(tmp_path: Path) -> None:
    for label in ("high", "low"):
        (tmp_path / label).mkdir()
        (tmp_path / label / "0.wav").touch()
    (tmp_path / "noise").mkdir()
    with pytest.raises(ParameterError, match="noise has no sound files, and each sub-folder is a"):
        read_items(tmp_path)
    labels = read_items(tmp_path, unlabelled=True).labels
    assert labels is None
    (tmp_path / "noise").rmdir()
    (tmp_path / "loose.wav").touch()
    with pytest.raises(ParameterError, match=r"loose.wav is in no sub-folder.*1 of 3 sounds"):
        read_items(tmp_path)


def test_a_dance_corpus_tells_style_artist_and_tempo(tmp_path: Path) -> None:
    recipe = DanceRecipe(styles=("Waltz", "Tango"), seconds=2.0, sr=SR, n_groups=2)
    write_dance(tmp_path / "dances", 12, recipe=recipe)
    items = read_items(tmp_path / "dances")
    clips = plan_dance(12, recipe=recipe)
    assert items.labels == tuple(clip.style for clip in clips)
    assert items.groups == tuple(clip.group for clip in clips)
    assert items.confound == tuple((clip.tempo_bpm,) for clip in clips)
    chosen = read_items(tmp_path / "dances", columns=Columns("timbre", ("meter", "tempo_bpm")))
    assert chosen.groups == tuple(clip.timbre for clip in clips)
    assert chosen.confound == tuple((float(clip.meter), clip.tempo_bpm) for clip in clips)
    with pytest.raises(ParameterError, match=r"has no column 'key'; it has .*tempo_bpm"):
        read_items(tmp_path / "dances", columns=Columns("key"))


def test_a_manifest_of_songs_tells_no_styles(tmp_path: Path) -> None:
    (tmp_path / "manifest.jsonl").write_text('{"key": "a", "file": "a.wav"}\n')
    with pytest.raises(ParameterError, match="has no styles; give labels="):
        read_items(tmp_path)


def test_features_that_are_none_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "features.npz"
    np.save(tmp_path / "bare.npy", np.zeros(3))
    for content in (b"no", b"", (tmp_path / "bare.npy").read_bytes()):
        path.write_bytes(content)
        with pytest.raises(ParameterError, match="cannot be read"):
            read_items(path)
    np.savez(path, features=np.zeros((2, 3)), dilation_percent=[0, 1], recording=["a"], label=["a"])
    with pytest.raises(ParameterError, match=r"must be \[dose, item, feature\] for 2 doses and 1"):
        read_items(tmp_path)


def test_a_table_chooses_among_features(tmp_path: Path) -> None:
    np.savez(
        tmp_path / "features.npz",
        features=np.arange(12.0).reshape(2, 3, 2),
        dilation_percent=[0, 4],
        recording=["a", "b", "c"],
        label=["x", "y", "x"],
    )
    table = tmp_path / "table.csv"
    for encoding in ("utf-8-sig", "utf-16", "utf-8"):
        table.write_bytes("file,label,group\r\nc,z,1\r\na,x,2\r\n".encode(encoding))
        items = read_items(tmp_path, table)
        assert (items.labels, items.groups) == (("z", "x"), ("1", "2"))
    assert isinstance(items.audio, Features)
    assert items.audio.names == ("c", "a")
    slower = [(FeatureDilation(dose, available=items.dilations), 0) for dose in (0, 4)]
    rows = [items.audio.rendered(i, slower, None).tolist() for i in (0, 1)]
    assert rows == [[[4, 5], [10, 11]], [[0, 1], [6, 7]]]
    assert items.dilations == (0.0, 4.0)
    table.write_text("file,label\nd,z\n")
    with pytest.raises(ParameterError, match="names d, which is not in"):
        read_items(tmp_path, table)
