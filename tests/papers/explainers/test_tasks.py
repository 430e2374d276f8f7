"""Tasks of the benchmark: truths where they were put, models that hear them, edges off the grid."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from otoscope.papers.explainers.planted import Horse, Planted, horse_scene
from otoscope.papers.explainers.problem import Item, edges_of
from otoscope.papers.explainers.sounds import SECONDS, SR, Plant, bell_in_babble, snare_in_drums

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
        background, event = item.stems
        alone, without = (float(item.network(y[None, None])) for y in (event, background))
        assert without < 0 < alone
        assert alone == pytest.approx(
            item.about["output"], abs=0.3
        )  # little but not nothing of drums is below 35 Hz


def test_edges_of_events_lie_off_those_of_windows(items: list[Item]) -> None:
    for item in items:
        changes = (item.truth[1:] != item.truth[:-1]).nonzero()[:, 0] + 1
        distance = (changes[:, None] - edges_of(item.ids)).abs().min()
        assert int(distance) >= 0.1 * SR / 10 - 1
        assert torch.equal(item.stems.sum(0), item.x)  # type: ignore[union-attr]
