"""Remedies of errors name options that the command has, or the place of the argument."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from otoscope.cli.app import app
from otoscope.cli.output import with_options
from otoscope.data import sample
from otoscope.errors import Advice, Argument, ParameterError

MODELS = """
import torch
from torch import nn
from otoscope.models import Listener
from otoscope.signal import librosa_mel

class Net(nn.Module):
    def __init__(self, answer):
        super().__init__()
        torch.manual_seed(0)
        self.line, self.answer = nn.Linear(40, 3), answer

    def forward(self, x):
        return self.answer(self.line(x[:, 0]))

def listener(answer, names):
    front_end = librosa_mel(sr=8000, n_fft=256, hop_length=80, n_mels=40)
    return Listener(Net(answer), front_end, seconds=0.5, output_names=names).eval()

def parts():
    return listener(lambda y: {"a": y.mean(1), "b": y}, ["x", "y", "z"])

def frames():
    return listener(lambda y: y, ["x", "y", "z"])

def logits():
    return listener(lambda y: 100 + y.mean(1)[:, :1], ["x"])

def mel_frame():
    front_end = librosa_mel(sr=8000, n_fft=256, hop_length=80, n_mels=40)
    net = nn.Sequential(nn.Conv1d(40, 2, 5), nn.AdaptiveAvgPool1d(1), nn.Flatten())
    return Listener(net, front_end, seconds=0.5, output_names=["x", "y"]).eval()
"""
IN_FILE = "of Listener, in the model's file"


@pytest.mark.parametrize(
    ("command", "model", "remedy"),
    [
        ("explain", "parts", f"name the one to take with output='a' {IN_FILE}"),
        ("evaluate --output x", "parts", f"name the one to take with output='a' {IN_FILE}"),
        ("explain", "frames", f"pool outputs per frame with pooling='mean' {IN_FILE}"),
        ("explain", "mel_frame", f"[batch, mel, frame]: give layout='b mel frame' {IN_FILE}"),
        ("attack", "logits", "give outputs='logits' as an attribute of the model, in its file"),
    ],
)
def test_remedies_on_the_command_line(
    command: str, model: str, remedy: str, tmp_path: Path
) -> None:
    (tmp_path / "m.py").write_text(MODELS)
    name, *options = command.split()
    songs = Path(sample("mambo").path)
    arguments = {
        "explain": [songs, "--target", "x"],
        "attack": [songs, "--out", tmp_path / "a.wav"],
        "evaluate": ["--instrumental", songs.parent],
    }[name]
    result = CliRunner().invoke(
        app, [name, *map(str, arguments), "--model", f"{tmp_path / 'm.py'}:{model}", *options]
    )
    assert result.exit_code == 2, result.output
    assert remedy in " ".join(result.output.split())
    assert "outputs logits" not in result.output


def test_an_argument_with_a_place_is_no_option() -> None:
    """Such as outputs= of an attack, where --outputs names the outputs."""
    kind = Argument("outputs", "logits", "as an attribute of the model")
    error = ParameterError("they are 3", advice=Advice("say ", kind, ", or leave ", Argument("n")))
    assert str(error) == "they are 3; say outputs='logits', or leave n="
    spelled = with_options(str(error), error.advice, {"outputs", "n"})
    assert spelled == "they are 3; say outputs='logits' as an attribute of the model, or leave --n"
    again = Advice.from_list(error.advice.to_list() if error.advice else [])
    assert with_options(str(error), again, {"outputs", "n"}) == spelled
