"""Full-size detector in the package: complete, described, and better than the small one."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
import torch

import otoscope.models
from otoscope.data.songs import sample, sample_names
from otoscope.data.synthesis.song import frame_truth
from otoscope.metrics.singing import singing_scores, smooth
from otoscope.models import Listener, SVDNet, load, read_card, timeline
from otoscope.signal import svd2015
from otoscope.signal.audio.files import read_audio

BUNDLE = Path(otoscope.models.__file__).parent / "bundles" / "svdnet-synth"


@pytest.fixture(scope="module")
def model() -> Listener:
    loaded: Listener = load("svdnet-synth")
    return loaded


def percent(text: str) -> float:
    number = re.match(r"([\d.]+) %", text)
    assert number is not None, text
    return float(number[1])


def test_it_is_the_papers_network_with_its_front_end(model: Listener) -> None:
    assert isinstance(model.network, SVDNet)
    assert sum(p.numel() for p in model.network.parameters()) == 1_408_225
    assert all(p.dtype == torch.float32 for p in model.network.parameters())
    assert model.front_end == svd2015()
    assert (model.patch_frames, model.output_names) == (115, ("singing",))


def test_both_files_are_below_three_megabytes() -> None:
    files = list(BUNDLE.parent.glob(f"{BUNDLE.name}.*"))
    assert len(files) == 2
    assert sum(file.stat().st_size for file in files) < 3_000_000


def test_card_says_what_was_measured_and_on_what() -> None:
    card = read_card(BUNDLE)
    assert card["licence"] == "Apache-2.0"
    assert "NIT SONG070 F001" in card["trained on"]
    error, small = card["frame error"], card["frame error of synth-singing, same songs"]
    assert percent(error) < percent(small)
    songs = re.match(r"(\d+) songs", card["tested on"])
    assert songs is not None
    assert int(songs[1]) >= 40
    assert "no recorded singing" in card["limits"]
    assert "false alarms per minute without voice" in card


@pytest.mark.parametrize("name", sample_names())
def test_errors_on_the_samples_are_those_of_the_card(model: Listener, name: str) -> None:
    """One prediction in seven: ten per second, and a median of eight of them."""
    card = read_card(BUNDLE)
    y, _ = read_audio(sample(name).path, sr=model.sample_rate)
    p = smooth(timeline(model, y, hop=7, padded=True).outputs[:, 0].numpy(), 8)
    truth = frame_truth(sample(name).sung, len(p), 10.0, offset=svd2015().frame_offset)
    error = 100 * singing_scores([p], [truth], float(card["threshold"])).error
    assert error == pytest.approx(percent(card[f"frame error, sampled song {name!r}"]), abs=4)


def test_silence_is_not_singing(model: Listener) -> None:
    silence = model.domain.floor.expand(1, 1, model.patch_frames, -1)
    assert model(silence).item() < float(np.float64(read_card(BUNDLE)["threshold"]))
