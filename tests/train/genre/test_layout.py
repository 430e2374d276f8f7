"""The memory layout in which a network of windows is trained."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from otoscope.signal import magnitude_spectrum
from otoscope.train.genre import Spectra, TrainGenreConfig, standardisation
from otoscope.train.genre.learner import GenreLearner


@pytest.mark.parametrize(("channels", "is_last"), [(4, False), (32, True)])
def test_few_filters_keep_the_usual_layout(channels: int, is_last: bool, tmp_path: Path) -> None:
    """With few filters torch's gradient of the weights is twenty times as slow in the other."""
    spectra = Spectra(torch.rand(120, 513), torch.tensor([0, 120]), torch.tensor([0]), ())
    learner = GenreLearner(
        spectra,
        spectra,
        standardisation(spectra),
        TrainGenreConfig(system="windows", channels=channels, batch=1),
        tmp_path / "model",
        front_end=magnitude_spectrum(),
        labels=("jazz", "rock"),
        card={},
    )
    weight = learner.network.get_parameter("conv2.0.weight")
    assert weight.is_contiguous(memory_format=torch.channels_last) == is_last
