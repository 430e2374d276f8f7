"""Inputs of networks become sounds, in every compression of the front end."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from otoscope.explain.maximise.inversion import Inversion
from otoscope.models import Listener
from otoscope.signal.mel.domain import Compression
from otoscope.signal.mel.presets import librosa_mel


@pytest.mark.parametrize(
    "compression",
    [
        Compression("ln", 1e-7),
        Compression("db", 1e-10),
        Compression("db", 1e-10, top_db=80.0),
        Compression("db", 1e-10, ref="max"),
        Compression("db", 1e-10, ref="max", top_db=80.0),
    ],
)
@pytest.mark.parametrize("gain", [1.0, 1e12])
def test_sound_of_an_input_is_loudest_in_its_loudest_band(
    compression: Compression, gain: float
) -> None:
    front_end = replace(
        librosa_mel(sr=8000, n_fft=256, hop_length=80, n_mels=20), compression=compression
    )
    energies = torch.full((20, 20), 1e-3)
    energies[:, 12] = gain
    model = Listener(torch.nn.Flatten(), front_end, seconds=0.2)
    inversion = Inversion.of(model)
    assert inversion is not None
    y = inversion.sound(compression.compress(energies), seed=0)
    assert y is not None
    assert y.isfinite().all()
    assert model.prepare(y.float()).mean(0).argmax() == 12
