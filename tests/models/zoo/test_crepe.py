"""CREPE gives torchcrepe's confidences, hears pitch, and takes part in every command."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from otoscope.errors import ParameterError
from otoscope.models.zoo.crepe import BIN_HZ, Crepe, PitchTracker
from otoscope.protocols import choose_targets
from otoscope.signal import write_audio
from tests.support.zoo import (
    SR,
    gradient_in_silence,
    imported,
    n_weights,
    refused,
    run,
    sounds,
    zoo_model,
)


@pytest.mark.parametrize("kind", ["voice", "noise", "tone", "silence"])
def test_confidences_are_those_of_torchcrepe(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    model = zoo_model("crepe-tiny")
    y = {**sounds(6_000), "silence": torch.zeros(6_000)}[kind]
    torchcrepe = imported(monkeypatch, "torchcrepe", "torchaudio", "resampy")
    torchcrepe.load.model("cpu", "tiny")
    (frames,) = torchcrepe.preprocess(y[None].clone(), SR, hop_length=320, pad=False)
    with torch.no_grad():
        expected = torchcrepe.infer(frames, "tiny")
        ours = model.network.windows(y[None])[0]
    torch.testing.assert_close(ours, expected, rtol=0, atol=1e-5)


def test_bins_are_20_cents_apart_and_named_by_their_pitch() -> None:
    assert BIN_HZ[0] == pytest.approx(31.7, abs=0.01)
    np.testing.assert_allclose(1200 * np.diff(np.log2(BIN_HZ)), 20)
    assert n_weights(Crepe()) == 486_552
    model = zoo_model("crepe-tiny")
    assert len(set(model.output_names)) == 360
    assert gradient_in_silence(model).isfinite().all()


@pytest.mark.parametrize("hz", [110.0, 220.0, 587.3])
def test_a_tones_pitch_is_the_highest_bin(hz: float) -> None:
    model = zoo_model("crepe-tiny")
    t = torch.arange(model.n_samples) / SR
    tone = torch.stack([torch.sin(2 * torch.pi * k * hz * t) / k for k in range(1, 6)]).sum(0)
    with torch.no_grad():
        bin_hz = BIN_HZ[int(model(tone[None]).argmax())]
    assert abs(1200 * np.log2(bin_hz / hz)) < 30


def test_a_tracker_follows_a_glide_and_hears_no_pitch_in_silence() -> None:
    tracker = PitchTracker(zoo_model("crepe-tiny"))
    t = torch.arange(2 * SR, dtype=torch.float64) / SR
    hz = 220 * 2 ** (t / 2)  # an octave in 2 s
    phase = 2 * torch.pi * torch.cumsum(hz, 0) / SR
    glide = torch.stack([torch.sin(k * phase) / k for k in range(1, 6)]).sum(0).float()
    (times, found), (_, nothing) = tracker(torch.stack([0.2 * glide, torch.zeros(2 * SR)]))
    np.testing.assert_allclose(np.diff(times), 0.02)
    assert len(times) == len(found) == 101
    inside = slice(3, -3)
    cents = 1200 * np.log2(found[inside] / (220 * 2 ** (times[inside] / 2)))
    assert np.abs(cents).max() < 25
    assert not nothing.any()


def test_trackers_of_other_confidence_have_other_names() -> None:
    model = zoo_model("crepe-tiny")
    names = [PitchTracker(model, *least).name for least in ((), (0.5,), (0.25,))]
    assert names == ["crepe-tiny", "crepe-tiny", "crepe-tiny, confidence 0.25"]


def test_a_tracker_is_of_crepe_alone() -> None:
    with pytest.raises(ParameterError, match=r"must be CREPE \(crepe-tiny\)"):
        PitchTracker(Crepe())
    with pytest.raises(ParameterError, match="least_confidence is 2"):
        PitchTracker(zoo_model("crepe-tiny"), 2)


def test_a_pitch_between_bins_gives_the_nearest_two() -> None:
    names = [f"{hz:.1f} Hz" for hz in BIN_HZ]
    for target in ("440 Hz", "440"):
        with pytest.raises(ParameterError, match=r"did you mean '441\.5 Hz' or '436\.5 Hz'"):
            choose_targets(target, 360, names)
    for target in ("440 dB", "a4", "x 440"):  # no such numbers
        with pytest.raises(ParameterError, match="no such output"):
            choose_targets(target, 360, names)


@pytest.mark.slow
def test_a_pitch_is_explained_and_attacked_from_the_command_line(tmp_path: Path) -> None:
    model = zoo_model("crepe-tiny")
    t = torch.arange(model.n_samples) / SR
    hz = torch.where(t < t[-1] / 2, 220.0, 330.0)
    path, adversary = tmp_path / "tones.wav", tmp_path / "adversary.wav"
    write_audio(path, 0.3 * torch.sin(2 * torch.pi * hz * t), sr=SR)
    command = (path, "--model", "crepe-tiny", "--start", 0)
    late = min(model.output_names, key=lambda name: abs(float(name.split()[0]) - 330))
    why = run("explain", *command, "--components", "time:2", "--target", late)
    assert why["top"][0] == "time 1"
    assert "did you mean" in refused("explain", *command, "--target", "440 Hz")
    run("attack", *command, "--target", late, "--steps", 2, "--out", adversary)
