"""Build the native modules in another way, and run tests against that build.

python -m tests.support.other_build build DIR [cmake options]      # makes DIR/site
python -m tests.support.other_build pytest DIR [pytest arguments]  # uses DIR/site
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

from tests.support.paths import ROOT


def configuring(folder: Path, *options: str, sources: Path = ROOT) -> list[str]:
    """The command that has CMake configure ``sources`` for this Python into ``folder``."""
    nanobind = subprocess.run(
        [sys.executable, "-m", "nanobind", "--cmake_dir"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout.strip()
    return [
        *(program("cmake"), "-S", str(sources), "-B", str(folder), "-G", "Ninja"),
        *(f"-Dnanobind_DIR={nanobind}", f"-DPython_EXECUTABLE={sys.executable}", *options),
    ]


def program(name: str) -> str:
    """Find a program beside this Python, or leave it to the path."""
    return shutil.which(name, path=Path(sys.executable).parent) or name


def build(where: Path, options: list[str], sources: Path = ROOT) -> None:
    """Compile ``sources`` into ``where/site/otoscope``, beside copies of the Python files."""
    cmake = program("cmake")
    defaults = ("-DCMAKE_BUILD_TYPE=Release", "-DOTOSCOPE_CUDA=OFF", "-DOTOSCOPE_EMULATED=ON")
    configure = configuring(where / "build", *defaults, *options, sources=sources)
    quiet = {"stdout": subprocess.DEVNULL, "check": True}
    subprocess.run(configure, **quiet)  # type: ignore[call-overload]
    subprocess.run([cmake, "--build", str(where / "build")], **quiet)  # type: ignore[call-overload]
    shutil.rmtree(where / "site", ignore_errors=True)
    shutil.copytree(
        ROOT / "python" / "otoscope",
        where / "site" / "otoscope",
        ignore=shutil.ignore_patterns("*.so", "__pycache__"),
    )
    install = [cmake, "--install", str(where / "build"), "--prefix", str(where / "site")]
    subprocess.run(install, **quiet)  # type: ignore[call-overload]


def run_pytest(where: Path, arguments: list[str]) -> int:
    """Run pytest in this process against ``where/site``."""
    sys.meta_path[:] = [f for f in sys.meta_path if "ScikitBuild" not in type(f).__name__]
    sys.path.insert(0, str(where.resolve() / "site"))
    import pytest

    import otoscope._cpu

    if not Path(otoscope._cpu.__file__).is_relative_to(where.resolve()):
        raise SystemExit(f"the tests would run against {otoscope._cpu.__file__}")
    return int(pytest.main(arguments))


if __name__ == "__main__":
    os.chdir(ROOT)
    command, folder, *rest = sys.argv[1:]
    if command == "build":
        build(Path(folder), rest)
    else:
        raise SystemExit(run_pytest(Path(folder), rest))
