"""DNSMOS gives the package's scores, by two networks, and takes part in explanations."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import torch
from typer.testing import CliRunner

from otoscope.cli.app import app
from otoscope.models.zoo.dnsmos import DNSMOS
from otoscope.signal import read_audio, write_audio
from tests.support.zoo import (
    SR,
    imported,
    n_weights,
    refused,
    run,
    sounds,
    voice,
    without,
    zoo_model,
)


@pytest.fixture
def theirs(monkeypatch: pytest.MonkeyPatch) -> Any:
    """The package's module; its scores need onnxruntime."""
    zoo_model("dnsmos")
    pytest.importorskip("onnxruntime", reason="the oracle: pip install onnxruntime")
    return imported(monkeypatch, "speechmos.dnsmos", "requests")


@pytest.mark.slow
@pytest.mark.parametrize("n_samples", [30_000, 180_000])
def test_scores_are_those_of_the_package(n_samples: int, theirs: Any) -> None:
    y = voice(n_samples)
    expected = theirs.run(y.numpy(), sr=SR)
    scores = zoo_model("dnsmos").network.rate(y)
    assert scores == {
        "signal": pytest.approx(expected["sig_mos"], abs=1e-4),
        "background": pytest.approx(expected["bak_mos"], abs=1e-4),
        "overall": pytest.approx(expected["ovrl_mos"], abs=1e-4),
    }


@pytest.mark.parametrize("kind", ["voice", "noise"])
def test_p808_is_that_of_the_package(kind: str, theirs: Any) -> None:
    import onnxruntime

    model, y = zoo_model("dnsmos-p808"), sounds(144_000)[kind]
    picture = theirs.DNSMOS.audio_melspec(None, y.numpy())
    values = model.patch((y, SR)).values
    torch.testing.assert_close(values, torch.from_numpy(picture).float(), rtol=0, atol=2e-4)
    folder = Path(str(find_spec("speechmos").origin)).parent  # type: ignore[union-attr]
    session = onnxruntime.InferenceSession(folder / "dnsmos_models" / "model_v8.onnx")
    (expected,) = session.run(None, {"input_1": picture[None].astype("float32")})
    with torch.no_grad():
        ours = model(values[None, None])
    torch.testing.assert_close(ours, torch.from_numpy(expected), rtol=0, atol=1e-4)


def test_sizes_are_known_and_silence_has_a_gradient() -> None:
    assert n_weights(DNSMOS()) == 287_267
    model = zoo_model("dnsmos")
    assert (model.n_samples, model.output_names) == (144_160, ("signal", "background", "overall"))
    y = torch.zeros(1, 8_000, requires_grad=True)
    model.network(y).sum().backward()
    assert y.grad is not None
    assert y.grad.isfinite().all()


@pytest.mark.slow
def test_quality_is_explained_and_is_no_label_to_attack(tmp_path: Path) -> None:
    zoo_model("dnsmos-p808")
    path = tmp_path / "voice.wav"
    write_audio(path, voice(145_000), sr=SR)
    command = (path, "--model", "dnsmos-p808", "--start", 0)
    why = run("explain", *command, "--segments", "temporal:2")
    assert 1 < why["output_all"] < 5
    message = refused("attack", *command, "--out", tmp_path / "out.wav")
    assert "no probability of a label" in message
    assert "attack a model that decides between labels" in message


@pytest.mark.slow
def test_an_attack_on_speech_says_what_it_costs(tmp_path: Path) -> None:
    rate = zoo_model("dnsmos").network.rate
    path, out = tmp_path / "voice.wav", tmp_path / "out.wav"
    write_audio(path, voice(30_000), sr=SR)
    page = tmp_path / "out.html"
    command = ("attack", path, "--model", "synth-singing", "--snr-db", 10, "--steps", 2)
    result = CliRunner().invoke(
        app, [*map(str, command), "--out", str(out), "--html", str(page), "--speech"]
    )
    assert result.exit_code in (0, 1), result.output
    assert "DNSMOS" in result.output
    assert "Noise-to-mask ratio" in result.output
    text = page.read_text("utf-8")
    assert "a proxy for the ear" in text
    assert "a proxy for listeners to speech" in text
    adversary, _ = read_audio(out, sr=SR)
    after = rate(adversary)["overall"]
    assert f"→ {after:.2f}" in result.output


def test_speech_without_the_package_names_the_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    without(monkeypatch, "speechmos")
    path = tmp_path / "voice.wav"
    write_audio(path, voice(3_000), sr=SR)
    command = ("attack", path, "--model", "synth-singing", "--out", tmp_path / "out.wav")
    assert "pip install speechmos==0.0.1.1" in refused(*command, "--speech")
