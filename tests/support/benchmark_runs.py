"""Running a benchmark, and reading what it wrote."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

from tests.support.paths import ROOT
from tests.support.scripts import run_script

_KEPT = {"MALLOC_TRIM_THRESHOLD_": str(1 << 30), "MALLOC_MMAP_THRESHOLD_": str(1 << 30)}


def run_quick(out: Path, script: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a benchmark in this process, at tiny sizes; it would restart itself without _KEPT."""
    command = (f"benchmarks/{script}", *arguments, "--quick")
    return run_script(*command, env={**_KEPT, "OUT": str(out)})


def run(out: Path, *command: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "OUT": str(out)}
    return subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )


def result(path: Path) -> dict[str, Any]:
    written: dict[str, Any] = json.loads(path.read_text())
    for case in written["cases"]:
        assert case["rivals"]["ours"]["median_s"] > 0
        assert set(case["ratios"]) == set(case["rivals"]) - {"ours"}
        assert case["bar"] is None or isinstance(case["bar"]["met"], bool)
    return written
