"""Sounds and answers of listening tests, as listeners would give them."""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from otoscope.signal.audio.files import write_audio
from otoscope.workflows.listening.export import (
    ListeningTest,
    ListeningTestConfig,
    export_listening_test,
)

__all__ = ["CONDITIONS", "SR", "exported", "sound", "write_answers", "write_sounds"]

SR = 16000
CONDITIONS = ("original", "codec <b>12", "worst")


def sound(seed: int, *, level: float = 0.1, seconds: float = 0.6) -> torch.Tensor:
    random = torch.Generator().manual_seed(seed)
    return level * torch.randn(round(seconds * SR), generator=random).clamp(-3, 3)


def write_sounds(folder: Path, n: int = 2, *, sr: int = SR) -> Path:
    """Write a folder of sounds per condition, at levels 20 dB apart."""
    for i, condition in enumerate(CONDITIONS):
        (folder / condition).mkdir(parents=True)
        for item in range(n):
            y = sound(10 * i + item, level=0.2 * 10**-i)
            write_audio(folder / condition / f"item-{item}.wav", y, sr=sr)
    return folder


def exported(folder: Path, **settings: Any) -> tuple[ListeningTest, str]:
    sounds = write_sounds(folder / "sounds")
    test = export_listening_test(ListeningTestConfig(sounds, **settings), folder / "test")
    return test, (folder / "test" / "test.html").read_text()


def write_answers(
    path: Path, test: ListeningTest, listener: str, rate: Callable[[str, str], object]
) -> Path:
    """Write a table as the page does, in an order of its own."""
    rows = []
    for trial in reversed(test.trials):
        if trial.get("right"):
            rows.append([trial["trial"], trial["open"], rate(trial["item"], trial["trial"])])
            continue
        for name, condition in trial["stimuli"].items():
            rows.append([trial["trial"], name, rate(condition, trial["item"])])
    with path.open("w", newline="") as file:
        writer = csv.writer(file, quoting=csv.QUOTE_ALL)
        writer.writerow(["test", "listener", "position", "trial", "stimulus", "answer", "seconds"])
        for i, row in enumerate(rows):
            writer.writerow([test.test, listener, i + 1, *row, 1.5])
    return path
