"""JaVAD gives the package's estimates, in all three sizes, and takes part in every command."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from otoscope.errors import ParameterError
from otoscope.models.zoo.javad import SIZES, JaVAD, load_javad
from tests.support.zoo import (
    SR,
    gradient_in_silence,
    imported,
    n_weights,
    noise_then_voice,
    run,
    sounds,
    voice,
    zoo_model,
)


@pytest.mark.parametrize("kind", ["voice", "noise", "tone"])
@pytest.mark.parametrize(
    "size", ["tiny", "balanced", pytest.param("precise", marks=pytest.mark.slow)]
)
def test_estimates_are_those_of_the_packages_processor(
    size: str, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = zoo_model(f"javad-{size}")
    y = sounds(model.excerpt_samples)[kind]
    theirs = imported(monkeypatch, "javad").Processor(size)
    batch = model.patch((y, SR)).values[None, None]
    with torch.no_grad():
        ours = model.network.frames(batch)[0]
        confidence = model(batch)
    expected = theirs.logits(y)
    torch.testing.assert_close(ours, expected, rtol=0, atol=2e-5)
    assert bool(confidence > 0.5) == bool(expected.mean() > theirs.config.threshold)


def test_the_confidence_is_half_at_the_threshold_with_the_slope_of_the_mean(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    network = JaVAD("precise").eval()
    means = torch.tensor([0.0, 0.5768, 1.0], requires_grad=True)
    monkeypatch.setattr(network, "frames", lambda batch: batch[:, None].expand(-1, 384))
    confidence = network(means)[:, 0]
    torch.testing.assert_close(confidence[1].detach(), torch.tensor(0.5))
    (slope,) = torch.autograd.grad(confidence.sum(), means)
    torch.testing.assert_close(slope[1], torch.tensor(1.0))
    assert confidence[0] < 0.1
    assert confidence[2] > 0.8


def test_digital_silence_is_heard_as_the_package_hears_it(monkeypatch: pytest.MonkeyPatch) -> None:
    model = zoo_model("javad-tiny")
    assert gradient_in_silence(model).isfinite().all()
    y = torch.zeros(model.excerpt_samples)
    with pytest.warns(UserWarning, match="standard deviation of the spectrogram is zero"):
        expected = imported(monkeypatch, "javad").Processor("tiny").logits(y)
    with torch.no_grad():
        ours = model.network.frames(model.patch((y, SR)).values[None, None])[0]
    torch.testing.assert_close(ours, expected, rtol=0, atol=2e-5)


def test_sizes_are_known() -> None:
    assert [n_weights(JaVAD(size)) // 100_000 for size in SIZES] == [6, 8, 70]
    with pytest.raises(ParameterError, match="size is 'huge', must be one of tiny, balanced, prec"):
        load_javad("huge")


def test_every_excerpt_is_heard_as_a_recording_of_its_own() -> None:
    model = zoo_model("javad-tiny")
    y = torch.cat([0.001 * voice(12_000), voice(20_000)])
    first = model.patch((y, SR))
    torch.testing.assert_close(first.values, model.patch((y[: model.excerpt_samples], SR)).values)


@pytest.mark.slow
def test_speech_is_explained_and_attacked_from_the_command_line(tmp_path: Path) -> None:
    zoo_model("javad-balanced")
    path, adversary = noise_then_voice(tmp_path, 30_720), tmp_path / "adversary.wav"
    command = (path, "--model", "javad-balanced", "--start", 0)
    why = run("explain", *command, "--segments", "temporal:2")
    assert why["top"][0] == "time 1"
    result = run("attack", *command, "--steps", 20, "--snr-db", 20, "--out", adversary, code=1)
    assert result["pieces"][0]["evaluation"]["label_after"] == "not speech"
