"""Resemblyzer gives the package's embeddings; with an enrolment it verifies a speaker."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor

from otoscope.errors import ParameterError
from otoscope.models import load
from otoscope.models.zoo.resemblyzer import SpeakerEncoder, embed, load_resemblyzer
from otoscope.signal import write_audio
from tests.support.zoo import (
    SR,
    gradient_in_silence,
    imported,
    n_weights,
    run,
    sounds,
    voice,
    zoo_model,
)


@pytest.fixture(scope="module")
def theirs() -> object:
    zoo_model("resemblyzer")
    with pytest.MonkeyPatch.context() as patch:
        return imported(patch, "resemblyzer", "webrtcvad", "scipy.ndimage.morphology")


@pytest.fixture
def enrolled(tmp_path: Path) -> Path:
    zoo_model("resemblyzer")
    path = tmp_path / "alice.wav"
    write_audio(path, voice(40_000, pitch=200.0), sr=SR)
    return path


@pytest.mark.parametrize("gain", [0.01, 1.0])
@pytest.mark.parametrize("kind", ["voice", "noise", "tone"])
def test_embeddings_are_those_of_the_package(kind: str, gain: float, theirs: object) -> None:
    model = zoo_model("resemblyzer")
    y = gain * sounds(model.excerpt_samples)[kind]
    level = theirs.normalize_volume(y.numpy(), -30, increase_only=True)  # type: ignore[attr-defined]
    mel = theirs.wav_to_mel_spectrogram(level)[:160]  # type: ignore[attr-defined]
    encoder = theirs.VoiceEncoder("cpu", verbose=False)  # type: ignore[attr-defined]
    with torch.no_grad():
        expected = encoder(torch.from_numpy(mel)[None])[0]
        ours = model(model.patch((y, SR)).values[None, None])[0]
    torch.testing.assert_close(ours, expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize("n_samples", [9_000, 25_600, 40_000, 57_000])
def test_an_enrolment_is_embedded_as_the_package_embeds_an_utterance(
    n_samples: int, theirs: object
) -> None:
    model, y = zoo_model("resemblyzer"), 0.02 * voice(n_samples)
    level = theirs.normalize_volume(y.numpy(), -30, increase_only=True)  # type: ignore[attr-defined]
    encoder = theirs.VoiceEncoder("cpu", verbose=False)  # type: ignore[attr-defined]
    expected = torch.from_numpy(encoder.embed_utterance(level))
    ours = embed(model.network, y)
    torch.testing.assert_close(ours, expected, rtol=0, atol=1e-5)


def test_the_threshold_is_one_half_of_a_scale_from_0_to_1(
    enrolled: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = load_resemblyzer(str(enrolled), threshold=0.6)
    for similarity, scaled in [(0.0, 0.0), (0.3, 0.25), (0.6, 0.5), (0.8, 0.75), (1.0, 1.0)]:
        cosine = torch.tensor([[similarity]])
        monkeypatch.setattr(model.network, "similarity", lambda batch, s=cosine: s)
        assert float(model.network(torch.zeros(1))) == pytest.approx(scaled, abs=1e-6)
    for threshold in (0.0, 1.0, float("nan")):
        with pytest.raises(ParameterError, match=r"threshold is .*, must be in \(0, 1\)"):
            load_resemblyzer(str(enrolled), threshold=threshold)


def test_the_enrolled_voice_is_nearer_than_another(enrolled: Path) -> None:
    model = load(f"resemblyzer:{enrolled}")
    assert (model.output_names, model.name) == (("same speaker",), f"resemblyzer:{enrolled}")

    def score(y: Tensor) -> float:
        with torch.no_grad():
            return float(model(model.patch((y, SR)).values[None, None]))

    same, other = score(voice(26_000, pitch=200.0, seed=5)), score(voice(26_000, pitch=90.0))
    assert same > 0.9
    assert other < same - 0.2
    assert gradient_in_silence(model).isfinite().all()
    assert n_weights(SpeakerEncoder()) == 1_423_616


def test_a_recording_that_cannot_enrol_is_named(tmp_path: Path) -> None:
    zoo_model("resemblyzer")
    write_audio(tmp_path / "silent.wav", torch.zeros(SR), sr=SR)
    for file, message in {
        "silent.wav": r"silent\.wav is silent; enrol a recording",
        "none.wav": r"none\.wav is not there",
    }.items():
        with pytest.raises(ParameterError, match=message):
            load(f"resemblyzer:{tmp_path / file}")
    with pytest.raises(ParameterError, match=r"must be resemblyzer:FILE or resemblyzer$"):
        load("resemblyzer:")
    with pytest.raises(ParameterError, match="the model is 'silero-vad:x', must be silero-vad"):
        load("silero-vad:x")


@pytest.mark.slow
def test_verification_is_explained_and_attacked_from_the_command_line(
    enrolled: Path, tmp_path: Path
) -> None:
    path, adversary = tmp_path / "bob.wav", tmp_path / "adversary.wav"
    write_audio(path, voice(26_000, pitch=90.0), sr=SR)
    command = (path, "--model", f"resemblyzer:{enrolled}", "--start", 0)
    why = run("explain", *command, "--segments", "spectral:3")
    assert why["target"] == "same speaker"
    assert len(why["coefficients"]) == 3
    attack = ("--snr-db", 15, "--steps", 30, "--duration", 1.6, "--out", adversary)
    measured = run("attack", *command, *attack, code=1)["pieces"][0]["evaluation"]
    assert {measured["label_before"], measured["label_after"]} == {
        "same speaker",
        "not same speaker",
    }
