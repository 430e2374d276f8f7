"""The operator tests notice a fault: each of these, planted in the kernels, makes one fail."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.mutations.planting import PACKAGE, as_cell, mistakes
from tests.support.other_build import build
from tests.support.paths import ROOT

# Tests, and what they are to notice: file, what stands there, and the fault, in the CPU kernels
# first, then in the CUDA bodies.
OCCLUDE = ("tests/ops/test_occlude.py", "equals_definition")
PROJECT = ("tests/ops/test_stft.py", "projection_equals")
MOMENTS = ("tests/ops/test_moments.py", "offset_costs")
FAULTS: dict[str, tuple[tuple[str, str], list[tuple[str, str, str]]]] = {
    "none in occlude": (OCCLUDE, []),
    "none in project": (PROJECT, []),
    "none in moments": (MOMENTS, []),
    "keep inverted": (
        OCCLUDE,
        [
            ("occlude/cpu_lanes.inc", "== bit ? kept : occluded", "== bit ? occluded : kept"),
            ("occlude/block.h", "is_kept ? tile.kept", "!is_kept ? tile.kept"),
        ],
    ),
    "last segment dropped": (
        OCCLUDE,
        [("coalitions/coalitions.h", "j < n; ++j", "j + 1 < n; ++j")],
    ),
    "a row too early": (
        OCCLUDE,
        [
            ("occlude/cpu_lanes.inc", "row) * r.keep_stride", "row - (row > 0)) * r.keep_stride"),
            (
                "occlude/block.h",
                "keep(a.keep, words, sample, end);",
                "keep(a.keep, words, sample - (sample > 0), end);",
            ),
        ],
    ),
    "a frame that reaches a chunk left out": (
        PROJECT,
        [
            ("stft/cpu.cpp", "end + layout.halo());", "end + layout.halo() - 1);"),
            (
                "stft/frame_block.h",
                "first - kFft + 1;  //",
                "first - kFft + 1 + layout_.hop;  //",
            ),
        ],
    ),
    "no division by the overlap at the ends": (
        PROJECT,
        [
            (
                "stft/cpu.cpp",
                "n < rise; ++n) y[n - first] *= edge(n);",
                "n < rise; ++n) y[n - first] *= 1;",
            ),
            ("stft/frame_block.h", "reciprocal(edge_overlap(n)) : gain", "gain : gain"),
        ],
    ),
    "means that moved not counted": (
        MOMENTS,
        [
            ("moments/cpu.cpp", "= root_weight * delta;", "= 0 * root_weight * delta;"),
            ("moments/block.h", "if (unit.begin == 0) sum +=", "if (unit.begin < 0) sum +="),
        ],
    ),
    "lower half forgotten": (
        MOMENTS,
        [
            ("moments/cpu.cpp", "    mirror(columns, threads, to.scatter);\n", ""),
            (
                "moments/block.h",
                "a.columns + row] = upper;",
                "a.columns + row] += 0;",
            ),
        ],
    ),
}


@pytest.mark.slow
@pytest.mark.parametrize("fault", FAULTS)
def test_a_planted_fault_is_noticed(fault: str, tmp_path: Path) -> None:
    for name in ("CMakeLists.txt", "cmake", "csrc"):
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
        copy(ROOT / name, tmp_path / name)
    (tests, which), edits = FAULTS[fault]
    for name, right, wrong in edits:
        path = tmp_path / "csrc" / name
        text = path.read_text()
        assert text.count(right) == 1, f"{name} no longer holds {right!r} once"
        path.write_text(text.replace(right, wrong))
    build(tmp_path / "built", [], sources=tmp_path)
    for backend in ("cpu", "emulated"):
        run = subprocess.run(
            [
                *(
                    sys.executable,
                    "-m",
                    "tests.support.other_build",
                    "pytest",
                    str(tmp_path / "built"),
                ),
                *("-q", "-x", "-p", "no:cacheprovider", "-k", f"{which} and {backend}-"),
                tests,
            ],
            cwd=ROOT,
            capture_output=True,
            text=True,
        )
        assert run.returncode == (1 if edits else 0), run.stdout[-2000:]


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "fork"), reason="a run forks")
def test_fifteen_mistakes_of_the_package_are_noticed() -> None:
    """`make mutations` plants all of them."""
    command = [sys.executable, "-m", "tests.mutations", "--sample", "15"]
    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert run.returncode == 0, run.stdout[-2000:] + run.stderr[-2000:]


def test_every_mistake_can_be_planted() -> None:
    """Its right text stands once in its file; a table that has aged is renewed with the code."""
    aged = [m for m in mistakes() if (PACKAGE / m.path).read_text("utf-8").count(m.right) != 1]
    assert not aged


def test_results_are_of_mistakes_of_the_tables() -> None:
    results = (ROOT / "tests" / "mutations" / "results.md").read_text("utf-8")
    rows = [line.split(" | ") for line in results.splitlines() if line.startswith("| ``")]
    cells = {tuple(cell.strip("| ") for cell in row[:3]) for row in rows}
    planted = {tuple(map(as_cell, m.cells)) for m in mistakes()}
    assert cells <= planted
    assert len(planted) >= 150
    assert sum("unnoticed" in row[3] for row in rows) <= 0.05 * len(rows)
