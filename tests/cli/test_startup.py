"""Import budget: a command imports no large package that it does not use."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.paths import ROOT

LARGE = {
    *("sklearn", "scipy.stats", "pandas", "numba", "librosa", "matplotlib", "torchmetrics"),
    *("sympy", "torch._dynamo", "torch._inductor", "networkx", "captum", "lightning"),
}
LIST = """
import sys
from otoscope.cli import main
sys.argv[0] = "otoscope"
try:
    main()
except SystemExit as end:
    assert not end.code, end.code
print("imported:", *sorted(set(sys.modules)))
"""
SAMPLE = ROOT / "python" / "otoscope" / "data" / "samples" / "mambo.ogg"
TUNE = "X:1\nT:one\nM:4/4\nL:1/8\nK:D\nDEFG ABcd|dcBA GFED|\n"

COMMANDS = {
    "explain": ["explain", str(SAMPLE), "--model", "synth-singing", "--html", "why.html"],
    "folk sample": ["folk", "sample", "--n", "1", "--max-tokens", "20"],
    "folk check": ["folk", "check", "one.abc"],
    "help": ["explain", "--help"],
    "folk help": ["folk", "sample", "--help"],
    "list": ["--help"],
}


@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_imports_nothing_large_that_it_does_not_use(name: str, tmp_path: Path) -> None:
    (tmp_path / "one.abc").write_text(TUNE, encoding="utf-8")
    command = [sys.executable, "-c", LIST, *COMMANDS[name]]
    run = subprocess.run(
        command, capture_output=True, text=True, cwd=tmp_path, timeout=300, check=True
    )
    imported = set(run.stdout.rpartition("imported:")[2].split())
    others = {f"otoscope.cli.{other}" for other in ("attack", "interrogate", "folk.check")}
    forbidden = LARGE | {"torch"} | others if "--help" in COMMANDS[name] else LARGE
    forbidden |= {"torch"} if name == "folk check" else set()
    assert not imported & forbidden
    assert "otoscope.cli" in imported
