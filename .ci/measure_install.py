"""Measure an installation from this checkout: how long it takes, and how large it is.

Builds the wheel without CUDA, installs it with all it needs into a fresh virtual environment, once
plain and once with the extra "models", and runs the demo there. Needs a C++ compiler and a package
index. Seconds of one core do not depend on what else the machine does.

    python .ci/measure_install.py [folder for the wheel and the environment]
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def timed(command: Sequence[object]) -> str:
    """Run a command; return the time that it took, by the clock and of one core."""
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
    start, before = time.perf_counter(), os.times()
    subprocess.run(
        [*map(str, command)],
        check=True,
        cwd=ROOT,
        env=environment | {"OTOSCOPE_CUDA": "OFF"},
        stdout=sys.stderr,
    )
    after = os.times()
    core = sum(after[2:4]) - sum(before[2:4])
    return f"{time.perf_counter() - start:.0f} s by the clock, {core:.0f} s of one core"


def megabytes(path: Path) -> float:
    """Sum the sizes of the files below a path."""
    files = [path] if path.is_file() else [p for p in path.rglob("*") if p.is_file()]
    return sum(file.stat().st_size for file in files) / 1e6


def main() -> None:
    folder = Path(sys.argv[1] if len(sys.argv) > 1 else tempfile.mkdtemp()).resolve()
    built = timed([sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "-w", folder, "."])
    (wheel,) = folder.glob("otoscope-*.whl")
    print(f"{wheel.name}: {megabytes(wheel):.1f} MB, built in {built}", flush=True)
    timed([sys.executable, "-m", "venv", folder / "env"])
    python = folder / "env" / ("Scripts" if os.name == "nt" else "bin") / "python"
    site = next((folder / "env").rglob("site-packages"))
    for requirement in (str(wheel), f"{wheel}[models]"):
        install = ("-m", "pip", "install", "-q", "-c", "constraints-cpu.txt", requirement)
        seconds = timed([python, *install])
        sizes = {path.name: megabytes(path) for path in site.iterdir()}
        print(
            f"{Path(requirement).name}: installed in {seconds}; site-packages "
            f"{sum(sizes.values()):.0f} MB, of these torch {sizes['torch']:.0f}, "
            f"otoscope {sizes['otoscope']:.1f}"
        )
        demo = timed([python, "-m", "otoscope.cli", "demo", "--out", folder / "demo"])
        print(f"otoscope demo: {demo}", flush=True)


if __name__ == "__main__":
    main()
