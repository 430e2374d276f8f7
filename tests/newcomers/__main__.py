# ruff: noqa: T201
"""Measure the time to first results of the newcomers' models: python -m tests.newcomers [--wall].

Each cell is one command in a fresh process, from the sound to the correct answer. Processor seconds
are given, or with --wall seconds by the clock, which tell something on a machine that does nothing
else; each is the least of two runs. In brackets is the ratio to `import torch`, measured beside.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory

import torch

from otoscope.signal import write_audio
from tests.newcomers.sounds import SR, whistle_and_hum, write_corpus

MODELS = Path(__file__).parent / "models"
KINDS = {
    "stft_inside": "waveform, STFT inside",
    "mel_frame": "[batch, mel, frame]",
    "batch_time": "[batch, time]",
    "two_softmax": "softmax of two",
    "crnn": "CRNN with pooling",
}
CORRECT = {"explain": "0.20–0.30", "attack": "Fooled: ", "interrogate": "A horse: "}
COMMAND = (sys.executable, "-m", "otoscope.cli")


_RUNS = 2


def seconds_of(*command: str, answer: str = "") -> tuple[float, float]:
    """Run a command, check that it prints the answer, and return wall and processor seconds.

    Of several runs each is the least, since other work on the machine only adds.
    """
    runs = []
    for _ in range(_RUNS):
        before, began = os.times(), time.perf_counter()
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        wall, after = time.perf_counter() - began, os.times()
        if answer not in done.stdout:
            raise RuntimeError(f"{' '.join(command)}: {done.stdout}{done.stderr}")
        user = after.children_user - before.children_user
        runs.append((wall, user + after.children_system - before.children_system))
    walls, processors = zip(*runs, strict=True)
    return min(walls), min(processors)


def commands(name: str, folder: Path) -> dict[str, tuple[str, ...]]:
    """Return the command of each task for a model."""
    model, sound = f"{MODELS / name}.py:make", str(folder / "sound.wav")
    data = str(folder / ("other" if name == "two_softmax" else "not whistle"))
    page = str(folder / f"{name}.html")
    return {
        "explain": ("explain", sound, "--model", model, *("--target", "whistle"), "--html", page),
        "attack": (
            *("attack", sound, "--model", model, "--snr-db", "6"),
            *("--out", str(folder / f"{name}.wav")),
        ),
        "interrogate": ("interrogate", "--model", model, "--data", data, "--gain", "20"),
    }


def main() -> None:
    """Print the table."""
    clock = 0 if "--wall" in sys.argv else 1
    print("| model | lines of its file | `explain` | `attack` | `interrogate` |")
    print("|---|---|---|---|---|")
    imports = []
    with TemporaryDirectory() as temporary:
        folder = Path(temporary)
        write_audio(folder / "sound.wav", torch.from_numpy(whistle_and_hum(0.2)), sr=SR)
        for other in ("other", "not whistle"):
            write_corpus(folder / other, other)
        for name, kind in KINDS.items():
            imports.append(seconds_of(sys.executable, "-c", "import torch")[clock])
            lines = (MODELS / f"{name}.py").read_text().splitlines()
            cells = []
            for task, arguments in commands(name, folder).items():
                options = ("--segments", "grid:5x2") if task == "explain" else ()
                seconds = seconds_of(*COMMAND, *arguments, *options, answer=CORRECT[task])
                cells.append(f"{seconds[clock]:.1f} s ({seconds[clock] / imports[-1]:.1f}×)")
            print(f"| {kind} | {sum(map(bool, lines))} | {' | '.join(cells)} |", flush=True)
    print(f"\n`import torch`: {min(imports):.1f} to {max(imports):.1f} s, {os.cpu_count()} cores")


if __name__ == "__main__":
    main()
