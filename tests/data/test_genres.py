"""The corpus of genres: its truth, its level, artists that sound alike, and genres that do not."""

from __future__ import annotations

import json
import shutil
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import scipy
from typer.testing import CliRunner

from otoscope import records
from otoscope.cli.app import app
from otoscope.data import GenreRecipe, plan_genres, render_genre, write_genres
from otoscope.data.synthesis import mma
from otoscope.data.synthesis.genres import GENRES
from otoscope.errors import MissingExtra, ParameterError
from otoscope.workflows.labelled_items import read_items

SHORT = GenreRecipe(seconds=4.0, sr=8000)


def spectrum(y: np.ndarray) -> np.ndarray:
    """Return the long-term spectrum of a sound at 8 kHz, in dB, in bands of 125 Hz."""
    _, power = scipy.signal.welch(y, 8000, nperseg=64)
    return np.asarray(10 * np.log10(power + 1e-12))


def test_clips_are_balanced_and_named_as_gtzans() -> None:
    clips = plan_genres(160)
    assert Counter(clip.genre for clip in clips) == dict.fromkeys(GENRES, 16)
    assert {n for n in Counter(clip.group for clip in clips).values()} == {2}
    assert clips[13].name == f"{clips[13].genre}/{clips[13].genre}.00001"
    assert {clip.group.split("-")[0] == clip.genre for clip in clips} == {True}


def test_a_clip_depends_on_its_plan_alone() -> None:
    first, again = plan_genres(12, 3)[11], plan_genres(30, 3)[11]
    assert first == again
    assert np.array_equal(render_genre(first, SHORT), render_genre(again, SHORT))
    assert not np.array_equal(
        render_genre(first, SHORT), render_genre(plan_genres(12, 4)[11], SHORT)
    )


@pytest.mark.parametrize("genre", GENRES)
def test_every_genre_has_the_common_level_and_its_length(genre: str) -> None:
    recipe = replace(SHORT, genres=(genre,))
    y = render_genre(plan_genres(1, recipe=recipe)[0], recipe)
    assert y.shape == (32000,)
    assert y.dtype == np.float32
    assert np.sqrt(np.mean(y.astype(float) ** 2)) == pytest.approx(0.05, rel=1e-4)
    assert np.abs(y).max() < 1


def test_artists_sound_more_alike_than_genres_do() -> None:
    """Mean spectra of clips: within an artist they are nearer than between genres."""
    recipe = replace(SHORT, genres=("hymn", "rock", "jazz"), n_groups=2)
    clips = plan_genres(24, recipe=recipe)
    spectra = np.stack([spectrum(render_genre(clip, recipe)) for clip in clips])
    distance = np.abs(spectra[:, None] - spectra[None]).mean(2)
    groups = np.array([clip.group for clip in clips])
    genres = np.array([clip.genre for clip in clips])
    same = (groups[:, None] == groups[None]) & ~np.eye(len(clips), dtype=bool)
    other = genres[:, None] != genres[None]
    assert distance[same].mean() < 0.7 * distance[other].mean()


def test_the_manifest_tells_the_truth_and_the_corpus_goes_on(tmp_path: Path) -> None:
    manifest = write_genres(tmp_path, 2, recipe=SHORT)
    first = (tmp_path / "blues/blues.00000.wav").read_bytes()
    write_genres(tmp_path, 3, recipe=SHORT)
    rows = records.read(manifest)
    assert [row["clip"]["genre"] for row in rows] == ["blues", "country", "disco"]
    assert (tmp_path / "blues/blues.00000.wav").read_bytes() == first
    with pytest.raises(ParameterError, match="name another folder"):
        write_genres(tmp_path, 3, seed=1, recipe=SHORT)


def test_an_interrogation_reads_genres_and_artists(tmp_path: Path) -> None:
    write_genres(tmp_path, 2, recipe=SHORT)
    items = read_items(tmp_path)
    assert (items.labels, items.groups) == (("blues", "country"), ("blues-0", "country-0"))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"genres": ("polka",)}, "genres are .*polka.*: need one or more of blues"),
        ({"genres": ()}, r"genres are \(\)"),
        ({"n_groups": 0}, "n_groups is 0"),
        ({"seconds": 3.0}, "seconds 3.0"),
        ({"band": "piano"}, "band is 'piano', must be 'synth' or 'mma'"),
        ({"timbres": ("a.sf2",)}, "SoundFont files, one at least, of band 'mma'"),
    ],
)
def test_impossible_recipes_are_refused(changes: dict[str, object], message: str) -> None:
    with pytest.raises(ParameterError, match=message):
        GenreRecipe(**changes)  # type: ignore[arg-type]


def test_a_missing_tool_is_named_before_anything_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "which", lambda name: None)
    with pytest.raises(MissingExtra, match="mma is not installed"):
        write_genres(tmp_path / "new", 1, recipe=GenreRecipe(band="mma"))
    assert not (tmp_path / "new").exists()


def test_mma_plays_every_groove() -> None:
    try:
        mma.versions(mma.SOUNDFONT)
    except MissingExtra as err:
        pytest.skip(f"extra tools: {err}")
    recipe = GenreRecipe(band="mma", timbres=(mma.SOUNDFONT,), seconds=4.0)
    clips = plan_genres(10, recipe=recipe)
    for clip in clips:
        y = render_genre(clip, recipe)
        assert np.array_equal(y, render_genre(clip, recipe))
        assert np.sqrt(np.mean(y.astype(float) ** 2)) == pytest.approx(0.05, rel=1e-4)


def test_the_command_writes_a_corpus(tmp_path: Path) -> None:
    arguments = ["corpus", "genres", "--out", str(tmp_path / "music"), "--n", "2"]
    result = CliRunner().invoke(app, [*arguments, "--seconds", "4", "--json"])
    assert result.exit_code == 0, result.stderr
    content = json.loads(result.stdout)
    assert content["format"] == "otoscope.GenreCorpus/1"
    assert len(records.read(Path(content["manifest"]))) == 2
    again = CliRunner().invoke(app, [*arguments, "--seconds", "4"])
    assert "2 clips; ground truth: " in again.stdout
    said = " ".join(again.stderr.split())
    assert "no clip of 8 of the 10 genres (disco, folk, " in said
    assert "--n 10 makes one of each, --n 30 the three" in said
