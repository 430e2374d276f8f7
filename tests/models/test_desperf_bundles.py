"""DeSPerF in the package: a horse and one that is none, with cards that say what was heard."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

import otoscope.models
from otoscope.data import DanceRecipe, plan_dance, render_dance
from otoscope.data.synthesis.styles import STYLES
from otoscope.models import load, read_card
from otoscope.models.desperf import DeSPerF

BUNDLES = Path(otoscope.models.__file__).parent / "bundles"
NAMES = ("desperf-confounded", "desperf-separated")


def answers(name: str, sounds: torch.Tensor) -> list[str]:
    model = load(name)
    with torch.no_grad():
        return [model.output_names[i] for i in model(sounds).argmax(-1).tolist()]


@pytest.mark.parametrize("name", NAMES)
def test_it_is_desperf_on_eight_dances(name: str) -> None:
    network = load(name).network
    assert isinstance(network, DeSPerF)
    assert network.output_names == tuple(sorted(STYLES))
    assert network.hidden == (200, 200, 200)
    assert network.feature.n_lags == 801
    assert all(value.dtype == torch.float32 for value in network.state_dict().values())


@pytest.mark.parametrize("name", NAMES)
def test_its_card_says_what_was_heard_and_what_tempo_and_timbre_alone_score(name: str) -> None:
    card = read_card(BUNDLES / name)
    confounding = 1 if name.endswith("confounded") else 0
    assert f"--confounding {confounding}" in card["trained on"]
    assert "no artist in two parts" in card["trained on"]
    assert "recordings" in card["limits"]
    assert re.fullmatch("[0-9a-f]{16}", card["partition"])
    scores = {
        key: [float(n) for n in re.findall(r"\d\.\d\d", card[key])][:3]
        for key in ("score", "tempo alone", "timbre alone", "other corpus")
    }
    for value, low, high in scores.values():
        assert low <= value <= high
    assert (scores["tempo alone"][0] > 0.9) == (name == "desperf-confounded")
    assert scores["score"][0] > scores["timbre alone"][0]


def test_they_take_little_space() -> None:
    assert sum(path.stat().st_size for path in BUNDLES.glob("desperf-*")) < 1_000_000


def test_tempo_moves_the_answers_of_the_horse_alone() -> None:
    """The same performances of other artists at their dance's tempo, and at those of another."""
    recipe = DanceRecipe(confounding=1.0, n_groups=3)
    clips = plan_dance(24, seed=77, recipe=recipe)
    tempi = [clip.tempo_bpm for clip in clips]
    others = [replace(clip, tempo_bpm=tempi[(i + 3) % 24]) for i, clip in enumerate(clips)]
    own, changed = (
        torch.stack([torch.from_numpy(render_dance(clip, recipe)) for clip in part])
        for part in (clips, others)
    )
    styles = np.array([clip.style for clip in clips])
    right = {
        name: [np.mean(np.array(answers(name, sounds)) == styles) for sounds in (own, changed)]
        for name in NAMES
    }
    assert right["desperf-confounded"][0] > 0.85
    assert right["desperf-confounded"][1] < 0.35
    assert min(right["desperf-separated"]) > 0.5
