"""Running a benchmark, and reading what it wrote."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

from tests.support.paths import ROOT


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
