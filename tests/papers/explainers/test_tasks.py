"""Tasks of the benchmark: truths where they were put, models that hear them, edges off the grid."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from otoscope import models
from otoscope.papers.a_soundlime._excerpts import SongStems
from otoscope.papers.explainers.adversary import Adversary
from otoscope.papers.explainers.planted import Horse, Planted, horse_scene, planted
from otoscope.papers.explainers.problem import Item, edges_of
from otoscope.papers.explainers.sounds import SECONDS, SR, Plant, bell_in_babble, snare_in_drums
from otoscope.papers.explainers.sung import Sung, unheard
from otoscope.progress import silent
from tests.support import tones

PLANTS = {"horse": horse_scene, "drums": snare_in_drums, "speech": bell_in_babble}


@pytest.mark.parametrize("plant", PLANTS.values(), ids=list(PLANTS))
def test_a_scene_is_silent_outside_its_truth(plant: Plant) -> None:
    scene = plant(7, 0, n_events=1)
    assert len(scene.background) == SECONDS * SR
    loudest = np.abs(scene.event).max()
    assert np.abs(scene.event[~scene.truth]).max() <= 0.1001 * loudest
    again, other = plant(7, 0, n_events=1), plant(8, 0, n_events=1)
    assert np.array_equal(again.background + again.event, scene.background + scene.event)
    assert not np.array_equal(other.background, scene.background)


@pytest.fixture(scope="module")
def items() -> list[Item]:
    return list(Planted(Horse(), horse_scene, 0).items(0, 2))


def test_the_horse_hears_the_tone_and_nothing_else(items: list[Item]) -> None:
    assert len(items) == 2
    for item in items:
        assert item.stems is not None
        background, event = item.stems.parts
        alone, without = (float(item.network(y[None, None])) for y in (event, background))
        assert without < 0 < alone
        assert alone == pytest.approx(item.about["output"], abs=0.05)


@pytest.mark.parametrize("hertz", [35.0, 86.0, 114.0, 214.0, 1986.0])
def test_the_horse_is_deaf_to_other_tones(hertz: float) -> None:
    """Those among them that sampling at 100 Hz would turn into 14 Hz."""
    time = torch.arange(round(SECONDS * SR)) / SR
    heard, other = (0.02 * torch.cos(2 * torch.pi * f * time) for f in (14.0, hertz))
    answers = Horse()(torch.stack([heard, other])[:, None, :, None])[:, 0].tolist()
    assert answers[1] < -6 < 3 < answers[0]


def test_every_song_makes_an_item_of_a_horse() -> None:
    assert all(list(Planted(Horse(), horse_scene, 0).items(song, 1)) for song in (11, 26, 31, 33))


def test_edges_of_events_lie_off_those_of_windows(items: list[Item]) -> None:
    for item in items:
        changes = (item.truth[1:] != item.truth[:-1]).nonzero()[:, 0] + 1
        distance = (changes[:, None] - edges_of(item.ids)).abs().min()
        assert int(distance) >= 0.1 * SR / 10 - 1
        assert torch.equal(item.stems.parts.sum(0), item.x)  # type: ignore[union-attr]


def songs(song: int) -> list[SongStems]:
    """Give a song without an excerpt that fits, and one with some."""
    silent_voice = torch.zeros(3 * tones.SR)
    return [SongStems("unsung", silent_voice, tones.stems(3.0)[1]), half_sung(song)]


def half_sung(song: int) -> SongStems:
    """Make a song of 3 s whose voice sounds from 1.0 to 1.93 s."""
    voice, backing = tones.stems(3.0, seed=song)
    voice[: tones.SR], voice[round(1.93 * tones.SR) :] = 0.0, 0.0
    return SongStems(f"song {song}", voice, backing)


def test_sung_frames_are_those_in_which_the_voice_sounds() -> None:
    model = tones.detector(bias=17.0)
    found = list(Sung(model, songs, 7, 0).items(0, 2))
    assert len(found) == 2
    for item in found:
        time = item.about["start"] + (torch.arange(len(item.truth)) + 0.5) * 0.01
        expected = (time >= 1.0) & (time < 1.93)
        assert int((item.truth != expected).sum()) <= 2
        assert item.about["output"] >= 0.5
        assert item.stems is not None
        mixed = item.stems.out(item.stems.parts.sum(0))
        assert float((mixed - item.x).abs().median()) < 0.05  # energies of two tones add up


def test_excerpts_end_with_the_song() -> None:
    """A song that is longer than an excerpt by less than a frame has one place for it."""
    model = models.load("synth-singing")
    n = model.excerpt_samples + model.hop_length - 1
    voice = 0.1 * torch.sin(0.06 * torch.arange(n)) * (torch.arange(n) > 0.6 * n)
    sung = Sung(model, lambda song: [SongStems("short", voice, 0.1 * voice.roll(99))], 7, 0)
    assert {item.about["start"] for item in sung.items(0, 3)} <= {
        model.patch((voice, model.sample_rate)).start
    }


def test_an_adversary_differs_in_its_region_alone() -> None:
    model = tones.detector(bias=21.6)
    (item,) = Adversary(model, lambda song: [half_sung(song)], 7, 0).items(0, 1)
    assert item.about["before"] < 0.5 <= item.about["output"]
    start = float(item.about["second"])
    y = half_sung(0).backing[round(start * tones.SR) :][: model.excerpt_samples]
    before = model.patch((y, tones.SR)).values
    changed = (item.x - before).abs().amax(1) > 1e-4
    inside = item.truth.nonzero()[:, 0]
    assert bool(changed[inside].any())
    near = torch.zeros_like(changed)
    near[max(0, int(inside[0]) - 2) : int(inside[-1]) + 3] = True  # a window of 256 samples
    assert not bool(changed[~near].any())


def test_songs_of_the_other_synthesiser_are_sung_in_part() -> None:
    song, again = unheard(3, sr=8000, seed=0), unheard(3, sr=8000, seed=0)
    assert torch.equal(song.voice, again.voice)
    loud = song.voice.unfold(0, 400, 400).square().mean(1) > 1e-4 * song.voice.square().max()
    assert 0.3 < float(loud.float().mean()) < 0.9


@pytest.mark.slow
@pytest.mark.parametrize("plant", [snare_in_drums, bell_in_babble])
def test_a_trained_detector_hears_events_of_other_songs(plant: Plant, tmp_path: Path) -> None:
    path = tmp_path / "detector.safetensors"
    task = planted(plant, path, n_clips=160, seed=0, progress=silent)
    accuracy = int(task.note.split(" % of ")[0].rpartition(" ")[2])
    assert accuracy >= 80
    (item,) = task.items(0, 1)
    assert item.about["output"] > 0
    written = path.read_bytes()
    assert planted(plant, path, n_clips=160, seed=0, progress=silent).note == task.note
    assert path.read_bytes() == written  # read, not trained again
