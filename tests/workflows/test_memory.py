"""Long sounds take little memory: two hours within 100 MB of what a minute takes."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile

EAR = """
import torch
from torch import nn
from otoscope.models import Listener
from otoscope.signal import svd2015

def make():
    torch.manual_seed(0)
    network = nn.Sequential(nn.AvgPool2d(23), nn.Flatten(), nn.Linear(15, 4), nn.Linear(4, 1))
    return Listener(
        nn.Sequential(network, nn.Sigmoid()),
        svd2015(),
        mean=torch.full((80,), -5.0),
        std=torch.full((80,), 3.0),
        patch_frames=115,
        output_names=["heard"],
    ).eval()
"""
# A process's own peak: that which its parent is told may be the parent's.
PEAK = """
import atexit, re, sys
from pathlib import Path
from otoscope.cli.app import main
status = Path("/proc/self/status")
atexit.register(lambda: print(re.search(r"VmHWM:\\s+(\\d+)", status.read_text())[1]))
sys.argv = ["otoscope", *sys.argv[1:]]
main()
"""
SECONDS = {"minute": 60, "hours": 7200}
COMMANDS = {
    "explain": "{sound} --model ear.py:make --segments temporal:3 --html out/a.html",
    "explain a second": "{sound} --model ear.py:make --segments temporal:3 --start 50",
    "explain every": "{sound} --model ear.py:make --segments temporal:3 --every 10 "
    "--json out/a.jsonl",
    "explain components": "{sound} --model ear.py:make --components time:3 --start 50",
    "attack": "{sound} --model ear.py:make --start 40 --duration 3 --steps 3 --out out/a.wav",
    "stats": "{folder} --model ear.py:make --layer 0.2 --channel-axis 1 --out out/a.npz",
    "interrogate": "--data {folder}-twice --unlabelled --model ear.py:make --gain 6 --tempo 6 "
    "--doses 1 --duration 20",
    "distance": "{folder} minute --model ear.py:make --layer 0.2 --channel-axis 1",
}


@pytest.fixture(scope="module")
def sounds(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Write noise of a minute and of two hours."""
    folder = tmp_path_factory.mktemp("memory")
    (folder / "ear.py").write_text(EAR)
    minute = np.random.default_rng(0).uniform(-0.5, 0.5, 60 * 16000).astype(np.float32)
    for name, seconds in SECONDS.items():
        (folder / name).mkdir()
        with soundfile.SoundFile(folder / name / "a.wav", "w", 16000, 1, "PCM_16") as file:
            for i in range(seconds // 60):
                file.write(minute * (1 - i / 200))
        (folder / f"{name}-twice").mkdir()
        for link in ("a.wav", "b.wav"):
            (folder / f"{name}-twice" / link).symlink_to(folder / name / "a.wav")
    yield folder
    (folder / "hours" / "a.wav").unlink()


def peak(sounds: Path, name: str, command: str, out: Path) -> float:
    """Run a command; return the peak of its memory, in MB."""
    out.mkdir()
    arguments = COMMANDS[command].format(sound=f"{name}/a.wav", folder=name)
    arguments = arguments.replace("out/", f"{out}/")
    done = subprocess.run(
        [sys.executable, "-c", PEAK, command.split()[0], *arguments.split()],
        cwd=sounds,
        capture_output=True,
        text=True,
        check=False,
    )
    is_fooled = "Fooled" in done.stdout
    assert done.returncode == (command == "attack" and is_fooled), done.stderr
    return int(done.stdout.split()[-1]) / 1000  # in kB


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="Linux tells the peak")
@pytest.mark.parametrize("command", COMMANDS)
def test_two_hours_take_the_memory_of_a_minute(command: str, sounds: Path, tmp_path: Path) -> None:
    peaks = {name: peak(sounds, name, command, tmp_path / name) for name in SECONDS}
    assert peaks["hours"] < peaks["minute"] + 100, peaks
