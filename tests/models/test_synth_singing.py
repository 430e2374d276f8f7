"""Detector in the package: small, complete, and correct on songs."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.metrics import roc_auc_score

import otoscope.models
from otoscope.data.singing import synthesise
from otoscope.data.songs import sample, sample_names
from otoscope.data.synthesis.song import SungInterval, frame_truth
from otoscope.models import Listener, load, read_card, timeline
from otoscope.signal.audio.files import read_audio

BUNDLE = Path(otoscope.models.__file__).parent / "bundles" / "synth-singing"


@pytest.fixture(scope="module")
def model() -> Listener:
    loaded: Listener = load("synth-singing")
    return loaded


def auc(model: Listener, y: torch.Tensor, sung: tuple[SungInterval, ...]) -> float:
    """Compute more than ten outputs per second, each for the centre of an excerpt."""
    line = timeline(model, y, hop=7, padded=True)
    return float(roc_auc_score(frame_truth(sung, len(line.outputs), 10.0), line.outputs[:, 0]))


def test_both_files_are_below_a_megabyte_and_have_a_card() -> None:
    files = list(BUNDLE.parent.glob(f"{BUNDLE.name}.*"))
    assert len(files) == 2
    assert sum(file.stat().st_size for file in files) < 1_000_000
    card = read_card(BUNDLE)
    assert card["licence"] == "Apache-2.0"
    assert "synthesiser" in card["trained on"]
    assert "limits" in card


def test_it_finds_singing_in_songs_it_was_not_trained_on(model: Listener) -> None:
    songs = [synthesise(seed, snr_db=6.0) for seed in range(1000, 1004)]
    areas = [auc(model, torch.from_numpy(song.mix), song.sung) for song in songs]
    assert np.mean(areas) > 0.9


@pytest.mark.parametrize("name", sample_names())
def test_it_finds_singing_in_the_samples_of_the_package(model: Listener, name: str) -> None:
    y, _ = read_audio(sample(name).path, sr=model.sample_rate)
    assert auc(model, y, sample(name).sung) > 0.85


def test_silence_is_not_singing(model: Listener) -> None:
    silence = model.domain.floor.expand(1, 1, model.patch_frames, -1)
    assert model(silence).item() < 0.5
