"""Silero VAD gives the package's probabilities, and takes part in every command."""

from __future__ import annotations

import warnings
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F

from otoscope.models.zoo.silero import SileroVAD
from tests.support.zoo import (
    SR,
    gradient_in_silence,
    imported,
    n_weights,
    noise_then_voice,
    run,
    sounds,
    zoo_model,
)


@pytest.mark.parametrize("kind", ["voice", "noise", "tone"])
def test_probabilities_are_those_of_the_packages_network(
    kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, y = zoo_model("silero-vad"), sounds(20_000)[kind]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch deprecates its jit
        theirs = imported(monkeypatch, "silero_vad").load_silero_vad()
        chunks = F.pad(y, (0, -len(y) % 512)).split(512)
        expected = torch.stack([theirs(chunk, SR).flatten()[0] for chunk in chunks])
    with torch.no_grad():
        torch.testing.assert_close(model.network.frames(y[None])[0], expected, rtol=0, atol=2e-5)
        torch.testing.assert_close(model(y[None])[0, 0], expected.mean(), rtol=0, atol=2e-5)


def test_weights_and_length_are_known_and_silence_has_a_gradient() -> None:
    assert n_weights(SileroVAD()) == 309_633
    model = zoo_model("silero-vad")
    assert (model.n_samples, model.output_names) == (51_200, ("speech",))
    assert gradient_in_silence(model).isfinite().all()


@pytest.mark.slow
def test_speech_is_explained_and_attacked_from_the_command_line(tmp_path: Path) -> None:
    zoo_model("silero-vad")
    path, adversary = noise_then_voice(tmp_path, 51_200), tmp_path / "adversary.wav"
    command = (path, "--model", "silero-vad", "--start", 0)
    why = run("explain", *command, "--components", "time:2")
    assert why["coefficients"][1] > 0 > why["coefficients"][0]  # quiet noise is no speech
    attack = ("--steps", 20, "--duration", 3.2, "--snr-db", 5, "--out", adversary)
    result = run("attack", *command, *attack, code=1)
    assert result["is_fooled"]
    assert result["pieces"][0]["evaluation"]["label_after"] == "speech"
    assert result["snr_db"] > 4.9
