"""Check that the committed stubs say what the built modules offer; ``--write`` writes them anew."""

from __future__ import annotations

import difflib
import subprocess
import sys
import tempfile
from importlib.util import find_spec
from pathlib import Path

PACKAGE = Path(__file__).parents[1] / "python" / "otoscope"


def main() -> int:
    differ = False
    for name in ("_cpu", "_cuda"):
        committed = PACKAGE / f"{name}.pyi"
        if find_spec(f"otoscope.{name}") is None:
            print(f"otoscope.{name} is not built here: its stub is not compared")
            continue
        with tempfile.TemporaryDirectory() as folder:
            made = Path(folder) / committed.name
            stubgen = (sys.executable, "-m", "nanobind.stubgen", "-q")
            run = subprocess.run([*stubgen, "-m", f"otoscope.{name}", "-o", str(made)], check=False)
            if run.returncode:
                print(f"otoscope.{name} cannot be imported here: its stub is not compared")
                continue
            if "--write" in sys.argv:
                committed.write_bytes(made.read_bytes())
            lines = committed.read_text().splitlines(), made.read_text().splitlines()
            difference = list(difflib.unified_diff(*lines, "committed", "built", lineterm=""))
            print(*difference, sep="\n", end="\n" if difference else "")
            differ |= bool(difference)
    return int(differ)


if __name__ == "__main__":
    raise SystemExit(main())
