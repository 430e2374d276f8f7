"""Two outputs of one name are refused, wherever names are given."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import nn
from typer.testing import CliRunner

import otoscope as oto
from otoscope.cli.app import app
from otoscope.data import sample
from otoscope.errors import ParameterError
from otoscope.intervene import Interrogation, InterrogationSettings, Polarity
from otoscope.models import Listener, WaveformListener
from otoscope.protocols import SoundClassifier, choose_targets
from otoscope.protocols.listening import named_outputs
from otoscope.signal import librosa_mel

FRONT_END = librosa_mel(sr=8000, n_fft=256, hop_length=80, n_mels=40)
NET = nn.Sequential(nn.Flatten(), nn.LazyLinear(3), nn.Softmax(1))
MODEL = """
from torch import nn
from otoscope.models import Listener
from otoscope.signal import librosa_mel

def make():
    front_end = librosa_mel(sr=8000, n_fft=256, hop_length=80, n_mels=40)
    net = nn.Sequential(nn.Flatten(), nn.Linear(50 * 40, 3), nn.Softmax(1))
    return Listener(net, front_end, seconds=0.5).eval()
"""


def test_listeners_name_each_output_once() -> None:
    twice = r"output_names has 'a' at 0 and 2; each output needs a name of its own"
    with pytest.raises(ParameterError, match=twice):
        Listener(NET, FRONT_END, seconds=0.5, output_names=["a", "b", "a"])
    with pytest.raises(ParameterError, match=twice):
        WaveformListener(NET, sample_rate=8000, seconds=0.5, output_names=["a", "b", "a"])
    model = Listener(NET, FRONT_END, seconds=0.5)
    with pytest.raises(ParameterError, match="outputs has 'b' at 1 and 2"):
        named_outputs(model, ["a", "b", "b"])


def test_targets_and_classes_are_given_once() -> None:
    with pytest.raises(ParameterError, match="target has 'b' at 0 and 1"):
        choose_targets(["b", 1], 2, ["a", "b"])
    with pytest.raises(ParameterError, match="output_names has 'b' at 0 and 1"):
        choose_targets("b", 2, ["b", "b"])
    model = Listener(NET, FRONT_END, seconds=0.5, output_names=["a", "b", "c"])
    with pytest.raises(ParameterError, match="classes has 'a' at 0 and 1"):
        SoundClassifier(model, classes=["a", "a"])
    net = nn.Sequential(nn.Flatten(), nn.LazyLinear(2))
    net.output_names = ["a", "a"]  # type: ignore[assignment]
    with pytest.raises(ParameterError, match="output_names has 'a' at 0 and 1"):
        oto.SoundLIME(net, segments="temporal:2", target=0).explain(torch.ones(100, 40))


def test_systems_name_each_class_once() -> None:
    sounds, labels = [(torch.zeros(8000), 8000)] * 4, ["a", "b", "a", "b"]
    system = nn.Linear(8000, 2)
    with pytest.raises(ParameterError, match="classes has 'a' at 0 and 1"):
        Interrogation(system, sounds, labels, settings=InterrogationSettings(classes=("a", "a")))
    system.output_names = ["b", "b"]  # type: ignore[assignment]
    with pytest.raises(ParameterError, match="output_names has 'b' at 0 and 1"):
        Interrogation(system, sounds, labels).run([Polarity()])


@pytest.mark.parametrize("command", ["attack", "interrogate"])
def test_outputs_on_the_command_line_name_each_once(command: str, tmp_path: Path) -> None:
    (tmp_path / "m.py").write_text(MODEL)
    song = sample("mambo").path
    for label in ("a", "b"):
        (tmp_path / "data" / label).mkdir(parents=True)
        (tmp_path / "data" / label / "1.ogg").write_bytes(song.read_bytes())
    arguments = [song, "--out", tmp_path / "a.wav"]
    if command == "interrogate":
        arguments = ["--data", tmp_path / "data", "--polarity"]
    for names, place in (("a,b,a", "'a' at 0 and 2"), ("a,b,b", "'b' at 1 and 2")):
        result = CliRunner().invoke(
            app,
            [
                *(command, *map(str, arguments), "--model", f"{tmp_path / 'm.py'}:make"),
                *("--outputs", names),
            ],
        )
        assert result.exit_code == 2, result.output
        assert f"{place}; each output needs a name" in " ".join(result.output.split())
