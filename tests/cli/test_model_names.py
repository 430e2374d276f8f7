"""Every command names a model by its own name, else by where it came from, in pages and JSON."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from typer.testing import CliRunner

from otoscope.cli.app import app

OWN = """
import torch
from otoscope.models import Listener, WaveformListener
from otoscope.signal import librosa_mel

class Level(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.scale = torch.nn.Linear(40, 2)
    def forward(self, x):
        return self.scale(x.mean((1, 2))).softmax(1)

def listener(name):
    torch.manual_seed(0)
    front = librosa_mel(sr=16000, n_fft=512, hop_length=256, n_mels=40)
    return Listener(Level(), front, seconds=1, output_names=["low", "high"], name=name)

def make():
    return listener("my ear")

def unnamed():
    return listener("")

def waves():
    torch.manual_seed(0)
    net = torch.nn.Sequential(torch.nn.Linear(8000, 2), torch.nn.Softmax(1))
    return WaveformListener(
        net, sample_rate=16000, seconds=0.5, output_names=["low", "high"], name="my ear"
    )

def system():
    return Labels()

class Labels:
    sample_rate = 16000
    def __call__(self, batch):
        return ["low"] * len(batch)
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write the models and two sounds."""
    folder = tmp_path_factory.mktemp("names")
    (folder / "m1l.py").write_text(OWN)
    (folder / "songs").mkdir()
    for seed in range(2):
        noise = np.random.default_rng(seed).normal(scale=0.1, size=3 * 16000)
        soundfile.write(folder / "songs" / f"{seed}.wav", noise, 16000)
    return folder


COMMANDS = {
    "explain": "{sound} --segments temporal:2 --html {out}.html --json {out}.json",
    "attack": "{sound} --steps 1 --out {out}.wav --html {out}.html --json {out}.json",
    "interrogate": "--data {songs} --unlabelled --gain 6 --doses 1 --html {out}.html "
    "--json {out}.json",
    "maximise": "--layer scale --unit 0 --prior raw --iterations 1 --seeds 1 --real {songs} "
    "--html {out}.html --json {out}.json",
    "distance": "{songs} {songs} --layer {layer} --json {out}.json",
    "stats": "{songs} --layer {layer} --out {out}.npz --json {out}.json",
    "contents": "{songs} --contents zero,min_inp,mean_inp --segments temporal:2 --changes 0 --n 1 "
    "--target low --json {out}.json",
    "evaluate": "--instrumental {songs} --output low --json {out}.json",
}


def run(folder: Path, out: Path, command: str, function: str) -> tuple[str, str, Any]:
    """Return what is printed, the page and the JSON."""
    layer = "0" if function == "waves" else "scale"
    places = {"sound": folder / "songs/0.wav", "songs": folder / "songs", "out": out}
    arguments = COMMANDS[command].format(**places, layer=layer).split()
    model = f"{folder / 'm1l.py'}:{function}"
    result = CliRunner().invoke(app, [command, *arguments, "--model", model])
    assert result.exit_code in (0, 1), result.output
    page, data = out.with_suffix(".html"), out.with_suffix(".json")
    text = page.read_text() if page.exists() else ""
    return " ".join(result.output.split()), text, json.loads(data.read_text())


def named(command: str, result: Any) -> str:
    """Find the name of the model in the JSON of a command."""
    places = {
        "explain": lambda r: r["model"],
        "attack": lambda r: r["model"],
        "interrogate": lambda r: r["settings"]["system"],
        "maximise": lambda r: r["model"],
        "distance": lambda r: r["features"]["name"],
        "stats": lambda r: r["features"]["name"],
        "contents": lambda r: r["model_name"],
        "evaluate": lambda r: r["model_name"],
    }
    return str(places[command](result))


@pytest.mark.parametrize("command", COMMANDS)
def test_a_models_own_name_is_in_all_that_is_written(
    command: str, folder: Path, tmp_path: Path
) -> None:
    printed, page, result = run(folder, tmp_path / "out", command, "make")
    assert named(command, result) == "my ear"
    assert "m1l.py:make" not in page
    if page:
        assert "my ear" in page
    if command in ("attack", "distance", "stats", "contents", "evaluate"):
        assert "my ear" in printed


def test_a_summary_names_the_model_and_what_was_replaced(folder: Path, tmp_path: Path) -> None:
    page, model = tmp_path / "all.html", f"{folder / 'm1l.py'}:make"
    command = ["explain", str(folder / "songs"), "--model", model, "--components", "time:2"]
    result = CliRunner().invoke(app, [*command, "--summary", str(page)])
    assert result.exit_code == 0, result.output
    assert "2 excerpts of 2 files · my ear · time:2 · mean_inp" in page.read_text()


@pytest.mark.parametrize("command", ["explain", "attack", "distance"])
def test_a_listener_without_a_name_is_named_by_its_file(
    command: str, folder: Path, tmp_path: Path
) -> None:
    assert named(command, run(folder, tmp_path / "out", command, "unnamed")[2]) == "m1l.py:unnamed"


@pytest.mark.parametrize("command", ["interrogate", "distance"])
def test_models_of_waveforms_keep_their_names(command: str, folder: Path, tmp_path: Path) -> None:
    assert named(command, run(folder, tmp_path / "out", command, "waves")[2]) == "my ear"


def test_a_system_without_a_name_is_named_by_its_class(folder: Path, tmp_path: Path) -> None:
    _, page, result = run(folder, tmp_path / "out", "interrogate", "system")
    assert named("interrogate", result) == "Labels"
    assert "Labels" in page
