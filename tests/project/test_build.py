"""The build says what it does, and its wheel runs on every Python that it names."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

from tests.support.other_build import configuring, program
from tests.support.paths import ROOT

pytestmark = pytest.mark.slow


def configure(folder: Path, cuda: str, path: str) -> subprocess.CompletedProcess[str]:
    """Run CMake as far as the kernels are chosen."""
    options = (f"-DCMAKE_MAKE_PROGRAM={program('ninja')}", f"-DOTOSCOPE_CUDA={cuda}")
    return subprocess.run(
        configuring(folder, *options),
        env={**os.environ, "PATH": path, "CUDACXX": ""},
        capture_output=True,
        text=True,
    )


@pytest.fixture
def path_without_nvcc(tmp_path: Path) -> str:
    """Make a folder of the compilers that a build needs, and no nvcc."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for name in ("cc", "c++", "gcc", "g++", "ld", "as", "ar", "ranlib", "uname", "sh", "env"):
        if found := shutil.which(name):
            (folder / name).symlink_to(found)
    return str(folder)


def test_without_nvcc_auto_builds_for_the_cpu_and_says_so(
    tmp_path: Path, path_without_nvcc: str
) -> None:
    run = configure(tmp_path / "build", "AUTO", path_without_nvcc)
    assert run.returncode == 0, run.stderr
    assert "otoscope: CPU only" in run.stdout


def test_without_nvcc_on_stops(tmp_path: Path, path_without_nvcc: str) -> None:
    run = configure(tmp_path / "build", "ON", path_without_nvcc)
    assert run.returncode != 0
    assert "OTOSCOPE_CUDA=ON, but no working nvcc was found" in run.stderr


def test_with_a_broken_nvcc_auto_builds_for_the_cpu(tmp_path: Path, path_without_nvcc: str) -> None:
    nvcc = Path(path_without_nvcc) / "nvcc"
    nvcc.write_text("#!/bin/sh\necho broken >&2\nexit 1\n")
    nvcc.chmod(0o755)
    run = configure(tmp_path / "build", "AUTO", path_without_nvcc)
    assert run.returncode == 0, run.stderr
    assert "otoscope: CPU only" in run.stdout


def test_another_word_stops(tmp_path: Path, path_without_nvcc: str) -> None:
    run = configure(tmp_path / "build", "MAYBE", path_without_nvcc)
    assert 'OTOSCOPE_CUDA is "MAYBE"; it must be AUTO, ON or OFF' in run.stderr


def test_the_source_distribution_has_every_file(tmp_path: Path) -> None:
    build = "from scikit_build_core.build import build_sdist; import sys; build_sdist(sys.argv[1])"
    subprocess.run([sys.executable, "-c", build, str(tmp_path)], cwd=ROOT, check=True)
    (archive,) = tmp_path.glob("*.tar.gz")
    with tarfile.open(archive) as packed:
        inside = {name.partition("/")[2] for name in packed.getnames()}
    listing = ["git", "ls-files", "-z"]
    tracked = subprocess.run(listing, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert set(tracked.split("\0")) - {""} <= inside


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the release wheel: split mode, CPU only."""
    folder = tmp_path_factory.mktemp("wheel")
    pip = [sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "--no-build-isolation"]
    environment = {
        **os.environ,
        "OTOSCOPE_SPLIT": "1",
        "OTOSCOPE_CUDA": "OFF",
        "OTOSCOPE_EMULATED": "OFF",
    }
    build = f"build-dir={folder / 'build'}"
    subprocess.run(
        [*pip, "-C", build, "-w", str(folder), "."], cwd=ROOT, env=environment, check=True
    )
    (found,) = folder.glob("*.whl")
    return found


def test_one_wheel_serves_every_python(wheel: Path) -> None:
    assert "-cp310-abi3-" in wheel.name
    audit = subprocess.run([sys.executable, "-m", "abi3audit", "--strict", str(wheel)])
    assert audit.returncode == 0


@pytest.mark.parametrize("version", ["3.10", "3.11", "3.12", "3.13"])
def test_the_wheel_runs_on(version: str, wheel: Path, tmp_path: Path) -> None:
    """Its kernel gives right numbers on NumPy arrays; torch for each Python is gigabytes."""
    python = interpreter(version)
    pip = [sys.executable, "-m", "pip", "install", "-q", "--target", str(tmp_path)]
    other = ["--python-version", version, "--only-binary=:all:"]
    subprocess.run([*pip, *other, "numpy", "nanobind-backend>=1.0"], check=True)
    subprocess.run([*pip, "--no-deps", *other, str(wheel)], check=True)
    program = """
import sys, types, importlib, numpy as np
package = types.ModuleType("otoscope")
package.__path__ = [sys.argv[1] + "/otoscope"]
sys.modules["otoscope"] = package
kernels = importlib.import_module("otoscope._cpu")
patch, content = np.random.default_rng(0).standard_normal((2, 1, 9, 7)).astype("f4")
segment = (np.arange(63, dtype="i4") % 5).reshape(9, 7)
bits = np.arange(32, dtype="i8")[:, None]
out = np.empty((1, 32, 9, 7), "f4")
kernels.occlude(patch, content, None, (0, 0, 0), segment, bits, 5, None, None, out, 1)
keep = (bits >> np.arange(5)) & 1 == 1
assert (out[0] == np.where(keep[:, segment], patch, content)).all()
"""
    environment = {**os.environ, "PYTHONPATH": str(tmp_path)}
    subprocess.run([python, "-c", program, str(tmp_path)], env=environment, check=True)


def interpreter(version: str) -> str:
    """Find a Python of this version, on the path or among pyenv's."""
    candidates = [shutil.which(f"python{version}")]
    candidates += [str(p) for p in Path.home().glob(f".pyenv/versions/{version}.*/bin/python")]
    for found in candidates:
        if found and subprocess.run([found, "-c", ""], capture_output=True).returncode == 0:
            return found
    pytest.skip(f"no Python {version} on this machine")
