"""The operator tests notice a fault: each of these, planted in the kernels, makes one fail."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from other_build import ROOT, build

# File, what stands there, and the fault: in the CPU kernels first, then in the CUDA bodies.
FAULTS = {
    "none": [],
    "keep inverted": [
        ("cpu/select_lanes.inc", "== bit ? kept : lost", "== bit ? lost : kept"),
        ("include/otoscope/occlude_block.h", "stays ? tile.kept", "!stays ? tile.kept"),
    ],
    "last segment dropped": [("include/otoscope/coalitions.h", "j < n; ++j", "j + 1 < n; ++j")],
    "a row too early": [
        ("cpu/select_lanes.inc", "row) * r.keep_stride", "row - (row > 0)) * r.keep_stride"),
        (
            "include/otoscope/occlude_block.h",
            "a.keep + s * words;\n                Cell",
            "a.keep + (s - (s > 0)) * words;\n                Cell",
        ),
    ],
}


@pytest.mark.slow
@pytest.mark.parametrize("fault", FAULTS)
def test_a_planted_fault_is_noticed(fault: str, tmp_path: Path) -> None:
    for name in ("CMakeLists.txt", "cmake", "csrc"):
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
        copy(ROOT / name, tmp_path / name)
    for name, right, wrong in FAULTS[fault]:
        path = tmp_path / "csrc" / name
        text = path.read_text()
        assert text.count(right) == 1, f"{name} no longer holds {right!r} once"
        path.write_text(text.replace(right, wrong))
    build(tmp_path / "built", [], sources=tmp_path)
    for backend in ("cpu", "emulated"):
        run = subprocess.run(
            [
                *(sys.executable, "tests/other_build.py", "pytest", str(tmp_path / "built")),
                *("-q", "-x", "-p", "no:cacheprovider", "-k", f"equals_definition and {backend}-"),
                "tests/test_occlude.py",
            ],
            cwd=ROOT,
            capture_output=True,
            text=True,
        )
        assert run.returncode == (0 if fault == "none" else 1), run.stdout[-2000:]
