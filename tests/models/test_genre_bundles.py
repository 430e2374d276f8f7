"""Paper E's classifiers in the package: whole, described, and those that the cards tell of."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import torch

import otoscope.models
from otoscope.data.synthesis.genres import GENRES
from otoscope.models import Listener, load, read_card
from otoscope.models.genre import ConvDNN, FrameDNN
from otoscope.signal import magnitude_spectrum

BUNDLES = Path(otoscope.models.__file__).parent / "bundles"
NAMES = [
    f"genre-{network}-{kind}" for network in ("frames", "windows") for kind in ("random", "grouped")
]


@pytest.mark.parametrize("name", NAMES)
def test_it_is_a_network_of_the_paper_with_its_front_end(name: str) -> None:
    model: Listener = load(name)
    network = model.network
    if "frames" in name:
        assert isinstance(network, FrameDNN)
        assert (network.hidden, network.dropout) == (50, False)
    else:
        assert isinstance(network, ConvDNN)
        assert (network.channels, network.hidden) == (32, 50)
    assert model.front_end == magnitude_spectrum()
    assert model.output_names == tuple(sorted(GENRES))
    assert model.patch_frames == 100
    noise = torch.rand(2, 1, 100, 513, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(model(noise).sum(-1), torch.ones(2))


@pytest.mark.parametrize("name", NAMES)
def test_its_card_says_what_was_measured_and_on_what(name: str) -> None:
    card = read_card(BUNDLES / name)
    assert card["licence"] == "Apache-2.0"
    assert "otoscope corpus genres --n 960" in card["trained on"]
    assert f"partition {name.rpartition('-')[2]}" in card["trained on"]
    assert re.fullmatch("[0-9a-f]{16}", card["partition"])
    assert "recordings" in card["limits"]
    wrong = next(text for what, text in card.items() if what.startswith("wrong "))
    assert 0 < float(wrong.split(" %")[0]) < 90  # chance


def test_they_take_little_space() -> None:
    assert sum(path.stat().st_size for path in BUNDLES.glob("genre-*")) < 4_000_000
