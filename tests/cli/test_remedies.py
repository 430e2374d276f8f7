"""Errors name what can be done at the command line; `conftest` reads those of all its tests."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import soundfile
import torch
from typer.testing import CliRunner

from otoscope.cli.app import app
from otoscope.signal import write_audio

SR = 8000
FILE = """
import torch
from otoscope.models import WaveformListener

class Net(torch.nn.Sequential):
    def forward(self, batch):
        answer = super().forward(batch)
        return answer if self.differentiable else answer.detach()

def make(differentiable=True):
    torch.manual_seed(0)
    net = Net(torch.nn.Linear(4000, 3), torch.nn.Softmax(1))
    net.differentiable = differentiable
    return WaveformListener(net, sample_rate=8000, seconds=0.5, output_names=["a", "b", "c"])

def numpy():
    return make(False)
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A model, a sound of 1.5 s and one that is shorter than an excerpt."""
    y = 0.1 * torch.randn(12_000, generator=torch.Generator().manual_seed(0))
    (tmp_path / "m.py").write_text(FILE)
    write_audio(tmp_path / "s.wav", y, sr=SR)
    write_audio(tmp_path / "short.wav", y[:1500], sr=SR)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(words: str) -> str:
    result = CliRunner().invoke(app, words.split())
    assert result.exit_code == 2, result.output
    return " ".join(result.output.split())


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("explain s.wav --model m.py:make --content blur", "use a number, noise, zero, silence"),
        ("explain s.wav --model m.py:make --components x", "is none of hpss, bands:8, grid:6x4"),
        ("attack s.wav --model m.py:numpy --out a.wav", "Square, which needs none (--method squar"),
        ("attack short.wav --model m.py:make --out a.wav", "--padded fills up with silence"),
        ("attack s.wav --model m.py:make --out a.wav --method apgd --masking 1", "--method pgd or"),
        ("maximise --model synth-singing --layer fc9 --real short.wav", "too short for an excerpt"),
        (
            "contents short.wav --model synth-singing",
            "short.wav: the sound lasts 0.19 s, too short",
        ),
        (
            "interrogate --model m.py:make --data . --unlabelled",
            "name one or more changes: --tempo 6 or",
        ),
    ],
)
def test_what_is_refused_names_options(words: str, message: str) -> None:
    shown = run(words)
    assert message in shown
    assert "padded" not in shown.replace("--padded", "")


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize("model", ["m.py:make", "synth-singing"])
def test_a_sound_shorter_than_an_excerpt_is_attacked_with_silence_behind_it(model: str) -> None:
    words = f"attack short.wav --model {model} --out a.wav --snr-db 3 --padded --json"
    result = CliRunner().invoke(app, words.split())
    assert result.exit_code in (0, 1), result.output
    document = json.loads(result.stdout)
    (piece,) = document["pieces"]
    x, y = (soundfile.read(name)[0] for name in ("short.wav", "a.wav"))
    sr = soundfile.info("a.wav").samplerate
    assert abs(len(y) - len(x) * sr / SR) < 2  # no silence is written
    assert document["is_fooled"] == piece["evaluation"]["success"] == bool(result.exit_code)
    assert piece["evaluation"]["confidence_after"] > piece["evaluation"]["confidence_before"]
